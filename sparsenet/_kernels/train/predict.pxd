from libc.stdint cimport int64_t

from sparsenet._kernels.train.input cimport Input
from sparsenet._kernels.train.network cimport Net, Panel, Scratch

cdef struct Rating:          # of all rows, beside their prediction
    const void *targets
    const float *weights     # NULL: ones
    double *losses           # of each panel, the sum of weight * loss

cdef void predict_panels(const Net *net, const Input *x, int64_t n_rows, int64_t begin,
                         int64_t end, Panel *panels, Scratch *scratch, int n_threads,
                         bint logits, float *out, const Rating *rating) noexcept nogil
