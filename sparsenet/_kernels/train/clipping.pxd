from libc.stdint cimport int64_t, uint64_t

from sparsenet._kernels.train.network cimport Run

cdef double clipping_factor(Run *run, int64_t batch, uint64_t seed) noexcept nogil
