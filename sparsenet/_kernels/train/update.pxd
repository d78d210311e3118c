from libc.stdint cimport int64_t, uint64_t

from sparsenet._kernels.kernels cimport sn_optimizer
from sparsenet._kernels.train.network cimport Net, Panel, Scratch, Task

cdef void point_to_panels(const Net *net, int l, Panel *panels, int64_t batch,
                          Scratch *s) noexcept nogil
cdef void block_gradient(const Net *net, int l, int64_t first_row, int64_t height,
                         const void *columns, int64_t n, Panel *panels,
                         int64_t batch, uint64_t seed, Scratch *s,
                         const float *const *ahead, float *gradient,
                         float *bias_gradient) noexcept nogil
cdef void task_gradient(const Net *net, const Task *task, Panel *panels, int64_t batch,
                        uint64_t seed, Scratch *s) noexcept nogil
cdef void update_rows(const Net *net, const Task *task, Panel *panels,
                      int64_t batch, const sn_optimizer *optimizer,
                      const float *rates, uint64_t seed, Scratch *s) noexcept nogil
cdef void encode_blocks(const Net *net, int l, int64_t begin,
                        int64_t end) noexcept nogil
