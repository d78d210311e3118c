"""The training step: two parallel regions, over panels and over rows of weights.

1. over panels of 64 samples (panel.pyx): gather and pack the samples, forward products,
   loss, and the chain of input gradients.
2. over blocks of rows of all layers (update.pyx): the weight gradient over the step's
   panels in a fixed order, then the optimizer and the compute copies of those weights.

Every number is computed by one thread in an order that does not depend on how many
there are. Nothing is validated here: that is the estimators' task.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport (
    SN_ADAM,
    SN_LANES,
    sn_kernels,
    sn_losses,
    sn_thread_state,
)
from sparsenet._kernels.train.network cimport (
    Net,
    Panel,
    Run,
    Scratch,
    Task,
    panels_of,
)
from sparsenet._kernels.train.panel cimport backward, forward
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
        run.step.inv_weight = run.inv_weight[known]
        run.step.learning_rate = rates_at(run, -1, known)
        run.n_steps += 1
        seed = step_seed(run.seed, run.n_steps)
        batch = batch_at(run, run.start)
        run_panels(run, batch, seed)
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


cdef void set_rates(Run *run, int64_t step) noexcept nogil:
    """The learning rates of a step, with the bias corrections of each cohort's age.

    Those of young weights in sparse layers are larger (`Optimizer.young_rate`).
    """
    cdef int64_t cohort, l
    cdef double rate, youth
    cdef double *decay_1 = run.decays
    cdef double *decay_2 = run.decays + run.step.n_cohorts
    run.youth *= run.beta_2
    for cohort in range(run.step.n_cohorts):
        decay_1[cohort] *= run.beta_1
        decay_2[cohort] *= run.beta_2
        rate = run.learning_rate
        if run.step.solver == SN_ADAM:
            rate *= sqrt(1 - decay_2[cohort]) / (1 - decay_1[cohort])
        rates_at(run, -1, step)[cohort] = rate
        # The optimizer may have started anew, which makes no weight young again.
        youth = run.youth if cohort == 0 else decay_2[cohort]
        for l in range(run.net.n_layers):
            rates_at(run, l, step)[cohort] = rate * (
                1 + (run.net.layers[l].young_rate - 1) * youth)


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
    cdef int64_t n_outputs = net.layers[net.n_layers - 1].n_out
    cdef const float *targets = <const float*>run.data.targets
    cdef float *target = <float*>s.target
    cdef float *deltas
    cdef int lane
    cdef int64_t o
    cdef sn_thread_state state
    kernels.enter(&state)
    memset(s.weight, 0, SN_LANES * sizeof(float))  # idle lanes weigh nothing
    for lane in range(n):
        s.weight[lane] = 1 if run.data.weights == NULL else run.data.weights[rows[lane]]
    if sn_losses[net.loss].is_of_codes:
        memset(s.target, 0, SN_LANES * sizeof(int32_t))
        for lane in range(n):
            (<int32_t*>s.target)[lane] = (<const int32_t*>run.data.targets)[rows[lane]]
    else:
        memset(s.target, 0, n_outputs * SN_LANES * sizeof(float))
        for lane in range(n):
            for o in range(n_outputs):
                target[o * SN_LANES + lane] = targets[rows[lane] * n_outputs + o]
    forward(net, &run.data.x, rows, n, panel, s)
    panel.loss = kernels.loss(net.loss, s.z, n_outputs, s.target, s.weight,
                              net.loss_parameters)
    deltas = backward(net, panel, n, s, panel_seed(seed, p))
    if net.by_feature:
        keep_rows(&run.features, net.ops, deltas, p * SN_LANES, n,
                  row_seed(panel_seed(seed, p), net.n_layers), &s.features)
    kernels.leave(&state)


cdef void update_task(Run *run, const Task *task, int64_t batch, Scratch *s,
                      uint64_t seed) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    update_rows(run.net, task, run.memory.panels, batch, &run.step,
                run.step.learning_rate
                + (task.layer + 1) * run.steps_known * run.step.n_cohorts,
                layer_seed(seed, task.layer), s)
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


cdef void settle_features(Run *run) noexcept nogil:
    """At the end of a pass: the steps that absent features still lack."""
    cdef int64_t r
    for r in prange(run.features.n_ranges, schedule="static",
                    num_threads=run.row_threads):
        settle_range(run, r, &run.memory.scratch[threadid()])


cdef void settle_range(Run *run, int64_t r, Scratch *s) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    settle(&run.features, run.net.ops, &run.step, run.steps_here, r, &s.features)
    kernels.leave(&state)
