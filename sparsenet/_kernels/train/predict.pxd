from libc.stdint cimport int64_t

from sparsenet._kernels.train.input cimport Input
from sparsenet._kernels.train.network cimport Net, Panel, Scratch

cdef void predict_panels(const Net *net, const Input *x, int64_t n_rows, Panel *panels,
                         Scratch *scratch, int n_threads, bint logits,
                         float *out) noexcept nogil
