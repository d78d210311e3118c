"""Running averages of the parameters: against a twin, lazily, and through rewiring."""

import numpy as np
import pytest
import reference
from kernel_cases import each_isa, each_precision
from problems import dense, random_data, random_network, state, train
from reference_network import DenseNetwork, reference_step
from scipy.sparse import csr_array
from sklearn.base import clone
from small_estimators import BOTH, X, small

from sparsenet import SparseMLPClassifier
from sparsenet._kernels.testing.kernels import Kernels
from sparsenet._optimizer import Optimizer
from sparsenet._rewiring import Rewiring

each_rows = pytest.mark.parametrize("sparse_rows", [False, True])
SOLVERS = ("adam", "adamw", "sgd")


def rows_of(X, sparse_rows):
    return csr_array(X) if sparse_rows else X


def sparse_data(n):
    X, y = random_data(n)
    return np.where(np.random.default_rng(1).random(X.shape) < 0.1, X, 0), y


def twin_of_averages(twin, inputs, y, optimizer, batch_size, n_epochs):
    """What the running averages of weights are after these steps."""
    averages = [weights.copy() for weights in twin.weights]
    biases = [bias.copy() for bias in twin.biases]
    age = 0
    for _ in range(n_epochs):
        for begin in range(0, len(y), batch_size):
            batch = slice(begin, begin + batch_size)
            reference_step(twin, inputs[batch], y[batch], None, optimizer, 0.1)
            kept = min(optimizer.ema_decay, (1 + age) / (10 + age))
            age += 1
            for layer in range(len(averages)):
                averages[layer] *= kept
                averages[layer] += (1 - kept) * twin.weights[layer]
                biases[layer] *= kept
                biases[layer] += (1 - kept) * twin.biases[layer]
    return averages, biases


@each_rows
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("decay", [0.5, 0.95])
def test_averages_equal_the_twin(solver, decay, sparse_rows):
    network = random_network(activation="tanh", sparse_rows=sparse_rows)
    twin = DenseNetwork(network)
    inputs, y = sparse_data(300)
    optimizer = Optimizer(solver, 0.01, ema_decay=decay, weight_decay=1.0)
    for _ in range(2):  # the second epoch goes on with the first one's averages
        train(
            *(network, rows_of(inputs, sparse_rows), y),
            batch_size=6,
            alpha=0.1,
            optimizer=optimizer,
        )
    averages, biases = twin_of_averages(twin, inputs, y, optimizer, 6, 2)
    rated = network.averaged()
    for layer in range(len(averages)):
        for actual, expected in (
            (network.coefs[layer].toarray().T, twin.weights[layer]),
            (rated.coefs[layer].toarray().T, averages[layer]),
            (rated.intercepts[layer], biases[layer]),
        ):
            np.testing.assert_allclose(actual, expected, rtol=5e-4, atol=5e-5)


@each_isa
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fan_out", [1, 16, 20, 100])
@pytest.mark.parametrize("with_gradient", [False, True])
@pytest.mark.parametrize("n_cohorts", [1, 3])
def test_advance_keeps_averages(isa, solver, fan_out, with_gradient, n_cohorts):
    rng, n, n_steps = np.random.default_rng(fan_out), 9, 70
    optimizer = Optimizer(solver, 1e-2, weight_decay=1.0)
    n_moments = 1 if solver == "sgd" else 2
    stride = -(-fan_out // 16) * 16
    state = np.zeros((n, 2 + n_moments, stride), np.float32)
    state[:, :, :fan_out] = np.abs(rng.normal(size=(n, 2 + n_moments, fan_out)))
    begin = rng.integers(0, 30, n).astype(np.uint32)
    end = begin + rng.integers(1, 40, n).astype(np.uint32)
    gradient = None
    if with_gradient:
        gradient = np.zeros((n, stride), np.float32)
        gradient[:, :fan_out] = rng.normal(size=(n, fan_out))
    rates = rng.uniform(1e-3, 1e-2, (n_steps, n_cohorts)).astype(np.float32)
    inv_weight, kept, averaged = rng.uniform(0.8, 1, (3, n_steps)).astype(np.float32)
    cohort = np.zeros(n * fan_out + 64, np.uint16)
    if solver != "sgd":
        cohort[: n * fan_out] = rng.integers(0, n_cohorts, n * fan_out)
    actual = state.copy()
    Kernels(isa, "float32").advance(
        *(optimizer, 0.1, rates, inv_weight, actual, fan_out),
        *(np.arange(n, dtype=np.uint32), begin, end, gradient, cohort),
        kept=kept,
        averaged=averaged,
    )
    of_parameter = np.zeros((n, stride), int)
    of_parameter[:, :fan_out] = cohort[: n * fan_out].reshape(n, fan_out)
    exact = np.zeros((n, 3, stride))
    exact[:, : 1 + n_moments] = state[:, :-1]
    average = state[:, -1].astype(float)
    for i in range(n):
        for step in range(begin[i], end[i]):
            first = gradient if step == begin[i] else None
            exact[i : i + 1] = reference.advance(
                *(optimizer, 0.1, rates.astype(float)[:, of_parameter[i : i + 1]]),
                *(inv_weight, exact[i : i + 1], [step], [step + 1]),
                None if first is None else first[i : i + 1],
                kept,
            )
            average[i] += (1 - averaged[step]) * (exact[i, 0] - average[i])
    np.testing.assert_allclose(actual[:, 0], exact[:, 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(actual[:, -1], average, rtol=1e-5, atol=1e-5)


@each_rows
@each_precision
@pytest.mark.parametrize("method", ["set", "rigl"])
def test_averages_follow_their_connections(method, precision, sparse_rows):
    inputs, y = sparse_data(200)
    network = random_network(precision=precision, sparse_rows=sparse_rows)
    rows = rows_of(inputs, sparse_rows)
    optimizer = Optimizer("adam", 0.01, ema_decay=0.9)
    rewiring = Rewiring(method, interval=4, fraction=0.3, end=10**9)
    train(network, rows, y, batch_size=50, optimizer=optimizer, rewiring=rewiring)
    new = []
    for layer, rated in zip(network.layers, network.averaged().layers, strict=True):
        weights, averages = dense(layer, layer.weights), dense(rated, rated.weights)
        assert layer.is_sparse == rated.is_sparse
        new.append((weights == 0) & (averages != 0))
        # A weight that has just come into being is 0, and so is its average.
        assert not new[-1].any()
    still = Optimizer("adam", 0.0, ema_decay=0.9)
    before = [layer.weights.copy() for layer in network.layers]
    for _ in range(30):
        train(network, rows, y, batch_size=50, optimizer=still)
    for layer, rated, weights in zip(
        network.layers, network.averaged().layers, before, strict=True
    ):
        np.testing.assert_array_equal(layer.weights, weights)
        np.testing.assert_allclose(rated.weights, weights, atol=1e-4)


@each_rows
@each_precision
def test_averages_depend_on_no_number_of_threads(precision, sparse_rows):
    inputs, y = random_data(2000, 20, 3)
    states = []
    for n_threads in (1, 2, 3):
        network = random_network(precision=precision, sparse_rows=sparse_rows)
        optimizer = Optimizer("adam", 0.01, ema_decay=0.9)
        options = {"batch_size": 500, "optimizer": optimizer}
        rows = rows_of(inputs, sparse_rows)
        train(network, rows, y, n_threads=n_threads, **options)
        states.append(state(network.averaged(), moments=False))
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(states[0], states[2])


@each_precision
@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize("method", ["static", "set", "rigl", "gradual"])
def test_fit_ends_with_the_averages(estimator, y, precision, container, method):
    options = {"sparse_training": method, "rewire_interval": 3, "batch_size": 50}
    options |= {"precision": precision, "density": 0.3}
    rows = container(X)
    plain = small(estimator, **options).fit(rows, y)
    model = small(estimator, ema_decay=0.8, **options).fit(rows, y)
    # The same training, whose end is looked at from afar.
    assert model.loss_curve_ == plain.loss_curve_
    pairs = list(zip(model.coefs_, plain.coefs_, strict=True))
    assert all((a.indices == b.indices).all() for a, b in pairs)
    assert any((a.data != b.data).any() for a, b in pairs)
    assert not model._network.has_averages


@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_early_stopping_looks_at_the_averages(container):
    y = BOTH[0][1]
    model = small(
        *(SparseMLPClassifier,),
        ema_decay=0.9,
        early_stopping=True,
        max_iter=30,
    ).fit(container(X), y)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert not model._network.has_averages


def test_a_warm_start_begins_new_averages():
    y = BOTH[0][1]
    options = {"ema_decay": 0.9, "warm_start": True}
    model = small(SparseMLPClassifier, **options).fit(X, y)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    first = model.loss_
    assert model.fit(X, y).loss_ < first


def test_partial_fit_refuses_averages():
    model = SparseMLPClassifier(ema_decay=0.9)
    with pytest.raises(
        ValueError, match=r"partial_fit does not support ema_decay=0\.9"
    ):
        model.partial_fit(X, BOTH[0][1], classes=range(10))


def test_lbfgs_refuses_what_it_cannot_do():
    for options in (
        {"ema_decay": 0.9},
        {"dropout": 0.1},
        {"dropout": [0.2]},
        {"max_grad_norm": 1},
    ):
        model = SparseMLPClassifier((8,), solver="lbfgs", **options)
        name = next(iter(options))
        with pytest.raises(ValueError, match=rf"{name}=.*allowed with solver='lbfgs'"):
            model.fit(X, BOTH[0][1])
