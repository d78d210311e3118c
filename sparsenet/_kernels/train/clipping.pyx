"""Clipping gradients by their norm: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063.

The norm is of all gradients of a step, so they are computed before the first one is
used. Those of rows of weights are kept until then; those of features, of which a batch
may hold any number, are computed again.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint64_t

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport sn_kernels, sn_thread_state
from sparsenet._kernels.train.network cimport Run, Scratch, Task
from sparsenet._kernels.train.random cimport layer_seed
from sparsenet._kernels.train.sparse_first_layer cimport sum_of_squares
from sparsenet._kernels.train.update cimport (
    bias_gradient_of,
    size_of,
    task_gradient,
)

cdef const sn_kernels *kernels = kernels_in_use()


cdef double clipping_factor(Run *run, int64_t batch, uint64_t seed) noexcept nogil:
    """What the step's gradients are multiplied by, at most 1.

    Sums of squares are added in an order that no number of threads changes.
    """
    cdef int64_t t, r
    cdef double total = 0, norm
    for t in prange(run.memory.n_tasks, schedule="static",
                    num_threads=run.row_threads):
        keep_gradient(run, t, batch, layer_seed(seed, run.memory.tasks[t].layer),
                      &run.memory.scratch[threadid()])
    for r in prange(run.features.n_ranges, schedule="static",
                    num_threads=run.row_threads):
        sum_range(run, r, layer_seed(seed, run.net.n_layers),
                  &run.memory.scratch[threadid()])
    for t in range(run.memory.n_tasks):
        total = total + run.memory.squares[t]
    for r in range(run.features.n_ranges):
        total = total + run.features.ranges[r].squares
    norm = sqrt(total)
    return run.max_norm / norm if norm > run.max_norm else 1


cdef void keep_gradient(Run *run, int64_t t, int64_t batch, uint64_t seed,
                        Scratch *s) noexcept nogil:
    cdef const Task *task = &run.memory.tasks[t]
    cdef float *gradient = run.memory.gradients + task.first
    cdef float *of_bias = bias_gradient_of(run.net, task, gradient)
    cdef int64_t n_rows
    cdef int64_t n = size_of(run.net, task, &n_rows)
    cdef sn_thread_state state
    kernels.enter(&state)
    task_gradient(run.net, task, run.memory.panels, batch, seed, gradient, of_bias, s)
    run.memory.squares[t] = (
        kernels.sum_of_squares(gradient, n, run.step.inv_weight)
        + kernels.sum_of_squares(of_bias, n_rows, run.step.inv_weight))
    kernels.leave(&state)


cdef void sum_range(Run *run, int64_t r, uint64_t seed, Scratch *s) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    run.features.ranges[r].squares = sum_of_squares(
        &run.features, run.net.ops, run.steps_here, r, run.step.inv_weight, seed,
        &s.features)
    kernels.leave(&state)
