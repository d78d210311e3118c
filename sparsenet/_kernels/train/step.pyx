"""The training step: two parallel regions, over panels and over rows of weights.

1. over panels of 64 samples (panel.pyx): gather and pack the samples, forward products,
   loss, and the chain of input gradients.
2. over blocks of rows of all layers (update.pyx): the weight gradient over the step's
   panels in a fixed order, then the optimizer and the compute copies of those weights.

Where gradients are clipped (clipping.pyx), their norm is found in between.

Every number is computed by one thread in an order that does not depend on how many
there are. Nothing is validated here: that is the estimators' task.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t, uint64_t

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport (
    SN_LANES,
    sn_kernels,
    sn_thread_state,
)
from sparsenet._kernels.train.clipping cimport clipping_factor
from sparsenet._kernels.train.network cimport (
    Net,
    Panel,
    Run,
    Scratch,
    Task,
    panels_of,
)
from sparsenet._kernels.train.optimizer cimport set_rates, take_rates
from sparsenet._kernels.train.panel cimport backward, forward, take_targets
from sparsenet._kernels.train.random cimport (
    layer_seed,
    panel_seed,
    row_seed,
    step_seed,
)
from sparsenet._kernels.train.sparse_first_layer cimport keep_rows, learn, plan, settle
from sparsenet._kernels.train.update cimport update_rows

cdef const sn_kernels *kernels = kernels_in_use()


cdef void run_steps(Run *run, int64_t n_steps) noexcept nogil:
    """At most n_steps optimizer steps: two parallel regions each.

    Where rows are sparse, there are two more: a later batch is planned, and features
    learn from this one.
    """
    cdef int64_t batch, known, end, p, t, r, _step
    cdef bint sparse = run.net.by_feature
    cdef uint64_t seed
    for _step in range(n_steps):
        # Features that no planned batch holds go to the end, if it was in sight.
        end = run.n_weighed if run.weighed == run.data.n_rows else run.steps_here + 1
        while run.n_weighed < run.steps_here + run.features.window:
            if not weigh_batch(run):
                break
            if sparse:
                known = run.n_weighed - 1
                plan_batch(run, run.first_row[known], known)
        if run.features.out_of_memory:
            return
        if run.n_weighed == run.steps_here:
            run.start = run.data.n_rows
            return
        known = run.steps_here if sparse else 0
        run.start = run.first_row[known]
        take_rates(run, known)
        run.n_steps += 1
        seed = step_seed(run.seed, run.n_steps)
        batch = batch_at(run, run.start)
        run_panels(run, batch, seed)
        if run.max_norm > 0:
            run.features.clipped = clipping_factor(run, batch, seed)
        if sparse:
            for r in prange(run.features.n_ranges, schedule="static",
                            num_threads=run.row_threads):
                update_range(run, end, r, &run.memory.scratch[threadid()], seed)
        # Neighbouring rows to one thread: in the transpose their weights share
        # cache lines.
        for t in prange(run.memory.n_tasks, schedule="static",
                        num_threads=run.row_threads):
            update_task(run, &run.memory.tasks[t], batch,
                        &run.memory.scratch[threadid()], seed)
        for p in range(panels_of(batch)):
            run.loss += run.memory.panels[p].loss
        run.steps_here += 1
        run.start += batch


cdef inline int64_t batch_at(const Run *run, int64_t row) noexcept nogil:
    """Rows of the batch that begins there."""
    return min(run.data.batch_size, run.data.n_rows - row)


cdef bint weigh_batch(Run *run) noexcept nogil:
    """What the next step has to know of its batch; 0: there is no further step.

    A batch without weight teaches nothing, and is none.
    """
    cdef int64_t first, known, row
    cdef double weight
    while run.weighed < run.data.n_rows:
        first = run.weighed
        run.weighed += batch_at(run, first)
        weight = run.weighed - first
        if run.data.weights != NULL:
            weight = 0
            for row in range(first, run.weighed):
                weight += run.data.weights[run.data.order[row]]
        if weight > 0:
            known = run.n_weighed if run.net.by_feature else 0
            run.first_row[known] = first
            run.inv_weight[known] = 1.0 / weight
            run.total_weight += weight
            set_rates(run, known)
            run.n_weighed += 1
            return True
    return False


cdef void plan_batch(Run *run, int64_t first_row, int64_t step) noexcept nogil:
    """Make the features of a step, whose batch begins at that row, ready for it."""
    cdef int64_t r
    for r in prange(run.features.n_ranges, schedule="static",
                    num_threads=run.row_threads):
        plan_range(run, first_row, step, r, &run.memory.scratch[threadid()])


cdef void run_panels(Run *run, int64_t batch, uint64_t seed) noexcept nogil:
    """Region 1: activations and deltas of all layers for the batch at run.start."""
    cdef int64_t p
    for p in prange(panels_of(batch), schedule="static", chunksize=1,
                    num_threads=run.panel_threads):
        train_panel(run, batch, p, &run.memory.scratch[threadid()], seed)


cdef void train_panel(Run *run, int64_t batch, int64_t p, Scratch *s,
                      uint64_t seed) noexcept nogil:
    cdef const Net *net = run.net
    cdef Panel *panel = &run.memory.panels[p]
    cdef const int64_t *rows = run.data.order + run.start + p * SN_LANES
    cdef int n = <int>min(<int64_t>SN_LANES, batch - p * SN_LANES)
    cdef float *deltas
    cdef sn_thread_state state
    kernels.enter(&state)
    take_targets(net, run.data.targets, run.data.weights, rows, n, s)
    panel.dropout = run.dropout
    panel.seed = panel_seed(seed, p)
    panel.rated = &s.loss
    if panel.gradients[0] != NULL:
        panel.deltas[net.n_layers - 1] = s.kept  # which the next panel overwrites
    forward(net, &run.data.x, rows, n, panel, s)
    panel.loss = kernels.loss(&s.loss)
    deltas = backward(net, panel, n, s, panel.seed)
    if net.by_feature:
        keep_rows(&run.features, net.ops, deltas, p * SN_LANES, n,
                  row_seed(panel.seed, net.n_layers), &s.features)
    kernels.leave(&state)


cdef void update_task(Run *run, const Task *task, int64_t batch, Scratch *s,
                      uint64_t seed) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    update_rows(run, task, batch, run.features.clipped, layer_seed(seed, task.layer), s)
    kernels.leave(&state)


cdef void plan_range(Run *run, int64_t first_row, int64_t step, int64_t r,
                     Scratch *s) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    plan(&run.features, run.net.ops, &run.step, &run.data.x, run.data.order + first_row,
         batch_at(run, first_row), step, run.steps_here, r, &s.features)
    kernels.leave(&state)


cdef void update_range(Run *run, int64_t end, int64_t r, Scratch *s,
                       uint64_t seed) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    # As of a layer behind the last one: region 2 has the others.
    learn(&run.features, run.net.ops, &run.step, run.steps_here, end, r,
          layer_seed(seed, run.net.n_layers), &s.features)
    kernels.leave(&state)


cdef void settle_features(Run *run, bint all_features) noexcept nogil:
    """The steps that features still lack: all, or those seen since the last time."""
    cdef int64_t r
    for r in prange(run.features.n_ranges, schedule="static",
                    num_threads=run.row_threads):
        settle_range(run, all_features, r, &run.memory.scratch[threadid()])
    run.features.settled = run.steps_here


cdef void settle_range(Run *run, bint all_features, int64_t r,
                       Scratch *s) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    settle(&run.features, run.net.ops, &run.step, run.steps_here, all_features, r,
           &s.features)
    kernels.leave(&state)
