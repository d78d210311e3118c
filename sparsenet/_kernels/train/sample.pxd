from libc.stdint cimport int64_t

from sparsenet._kernels.train.input cimport Input
from sparsenet._kernels.train.network cimport Net, Panel, Scratch

cdef void forward_sample(const Net *net, const Input *x, int64_t row, Panel *panel,
                         Scratch *s) noexcept nogil
