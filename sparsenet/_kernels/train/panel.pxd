from libc.stdint cimport int64_t, uint64_t

from sparsenet._kernels.train.input cimport Input
from sparsenet._kernels.train.network cimport Net, Panel, Scratch

cdef void take_targets(const Net *net, const void *targets, const float *weights,
                       const int64_t *rows, int n, Scratch *s) noexcept nogil
cdef void forward(const Net *net, const Input *x, const int64_t *rows, int n,
                  Panel *panel, Scratch *s) noexcept nogil
cdef float *backward(const Net *net, Panel *panel, int lanes, Scratch *s,
                     uint64_t seed) noexcept nogil
