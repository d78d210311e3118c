"""The gradient itself, for optimizers that want it: added to float64 arrays.

The sums over a batch are float32, those over batches float64.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport sn_kernels, sn_thread_state
from sparsenet._kernels.train.network cimport CLayer, Run, Scratch, Task
from sparsenet._kernels.train.sparse_first_layer cimport PlannedBatch, gradient
from sparsenet._kernels.train.update cimport (
    bias_gradient_of,
    size_of,
    task_gradient,
)

cdef const sn_kernels *kernels = kernels_in_use()


cdef void add_gradients(Run *run, double **weights,
                        double **biases) noexcept nogil:
    """Add those of the batch that region 1 has seen; an array for each layer."""
    cdef int64_t i
    for i in prange(run.memory.n_tasks, schedule="static",
                    num_threads=run.row_threads):
        add_task(run, &run.memory.tasks[i], weights, biases,
                 &run.memory.scratch[threadid()])
    if run.net.by_feature:
        for i in prange(run.features.n_ranges, schedule="static",
                        num_threads=run.row_threads):
            add_features(run, run.features.ranges[i].batches, weights[0],
                         &run.memory.scratch[threadid()])


cdef void add_task(Run *run, const Task *task, double **weights, double **biases,
                   Scratch *s) noexcept nogil:
    cdef CLayer *layer = &run.net.layers[task.layer]
    cdef int64_t height = layer.forward.height, row = task.begin * height, i, n_rows
    cdef int64_t first = layer.forward.indptr[task.begin] * height
    cdef int64_t n = size_of(run.net, task, &n_rows)
    cdef float *of_bias = bias_gradient_of(run.net, task, s.gradient)
    cdef sn_thread_state state
    kernels.enter(&state)
    task_gradient(run.net, task, run.memory.panels, run.data.batch_size, 0, s.gradient,
                  of_bias, s)
    kernels.leave(&state)
    for i in range(n):
        weights[task.layer][first + i] += s.gradient[i]
    for i in range(n_rows):
        biases[task.layer][row + i] += of_bias[i]


cdef void add_features(Run *run, const PlannedBatch *batch, double *weights,
                       Scratch *s) noexcept nogil:
    cdef int64_t fan_out = run.features.features.state.fan_out, i, k
    cdef double *row
    cdef sn_thread_state state
    kernels.enter(&state)
    for i in range(batch.n_touched):
        gradient(&run.features, run.net.ops, batch, i, 0, 0, &s.features,
                 s.features.gradient)
        row = weights + batch.touched[i] * fan_out
        for k in range(fan_out):
            row[k] += s.features.gradient[k]
    kernels.leave(&state)
