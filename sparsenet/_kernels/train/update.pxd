from libc.stdint cimport int64_t, uint64_t

from sparsenet._kernels.train.network cimport Net, Panel, Run, Scratch, Task

cdef void point_to_panels(const Net *net, int l, Panel *panels, int64_t batch,
                          Scratch *s) noexcept nogil
cdef void block_gradient(const Net *net, int l, int64_t first_row, int64_t height,
                         const void *columns, int64_t n, Panel *panels,
                         int64_t batch, uint64_t seed, Scratch *s,
                         const float *const *ahead, float *gradient,
                         float *bias_gradient) noexcept nogil
cdef int64_t size_of(const Net *net, const Task *task, int64_t *n_rows) noexcept nogil
cdef float *bias_gradient_of(const Net *net, const Task *task,
                             float *gradient) noexcept nogil
cdef void task_gradient(const Net *net, const Task *task, Panel *panels, int64_t batch,
                        uint64_t seed, float *of_weights, float *of_biases,
                        Scratch *s) noexcept nogil
cdef void update_rows(Run *run, const Task *task, int64_t batch, double clipped,
                      uint64_t seed, Scratch *s) noexcept nogil
cdef void encode_blocks(const Net *net, int l, int64_t begin,
                        int64_t end) noexcept nogil
