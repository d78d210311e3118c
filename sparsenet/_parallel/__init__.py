"""Training of one network by several processes, each on its own samples."""
