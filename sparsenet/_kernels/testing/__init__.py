"""Each kernel on its own, for tests and benchmarks."""
