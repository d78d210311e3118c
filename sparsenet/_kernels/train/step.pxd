from libc.stdint cimport int64_t, uint64_t

from sparsenet._kernels.train.network cimport Run

cdef inline float *rates_at(const Run *run, int64_t l, int64_t step) noexcept nogil:
    """Learning rates of a step: of the weights of layer l, or of all biases (-1)."""
    return run.rates + ((l + 1) * run.steps_known + step) * run.step.n_cohorts


cdef void run_steps(Run *run, int64_t n_steps) noexcept nogil
cdef void plan_batch(Run *run, int64_t first_row, int64_t step) noexcept nogil
cdef void run_panels(Run *run, int64_t batch, uint64_t seed) noexcept nogil
cdef void settle_features(Run *run) noexcept nogil
