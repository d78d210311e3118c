"""Training steps and predictions of whole networks."""

import numpy as np
import pytest
import subprocesses
from problems import (
    PRECISIONS,
    SIZES,
    gradient,
    parameters,
    random_data,
    random_network,
    state,
    train,
)
from reference import ACTIVATIONS, LOSSES, SPACING, activation_of
from reference_network import DenseNetwork, reference_step
from scipy import sparse

from sparsenet._kernels._dispatch import SOLVERS
from sparsenet._optimizer import Optimizer
from sparsenet._state import checksum

pytestmark = pytest.mark.usefixtures("each_block_size")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_rounding_precision = pytest.mark.parametrize(
    "precision", [precision for precision in PRECISIONS if precision != "float32"]
)
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
each_loss = pytest.mark.parametrize("loss", LOSSES)

#: Enough work for a step to be shared among threads, and five panels.
WIDE = {"sizes": (64, 256, 200, 10), "density": (0.2, 0.2, 1.0)}
ADAM = Optimizer("adam", 0.01)


def random_weights(n, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 2, n).astype(np.float32)


# --- gradients ---------------------------------------------------------------------


def finite_differences(network, X, y, sample_weight, h=1e-7):
    """Gradient of the mean loss at every weight and bias of a DenseNetwork."""
    gradients = []
    for weights, mask, bias in zip(
        network.weights, network.masks, network.biases, strict=True
    ):
        layer = []
        for array, where in ((weights, mask), (bias, np.ones_like(bias))):
            slope = np.zeros_like(array)
            for place in zip(*np.nonzero(where), strict=True):
                center, sides = array[place], []
                for side in (1, -1):
                    array[place] = center + side * h
                    sides.append(network.mean_loss(X, y, sample_weight))
                array[place] = center
                slope[place] = (sides[0] - sides[1]) / (2 * h)
            layer.append(slope)
        gradients.append(layer)
    return gradients


@each_loss
@each_activation
def test_gradient_is_the_slope_of_the_loss(loss, activation):
    network = random_network(activation=activation, loss=loss)
    X, y = random_data(70, loss=loss)  # a full panel and a few lanes of another
    sample_weight = random_weights(70)
    expected = finite_differences(DenseNetwork(network), X, y, sample_weight)
    for actual, exact in zip(
        gradient(network, X, y, sample_weight), expected, strict=True
    ):
        for a, e in zip(actual, exact, strict=True):
            # float32 sums of 70 terms, seen through weights of about one half.
            np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-6 * max(1, e.max()))


@each_loss
def test_loss_is_the_weighted_mean_of_the_epoch(loss):
    network = random_network(loss=loss)
    X, y = random_data(200, loss=loss)
    sample_weight = random_weights(200)
    expected = DenseNetwork(network).mean_loss(X, y, sample_weight)
    standing_still = Optimizer("sgd", 0.0)
    actual = train(
        network, X, y, sample_weight, optimizer=standing_still, batch_size=30
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_loss_holds_the_penalty_once_a_batch():
    network = random_network()
    X, y = random_data(200)
    options = {"batch_size": 30, "optimizer": Optimizer("sgd", 0.0)}
    plain = train(network, X, y, **options)
    penalized = train(network, X, y, alpha=0.3, **options)
    squares = sum((weights**2).sum() for weights, _ in parameters(network))
    np.testing.assert_allclose(
        penalized - plain, 0.5 * 0.3 * squares * 7 / 200, rtol=1e-5
    )


@each_rounding_precision
@pytest.mark.parametrize("loss", ["softmax", "squared_error"])
@each_activation
def test_low_precision_gradients_are_close(precision, loss, activation):
    sizes = {"sizes": (64, 130, 100, 10), "density": (0.2, 0.2, 1.0)}
    options = {"activation": activation, "loss": loss}
    X, y = random_data(500, 64, 10, loss)
    exact = gradient(random_network(**sizes, **options), X, y)
    rounded = gradient(random_network(**sizes, **options, precision=precision), X, y)
    # Weights, activations and deltas are rounded. And relu's slope jumps: a share
    # `spacing` of the units is on the other side of zero, which is the error's square.
    spacing = SPACING[precision]
    _, slopes = activation_of(activation, np.array([-1e-9, 1e-9]))
    has_kink = abs(slopes[1] - slopes[0]) > 1e-3
    bound = 1.5 * np.sqrt(spacing) if has_kink else 4 * spacing
    for layer in zip(rounded, exact, strict=True):
        for actual, expected in zip(*layer, strict=True):
            error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
            assert error < bound
            cosine = np.vdot(actual, expected) / (
                np.linalg.norm(actual) * np.linalg.norm(expected)
            )
            assert cosine > 0.99


# --- whole steps -------------------------------------------------------------------

OPTIMIZERS = {
    "adam": ADAM,
    "adamw": Optimizer("adamw", 0.01, weight_decay=2.0),
    "sgd": Optimizer("sgd", 0.1, momentum=0.0),
    "momentum": Optimizer("sgd", 0.1, nesterovs_momentum=False),
    "nesterov": Optimizer("sgd", 0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("weighted", [False, True])
def test_epoch_equals_the_reference(optimizer, batch_size, weighted):
    network = random_network(activation="tanh")
    twin = DenseNetwork(network)
    n = 2 * batch_size + 1  # the last batch is smaller
    X, y = random_data(n)
    sample_weight = random_weights(n) if weighted else None
    order = np.random.default_rng(1).permutation(n)
    train(
        network,
        X,
        y,
        sample_weight,
        order,
        batch_size=batch_size,
        alpha=0.5,
        optimizer=optimizer,
    )
    for begin in range(0, n, batch_size):
        rows = order[begin : begin + batch_size]
        weights = sample_weight[rows] if weighted else None
        reference_step(twin, X[rows], y[rows], weights, optimizer, alpha=0.5)
    assert network.n_steps == twin.n_steps == 3
    for layer, expected in enumerate(zip(twin.weights, twin.biases, strict=True)):
        for actual, exact in zip(parameters(network)[layer], expected, strict=True):
            # Adam divides by gradients that may be small: relative to its step.
            atol = 1e-4 * optimizer.learning_rate
            np.testing.assert_allclose(actual, exact, rtol=1e-5, atol=atol)


def test_float32_reference_is_the_float64_one_within_rounding():
    """The twins agree among themselves: the tolerances above are float32's."""
    network = random_network(activation="tanh")
    X, y = random_data(130)
    twins = [DenseNetwork(network, dtype) for dtype in (np.float32, np.float64)]
    for twin in twins:
        reference_step(twin, X, y, None, ADAM, alpha=0.1)
    for single, double in zip(twins[0].weights, twins[1].weights, strict=True):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, atol=1e-4 * ADAM.learning_rate)


@each_precision
def test_order_chooses_rows(precision):
    X, y = random_data(150)
    order = np.random.default_rng(0).integers(0, 150, 170)
    chosen, gathered = (random_network(precision=precision) for _ in range(2))
    options = {"batch_size": 70, "optimizer": ADAM}
    sample_weight = random_weights(150)
    loss = train(chosen, X, y, sample_weight, order, **options)
    rows = X[order], y[order], sample_weight[order]
    assert train(gathered, *rows, **options) == loss
    np.testing.assert_array_equal(state(chosen), state(gathered))


def test_an_empty_order_is_an_epoch_without_steps():
    network, (X, y) = random_network(), random_data(5)
    before = network.predict(X, 1)
    assert train(network, X, y, order=np.arange(0), batch_size=3) == 0
    assert network.n_steps == 0
    np.testing.assert_array_equal(network.predict(X, 1), before)


@each_precision
def test_a_batch_without_weight_is_no_step(precision):
    X, y = random_data(90)
    sample_weight = random_weights(90)
    sample_weight[30:60] = 0
    options = {"batch_size": 30, "alpha": 0.1, "optimizer": ADAM}
    with_zeros = random_network(precision=precision)
    loss = train(with_zeros, X, y, sample_weight, **options)
    without = random_network(precision=precision)
    order = np.r_[:30, 60:90]
    assert train(without, X, y, sample_weight, order, **options) == loss
    assert with_zeros.n_steps == without.n_steps == 2
    np.testing.assert_array_equal(state(with_zeros), state(without))


def test_a_sample_of_weight_two_counts_as_two():
    X, y = random_data(40)
    weight = np.ones(40, np.float32)
    weight[[3, 30]] = 2, 0
    rows = np.append(np.delete(np.arange(40), 30), 3)
    weighted = gradient(random_network(), X, y, weight)
    repeated = gradient(random_network(), X[rows], y[rows])
    for a, b in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(a[0], b[0], atol=1e-6)
        np.testing.assert_allclose(a[1], b[1], atol=1e-6)


def test_reset_optimizer_forgets_moments_and_ages():
    network = random_network()
    X, y = random_data(64)
    for _ in range(2):
        train(network, X, y, optimizer=ADAM)
    other = network.copy()
    other.restore(network.snapshot())
    network.reset_optimizer()
    for one in (network, other):
        train(one, X, y, optimizer=ADAM)
    assert network.n_steps == other.n_steps == 3  # of all optimizers
    assert network.births.tolist() == other.births.tolist() == [2]
    np.testing.assert_array_equal(state(network), state(other))


# --- determinism -------------------------------------------------------------------


@each_precision
def test_the_number_of_threads_changes_no_bit(precision):
    X, y = random_data(700, 64, 10)
    states, predictions, losses = [], [], []
    for n_threads in (1, 2, 3, 4):
        network = random_network(**WIDE, precision=precision)
        # Multiply-adds of a step, of which the engine wants 2e6 to start threads.
        assert 3 * network.n_connections * 300 > 1e7
        options = {"batch_size": 300, "optimizer": ADAM, "n_threads": n_threads}
        losses.append([train(network, X, y, **options) for _ in range(2)])
        states.append(state(network))
        predictions.append(network.predict(X, n_threads))
    for index in (1, 2, 3):
        assert losses[index] == losses[0]
        np.testing.assert_array_equal(states[index], states[0])
        np.testing.assert_array_equal(predictions[index], predictions[0])


@each_precision
def test_training_depends_on_the_seed_alone(precision):
    X, y = random_data(200)
    states = []
    for seed in (0, 0, 1):
        network = random_network(precision=precision, seed=seed)
        train(network, X, y, optimizer=ADAM, batch_size=50)
        states.append(state(network))
    np.testing.assert_array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])


@each_precision
def test_only_int8_rounds_at_random_and_anew_in_each_step(precision):
    """Adam without memory and with a rate of zero shows each step's gradient."""
    X, y = random_data(130)
    network = random_network(precision=precision)
    look = Optimizer("adam", 0.0, beta_1=0.0)
    gradients = []
    for _ in range(2):
        train(network, X, y, optimizer=look)
        gradients.append([layer.moments[0].copy() for layer in network.layers])
    for first, second in zip(*gradients, strict=True):
        assert np.array_equal(first, second) == (precision != "int8")


@each_precision
@each_activation
def test_a_prediction_does_not_depend_on_its_batch(precision, activation):
    network = random_network(**WIDE, activation=activation, precision=precision)
    X, _ = random_data(200, 64, 10)
    together = network.predict(X, 2)
    for n in (1, 3):  # no panel; one or not, which the number format decides
        parts = [network.predict(X[i : i + n], 1) for i in range(0, 200, n)]
        np.testing.assert_array_equal(np.concatenate(parts), together)
    place = np.random.default_rng(0).permutation(200)
    np.testing.assert_array_equal(network.predict(X[place], 1), together[place])


# --- predictions -------------------------------------------------------------------


@each_loss
@pytest.mark.parametrize("n", [0, 1, 64, 65])
def test_predict_equals_the_reference(loss, n):
    network = random_network(loss=loss)
    X, _ = random_data(n)
    actual = network.predict(X, 1)
    assert actual.dtype == np.float32 and actual.shape == (n, SIZES[-1])
    expected = DenseNetwork(network).predict(X)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@each_precision
def test_deep_networks(precision):
    """Predictions reuse the memory of layers that are done, training does not."""
    deep = {"sizes": (20, 18, 40, 9, 30, 12, 3), "density": (0.5,) * 5 + (1.0,)}
    network = random_network(**deep, activation="tanh", precision=precision)
    X, y = random_data(100)
    predicted = network.predict(X, 1)
    expected = DenseNetwork(network).predict(X)
    spacing = SPACING.get(precision, 1e-6)
    np.testing.assert_allclose(predicted, expected, atol=2 * spacing)
    loss = train(network, X, y)
    np.testing.assert_allclose(loss, -np.log(predicted[range(100), y]).mean(), 1e-5)


@each_rounding_precision
@each_activation
def test_low_precision_predictions_are_close(precision, activation):
    options = {"activation": activation, "loss": "squared_error"}
    network = random_network(**WIDE, **options, precision=precision)
    X, _ = random_data(100, 64, 10)
    exact = DenseNetwork(network).predict(X)  # of the rounded weights
    error = network.predict(X, 1) - exact
    # Each of three layers rounds its inputs by half a spacing; int8 by that of the
    # largest value, also where negative ones are small.
    (negative, positive), _ = activation_of(activation, np.array([-3.0, 3.0]))
    spacings = 2.5 if 0 < -negative < positive / 2 else 1.5
    bound = spacings * SPACING[precision]
    assert np.linalg.norm(error) < bound * np.linalg.norm(exact)


@each_precision
def test_denormals_are_zero_in_the_engine_only(precision):
    X, y = random_data(70)
    network = random_network(precision=precision)
    train(network, X, y)  # on this thread
    network.predict(X, 1)
    denormal = np.full(64, 2.0**-140, np.float32)
    # Bits: a comparison, too, would take denormals for zero.
    assert ((denormal + denormal).view(np.uint32) == 1 << 10).all()


@pytest.mark.parametrize("small", ["weights", "inputs"])
def test_denormal_float16_values_count(small):
    """The engine flushes float32 denormals, but float16's are not among them."""
    network = random_network((8, 4), (1.0,), loss="squared_error", precision="float16")
    weight, x = (2.0**-20, 2.0**10) if small == "weights" else (1.0, 2.0**-20)
    saved = network.__getstate__()
    layer = saved["layers"][0]
    layer["stored"] = np.full((4, 8), weight, np.float16).view(np.uint16)
    layer["bias"] = np.zeros(4, np.float32)
    saved["checksum"] = checksum(saved)
    network.__setstate__(saved)
    np.testing.assert_array_equal(
        network.predict(np.full((1, 8), x, np.float32), 1), 8 * weight * x
    )


# --- inputs ------------------------------------------------------------------------


def in_eighths(n, n_features, rng):
    """Mostly zeros; sums of a few values are exact in any format."""
    X = rng.integers(-16, 17, (n, n_features)) / 8
    return np.where(rng.random(X.shape) < 0.8, 0, X).astype(np.float32)


def scrambled(X, rng):
    """CSR with every entry in two unequal parts, in random order within its row."""
    coo = sparse.coo_array(X)
    row, column = np.tile(coo.row, 2), np.tile(coo.col, 2)
    data = np.concatenate([coo.data - 3, np.full(coo.nnz, 3, X.dtype)])
    order = np.lexsort((rng.random(len(row)), row))
    indptr = np.searchsorted(row[order], np.arange(len(X) + 1))
    return sparse.csr_array((data[order], column[order], indptr), shape=X.shape)


@each_precision
@pytest.mark.parametrize("data", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix, scrambled])
def test_csr_equals_dense(precision, data, index, kind):
    rng = np.random.default_rng(0)
    dense = in_eighths(150, SIZES[0], rng).astype(data)
    X = scrambled(dense, rng) if kind is scrambled else kind(dense)
    X.indptr, X.indices = X.indptr.astype(index), X.indices.astype(index)
    _, y = random_data(150)
    states = []
    for one in (dense, X):
        network = random_network(precision=precision)
        loss = train(network, one, y, batch_size=70, optimizer=ADAM)
        states.append((state(network), network.predict(one, 1), loss))
    for a, b in zip(*states, strict=True):
        np.testing.assert_array_equal(a, b)


def test_csr_without_entries():
    X = sparse.csr_array((3, SIZES[0]), dtype=np.float32)
    network = random_network()
    np.testing.assert_array_equal(
        network.predict(X, 1), network.predict(X.toarray(), 1)
    )


@each_precision
def test_float64_equals_its_rounding_to_float32(precision):
    X = np.random.default_rng(0).standard_normal((150, SIZES[0]))
    _, y = random_data(150)
    states = []
    for dtype in (np.float32, np.float64):
        network = random_network(precision=precision)
        train(network, X.astype(dtype), y, optimizer=ADAM)
        states.append(state(network))
    np.testing.assert_array_equal(*states)


def test_inputs_may_be_read_only():
    X, y = random_data(70)
    weight = random_weights(70)
    for array in (X, y, weight):
        array.flags.writeable = False
    assert np.isfinite(train(random_network(), X, y, weight))


# --- snapshots ---------------------------------------------------------------------


@each_precision
def test_restore_puts_every_bit_back(precision):
    network = random_network(precision=precision)
    X, y = random_data(100)
    train(network, X, y)
    before, predicted = state(network, moments=False), network.predict(X, 1)
    snapshot = network.snapshot()
    train(network, X, y)
    assert not np.array_equal(network.predict(X, 1), predicted)
    network.restore(snapshot)
    np.testing.assert_array_equal(state(network, moments=False), before)
    np.testing.assert_array_equal(network.predict(X, 1), predicted)


@pytest.mark.parametrize("array", ["weights", "bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_is_finite(array, value):
    network = random_network()
    assert network.is_finite()
    getattr(network.layers[1], array).flat[0] = value
    assert not network.is_finite()


def test_diverged_training_is_seen():
    network = random_network(activation="identity", loss="squared_error")
    X, y = random_data(64, loss="squared_error")
    for _ in range(20):
        train(network, X, y, optimizer=Optimizer("sgd", 1e6))
    assert not network.is_finite()


def test_n_connections():
    network = random_network()
    assert network.n_connections == 18 * 10 + 13 * 8 + 3 * 13
    assert network.n_connections == sum(coef.nnz for coef in network.coefs)


# --- in a process of its own -------------------------------------------------------

INTERRUPTED = """
import os, signal, threading
import numpy as np
from problems import random_data, random_network, train
from sparsenet._optimizer import Optimizer

network = random_network((512, 2048, 2048, 10), "auto", precision="{precision}")
X, y = random_data(64, 512, 10)
minutes, adam = np.tile(np.arange(64), 50_000), Optimizer("adam", 1e-4)
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    train(network, X, y, order=minutes, batch_size=64, optimizer=adam, n_threads=2)
except KeyboardInterrupt:
    assert network.n_steps > 0
    assert network.is_finite()
    assert np.isfinite(network.predict(X, 2)).all()
    assert np.isfinite(train(network, X, y, optimizer=adam))
    print("interrupted")
"""


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_ctrl_c_stops_between_steps_and_leaves_a_usable_network(precision):
    """The epoch would take longer than subprocesses.PATIENCE."""
    printed = subprocesses.run(INTERRUPTED.format(precision=precision))
    assert printed == "interrupted\n"


BIG_AND_THIN = """
import resource, sys
from problems import random_data, random_network, train
from sparsenet._optimizer import Optimizer

sizes = (256, 65536, 65536, 4)
network = random_network(sizes, (1e-4, 1e-4, 1.0), precision=sys.argv[1])
X, y = random_data(64, 256, 4)
loss = train(network, X, y, optimizer=Optimizer("adam", 1e-3), n_threads=2)
assert 0 < loss < 10, loss
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak * (1 if sys.platform == "darwin" else 1024))
"""


@each_precision
def test_big_and_thin_network_trains_in_little_memory(precision):
    """65,536 -> 65,536 at density 1e-4: as a dense matrix it would fill 17 GB."""
    assert int(subprocesses.run(BIG_AND_THIN, precision)) < 2e9


# --- learning rates of sparse layers -----------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_young_weights_of_a_sparse_layer_learn_faster_and_settle(solver):
    """The rule of `Optimizer`, seen in steps of a constant gradient."""
    # Linear, with one output and a constant gradient of every weight: X is all ones and
    # the loss is linear at a distance.
    for density in (0.1, 1.0):
        network = random_network((20, 1), (density,), loss="squared_error")
        layer, steps = network.layers[0], []
        X, y = np.ones((64, 20), np.float32), np.full((64, 1), 1e4, np.float32)
        optimizer = Optimizer(solver, 1e-6, beta_1=0.0, beta_2=0.9, momentum=0.0)
        for _ in range(200):
            before = layer.weights[0, 0].copy(), layer.bias[0].copy()
            train(network, X, y, optimizer=optimizer)
            layer = network.layers[0]
            weight, bias = layer.weights[0, 0] - before[0], layer.bias[0] - before[1]
            steps.append(weight / bias)
        ratio = layer.density**-0.9
        ages = np.array([1, 5, 50])
        expected = 1 + (ratio - 1) * 0.9**ages
        np.testing.assert_allclose(np.array(steps)[ages - 1], expected, rtol=0.05)
        assert steps[-1] == pytest.approx(1, rel=0.05)


def test_an_optimizer_that_starts_anew_makes_no_weight_young_again():
    X, y = random_data(64)
    one, other = random_network(), random_network()
    fast = Optimizer("sgd", 0.1, beta_2=0.0, momentum=0.0)
    for network in (one, other):
        train(network, X, y, optimizer=fast)
    other.reset_optimizer()
    for network in (one, other):
        train(network, X, y, optimizer=fast)
    np.testing.assert_array_equal(
        state(one, moments=False), state(other, moments=False)
    )
