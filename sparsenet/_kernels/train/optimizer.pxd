from libc.stdint cimport int64_t

from sparsenet._kernels.train.memory cimport Arena
from sparsenet._kernels.train.network cimport Net, Run


cdef inline float *rates_at(const Run *run, int64_t l, int64_t step) noexcept nogil:
    """Learning rates of a step: of the weights of layer l, or of all biases (-1)."""
    return run.rates + ((l + 1) * run.steps_known + step) * run.most_cohorts


cdef int take_optimizer(Arena arena, Run *run, Net *net, optimizer,
                        const int64_t[::1] births, int64_t n_rounds,
                        int64_t n_steps) except -1
cdef void take_births(Run *run, const int64_t[::1] births) noexcept
cdef void set_rates(Run *run, int64_t step) noexcept nogil
cdef void take_rates(Run *run, int64_t known) noexcept nogil
