"""Clipping gradients by their norm: its kernel, whole steps, threads."""

import numpy as np
import pytest
from kernel_cases import each_isa, each_precision
from problems import parameters, random_data, random_network, state, train
from reference_network import DenseNetwork, reference_step
from scipy.sparse import csr_array
from small_estimators import BOTH, X, small

from sparsenet._kernels.testing.kernels import Kernels
from sparsenet._optimizer import Optimizer

each_rows = pytest.mark.parametrize("sparse_rows", [False, True])


def rows_of(X, sparse_rows):
    return csr_array(X) if sparse_rows else X


def sparse_data(n):
    X, y = random_data(n)
    return np.where(np.random.default_rng(1).random(X.shape) < 0.3, X, 0), y


@each_isa
@pytest.mark.parametrize("n", [0, 1, 7, 16, 17, 63, 64, 65, 4096, 5000])
def test_sum_of_squares(isa, n):
    x = np.random.default_rng(n).standard_normal(n + 1).astype(np.float32)
    x[n] = np.nan  # another task's
    kernels, expected = Kernels(isa, "float32"), (x[:n].astype(float) ** 2).sum()
    np.testing.assert_allclose(kernels.sum_of_squares(x[:n]), expected, rtol=1e-5)
    huge = kernels.sum_of_squares(x[:n] * np.float32(1e25), 1e-25)
    np.testing.assert_allclose(huge, expected, rtol=1e-5)


@each_rows
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("max_norm", [1e-3, 0.3, 100.0])
@pytest.mark.parametrize("batch_size", [1, 63, 64, 65])
def test_steps_equal_the_reference(solver, max_norm, batch_size, sparse_rows):
    network = random_network(activation="tanh", sparse_rows=sparse_rows)
    twin = DenseNetwork(network)
    inputs, y = sparse_data(2 * batch_size + 1)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y)).astype(np.float32)
    optimizer = Optimizer(solver, 0.02, max_grad_norm=max_norm)
    rows = rows_of(inputs, sparse_rows)
    options = {"batch_size": batch_size, "optimizer": optimizer, "alpha": 0.5}
    train(network, rows, y, weight, **options)
    for begin in range(0, len(y), batch_size):
        batch = slice(begin, begin + batch_size)
        reference_step(twin, inputs[batch], y[batch], weight[batch], optimizer, 0.5)
    for layer, coef in enumerate(network.coefs):
        np.testing.assert_allclose(
            coef.toarray().T, twin.weights[layer], rtol=2e-4, atol=2e-5
        )


@each_rows
@each_precision
def test_a_step_of_descent_is_at_most_as_long(precision, sparse_rows):
    inputs, y = sparse_data(300)
    rows = rows_of(inputs, sparse_rows)
    changes = {}
    for max_norm in (None, 0.01, 1e6):
        network = random_network(precision=precision, sparse_rows=sparse_rows)
        before = parameters(network)
        options = {"momentum": 0.0, "density_exponent": 0.0}
        optimizer = Optimizer("sgd", 1.0, max_grad_norm=max_norm, **options)
        train(network, rows, y, optimizer=optimizer)
        after = parameters(network)
        changes[max_norm] = np.concatenate(
            [
                (a - b).ravel()
                for layers in zip(after, before, strict=True)
                for a, b in zip(*layers, strict=True)
            ]
        )
    np.testing.assert_array_equal(changes[1e6], changes[None])
    length = np.linalg.norm(changes[0.01])
    np.testing.assert_allclose(length, 0.01, rtol=1e-3)
    direction = changes[None] / np.linalg.norm(changes[None])
    np.testing.assert_allclose(changes[0.01] / length, direction, atol=1e-4)


@each_rows
@pytest.mark.parametrize("weight", [1e-25, 1e25])
def test_the_norm_does_not_depend_on_the_scale_of_sample_weights(weight, sparse_rows):
    inputs, y = sparse_data(200)
    optimizer = Optimizer("sgd", 1.0, momentum=0.0, max_grad_norm=0.01)
    trained = []
    for of_all in (1.0, weight):
        network = random_network(activation="tanh", sparse_rows=sparse_rows)
        weights = np.full(200, of_all, np.float32)
        train(
            *(network, rows_of(inputs, sparse_rows), y, weights),
            batch_size=50,
            optimizer=optimizer,
        )
        trained.append(np.concatenate([coef.data for coef in network.coefs]))
    np.testing.assert_allclose(*trained, rtol=1e-4, atol=1e-6)


@each_rows
@each_precision
def test_the_norm_depends_on_no_number_of_threads(precision, sparse_rows):
    inputs, y = random_data(3000, 200, 3)
    inputs = np.where(np.random.default_rng(1).random(inputs.shape) < 0.1, inputs, 0)
    rows = rows_of(inputs, sparse_rows)
    states = []
    for n_threads in (1, 2, 5):
        sizes = (200, 70, 30, 3), (0.3, 0.4, 1.0)
        network = random_network(*sizes, precision=precision, sparse_rows=sparse_rows)
        optimizer = Optimizer("adam", 0.01, max_grad_norm=0.05)
        options = {"batch_size": 500, "optimizer": optimizer}
        train(network, rows, y, n_threads=n_threads, **options)
        states.append(state(network))
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(states[0], states[2])


@each_precision
@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize("density", [1.0, 0.3])
def test_estimators_take_it(estimator, y, precision, container, density):
    options = {"precision": precision, "density": density, "sparse_training": "static"}
    rows = container(X)
    losses = [
        small(estimator, max_grad_norm=norm, **options).fit(rows, y).loss_
        for norm in (None, 1e30, 1e-3)
    ]
    assert losses[0] == losses[1] != losses[2]
