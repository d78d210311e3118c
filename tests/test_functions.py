"""Activations, losses and the optimizer of every instruction set against NumPy."""

import dataclasses

import numpy as np
import pytest
import reference
from problems import random_target
from reference import ACTIVATIONS, LANES, LOSSES, UNIT_ROUNDOFF, loss_parameter

from sparsenet._kernels import available_isas
from sparsenet._kernels._dispatch import CODE_LOSSES, KEEP_DERIVATIVE, SOLVERS
from sparsenet._kernels.testing.kernels import Kernels
from sparsenet._optimizer import Optimizer

each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
FOCAL_LOSSES = "focal_softmax", "focal_logistic"
each_loss = pytest.mark.parametrize("loss", LOSSES)

# Around the widths of vectors.
SIZES = (0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64)

NO_BIAS = np.zeros(1000, np.float32)


@pytest.fixture(params=available_isas())
def kernels(request):
    return Kernels(request.param, "float32")


#: And values that differ between outputs, where they may.
LOSSES_WITH_PARAMETERS = [
    *((loss, loss_parameter(loss)) for loss in LOSSES),
    ("softmax", 0.125),
    ("logistic", 0.125),
    ("logistic", (0, 0.25, 0.5)),
    *((loss, gamma) for loss in FOCAL_LOSSES for gamma in (0, 0.5, 5)),
    ("focal_logistic", (0, 1, 2)),
    ("huber", (0.25, 0.5, 2)),
    ("quantile", (0.125, 0.5, 0.75)),
]


def activate(
    kernels, activation, z, bias=NO_BIAS, row_scale=None, lane_scale=None, lanes=LANES,
    derivative=None,
):  # fmt: skip
    z = np.array(z, np.float32, order="C")
    kernels.activate(
        ACTIVATIONS.index(activation), z, bias, row_scale, lane_scale, lanes, derivative
    )
    return z


def output(kernels, loss, z):
    z = np.array(z, np.float32, order="C")
    kernels.output(LOSSES.index(loss), z)
    return z


def loss_and_deltas(kernels, loss, logits, target, weight, parameter=None):
    z = np.array(logits, np.float32, order="C")
    dtype = np.int32 if loss in CODE_LOSSES else np.float32
    target = np.ascontiguousarray(target, dtype)
    parameter = loss_parameter(loss) if parameter is None else parameter
    parameters = np.full(len(z), parameter, np.float32)
    return kernels.loss(LOSSES.index(loss), z, target, weight, parameters), z


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pack(kernels, dtype):
    rng = np.random.default_rng(0)
    for n_features in SIZES[1:]:
        X = (rng.standard_normal((70, n_features)) * 2.0**20).astype(dtype)
        X[5, -1], X[6, 0] = np.inf, 1e-40
        for n in SIZES:
            # The last row ends where the memory does; some rows come twice.
            rows = np.append(rng.integers(0, 70, n), 69)[-n:] if n else np.zeros(0, int)
            z = np.full((n_features + 1, LANES), np.nan, np.float32)
            kernels.pack(X, rows, z)
            np.testing.assert_array_equal(z[:-1], reference.pack(X, rows))
            assert np.isnan(z[-1]).all()


def ulps(actual, expected):
    """Error in units in the last place of the expected values' float32."""
    spacing = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    return np.abs(actual - expected) / spacing


def every_magnitude(low, high, n=16384):
    """n numbers of both signs, their logarithms spread evenly."""
    magnitudes = np.geomspace(low, high, n // 2)
    return np.concatenate([-magnitudes, magnitudes]).astype(np.float32)


# --- elementary functions ----------------------------------------------------------


def test_exp_is_accurate_to_2_ulp(kernels):
    x = every_magnitude(1e-30, 87)
    y = output(kernels, "poisson", x.reshape(-1, LANES)).ravel()
    assert ulps(y, np.exp(x.astype(np.float64))).max() < 2


def test_exp_saturates_and_passes_nan(kernels):
    x = np.resize(np.array([1e4, np.inf, -1e4, -np.inf, 0, np.nan]), (1, LANES))
    y = output(kernels, "poisson", x)[0, :6]
    assert np.isfinite(y[:5]).all() and np.isnan(y[5])
    assert y[0] == y[1] > 1e38 and 0 <= y[2] == y[3] < 2e-38 and y[4] == 1


def test_log_is_accurate_to_2_ulp(kernels):
    """Of 1 + exp(-t), and of n, through the softmax loss of equal logits."""
    weight = np.eye(1, LANES, dtype=np.float32)[0]
    for n in [*range(2, 40), 100, 499, 1000]:
        logits = np.zeros((n, LANES))
        total, _ = loss_and_deltas(kernels, "softmax", logits, np.zeros(LANES), weight)
        assert ulps(total, np.log(n)) < 2


# That of gelu is a difference of nearly equal numbers where z is very negative.
@pytest.mark.parametrize("function", sorted({*ACTIVATIONS} - {"gelu"}))
def test_activations_are_accurate_to_4_ulp(kernels, function):
    x = every_magnitude(1e-30, 80)
    y = activate(kernels, function, x.reshape(-1, LANES)).ravel()
    expected, _ = reference.activation_of(function, x.astype(np.float64))
    assert ulps(y, expected).max() < 4


def test_tanh_is_odd_and_the_sigmoids_saturate(kernels):
    x = every_magnitude(1e-30, 1e30).reshape(-1, LANES)
    np.testing.assert_array_equal(
        activate(kernels, "tanh", -x), -activate(kernels, "tanh", x)
    )
    extremes = np.resize(np.array([-np.inf, np.inf]), (1, LANES))
    tanh = activate(kernels, "tanh", extremes)[0, :2]
    np.testing.assert_array_equal(tanh, [-1, 1])
    logistic = activate(kernels, "logistic", extremes)[0, :2]
    np.testing.assert_allclose(logistic, [0, 1], atol=1e-38)


# --- activations -------------------------------------------------------------------


@each_activation
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_activate(kernels, activation, scaled, n_rows):
    rng = np.random.default_rng(n_rows)
    z = rng.normal(0, 3, (n_rows, LANES)).astype(np.float32)
    bias = rng.standard_normal(n_rows).astype(np.float32)
    scales = []
    if scaled:
        scales = [rng.uniform(0, 2, n).astype(np.float32) for n in (n_rows, LANES)]
    actual = activate(kernels, activation, z, bias, *scales)
    exact = [array.astype(np.float64) for array in (z, bias, *scales)]
    expected, slope = reference.activate(activation, *exact)
    # Three roundings of the argument, where it is not flat, and 4 ulp.
    argument = np.abs(reference.activate("identity", *map(np.abs, exact))[0])
    argument *= np.maximum(1, np.abs(slope))
    bound = UNIT_ROUNDOFF * (3 * argument + 8 * np.abs(expected))
    assert np.all(np.abs(actual - expected) <= bound)


@each_activation
@pytest.mark.parametrize("lanes", [1, 31, 32, 33, 63])
def test_activate_few_lanes(kernels, activation, lanes):
    z = np.random.default_rng(0).normal(0, 3, (5, LANES))
    few = activate(kernels, activation, z, lanes=lanes)
    all_lanes = activate(kernels, activation, z)
    np.testing.assert_array_equal(few[:, :lanes], all_lanes[:, :lanes])


@each_activation
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("n", [1, 16, 70])
def test_activate_sample_is_a_lane_of_activate(kernels, activation, scaled, n):
    rng = np.random.default_rng(n)
    z = rng.normal(0, 3, (n, LANES)).astype(np.float32)
    bias = rng.standard_normal(n).astype(np.float32)
    scales = [
        rng.uniform(0, 2, k).astype(np.float32) if scaled else None for k in (n, LANES)
    ]
    expected = activate(kernels, activation, z, bias, *scales)[:, 3]
    sample = np.append(z[:, 3], np.zeros(LANES, np.float32))[:n]
    scale = scales[1][3] if scaled else 1.0
    kernels.activate_sample(
        ACTIVATIONS.index(activation), sample, bias, scales[0], scale
    )
    np.testing.assert_array_equal(sample, expected)


@each_activation
def test_activations_keep_nan_to_be_seen_in_the_loss(kernels, activation):
    z = np.zeros((1, LANES))
    z[0, 3] = np.nan
    np.testing.assert_array_equal(
        np.isnan(activate(kernels, activation, z)), np.isnan(z)
    )


@each_activation
def test_activations_treat_all_lanes_alike(kernels, activation):
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, (5, LANES))
    place = rng.permutation(LANES)
    moved = activate(kernels, activation, z[:, place])
    np.testing.assert_array_equal(moved, activate(kernels, activation, z)[:, place])


@pytest.mark.parametrize("activation", KEEP_DERIVATIVE)
@pytest.mark.parametrize("lanes", [1, 32, 33, 64])
def test_derivatives_that_are_kept(kernels, activation, lanes):
    rng = np.random.default_rng(lanes)
    z = rng.normal(0, 4, (6, LANES)).astype(np.float32)
    bias = rng.standard_normal(6).astype(np.float32)
    scales = [rng.uniform(0, 2, n).astype(np.float32) for n in (6, LANES)]
    derivative = np.full((6, LANES), np.nan, np.float32)
    plain = activate(kernels, activation, z, bias, *scales, lanes=lanes)
    kept = activate(kernels, activation, z, bias, *scales, lanes, derivative)
    np.testing.assert_array_equal(kept, plain)
    exact = [array.astype(np.float64) for array in (z, bias, *scales)]
    _, expected = reference.activate(activation, *exact)
    np.testing.assert_allclose(derivative[:, :lanes], expected[:, :lanes], atol=2e-6)
    delta = rng.standard_normal((6, LANES)).astype(np.float32)
    derivative[:, lanes:] = 0
    actual = delta.copy()
    kernels.chain(ACTIVATIONS.index(activation), actual, derivative, scales[1])
    np.testing.assert_array_equal(actual, delta * scales[1] * derivative)


@pytest.mark.parametrize("activation", sorted({*ACTIVATIONS} - {*KEEP_DERIVATIVE}))
def test_chain(kernels, activation):
    rng = np.random.default_rng(0)
    z, x = rng.standard_normal((2, 7, LANES)).astype(np.float32)
    x[:, :3] = 0  # relu's kink has slope zero
    a, slopes = reference.activation_of(activation, x)
    lane_scale = rng.uniform(0, 2, LANES).astype(np.float32)
    actual = z.copy()
    kernels.chain(ACTIVATIONS.index(activation), actual, a, lane_scale)
    expected = z * lane_scale * slopes.astype(np.float64)
    # The slopes 1 - a^2 and a (1 - a) cancel towards zero, from a rounded a^2 or 1 - a.
    np.testing.assert_allclose(actual, expected, rtol=4 * UNIT_ROUNDOFF, atol=1e-6)
    if activation in ("identity", "relu"):
        exact = np.where(a > 0, z * lane_scale, 0)
        np.testing.assert_array_equal(
            actual, z * lane_scale if activation == "identity" else exact
        )


# --- outputs and losses ------------------------------------------------------------


def random_targets(loss, n_outputs, rng):
    """Of one panel."""
    if loss in CODE_LOSSES:
        return rng.integers(0, n_outputs, LANES).astype(np.int32)
    return random_target(loss, (n_outputs, LANES), rng)


@each_loss
@pytest.mark.parametrize("n_outputs", [1, 3, 10])
def test_output(kernels, loss, n_outputs):
    logits = np.random.default_rng(0).normal(0, 3, (n_outputs, LANES))
    logits = logits.astype(np.float32)
    actual = output(kernels, loss, logits)
    expected = reference.output(loss, logits.astype(np.float64))
    # Softmax rounds differences of logits up to 20, and a sum of n_outputs terms.
    rtol = (20 + n_outputs) * UNIT_ROUNDOFF
    np.testing.assert_allclose(actual, expected, rtol=rtol)


def test_softmax_of_extreme_logits(kernels):
    logits = np.zeros((3, LANES))
    logits[0], logits[2] = -1e30, 1e30
    np.testing.assert_allclose(
        output(kernels, "softmax", logits), np.eye(3)[:, [2] * LANES], atol=1e-37
    )


@pytest.mark.parametrize(("loss", "parameter"), LOSSES_WITH_PARAMETERS)
@pytest.mark.parametrize("n_outputs", [1, 3, 10])
def test_loss_and_deltas(kernels, loss, parameter, n_outputs):
    rng = np.random.default_rng(n_outputs)
    logits = rng.normal(0, 3, (n_outputs, LANES)).astype(np.float32)
    target = random_targets(loss, n_outputs, rng)
    weight = rng.uniform(0, 2, LANES).astype(np.float32)
    weight[::5] = 0
    parameter = np.resize(parameter, n_outputs)  # one for each output
    total, deltas = loss_and_deltas(kernels, loss, logits, target, weight, parameter)
    exact = logits.astype(np.float64)
    expected = reference.losses(loss, exact, target, parameter) @ weight
    # Terms of up to e^9 (Poisson) or 10^2 are summed in float32, lanes in float64.
    np.testing.assert_allclose(total, expected, rtol=1e-6, atol=1e-6)
    expected = reference.loss_deltas(loss, exact, target, parameter) * weight
    # Output minus target, each correct to the rounding of test_output.
    subtracted = np.abs(reference.output(loss, exact))
    subtracted += 1 if loss in CODE_LOSSES else np.abs(target)
    if loss == "logistic":  # the target is smoothed
        subtracted += parameter[:, np.newaxis]
    if loss == "gamma":  # 1 - target / output
        subtracted = 1 + np.abs(target) * np.exp(-exact)
    bound = (24 + n_outputs) * UNIT_ROUNDOFF * subtracted * weight
    assert np.all(np.abs(deltas - expected) <= bound)
    assert not deltas[:, ::5].any()


@pytest.mark.parametrize(("loss", "parameter"), LOSSES_WITH_PARAMETERS)
def test_deltas_are_the_slope_of_the_loss(kernels, loss, parameter):
    rng = np.random.default_rng(0)
    n_outputs, h = 4, 2.0**-7
    logits = rng.standard_normal((n_outputs, LANES)).astype(np.float32)
    target = random_targets(loss, n_outputs, rng)
    weight = np.eye(1, LANES, 9, dtype=np.float32)[0]
    parameter = np.resize(parameter, n_outputs)

    def loss_at(logits):
        return loss_and_deltas(kernels, loss, logits, target, weight, parameter)

    _, deltas = loss_at(logits)
    for o in range(n_outputs):
        step = np.zeros((n_outputs, 1))
        step[o] = h
        ahead, behind = loss_at(logits + step)[0], loss_at(logits - step)[0]
        # h^2 / 6 times the third derivative, and float32's noise over 2 h.
        slope = (ahead - behind) / (2 * h)
        np.testing.assert_allclose(slope, deltas[o, 9], atol=3e-4)


@each_loss
def test_lanes_without_weight_cost_nothing_whatever_they_hold(kernels, loss):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((3, LANES))
    target = random_targets(loss, 3, rng)
    weight = np.ones(LANES, np.float32)
    weight[10] = 0
    total, deltas = loss_and_deltas(kernels, loss, logits, target, weight)
    logits[:, 10] = np.inf
    same_total, same_deltas = loss_and_deltas(kernels, loss, logits, target, weight)
    assert same_total == total
    others = np.arange(LANES) != 10
    np.testing.assert_array_equal(same_deltas[:, others], deltas[:, others])


def test_confident_and_wrong_logits_have_a_finite_loss(kernels):
    logits = np.zeros((2, LANES))
    logits[0] = 1e4
    weight = np.ones(LANES, np.float32)
    codes, numbers = np.ones(LANES), 1 - logits / 1e4
    for loss in ("softmax", "logistic", *FOCAL_LOSSES):
        target = codes if loss in CODE_LOSSES else numbers
        total, deltas = loss_and_deltas(kernels, loss, logits, target, weight)
        np.testing.assert_allclose(total / LANES, 1e4, rtol=1e-4)
        assert np.isfinite(deltas).all()


# --- the focal loss ----------------------------------------------------------------


@pytest.mark.parametrize("loss", FOCAL_LOSSES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_the_focal_loss_is_accurate_at_every_probability(kernels, loss, gamma):
    """Relative to itself, also where the probability is next to 0 or 1."""
    margins = np.linspace(-60, 60 / (1 + gamma), 32).astype(np.float32)
    n_outputs = 2 if loss in CODE_LOSSES else 1
    for margin in margins:
        # The first class has that margin over the second.
        logits = np.zeros((n_outputs, LANES))
        logits[0] = margin
        target = np.zeros(LANES, np.int32)
        if loss not in CODE_LOSSES:
            target = np.ones((1, LANES), np.float32)
        weight = np.eye(1, LANES, dtype=np.float32)[0]
        total, deltas = loss_and_deltas(kernels, loss, logits, target, weight, gamma)
        args = loss, logits, target, gamma
        # The exponent, up to 90, is rounded, and its error counts gamma times.
        rtol = (100 + 100 * gamma) * UNIT_ROUNDOFF
        np.testing.assert_allclose(total, reference.losses(*args)[0], rtol=rtol)
        expected = reference.loss_deltas(*args)[:, 0]
        np.testing.assert_allclose(deltas[:, 0], expected, rtol=rtol)


@pytest.mark.parametrize("loss", FOCAL_LOSSES)
def test_with_gamma_0_the_focal_loss_is_the_log_loss(kernels, loss):
    rng = np.random.default_rng(0)
    logits, weight = rng.normal(0, 3, (3, LANES)), np.ones(LANES, np.float32)
    target = random_targets(loss, 3, rng)
    focal = loss_and_deltas(kernels, loss, logits, target, weight, 0)
    plain = loss.removeprefix("focal_")
    for actual, expected in zip(
        focal, loss_and_deltas(kernels, plain, logits, target, weight), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


# --- the optimizer -----------------------------------------------------------------

OPTIMIZERS = {
    "adam": Optimizer("adam", 0.01),
    "adamw": Optimizer("adamw", 0.01, weight_decay=0.3),
    "adam with other betas": Optimizer("adam", 0.1, beta_1=0.5, beta_2=0.9),
    "adam without memory": Optimizer("adam", 0.1, beta_1=0.0, beta_2=0.0),
    "sgd": Optimizer("sgd", 0.1, momentum=0.0),
    "momentum": Optimizer("sgd", 0.1, momentum=0.8, nesterovs_momentum=False),
    "nesterov": Optimizer("sgd", 0.1, momentum=0.8),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("n", [1, 3, 4, 15, 16, 17, 100])
def test_update(kernels, optimizer, n):
    rng = np.random.default_rng(n)
    arrays = rng.standard_normal((4, n + 1)).astype(np.float32)
    arrays[3] **= 2
    parameter, gradient, first, second = arrays.copy()
    for array in (parameter, first, second):
        array[n] = np.nan  # another task's, not to be touched
    kernels.update(
        optimizer, 0.3, 1 / 64, parameter[:n], gradient[:n], first[:n], second[:n]
    )
    exact = arrays[:, :n].astype(np.float64)
    expected = reference.update(optimizer, 0.3, 1 / 64, *exact)
    # Ten roundings, each of a term no larger than the parameter or moment itself.
    for actual, wanted in zip((parameter, first, second), expected, strict=True):
        np.testing.assert_allclose(actual[:n], wanted, rtol=1e-6, atol=1e-6)
        assert np.isnan(actual[n])
    if optimizer.solver == "sgd":
        np.testing.assert_array_equal(second[:n], arrays[3, :n])


@pytest.mark.parametrize("n", [1, 15, 16, 17, 100])
@pytest.mark.parametrize("n_cohorts", [2, 16, 17, 64, 65, 1 << 16])
def test_update_at_the_rates_of_cohorts(kernels, n, n_cohorts):
    rng = np.random.default_rng(n)
    arrays = rng.standard_normal((4, n)).astype(np.float32)
    arrays[3] **= 2
    rates = rng.uniform(0.001, 0.1, n_cohorts).astype(np.float32)
    cohort = np.zeros(n + LANES, np.uint16)
    cohort[:n] = rng.integers(0, n_cohorts, n)
    cohort[n - 1] = n_cohorts - 1
    parameter, gradient, first, second = arrays.copy()
    adam = OPTIMIZERS["adam"]
    kernels.update(adam, 0.3, 1 / 64, parameter, gradient, first, second, cohort, rates)
    at_rates = dataclasses.replace(adam, learning_rate=rates[cohort[:n]].astype(float))
    expected = reference.update(at_rates, 0.3, 1 / 64, *arrays.astype(np.float64))
    for actual, wanted in zip((parameter, first, second), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_update_leaves_zeros_alone(kernels, solver):
    """Weights that complete a block have no gradient and must stay zero."""
    parameter, gradient, first, second = np.zeros((4, 20), np.float32)
    kernels.update(
        Optimizer(solver, 0.1), 0.1, 0.01, parameter, gradient, first, second
    )
    assert not parameter.any() and not first.any()
