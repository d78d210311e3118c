"""Dropout: the kernel against its twin, steps against the reference, predictions."""

import numpy as np
import pytest
import reference
from kernel_cases import SEEDS, each_isa, each_precision
from problems import (
    PRECISIONS,
    parameters,
    random_data,
    random_network,
    state,
    train,
)
from reference import LANES
from reference_network import DenseNetwork, reference_step
from scipy.sparse import csr_array
from small_estimators import BOTH, LABELS, X, small

from sparsenet import SparseMLPClassifier
from sparsenet._kernels._dispatch import ACTIVATIONS
from sparsenet._kernels.testing.kernels import Kernels
from sparsenet._optimizer import Optimizer

SHARES = (0.3, 0.6)
OPTIMIZER = Optimizer("adam", 0.01, dropout=SHARES)
each_rows = pytest.mark.parametrize("sparse_rows", [False, True])


@each_isa
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("threshold", [1, 6554, 32768, 65535])
def test_drop(isa, seed, threshold):
    z = np.random.default_rng(0).standard_normal((7, LANES)).astype(np.float32)
    actual = z.copy()
    Kernels(isa, "float32").drop(actual, 5, threshold, seed)
    expected = reference.drop(z, 5, threshold, seed)
    np.testing.assert_array_equal(actual == 0, expected == 0)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@each_isa
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_drop_leaves_out_its_share_and_keeps_the_mean(isa, share):
    n = 4000
    z = np.ones((n, LANES), np.float32)
    Kernels(isa, "float32").drop(z, 0, round(65536 * share), 3)
    deviation = np.sqrt(share * (1 - share))
    # Of all of them, and of each lane: five standard errors.
    for axis, count in ((None, z.size), (0, n)):
        left_out = (z == 0).mean(axis=axis)
        assert np.abs(left_out - share).max() < 5 * deviation / np.sqrt(count)
    error = np.sqrt(share / (1 - share) / z.size)
    np.testing.assert_allclose(z.mean(dtype=float), 1, atol=5 * error)
    # Neighbours are drawn apart; pairs that share one are not.
    dropped = z == 0
    deviation = share * np.sqrt(1 - share**2 + 2 * share * (1 - share))
    for pair in (dropped[1:] & dropped[:-1], dropped[:, 1:] & dropped[:, :-1]):
        assert abs(pair.mean() - share**2) < 5 * deviation / np.sqrt(pair.size)


@each_rows
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_size", [1, 63, 64, 65, 130])
def test_steps_equal_the_reference(activation, batch_size, sparse_rows):
    network = random_network(activation=activation, sparse_rows=sparse_rows)
    twin = DenseNetwork(network)
    n = 2 * batch_size + 1
    inputs, y = random_data(n)
    rows = csr_array(inputs) if sparse_rows else inputs
    train(network, rows, y, batch_size=batch_size, optimizer=OPTIMIZER)
    for begin in range(0, n, batch_size):
        batch = slice(begin, begin + batch_size)
        reference_step(twin, inputs[batch], y[batch], None, OPTIMIZER, alpha=0.0)
    for layer, coef in enumerate(network.coefs):
        np.testing.assert_allclose(
            coef.toarray().T, twin.weights[layer], rtol=2e-4, atol=2e-5
        )


@each_rows
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("precision", [p for p in PRECISIONS if p != "float32"])
def test_low_precision_is_close(precision, activation, sparse_rows):
    inputs, y = random_data(300, 64, 10)
    optimizer = Optimizer("sgd", 1.0, momentum=0.0, dropout=SHARES)
    changes = []
    for of in ("float32", precision):
        network = random_network(
            *((64, 130, 100, 10), (0.2, 0.2, 1.0)),
            activation=activation,
            precision=of,
            sparse_rows=sparse_rows,
        )
        before = parameters(network)
        train(
            network,
            csr_array(inputs) if sparse_rows else inputs,
            y,
            optimizer=optimizer,
        )
        changes.append(
            [
                a - b
                for layers in zip(parameters(network), before, strict=True)
                for a, b in zip(*layers, strict=True)
            ]
        )
    for exact, rounded in zip(*changes, strict=True):
        cosine = np.vdot(exact, rounded) / (
            np.linalg.norm(exact) * np.linalg.norm(rounded)
        )
        assert cosine > 0.98


@each_rows
@each_precision
def test_what_is_left_out_depends_on_no_number_of_threads(precision, sparse_rows):
    inputs, y = random_data(3000, 20, 3)
    rows = csr_array(inputs) if sparse_rows else inputs
    states = []
    for n_threads in (1, 2, 3):
        network = random_network(precision=precision, sparse_rows=sparse_rows)
        train(
            *(network, rows, y),
            batch_size=500,
            optimizer=OPTIMIZER,
            n_threads=n_threads,
        )
        states.append(state(network))
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(states[0], states[2])


def test_none_is_left_out_where_the_share_is_0():
    inputs, y = random_data(200)
    states = []
    for dropout in ((), (0.0, 0.0), (0.0, 0.5)):
        network = random_network()
        optimizer = Optimizer("adam", 0.01, dropout=dropout)
        train(network, inputs, y, batch_size=50, optimizer=optimizer)
        states.append(state(network))
    np.testing.assert_array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])


@each_precision
@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_estimators_predict_with_all_units(estimator, y, precision, container):
    model = small(estimator, precision=precision, dropout=0.3).fit(container(X), y)
    np.testing.assert_array_equal(model.predict(X)[:7], model.predict(X[:7]))
    plain = small(estimator, precision=precision).fit(container(X), y)
    assert model.loss_ != plain.loss_


def test_one_share_stands_for_all_hidden_layers():
    losses = [
        small(SparseMLPClassifier, hidden_layer_sizes=(20, 20), dropout=dropout)
        .fit(X, LABELS)
        .loss_
        for dropout in (0.25, [0.25, 0.25], (0.25, 0.0))
    ]
    assert losses[0] == losses[1] != losses[2]
