from libc.stdint cimport int64_t, uint64_t

from sparsenet._kernels.train.network cimport Run

cdef void run_steps(Run *run, int64_t n_steps) noexcept nogil
cdef void plan_batch(Run *run, int64_t first_row, int64_t step) noexcept nogil
cdef void run_panels(Run *run, int64_t batch, uint64_t seed) noexcept nogil
cdef void settle_features(Run *run, bint all_features) noexcept nogil
