"""Prediction that rates rows in the same pass."""

import signal
import sys

import numpy as np
import pytest
from problems import PRECISIONS, SIZES, random_data, random_network, train
from saved_networks import random_rows

from sparsenet._kernels._dispatch import LOSSES
from sparsenet._network import Data

N = 150  # two panels and a part of one
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_loss = pytest.mark.parametrize("loss", LOSSES)


def problem(precision="float32", loss="softmax", sparse_rows=False, n=N):
    network = random_network(precision=precision, loss=loss, sparse_rows=sparse_rows)
    X, y = random_data(n, loss=loss)
    if sparse_rows:
        X = random_rows(n)[0]
    weight = np.random.default_rng(3).random(n).astype(np.float32) + 0.1
    return network, Data(X, y, weight)


@each_precision
@each_loss
@pytest.mark.parametrize("sparse_rows", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_that_of_a_training_step(precision, loss, sparse_rows, weighted):
    network, data = problem(precision, loss, sparse_rows)
    if not weighted:
        data = data._replace(sample_weight=None)
    output, total = network.predict_with_loss(data, 1)
    np.testing.assert_array_equal(output, network.predict(data.X, 1))
    weight = data.sample_weight.sum(dtype=float) if weighted else N
    expected = train(network.copy(), data.X, data.y, data.sample_weight)
    assert total / weight == pytest.approx(expected, rel=1e-12)


@each_precision
@pytest.mark.parametrize("sparse_rows", [False, True])
def test_the_number_of_threads_changes_no_bit(precision, sparse_rows):
    network, data = problem(precision, sparse_rows=sparse_rows, n=1000)
    output, total = network.predict_with_loss(data, 1)
    for n_threads in (2, 3, 7):
        other, same = network.predict_with_loss(data, n_threads)
        np.testing.assert_array_equal(output, other)
        assert total == same


def test_rows_are_checked_before_they_are_rated():
    network, data = problem()
    with pytest.raises(ValueError, match="columns"):
        network.predict_with_loss(data._replace(X=data.X[:, 1:]), 1)
    with pytest.raises(ValueError, match="y has shape"):
        network.predict_with_loss(data._replace(y=data.y[1:]), 1)
    with pytest.raises(ValueError, match="class codes"):
        network.predict_with_loss(data._replace(y=data.y + SIZES[-1]), 1)
    network, data = problem(sparse_rows=True)
    with pytest.raises(TypeError, match="X is dense; allowed: CSR"):
        network.predict_with_loss(data._replace(X=data.X.toarray()), 1)


def test_no_rows_have_no_loss():
    network, data = problem(loss="squared_error")
    output, total = network.predict_with_loss(Data(data.X[:0], data.y[:0]), 1)
    assert output.shape == (0, SIZES[-1]) and total == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer signals")
def test_ctrl_c_ends_a_long_prediction():
    """Not when all rows are done: some have no output yet."""
    network = random_network((64, 1024, 1024, 3), (1.0, 1.0, 1.0))
    X = np.zeros((100_000, 64), np.float32)  # a second of work, and more
    out = np.full((len(X), 3), np.nan, np.float32)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            network._get_engine().predict(X, out, 2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert np.isnan(out[-1]).all()


@pytest.mark.parametrize("sparse_rows", [False, True])
def test_rows_beyond_those_between_two_looks_at_signals(sparse_rows):
    network = random_network((20, 2000, 600, 3), (1.0,) * 3, sparse_rows=sparse_rows)
    X, y = (random_rows if sparse_rows else random_data)(1500)  # 1.8e9 connections
    whole, loss = network.predict_with_loss(Data(X, y, None), 2)
    rows = [network.predict(X[i : i + 100], 1) for i in range(0, 1500, 100)]
    np.testing.assert_array_equal(whole, np.concatenate(rows))
    assert loss == network.predict_with_loss(Data(X, y, None), 1)[1]
