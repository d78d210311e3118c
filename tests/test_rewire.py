"""Rewiring: every row, every copy and every age against plain NumPy."""

import dataclasses

import numpy as np
import pytest
import reference
import reference_network
from compute_copies import (
    product_weights,
    rounded_weights,
    stored_weights,
    transposed_weights,
)
from problems import (
    PRECISIONS,
    dense,
    parameters,
    random_data,
    random_network,
    state,
    train,
)
from scipy import sparse

from sparsenet._kernels import HAS_OPENMP
from sparsenet._network import Data
from sparsenet._optimizer import Optimizer
from sparsenet._rewiring import Rewiring

pytestmark = pytest.mark.usefixtures("each_block_size")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_method = pytest.mark.parametrize("method", ["set", "rigl"])
each_layout = pytest.mark.parametrize("sparse_rows", [False, True])
ADAM = Optimizer("adam", 0.01)
SGD = Optimizer("sgd", 0.01)
#: (layer sizes, density): odd numbers, one connection, all but one.
NETWORKS = [
    ((20, 18, 13, 3), (0.5, 0.7, 1.0)),
    ((37, 1, 65, 2), (0.6, 1.0, 0.9)),
    ((9, 70, 6), (0.99, 0.5)),
    ((30, 32, 12, 3), (0.5, 0.7, 1.0)),  # of whole blocks
]
#: 32-bit columns of a first and of a later layer.
WIDE = [((66_000, 5, 3), (1e-4, 1.0)), ((40, 66_000, 4), (0.2, 5e-4))]
each_network = pytest.mark.parametrize(
    ("sizes", "density", "precision"),
    [(*network, precision) for network in NETWORKS for precision in PRECISIONS]
    + [(*network, "float32") for network in WIDE],
)


def rows_of_data(n, sizes, sparse_rows, seed=0):
    """Random data, of which half the features are zero."""
    X, y = random_data(n, sizes[0], sizes[-1], seed=seed)
    X *= np.random.default_rng(seed).random(X.shape) < 0.5
    return (sparse.csr_array(X) if sparse_rows else X), y


def trained(
    sizes,
    density,
    sparse_rows=False,
    precision="float32",
    activation="relu",
    **options,
):
    network = random_network(
        sizes,
        density,
        precision=precision,
        activation=activation,
        sparse_rows=sparse_rows,
    )
    X, y = rows_of_data(130, sizes, sparse_rows)
    train(network, X, y, **{"optimizer": ADAM, "batch_size": 65} | options)
    return network, X, y


def rewire(network, X, y, method="set", fraction=0.4, optimizer=ADAM, n_threads=1):
    """One round; returns its numbers of new connections."""
    data, rows = Data(X, y), np.arange(65)
    n_steps = network.n_steps
    schedule = Rewiring(
        method, fraction=2 * fraction, end=100, position=50, start=n_steps
    )
    assert schedule.fraction_at(n_steps) == pytest.approx(fraction)
    network._number_cohorts(optimizer)
    return network._rewire(data, rows, optimizer, schedule, n_threads)


def columns_of(layer):
    """(rows, connections of a row), None if the layer is dense."""
    if not layer.is_sparse:
        return None
    if layer.by_feature:
        return layer.connections.astype(np.int64)
    return layer.indices.reshape(layer.n_blocks, -1).astype(np.int64)


def units_of(layer, row):
    """Those that a row of `columns_of` stands for."""
    if layer.by_feature:
        return range(layer.height)  # of each column
    return range(row * layer.height, min((row + 1) * layer.height, layer.n_out))


def planes_of(layer):
    """Weights and moments, (rows, connections of a row, height); none if dense."""
    if not layer.is_sparse:
        return []
    if layer.by_feature:
        planes = layer.state[:, :, : layer.fan_out]
        shape = layer.n_in, -1, layer.height
        return [planes[:, p].reshape(shape) for p in range(planes.shape[1])]
    planes = [layer.weights, *(m for m in layer.moments[:2] if m.size)]
    return [plane.reshape(layer.n_blocks, -1, layer.height) for plane in planes]


def seeds(network):
    return [
        reference.mix(network.seed ^ network.n_steps << 32, ~layer)
        for layer in range(len(network.layers))
    ]


# --- against the twin --------------------------------------------------------------


@each_layout
@each_network
@pytest.mark.parametrize("n_threads", [1, 3])
def test_random_growth_equals_the_twin(
    sizes, density, precision, sparse_rows, n_threads
):
    network, X, y = trained(sizes, density, sparse_rows, precision)
    before = [
        (columns_of(layer), [plane.copy() for plane in planes_of(layer)])
        for layer in network.layers
    ]
    before = [(None if c is None else c.copy(), planes) for c, planes in before]
    n_changed = rewire(network, X, y, n_threads=n_threads)
    for number, layer in enumerate(network.layers):
        old, old_planes = before[number]
        if old is None:
            assert n_changed[number] == 0
            continue
        # Columns that lost their last connection are repaired, in another test.
        expected = reference.rewire_at_random(
            old,
            np.abs(old_planes[0]).sum(axis=2),
            n_columns(layer),
            0.4,
            seeds(network)[number],
        )
        actual = columns_of(layer)
        repaired = (actual != np.sort(expected, axis=1)).any(axis=1)
        assert repaired.sum() <= n_dead(layer, expected, number)
        n_new = [
            np.setdiff1d(now, old[row]).size * len(units_of(layer, row))
            for row, now in enumerate(actual)
        ]
        assert n_changed[number] >= sum(n_new)
        for row in np.flatnonzero(~repaired)[:200]:
            stayed = np.isin(actual[row], old[row])
            places = np.searchsorted(old[row], actual[row][stayed])
            for plane, old_plane in zip(planes_of(layer), old_planes, strict=True):
                np.testing.assert_array_equal(
                    plane[row][stayed], old_plane[row][places]
                )
                assert not plane[row][~stayed].any()


def n_columns(layer):
    by_feature = layer.by_feature
    return layer.n_out // layer.height if by_feature else layer.n_in


def n_dead(layer, columns, number):
    """Columns without connections, which a round repairs (not the network's inputs)."""
    if number == 0 and not layer.by_feature:
        return 0
    return (np.bincount(columns.ravel(), minlength=n_columns(layer)) == 0).sum()


@each_layout
@pytest.mark.parametrize(
    ("sizes", "density"),
    # No column loses its last connection: a repair may take what has just grown.
    [
        ((20, 18, 33, 3), (0.5, 0.7, 1.0)),
        ((37, 12, 65, 40), (0.6, 0.5, 0.9)),
        ((40, 32, 33, 3), (0.4, 0.7, 1.0)),
    ],
)
def test_growth_is_where_the_gradient_is_largest(sizes, density, sparse_rows):
    network, X, y = trained(sizes, density, sparse_rows, activation="tanh")
    before = [columns_of(layer) for layer in network.layers]
    before = [None if columns is None else columns.copy() for columns in before]
    weights = [
        [np.abs(plane).sum(axis=2) for plane in planes_of(layer)]
        for layer in network.layers
    ]
    gradients = all_gradients(network, X, y)
    rewire(network, X, y, "rigl")
    for number, layer in enumerate(network.layers):
        if before[number] is None:
            continue
        gradient, now = sums_of_magnitudes(layer, gradients[number]), columns_of(layer)
        for row, (old, new) in enumerate(zip(before[number], now, strict=True)):
            grown = np.setdiff1d(new, old)
            absent = np.setdiff1d(np.arange(gradient.shape[1]), [*old, *new])
            if grown.size == 0:
                continue
            largest = gradient[row, absent].max(initial=0) * (1 - 1e-4)
            assert (gradient[row, grown] >= largest).all()
            # A smaller weight than one that went has stayed for its gradient.
            stays = np.isin(old, new)
            weight = weights[number][0][row]
            smaller = stays & (weight < weight[~stays].max())
            assert (gradient[row, old[smaller]] >= largest).all()
            assert grown.size <= np.floor(0.4 * old.size + 1)


def sums_of_magnitudes(layer, gradient):
    """Of the (n_out, n_in) gradient: for each row of `columns_of` and each column."""
    gradient = np.abs(gradient)
    firsts = np.arange(0, layer.n_out, layer.height)
    sums = np.add.reduceat(gradient, firsts, axis=0)
    return sums.T if layer.by_feature else sums


def all_gradients(network, X, y):
    """Of the loss on the first 65 rows, at all places: (n_out, n_in) of each layer."""
    X = X.toarray() if sparse.issparse(X) else X
    twin = reference_network.DenseNetwork(network)
    twin.masks = [np.ones_like(mask) for mask in twin.masks]
    return [weights for weights, _ in twin.gradients(X[:65], y[:65])]


@each_precision
@each_layout
def test_growth_by_gradient_finds_large_gradients_in_every_format(
    precision, sparse_rows
):
    sizes, density = (60, 52, 160, 3), (0.2, 0.2, 1.0)
    network, X, y = trained(sizes, density, sparse_rows, precision)
    before = [columns_of(layer) for layer in network.layers[:2]]
    before = [columns.copy() for columns in before]
    gradients = all_gradients(network, X, y)
    assert min(rewire(network, X, y, "rigl")[:2]) > 0
    for layer, old, gradient in zip(network.layers, before, gradients, strict=False):
        gradient = sums_of_magnitudes(layer, gradient)
        found = best = 0.0
        for row, (then, now) in enumerate(zip(old, columns_of(layer), strict=True)):
            grown = np.setdiff1d(now, then)
            absent = np.setdiff1d(np.arange(gradient.shape[1]), then)
            found += gradient[row, grown].sum()
            best += np.sort(gradient[row, absent])[absent.size - grown.size :].sum()
        assert found >= 0.93 * best


def test_features_that_the_batch_lacks_keep_their_connections():
    network, X, y = trained(*NETWORKS[0], sparse_rows=True)
    X = X.toarray()
    X[:65, 4:9] = 0
    before = columns_of(network.layers[0]).copy()
    rewire(network, sparse.csr_array(X), y, "rigl", fraction=0.9)
    after = columns_of(network.layers[0])
    np.testing.assert_array_equal(before[5:9], after[5:9])
    assert (before != after).any()


def rare_features(n, sizes, seed=0):
    """Sparse rows of which most features are in few batches."""
    X, y = random_data(n, sizes[0], sizes[-1], seed=seed)
    rng = np.random.default_rng(seed)
    X *= rng.random(X.shape) < 0.3 * rng.random(sizes[0]) ** 6
    return sparse.csr_array(X), y


def test_features_not_seen_since_the_last_round_keep_their_connections():
    network, X, y = trained((200, 16, 3), (0.5, 1.0), sparse_rows=True)
    rewire(network, X, y)
    assert not network.layers[0].seen.any()
    seen = np.zeros(200, bool)
    for seed in range(3):  # calls, of which each may see others
        X, y = rare_features(40, (200, 3), seed)
        train(network, X, y, optimizer=ADAM, batch_size=10)
        seen[X.indices] = True
        np.testing.assert_array_equal(network.layers[0].seen, seen)
    assert 0 < seen.sum() < 200
    before = columns_of(network.layers[0]).copy()
    n_changed = rewire(network, X, y, fraction=0.9)
    after = columns_of(network.layers[0])
    np.testing.assert_array_equal((before != after).any(axis=1), seen)
    n_new = sum(map(len, map(np.setdiff1d, after, before)))
    assert n_changed[0] == n_new * network.layers[0].height
    assert not network.layers[0].seen.any()


#: `epsilon`: not every rounding error of a gradient near zero becomes a whole step.
SMOOTH = dataclasses.replace(ADAM, epsilon=1e-3)
OPTIMIZERS = {
    "adam": SMOOTH,
    "adamw": dataclasses.replace(SMOOTH, solver="adamw", weight_decay=0.1),
    "sgd": SGD,
    "averages": dataclasses.replace(SMOOTH, ema_decay=0.9),
}


@each_method
@pytest.mark.parametrize("alpha", [0.0, 0.01])
@pytest.mark.parametrize("solver", OPTIMIZERS)
@pytest.mark.parametrize("units", [8, 40])
def test_absent_features_catch_up_over_rounds(units, solver, alpha, method):
    sizes, density = (300, units, 3), (0.5, 1.0)
    X, y = rare_features(600, sizes)
    networks = []
    for n_rounds in (32, 3, 1):  # after so many, all features are up to date
        network = random_network(sizes, density, activation="tanh", sparse_rows=True)
        schedule = Rewiring(method, interval=4, end=40)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sparsenet._network.ROUNDS", n_rounds)
            loss = train(
                network, X, y, optimizer=OPTIMIZERS[solver], alpha=alpha,
                batch_size=10, rewiring=schedule,
            )  # fmt: skip
        assert len(schedule.rounds) == 10 and schedule.rounds[-1][0] == 40
        networks.append((network, loss, schedule.rounds))
    expected, loss, rounds = networks[-1]
    for network, its_loss, its_rounds in networks[:-1]:
        assert its_rounds == rounds
        assert its_loss == pytest.approx(loss, rel=1e-5)
        np.testing.assert_array_equal(network.births, expected.births)
        for layer, other in zip(network.layers, expected.layers, strict=True):
            np.testing.assert_allclose(layer.weights, other.weights, atol=1e-5)
            np.testing.assert_allclose(layer.bias, other.bias, atol=1e-5)
        layer, other = network.layers[0], expected.layers[0]
        for name in ("connections", "cohort", "seen"):
            np.testing.assert_array_equal(getattr(layer, name), getattr(other, name))
        np.testing.assert_allclose(layer.state, other.state, atol=1e-5)


# --- what always holds -------------------------------------------------------------


@each_method
@each_layout
@each_network
def test_rounds_keep_the_numbers_and_the_copies_of_weights(
    sizes, density, precision, method, sparse_rows
):
    network, X, y = trained(sizes, density, sparse_rows, precision)
    n_connections = [layer.n_connections for layer in network.layers]
    for _ in range(3):
        rewire(network, X, y, method)
        train(network, X, y, optimizer=ADAM, batch_size=65)
    rewire(network, X, y, method)
    assert [layer.n_connections for layer in network.layers] == n_connections
    for number, layer in enumerate(network.layers):
        columns = columns_of(layer)
        if columns is not None:
            assert (np.diff(columns, axis=1) > 0).all()
            assert 0 <= columns.min() and columns.max() < n_columns(layer)
        rounded = rounded_weights(layer)
        np.testing.assert_array_equal(stored_weights(layer), rounded)
        if layer.by_feature:
            continue
        if layer.n_in * layer.n_out > 1e6:
            continue
        forward = product_weights(layer)
        assert np.count_nonzero(forward) <= np.count_nonzero(rounded)
        if number > 0:
            np.testing.assert_array_equal(forward, transposed_weights(layer))


@pytest.mark.skipif(not HAS_OPENMP, reason="built without OpenMP: one thread")
@each_precision
@each_method
@each_layout
def test_threads_do_not_change_a_bit(precision, method, sparse_rows):
    states = []
    for n_threads in (1, 2, 5):
        network = random_network(
            (300, 90, 110, 3), (0.1, 0.2, 1.0), precision=precision,
            sparse_rows=sparse_rows,
        )  # fmt: skip
        X, y = rows_of_data(700, (300, 3), sparse_rows)
        schedule = Rewiring(method, interval=2, end=9)
        train(
            network, X, y, optimizer=ADAM, batch_size=70, n_threads=n_threads,
            rewiring=schedule,
        )  # fmt: skip
        assert [step for step, _ in schedule.rounds] == [2, 4, 6, 8]
        cohorts = [layer.cohort.ravel() for layer in network.layers[:2]]
        states.append((state(network), *cohorts, np.array(schedule.rounds[0][1])))
    for other in states[1:]:
        for actual, expected in zip(other, states[0], strict=True):
            np.testing.assert_array_equal(actual, expected)


@each_method
def test_a_hidden_unit_that_lost_its_last_output_gets_another(method):
    sizes, density = (12, 64, 32, 2), (1.0, 0.13, 1.0)
    network, X, y = trained(sizes, density)
    layer = network.layers[1]
    # A unit that is used once only, by the smallest weight of a row: sure to go.
    columns = columns_of(layer)
    weights = layer.weights.reshape(*columns.shape, -1)
    for unit in range(0, 64, 2):
        rows = np.flatnonzero((columns == unit).any(axis=1))
        for row in rows:
            weights[row, columns[row] == unit] = 1e-9
    rewire(network, X, y, method, fraction=0.6)
    assert np.bincount(layer.indices, minlength=64).min() > 0
    np.testing.assert_array_equal(product_weights(layer), transposed_weights(layer))


def test_a_unit_that_lost_its_last_input_gets_another():
    network, X, y = trained((30, 12, 2), (0.2, 1.0), sparse_rows=True)
    layer = network.layers[0]
    n_blocks = 12 // layer.height
    lost = np.isin(layer.connections, (1, n_blocks // 2))
    layer.weights[np.repeat(lost, layer.height, axis=1)] = 1e-9
    rewire(network, X, y, fraction=0.6)
    assert np.bincount(layer.connections.ravel(), minlength=n_blocks).min() > 0
    np.testing.assert_array_equal(stored_weights(layer), rounded_weights(layer))


def test_more_columns_than_connections_are_left_without():
    network, X, y = trained((10, 300, 4), (0.9, 0.03))
    assert network.layers[1].fan_in == 9
    rewire(network, X, y, fraction=0.9)
    assert (np.bincount(network.layers[1].indices, minlength=300) <= 1).all()


def test_units_without_a_gradient_keep_their_connections():
    network, X, y = trained((20, 18, 13, 3), (0.5, 0.7, 1.0))
    network.layers[0].bias[:4] = -1e6  # relu: dead
    before = columns_of(network.layers[0]).copy()
    rewire(network, X, y, "rigl", fraction=0.9)
    after = columns_of(network.layers[0])
    n_rows = 4 // network.layers[0].height
    np.testing.assert_array_equal(before[:n_rows], after[:n_rows])
    assert (before[n_rows:] != after[n_rows:]).any()


# --- ages --------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [0.0, 0.9, 3.0])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@each_layout
def test_moments_of_new_connections_are_corrected_by_their_age(
    exponent, alpha, sparse_rows
):
    optimizer = dataclasses.replace(ADAM, density_exponent=exponent)
    sizes, density = (20, 18, 13, 3), (0.5, 0.7, 1.0)
    network, X, y = trained(
        sizes, density, sparse_rows, activation="tanh", optimizer=optimizer
    )
    n_steps = network.n_steps
    for _ in range(3):
        rewire(network, X, y, optimizer=optimizer)
        births = []
        for layer in network.layers:
            born = np.zeros(layer.n_connections, np.int64)
            if layer.cohort is not None:
                born = network.births[layer.cohort.ravel()]
            births.append(born)
        twin = reference_network.DenseNetwork(network)
        twin.n_steps = n_steps
        twin.moments = dense_moments(network)
        twin.births = [
            dense_like(network, number, born) for number, born in enumerate(births)
        ]
        train(network, X, y, optimizer=optimizer, alpha=alpha)
        rows = X.toarray() if sparse_rows else X
        reference_network.reference_step(twin, rows, y, None, optimizer, alpha)
        n_steps += 1
        for (weights, _), expected in zip(
            parameters(network), twin.weights, strict=True
        ):
            atol = 1e-4 * optimizer.learning_rate * 0.5**-exponent
            np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=atol)
    assert len(network.births) == 4


def dense_like(network, number, values):
    """(n_out, n_in) of one value for each connection of a layer."""
    layer = network.layers[number]
    if not layer.is_sparse:
        return np.zeros((layer.n_out, layer.n_in), values.dtype)
    shape = layer.weights.shape
    return dense(layer, values.reshape(shape))


def dense_moments(network):
    moments = []
    for layer in network.layers:
        if layer.by_feature:
            planes = (plane.reshape(layer.n_in, -1) for plane in planes_of(layer)[1:])
            of_weights = [dense(layer, plane) for plane in planes]
            of_bias = list(layer.moments)
        else:
            of_weights = [dense(layer, moment) for moment in layer.moments[:2]]
            of_bias = list(layer.moments[2:])
        moments.append([of_weights, of_bias])
    return moments


def test_old_cohorts_join_the_first_one():
    fast = Optimizer("adam", 0.01, beta_1=0.5, beta_2=0.9)  # old after 158 steps
    network, X, y = trained((20, 18, 13, 3), (0.5, 0.7, 1.0), optimizer=fast)
    for _ in range(200):
        rewire(network, X, y, optimizer=fast)
        train(network, X, y, optimizer=fast, batch_size=65)
    ages = network.n_steps - network.births
    assert len(ages) == 80 and ages[0] == network.n_steps and ages[1] == 158
    assert max(layer.cohort.max() for layer in network.layers[:2]) == 79


def test_gradient_descent_needs_no_ages():
    network, X, y = trained((20, 18, 13, 3), (0.5, 0.7, 1.0), optimizer=SGD)
    rewire(network, X, y, optimizer=SGD)
    assert len(network.births) == 1
    assert all(layer.cohort is None for layer in network.layers)
    train(network, X, y, optimizer=SGD)
    assert network.is_finite()


@pytest.mark.skipif(not HAS_OPENMP, reason="built without OpenMP: one thread")
def test_more_threads_than_columns():
    sizes, density = (20, 9, 4000, 3), (1.0, 0.9, 0.01)
    expected = None
    for n_threads in (1, 48):
        network, X, y = trained(sizes, density)
        for _ in range(5):
            rewire(network, X, y, n_threads=n_threads)
        layer = network.layers[1]
        actual = layer.transpose_position.ravel().copy()
        np.testing.assert_array_equal(np.sort(actual), np.arange(len(actual)))
        np.testing.assert_array_equal(product_weights(layer), transposed_weights(layer))
        expected = actual if expected is None else expected
        np.testing.assert_array_equal(actual, expected)
