from sparsenet._kernels.train.network cimport Run

cdef void add_gradients(Run *run, double **weights, double **biases) noexcept nogil
