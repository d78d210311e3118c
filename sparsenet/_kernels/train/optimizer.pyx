"""What the optimizer does in each step of a pass, by the age of weights."""

from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from sparsenet._kernels.kernels cimport sn_solvers, sn_steps
from sparsenet._kernels.train.memory cimport Arena
from sparsenet._kernels.train.network cimport Net, Run

import numpy as np

from sparsenet._kernels._dispatch import SOLVERS

# Largest number of float32 below 1: kernels divide by 1 - beta.
BELOW_ONE = 1 - 2.0**-24


cdef int take_optimizer(Arena arena, Run *run, Net *net, optimizer,
                        const int64_t[::1] births, int64_t n_rounds,
                        int64_t n_steps) except -1:
    """What the steps of a pass, at most so many, do, and the memory for it.

    Each of at most `n_rounds` rounds of rewiring may bring another cohort.
    """
    cdef int64_t most_cohorts = births.shape[0] + n_rounds
    cdef int l
    for l in range(net.n_layers):
        net.layers[l].young_rate = optimizer.young_rate(net.layers[l].density)
    run.weight_decay = optimizer.weight_decay
    run.max_norm = optimizer.max_grad_norm or 0
    run.beta_1 = optimizer.beta_1
    run.beta_2 = optimizer.beta_2
    run.step.solver = SOLVERS[optimizer.solver]
    run.step.nesterov = optimizer.nesterovs_momentum
    run.step.momentum = optimizer.momentum
    run.step.beta_1 = min(optimizer.beta_1, BELOW_ONE)
    run.step.beta_2 = min(optimizer.beta_2, BELOW_ONE)
    run.step.epsilon = optimizer.epsilon
    run.step.alpha = optimizer.alpha
    run.most_cohorts = most_cohorts
    run.decays = <double*>arena.take(2 * most_cohorts * 8)
    take_births(run, births)
    take_learning_rates(arena, run, optimizer.learning_rate, n_steps)
    run.first_row = <int64_t*>arena.take(run.steps_known * 8)
    run.rates = <float*>arena.take(
        (net.n_layers + 1) * run.steps_known * most_cohorts * 4)
    run.inv_weight = <float*>arena.take(run.steps_known * 4)
    if run.weight_decay > 0:
        run.kept = <float*>arena.take(run.steps_known * 4)
    run.growth = <float*>arena.take(run.steps_known * 4)
    if optimizer.ema_decay > 0:
        ages = run.n_steps - births[0] + np.arange(n_steps)
        run.averaged = <float*>copied(arena, optimizer.averaged_at(ages))
    if any(optimizer.dropout):
        shares = np.array([*optimizer.dropout, 0])  # none of the output layer
        thresholds = np.minimum(np.rint(65536 * shares), 65535).astype(np.uint32)
        run.dropout = <uint32_t*>copied(arena, thresholds)
    run.features.clipped = 1
    run.features.steps = sn_steps(
        rates_at(run, 0, 0), most_cohorts, run.inv_weight, run.kept, run.growth,
        run.averaged)
    return 0


cdef void take_births(Run *run, const int64_t[::1] births) noexcept:
    """How old the cohorts are; those that are new since the last call come last."""
    cdef int64_t cohort, age
    run.step.n_cohorts = births.shape[0]
    run.youth = run.beta_2 ** run.n_steps
    for cohort in range(births.shape[0]):
        age = run.n_steps - births[cohort]
        run.decays[cohort] = run.beta_1 ** age
        run.decays[run.most_cohorts + cohort] = run.beta_2 ** age


cdef int take_learning_rates(Arena arena, Run *run, learning_rate,
                             int64_t n_steps) except -1:
    """A rate for each step, and the largest one from each step on.

    Without NumPy where all are the same: a pass may be a few small steps.
    """
    cdef double *rates = <double*>arena.take(2 * n_steps * 8)
    cdef double rate, largest = 0
    cdef const double[::1] of_steps
    cdef int64_t i
    if isinstance(learning_rate, np.ndarray):
        of_steps = learning_rate
        for i in range(n_steps):
            rates[i] = of_steps[i]
    else:
        rate = learning_rate
        for i in range(n_steps):
            rates[i] = rate
    for i in range(n_steps - 1, -1, -1):
        largest = max(largest, rates[i])
        rates[n_steps + i] = largest
    run.learning_rates = rates
    run.largest_later = rates + n_steps
    return 0


cdef void *copied(Arena arena, array) except NULL:
    """A copy of an array."""
    cdef const unsigned char[::1] source = array.view(np.uint8)
    cdef void *copy = arena.take(source.shape[0])
    memcpy(copy, &source[0], source.shape[0])
    return copy


cdef void set_rates(Run *run, int64_t step) noexcept nogil:
    """The learning rates of a step, with the bias corrections of each cohort's age.

    Those of young weights in sparse layers are larger (`Optimizer.young_rate`), but
    weight decay goes with the others: how long a weight lasts does not depend on
    density.
    """
    cdef int64_t cohort, l
    cdef double learning_rate = run.learning_rates[run.n_weighed], rate, youth
    cdef double *decay_1 = run.decays
    cdef double *decay_2 = run.decays + run.most_cohorts
    run.youth *= run.beta_2
    if run.kept != NULL:
        run.kept[step] = 1 - learning_rate * run.weight_decay
    run.growth[step] = run.largest_later[run.n_weighed] / learning_rate
    for cohort in range(run.step.n_cohorts):
        decay_1[cohort] *= run.beta_1
        decay_2[cohort] *= run.beta_2
        rate = learning_rate
        if sn_solvers[run.step.solver].is_adam:
            rate *= sqrt(1 - decay_2[cohort]) / (1 - decay_1[cohort])
        rates_at(run, -1, step)[cohort] = rate
        # The optimizer may have started anew, which makes no weight young again.
        youth = run.youth if cohort == 0 else decay_2[cohort]
        for l in range(run.net.n_layers):
            rates_at(run, l, step)[cohort] = rate * (
                1 + (run.net.layers[l].young_rate - 1) * youth)


cdef void take_rates(Run *run, int64_t known) noexcept nogil:
    """Let the next step be the one of that number among the known ones."""
    run.step.inv_weight = run.inv_weight[known]
    run.step.kept = 1 if run.kept == NULL else run.kept[known]
    run.step.learning_rate = rates_at(run, -1, known)
