"""Networks for sparse rows: what they learn is what a network for dense rows learns."""

import numpy as np
import pytest
import subprocesses
from problems import (
    PRECISIONS,
    gradient,
    parameters,
    random_csr,
    random_data,
    random_network,
    state,
    train,
)
from reference import ACTIVATIONS, LOSSES, SPACING
from reference_network import DenseNetwork, reference_step
from scipy import sparse

from sparsenet._optimizer import Optimizer

SOLVERS = [
    Optimizer("adam", 0.01),
    Optimizer("adamw", 0.01, weight_decay=1.0),
    Optimizer("sgd", 0.03),
    Optimizer("sgd", 0.03, nesterovs_momentum=False),
]
SIZES = (50, 20, 13, 3)  # 20: whole blocks of units
DENSITY = (0.3, 0.5, 1.0)
ADAM = SOLVERS[0]

pytestmark = pytest.mark.usefixtures("each_block_size")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_rounding_precision = pytest.mark.parametrize(
    "precision", [precision for precision in PRECISIONS if precision != "float32"]
)
each_density = pytest.mark.parametrize("density", [(1.0, 1.0, 1.0), DENSITY], ids=str)


def sparse_rows(n, n_features=SIZES[0], density=0.06, seed=0):
    """CSR X whose features are about as rare as one batch in four, and targets."""
    rng = np.random.default_rng(seed)
    X = random_csr((n, n_features), density, rng)
    return X.astype(np.float32), rng.integers(0, SIZES[-1], n).astype(np.int32)


def network_of_rows(sizes=SIZES, density=DENSITY, **options):
    return random_network(sizes, density, sparse_rows=True, **options)


def random_rows(n, n_features=SIZES[0], n_outputs=SIZES[-1], loss="softmax", p=0.1):
    """CSR X, a share `p` of it non-zeros, and targets."""
    X, y = random_data(n, n_features, n_outputs, loss)
    kept = np.random.default_rng(1).random(X.shape) < p
    return sparse.csr_array(np.where(kept, X, 0)), y


def random_weights(n):
    return np.random.default_rng(0).uniform(0.1, 2, n).astype(np.float32)


def epochs_of_both(X, y, sample_weight=None, *, network, batch_size=13, solver=ADAM):
    """Train on sparse rows, and the twin on dense ones: two epochs with L2."""
    twin, rows, n = DenseNetwork(network), X.toarray(), X.shape[0]
    options = {"optimizer": solver, "batch_size": batch_size, "alpha": 0.01}
    for _ in range(2):
        train(network, X, y, sample_weight, **options)
        for begin in range(0, n, batch_size):
            batch = slice(begin, begin + batch_size)
            weights = None if sample_weight is None else sample_weight[batch]
            reference_step(twin, rows[batch], y[batch], weights, solver, 0.01)
    assert network.n_steps == twin.n_steps
    return twin


def assert_same_parameters(network, twin, atol=1e-4):  # a hundredth of a step
    for actual, weights, bias in zip(
        parameters(network), twin.weights, twin.biases, strict=True
    ):
        np.testing.assert_allclose(actual[0], weights, atol=atol)
        np.testing.assert_allclose(actual[1], bias, atol=atol)


# --- whole steps -------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@pytest.mark.parametrize("alpha", [0.0, 0.01])
@each_density
def test_absent_features_end_where_the_eager_update_takes_them(solver, alpha, density):
    X, y = sparse_rows(400)
    network = random_network(
        SIZES, density, activation="tanh", precision="float32", sparse_rows=True
    )
    twin, rows = DenseNetwork(network), X.toarray()
    for _ in range(2):  # epochs
        train(network, X, y, optimizer=solver, batch_size=13, alpha=alpha)
        for begin in range(0, 400, 13):
            batch = slice(begin, begin + 13)
            reference_step(twin, rows[batch], y[batch], None, solver, alpha)
    for coef, expected in zip(network.coefs, twin.weights, strict=True):
        # 62 steps of float32, whose rounding the next steps amplify.
        np.testing.assert_allclose(coef.toarray().T, expected, atol=3e-5)


@each_density
@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@pytest.mark.parametrize("batch_size", [1, 63, 64, 65])
def test_epochs_equal_the_reference(density, solver, batch_size):
    n = 2 * batch_size + 1  # the last batch is smaller
    network = network_of_rows(density=density, activation="tanh")
    twin = epochs_of_both(
        *random_rows(n), network=network, batch_size=batch_size, solver=solver
    )
    assert_same_parameters(network, twin)


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_weighted_epochs_equal_the_reference(solver):
    network = network_of_rows(activation="tanh")
    X, y = random_rows(100)
    twin = epochs_of_both(X, y, random_weights(100), network=network, solver=solver)
    assert_same_parameters(network, twin)


@pytest.mark.parametrize("batch_size", [350, 700])
def test_batches_too_large_to_be_planned_far_ahead(batch_size):
    """Of 650,000 non-zeros the engine plans one, of half as many three."""
    rng = np.random.default_rng(0)
    dense = rng.uniform(0.1, 1, (2100, 930)).astype(np.float32)
    dense[700:1400, ::2] = 0  # half of the features are absent for a while
    dense[1400:, 0] = 0
    y = rng.integers(0, 3, 2100).astype(np.int32)
    network = network_of_rows((930, 20, 3), (0.3, 1.0), activation="tanh")
    X = sparse.csr_array(dense)
    twin = epochs_of_both(X, y, network=network, batch_size=batch_size)
    assert_same_parameters(network, twin)


@each_density
def test_a_decay_that_float32_rounds_to_one(density):
    network = network_of_rows(density=density)
    X, y = sparse_rows(100)
    almost = Optimizer("adam", 0.01, beta_2=1 - 1e-12)
    train(network, X, y, batch_size=13, alpha=0.01, optimizer=almost)
    for coef in network.coefs:
        assert np.isfinite(coef.data).all() and np.abs(coef.data).max() < 10


def some_rows_are_empty(X):
    X[::3] = 0
    X[26:39] = 0  # a whole batch


def nothing_at_all(X):
    X[:] = 0


def features_in_every_row_and_in_none(X):
    rng = np.random.default_rng(2)
    zipf = 1 / np.arange(1, X.shape[1] + 1)
    X[:] = np.where(rng.random(X.shape) < zipf, rng.uniform(0.5, 1.5, X.shape), 0)
    X[:, -5:] = 0
    assert X[:, 0].all()


@pytest.mark.parametrize(
    "change", [some_rows_are_empty, nothing_at_all, features_in_every_row_and_in_none]
)
@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@each_density
def test_rows_of_any_length(change, solver, density):
    X, y = random_rows(100)
    dense = X.toarray()
    change(dense)
    network = network_of_rows(density=density, activation="tanh")
    X = sparse.csr_array(dense)
    twin = epochs_of_both(X, y, network=network, solver=solver)
    assert_same_parameters(network, twin)
    np.testing.assert_allclose(network.predict(X, 1), twin.predict(dense), atol=1e-4)


@pytest.mark.parametrize("density", [(1.0,), (0.5,)], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_network_without_hidden_layers(density, loss):
    network = network_of_rows((50, 3), density, loss=loss)
    assert (network.layers[0].connections is None) == (density == (1.0,))
    X, y = random_rows(100, loss=loss)
    twin = epochs_of_both(X, y, network=network)
    assert_same_parameters(network, twin)
    predicted = network.predict(X, 1)
    np.testing.assert_allclose(predicted, twin.predict(X.toarray()), atol=1e-4)


def test_order_chooses_rows():
    X, y = random_rows(90)
    order = np.random.default_rng(0).integers(0, 90, 110)
    weight = random_weights(90)
    chosen, gathered = network_of_rows(), network_of_rows()
    options = {"optimizer": ADAM, "batch_size": 40}
    # The ranges of features follow from the first rows of X, but no number does.
    loss = train(chosen, X, y, weight, order, **options)
    assert train(gathered, X[order], y[order], weight[order], **options) == loss
    np.testing.assert_array_equal(state(chosen), state(gathered))


@each_precision
def test_a_batch_without_weight_is_no_step(precision):
    X, y = random_rows(90)
    weight = random_weights(90)
    weight[30:60] = 0
    options = {"batch_size": 30, "alpha": 0.1, "optimizer": ADAM}
    with_zeros, without = (network_of_rows(precision=precision) for _ in range(2))
    loss = train(with_zeros, X, y, weight, **options)
    order = np.r_[:30, 60:90]
    assert train(without, X, y, weight, order, **options) == loss
    assert with_zeros.n_steps == without.n_steps == 2
    np.testing.assert_array_equal(state(with_zeros), state(without))


# --- gradients ---------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@each_density
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_equals_the_reference(loss, activation, density, weighted):
    network = network_of_rows(density=density, activation=activation, loss=loss)
    X, y = random_rows(70, loss=loss)  # a full panel and a few lanes of another
    weight = random_weights(70) if weighted else None
    expected = DenseNetwork(network).gradients(X.toarray(), y, weight)
    total = weight.sum() if weighted else 70
    for actual, exact in zip(gradient(network, X, y, weight), expected, strict=True):
        for a, e in zip(actual, exact, strict=True):
            # The difference of two float32 weights or biases of about one half.
            e = e / total
            assert np.abs(e).max() > 1e-4  # far above the tolerance
            np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-6 * max(1, e.max()))


@each_rounding_precision
@pytest.mark.parametrize("loss", ["softmax", "squared_error"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_low_precision_gradients_are_close(precision, loss, activation):
    sizes = {"sizes": (200, 130, 100, 10), "density": (0.2, 0.2, 1.0)}
    options = {"activation": activation, "loss": loss, "seed": 1}
    X, y = random_rows(500, 200, 10, loss)
    exact = gradient(network_of_rows(**sizes, **options), X, y)
    rounded = gradient(network_of_rows(**sizes, **options, precision=precision), X, y)
    # As for dense rows (test_network.py).
    spacing = SPACING[precision]
    bound = 1.5 * np.sqrt(spacing) if activation == "relu" else 4 * spacing
    for layer in zip(rounded, exact, strict=True):
        for actual, expected in zip(*layer, strict=True):
            error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
            assert error < bound


# --- determinism -------------------------------------------------------------------

#: Enough work for a step to be shared among threads, and three panels.
WIDE = {"sizes": (2000, 256, 20, 10), "density": (0.3, 0.5, 1.0)}


@each_precision
def test_the_number_of_threads_changes_no_bit(precision):
    X, y = random_rows(1000, 2000, 10, p=0.03)
    results = []
    for n_threads in (1, 2, 3, 5):
        network = network_of_rows(**WIDE, precision=precision)
        # Multiply-adds of a step, of which the engine wants 2e6 to start threads:
        # eleven for each weight that a sample reads, the optimizer's among them.
        assert 11 * network.layers[0].fan_out * 130 * X.nnz / 1000 > 4e6
        options = {"batch_size": 130, "optimizer": ADAM, "n_threads": n_threads}
        # Eight steps each; the first two of all are of one thread, for comparison.
        losses = [train(network, X, y, **options) for _ in range(2)]
        results.append((losses, state(network), network.predict(X, n_threads)))
    assert not np.array_equal(
        results[0][1], state(network_of_rows(**WIDE, precision=precision), False)
    )
    for losses, bits, predicted in results[1:]:
        assert losses == results[0][0]
        np.testing.assert_array_equal(bits, results[0][1])
        np.testing.assert_array_equal(predicted, results[0][2])


@each_precision
@each_density
def test_a_prediction_does_not_depend_on_its_batch(precision, density):
    network = network_of_rows(density=density, precision=precision)
    X, _ = random_rows(150, p=0.3)
    together = network.predict(X, 2)
    alone = np.concatenate([network.predict(X[i : i + 1], 1) for i in range(150)])
    np.testing.assert_array_equal(alone, together)
    place = np.random.default_rng(0).permutation(150)
    np.testing.assert_array_equal(network.predict(X[place], 1), together[place])


@each_precision
@each_density
def test_a_prediction_of_dense_rows_is_that_of_sparse_ones(precision, density):
    network = network_of_rows(density=density, precision=precision)
    X, _ = random_rows(1030, p=0.3)  # more than are made sparse at a time
    expected = network.predict(X, 1)
    np.testing.assert_array_equal(network.predict(X.toarray(), 1), expected)
    exact = DenseNetwork(network).predict(X.toarray())
    atol = 4 * SPACING.get(precision, 1e-6)
    np.testing.assert_allclose(expected, exact, atol=atol)


@pytest.mark.parametrize("n", [0, 1, 64, 65])
def test_predict_any_number_of_rows(n):
    network = network_of_rows()
    X, _ = random_rows(65)
    actual = network.predict(X[:n], 1)
    assert actual.dtype == np.float32 and actual.shape == (n, SIZES[-1])
    expected = DenseNetwork(network).predict(X[:n].toarray())
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


# --- inputs ------------------------------------------------------------------------


@each_precision
def test_types_of_rows_agree(precision):
    X, y = random_rows(150)
    results = []
    for kind in (sparse.csr_array, sparse.csr_matrix):
        for data in (np.float32, np.float64):
            for index in (np.int32, np.int64):
                one = kind(X.astype(data))
                one.indptr = one.indptr.astype(index)
                one.indices = one.indices.astype(index)
                network = network_of_rows(precision=precision)
                loss = train(network, one, y, batch_size=70, optimizer=ADAM)
                results.append((state(network), network.predict(one, 1), loss))
    for result in results[1:]:
        for actual, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(actual, expected)


@each_precision
def test_explicit_zeros_predict_as_absence(precision):
    X, y = random_rows(100)
    more = X.copy()
    more.data[::3] = 0
    fewer = more.copy()
    fewer.eliminate_zeros()
    assert fewer.nnz < more.nnz
    network = network_of_rows(precision=precision)
    np.testing.assert_array_equal(network.predict(more, 1), network.predict(fewer, 1))
    if precision == "float32":
        network = network_of_rows(activation="tanh")
        twin = epochs_of_both(more, y, network=network)
        assert_same_parameters(network, twin)


def test_inputs_may_be_read_only():
    X, y = random_rows(70)
    weight = random_weights(70)
    for array in (X.data, X.indices, X.indptr, y, weight):
        array.flags.writeable = False
    network = network_of_rows()
    assert np.isfinite(train(network, X, y, weight))
    assert np.isfinite(network.predict(X, 1)).all()


# --- optimizers and snapshots ------------------------------------------------------


@pytest.mark.parametrize("first", SOLVERS[:2], ids=str)
@pytest.mark.parametrize("second", SOLVERS, ids=str)
def test_reset_optimizer_forgets_moments_and_ages(first, second):
    network = network_of_rows()
    X, y = random_rows(100)
    for _ in range(2):
        train(network, X, y, optimizer=first, batch_size=13)
    other = network.copy()
    other.restore(network.snapshot())
    network.reset_optimizer()
    for one in (network, other):
        train(one, X, y, optimizer=second, batch_size=13)
    assert network.n_steps == other.n_steps == 24
    np.testing.assert_array_equal(state(network), state(other))


@each_precision
@each_density
def test_restore_puts_every_bit_back(precision, density):
    network = network_of_rows(density=density, precision=precision)
    X, y = random_rows(100)
    train(network, X, y, optimizer=ADAM)
    before, predicted = state(network, moments=False), network.predict(X, 1)
    snapshot = network.snapshot()
    train(network, X, y, optimizer=ADAM)
    assert not np.array_equal(network.predict(X, 1), predicted)
    network.restore(snapshot)
    np.testing.assert_array_equal(state(network, moments=False), before)
    np.testing.assert_array_equal(network.predict(X, 1), predicted)


# --- in a process of its own -------------------------------------------------------

INTERRUPTED = """
import os, signal, threading
import numpy as np
from problems import random_network, state, train
from scipy import sparse
from sparsenet._optimizer import Optimizer

def fresh():
    return random_network(
        (3000, 512, 64, 10), (0.3, 0.5, 1.0), precision="{precision}", sparse_rows=True
    )

rng = np.random.default_rng(0)
X = rng.random((128, 3000), dtype=np.float32)
X[rng.random(X.shape) > 0.02] = 0
X[:64, 1500:] = X[64:, :1500] = 0
X, y = sparse.csr_array(X), np.arange(128, dtype=np.int32) % 10
# The first half of the features is met in the first step only.
order = np.append(np.arange(64), np.tile(np.arange(64, 128), 200_000))
options = dict(batch_size=64, alpha=0.01, optimizer=Optimizer("sgd", 1e-3), n_threads=2)
network = fresh()
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    train(network, X, y, order=order, **options)
except KeyboardInterrupt:
    n = network.n_steps
    assert 1 < n < 200_000, n
    whole, one = fresh(), fresh()
    train(whole, X, y, order=order[: 64 * n], **options)
    assert whole.n_steps == n
    assert np.array_equal(state(network), state(whole))
    # And the steps that those features were absent from do change them.
    train(one, X, y, order=order[:64], **options)
    late = [net.layers[0].weights[:1500] for net in (one, network)]
    assert (late[0] != late[1]).all(axis=1).mean() > 0.9
    for net in (network, whole):
        train(net, X, y, **options)
    assert np.array_equal(state(network), state(whole))
    print("interrupted")
"""


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_after_ctrl_c_all_features_have_had_all_steps(precision):
    printed = subprocesses.run(INTERRUPTED.format(precision=precision))
    assert printed == "interrupted\n"
