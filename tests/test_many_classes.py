"""Networks with so many outputs that the input gradient takes them tile by tile."""

import numpy as np
import pytest
from problems import (
    PRECISIONS,
    gradient,
    parameters,
    random_data,
    random_network,
    state,
    train,
)
from reference_network import DenseNetwork, reference_step

from sparsenet._network import Data
from sparsenet._optimizer import Optimizer
from sparsenet._rewiring import Rewiring

pytestmark = pytest.mark.usefixtures("each_block_size")
#: 2 connections of an output, whose gradient is found panel by panel; 20; and all 25.
each_density = pytest.mark.parametrize("density", [0.08, 0.8, 1.0])
each_loss = pytest.mark.parametrize("loss", ["softmax", "focal_softmax", "logistic"])

#: Neither fills a tile, a part or a panel. 64 samples of each output, in one byte and
#: in four, are more than half of a small L2.
N_CLASSES, N_FOR_FLOAT32 = 8205, 2061
SGD = Optimizer("sgd", 0.1, momentum=0.0, density_exponent=0.0)


def problem(density, loss="softmax", precision="float32", n_classes=N_FOR_FLOAT32):
    network = random_network(
        (20, 25, n_classes), (1.0, density), activation="tanh", loss=loss,
        precision=precision,
    )  # fmt: skip
    return network, *random_data(70, 20, n_classes, loss)


def assert_parameters_are_close(network, twin):
    expected = zip(twin.weights, twin.biases, strict=True)
    for layer, exact in zip(parameters(network), expected, strict=True):
        for actual, array in zip(layer, exact, strict=True):
            np.testing.assert_allclose(actual, array, rtol=1e-5, atol=1e-6)


@each_density
@each_loss
def test_a_step_equals_the_reference(density, loss):
    network, X, y = problem(density, loss)
    twin = DenseNetwork(network)
    train(network, X, y, optimizer=SGD)
    reference_step(twin, X, y, None, SGD, alpha=0.0)
    assert_parameters_are_close(network, twin)


def test_tiles_follow_a_round_of_rewiring():
    network, X, y = problem(0.08)
    train(network, X, y, optimizer=SGD)
    rows = np.arange(len(X))
    schedule = Rewiring("set", fraction=0.5, end=100, start=network.n_steps)
    assert sum(network._rewire(Data(X, y), rows, SGD, schedule, 1)) > 0
    twin = DenseNetwork(network)
    train(network, X, y, optimizer=SGD)
    reference_step(twin, X, y, None, SGD, alpha=0.0)
    assert_parameters_are_close(network, twin)


@each_density
@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_low_precision_gradients_are_close(density, precision):
    exact, rounded = (
        gradient(*problem(density, precision=name, n_classes=N_CLASSES))
        for name in ("float32", precision)
    )
    for layer in zip(rounded, exact, strict=True):
        for actual, expected in zip(*layer, strict=True):
            error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
            # int8 rounds small deltas at random, by the scale of the correct class's.
            assert error < (0.15 if precision == "int8" else 0.05)


@each_density
@pytest.mark.parametrize("precision", PRECISIONS)
def test_threads_change_no_bit(density, precision):
    states = []
    for n_threads in (1, 2, 3):
        network, X, y = problem(density, precision=precision, n_classes=N_CLASSES)
        assert 3 * network.n_connections * 128 > 2e6  # what threads are started for
        train(network, X, y, optimizer=SGD, n_threads=n_threads)
        states.append(state(network))
    np.testing.assert_array_equal(states[1], states[0])
    np.testing.assert_array_equal(states[2], states[0])
