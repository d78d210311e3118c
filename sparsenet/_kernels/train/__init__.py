"""Training and prediction: all threads, all memory, and the order of the kernels."""
