"""The steps of parameters that are stored by feature, against their NumPy twin.

The twin is in float64. A float32 step is right to a rounding of each of its terms, and
the steps after it carry that on.
"""

import dataclasses

import numpy as np
import pytest
import reference
from kernel_cases import each_isa
from reference import LANES

from sparsenet._kernels._dispatch import ADAM_SOLVERS
from sparsenet._kernels.testing.kernels import Kernels
from sparsenet._optimizer import Optimizer

OPTIMIZERS = {
    "adam": Optimizer("adam", 1e-3),
    "adamw": Optimizer("adamw", 1e-3, weight_decay=10.0),
    "sgd": Optimizer("sgd", 0.1, nesterovs_momentum=False),
    "nesterov": Optimizer("sgd", 0.1, nesterovs_momentum=True),
}
each_optimizer = pytest.mark.parametrize(
    "optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS
)
#: Parameters of a feature and the room for them: those that share a vector, and a few.
SIZES = [
    (1, 1),
    (2, 2),
    (3, 4),
    (7, 8),
    (10, 16),
    (16, 16),
    (17, 32),
    (100, 112),
    (200, 208),
]
N = 24  # features, more than vectors go side by side
N_STEPS = 45


def random_steps(optimizer, n, rng):
    """Learning rate and inverse of the batch's weight of each step."""
    learning_rate = optimizer.learning_rate * rng.uniform(0.5, 1, n)
    return learning_rate.astype(np.float32), rng.uniform(0.01, 1, n).astype(np.float32)


def kept_by(optimizer, rates):
    """What weight decay leaves in each step, or None."""
    if optimizer.weight_decay == 0:
        return None
    return np.float32(1 - rates * optimizer.weight_decay)


def random_state(fan_out, stride, rng, n=N):
    """Parameters, moments, of which the second is not tiny, and zeros behind them."""
    state = np.zeros((n, 3, stride), np.float32)
    state[:, :, :fan_out] = rng.normal(size=(n, 3, fan_out))
    state[:, 1:] *= 0.1
    state[:, 2, :fan_out] = state[:, 2, :fan_out] ** 2 + 1e-4
    return state


def random_ranges(rng, n=N):
    """Steps of each feature: none, one, as many as those beside it, and any number."""
    begin = rng.integers(5, N_STEPS, n)
    end = begin + np.minimum(rng.integers(0, 41, n), N_STEPS - begin)
    end[:4] = begin[:4] + np.array([0, 1, 1, 2])
    begin[4:12], end[4:12] = 5, N_STEPS
    return begin.astype(np.uint32), np.minimum(end, N_STEPS).astype(np.uint32)


def run(kernels, optimizer, alpha, steps, state, fan_out, ranges, *more):
    """The features in another order, one left out: what it has must not change."""
    n = len(state)
    order = np.random.default_rng(1).permutation(n).astype(np.uint32)
    everything = np.zeros((n + 1, *state.shape[1:]), np.float32)
    everything[order] = state
    everything[n] = np.nan
    kernels.advance(
        *(optimizer, alpha, *steps, everything, fan_out, order, *ranges, *more),
        kept=kept_by(optimizer, steps[0]),
    )
    assert np.isnan(everything[n]).all()
    after = everything[order]
    np.testing.assert_array_equal(after[:, :, fan_out:], 0)
    return after


def assert_close(actual, expected, state, fan_out):
    """To a few roundings of each step."""
    for plane in range(3):
        wanted = expected[:, plane, :fan_out]
        scale = max(np.abs(state[:, plane]).max(), np.abs(wanted).max())
        error = np.abs(actual[:, plane, :fan_out] - wanted).max()
        assert error <= 3e-6 * scale


@each_isa
@each_optimizer
@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize(("fan_out", "stride"), SIZES)
@pytest.mark.parametrize("with_gradient", [False, True])
def test_advance(isa, optimizer, alpha, fan_out, stride, with_gradient):
    rng = np.random.default_rng(fan_out)
    kernels = Kernels(isa, "float32")
    state = random_state(fan_out, stride, rng)
    begin, end = random_ranges(rng)
    gradient = None
    if with_gradient:
        end = np.maximum(end, begin + 1)  # a feature that learns has a step to do
        gradient = rng.normal(size=(N, stride)).astype(np.float32)
    steps = random_steps(optimizer, N_STEPS + 1, rng)
    for of_steps in steps:  # before and after all of them
        of_steps[:5] = of_steps[N_STEPS] = np.nan

    exact = [None if a is None else a.astype(float) for a in (state, gradient)]
    if gradient is not None:
        exact[1][:, fan_out:] = 0  # what is behind the last one does not matter
    kept = kept_by(optimizer, steps[0])
    expected = reference.advance(
        optimizer, alpha, *steps, exact[0], begin, end, exact[1], kept
    )
    actual = run(
        kernels, optimizer, alpha, steps, state, fan_out, (begin, end), gradient
    )
    if optimizer.solver == "sgd":
        np.testing.assert_array_equal(actual[:, 2], state[:, 2])
    assert_close(actual, expected, state, fan_out)
    moved = (actual[:, 0] != state[:, 0]).any(axis=1)
    np.testing.assert_array_equal(moved, end > begin)


@each_isa
@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize("with_gradient", [False, True])
@pytest.mark.parametrize("n_cohorts", [5, 33, 70])
def test_advance_at_the_rates_of_cohorts(isa, alpha, with_gradient, n_cohorts):
    rng = np.random.default_rng(0)
    fan_out, stride = 20, 32
    optimizer = OPTIMIZERS["adam"]
    state = random_state(fan_out, stride, rng)
    begin, end = random_ranges(rng)
    gradient = None
    if with_gradient:
        end = np.maximum(end, begin + 1)
        gradient = np.zeros((N, stride), np.float32)
        gradient[:, :fan_out] = rng.normal(size=(N, fan_out))
    rates = rng.uniform(1e-4, 1e-2, (N_STEPS, n_cohorts)).astype(np.float32)
    inv_weight = rng.uniform(0.01, 1, N_STEPS).astype(np.float32)
    cohort = np.zeros(N * fan_out + LANES, np.uint16)
    cohort[: N * fan_out] = rng.integers(0, n_cohorts, N * fan_out)
    actual = state.copy()
    Kernels(isa, "float32").advance(
        *(optimizer, alpha, rates, inv_weight, actual, fan_out),
        *(np.arange(N, dtype=np.uint32), begin, end, gradient, cohort),
    )
    of_parameter = np.zeros((N, stride), int)
    of_parameter[:, :fan_out] = cohort[: N * fan_out].reshape(N, fan_out)
    expected = reference.advance(
        *(optimizer, alpha, rates.astype(float)[:, of_parameter], inv_weight),
        *(state.astype(float), begin, end, gradient),
    )
    assert_close(actual, expected, state, fan_out)


@each_isa
@each_optimizer
@pytest.mark.parametrize("alpha", [0, 0.01])
@pytest.mark.parametrize("fan_out", [1, 2 * LANES])
def test_advance_stops_where_parameters_have_settled(isa, optimizer, alpha, fan_out):
    rng = np.random.default_rng(1)
    n_steps = 6000
    state = random_state(fan_out, fan_out, rng, n=3) * np.float32(1e-3)
    begin = np.array([0, 200, 450], np.uint32)
    end = np.full(3, n_steps, np.uint32)
    steps = random_steps(optimizer, n_steps, rng)
    if alpha > 0:  # so much of it that nothing is left
        optimizer = dataclasses.replace(optimizer, epsilon=1e-3)
        steps[1][:] *= 20
    kept = kept_by(optimizer, steps[0])
    expected = reference.advance(
        *(optimizer, alpha, *steps, state.astype(float), begin, end), kept=kept
    )
    steps[0][-7:] = np.nan  # steps that nobody takes
    kernels = Kernels(isa, "float32")
    actual = run(kernels, optimizer, alpha, steps, state, fan_out, (begin, end))
    error = np.abs(actual - expected)
    # Without L2 the weights end elsewhere than at zero, rounded in every step.
    rounding = 3e-6 * np.abs(expected[:, 0]).max() if alpha == 0 else 0
    assert error[:, 0].max() <= 2.0**-32 + rounding
    assert error[:, 1].max() <= 2.0**-33
    if alpha > 0:
        assert np.abs(actual[:, 0]).max() < 2.0**-32
    if optimizer.solver in ADAM_SOLVERS:
        decayed = state[:, 2] * 0.999 ** (end - begin.astype(float))[:, np.newaxis]
        wanted = decayed if alpha == 0 else expected[:, 2]
        np.testing.assert_allclose(actual[:, 2], wanted, rtol=1e-3)
    else:
        np.testing.assert_array_equal(actual[:, 2], state[:, 2])
    assert np.isfinite(actual).all()


@each_isa
def test_advance_goes_on_where_rates_will_rise(isa):
    # As in a warm-up: the moments' tiny steps are followed by large ones.
    optimizer, n_steps = Optimizer("adam", 1.0, beta_1=0.99), 90
    state = np.zeros((1, 3, LANES), np.float32)
    state[:, 1], state[:, 2] = 1e-4, 1e-8
    rates = np.full(n_steps, 1e-18, np.float32)
    rates[60:] = 0.1
    inv_weight = np.ones(n_steps, np.float32)
    begin, end = np.zeros(1, np.uint32), np.full(1, n_steps, np.uint32)
    arrays = rates, inv_weight
    expected = reference.advance(
        *(optimizer, 0.0, *arrays, state.astype(float), begin, end)
    )
    assert np.abs(expected[:, 0]).min() > 0.1
    growth = np.maximum.accumulate(rates[::-1])[::-1] / rates
    actual = state.copy()
    Kernels(isa, "float32").advance(
        *(optimizer, 0.0, *arrays, actual, LANES, np.zeros(1, np.uint32), begin, end),
        growth=growth.astype(np.float32),
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-12)


@each_isa
@each_optimizer
@pytest.mark.parametrize("alpha", [0, 0.01])
@pytest.mark.parametrize("with_gradient", [False, True])
@pytest.mark.parametrize(("fan_out", "stride"), [(1, 1), (3, 4), (20, 32)])
def test_what_becomes_of_a_feature_depends_on_no_other(
    isa, optimizer, alpha, with_gradient, fan_out, stride
):
    # Threads share the features, so those beside one go with their number.
    rng = np.random.default_rng(2)
    n, n_steps = 11, 700
    state = random_state(fan_out, stride, rng, n) * np.float32(1e-3)
    begin = rng.integers(0, 3, n).astype(np.uint32)
    # Some have settled long before the end, each at a time of its own.
    end = begin + rng.choice([1, 2, 40, 500, n_steps - 3], n).astype(np.uint32)
    state[::3, 1] *= np.float32(1e-6)
    gradient = None
    if with_gradient:
        gradient = rng.normal(size=(n, stride)).astype(np.float32)
    steps = random_steps(optimizer, n_steps, rng)
    kernels = Kernels(isa, "float32")
    together = run(
        *(kernels, optimizer, alpha, steps, state, fan_out, (begin, end), gradient)
    )
    for i in range(n):
        at = slice(i, i + 1)
        alone = run(
            *(kernels, optimizer, alpha, steps, state[at], fan_out),
            *((begin[at], end[at]), gradient if gradient is None else gradient[at]),
        )
        np.testing.assert_array_equal(alone[0], together[i])


@each_isa
def test_advance_does_not_stop_where_little_is_not_settled(isa):
    # Adam with a strong L2 leaves a tiny weight again: its steps do not shrink.
    kernels, n_steps = Kernels(isa, "float32"), 64
    begin, end = np.zeros(1, np.uint32), np.full(1, n_steps, np.uint32)
    state = np.zeros((1, 3, LANES), np.float32)
    state[:, 0] = 1e-11
    optimizer = Optimizer("adam", 1e-3)
    steps = np.full((2, n_steps), [[1e-3], [1 / 64]], np.float32)
    expected = reference.advance(
        optimizer, 0.1, *steps, state.astype(float), begin, end
    )
    actual = run(kernels, optimizer, 0.1, steps, state, LANES, (begin, end))
    assert np.abs(expected[:, 0]).max() > 1e-5
    np.testing.assert_allclose(actual[:, 0], expected[:, 0], rtol=1e-2, atol=1e-6)
    # What is not a number is not little.
    state[:], state[0, 1, 3] = 0, np.nan
    actual = run(kernels, optimizer, 0.0, steps, state, LANES, (begin, end))[0, 0]
    assert np.isnan(actual[3]) and np.isfinite(np.delete(actual, 3)).all()
