"""Schedules of rewiring, and networks that are pruned along one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import (
    PRECISIONS,
    dense,
    parameters,
    random_data,
    random_network,
    train,
)
from scipy import sparse

from sparsenet._optimizer import Optimizer
from sparsenet._rewiring import Rewiring

ADAM, SGD = Optimizer("adam", 0.01), Optimizer("sgd", 0.01)
ADAMW = Optimizer("adamw", 0.01, weight_decay=1.0)
pytestmark = pytest.mark.usefixtures("each_block_size")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


def rounds_of(schedule, n_steps):
    """Steps of the rounds until the network has had so many steps."""
    now = schedule.start
    while (steps := schedule.steps_to_round(now)) is not None:
        now += steps
        if now > n_steps:
            break
        schedule.rounds.append((now, ()))
        if schedule.method == "gradual":
            schedule.is_complete = schedule.position_at(now) >= schedule.last_pruning
    return [step for step, _ in schedule.rounds]


def test_rounds_come_after_every_interval_until_the_end():
    assert rounds_of(Rewiring("set", 100, 0.3, 450), 1000) == [100, 200, 300, 400]
    assert rounds_of(Rewiring("set", 100, 0.3, 400), 1000) == [100, 200, 300, 400]
    assert rounds_of(Rewiring("set", 100, 0.3, 450), 250) == [100, 200]
    assert rounds_of(Rewiring("static", 100, 0.3, 450), 1000) == []
    assert rounds_of(Rewiring("set", 100, 0.3, 30), 1000) == []


def test_a_round_comes_an_interval_after_that_of_a_call_before():
    rounds = [(200, ())]
    late = Rewiring("rigl", 100, 0.3, 450, position=250, start=250, rounds=rounds)
    assert rounds_of(late, 1000) == [200, 300, 400]
    # A schedule that begins anew has its rounds at the same distances,
    again = Rewiring("rigl", 100, 0.3, 150, start=250, rounds=[(200, ())])
    assert rounds_of(again, 1000) == [200, 300, 400]
    # and a round that was due at the end of the one before comes at once.
    due = Rewiring("rigl", 100, 0.3, 150, start=400, rounds=[(200, ())])
    assert rounds_of(due, 1000) == [200, 401, 501]
    after = Rewiring("rigl", 100, 0.3, 450, position=451, start=451)
    assert rounds_of(after, 1000) == []


def test_rounds_of_another_network_count_as_past():
    forgotten = Rewiring("set", 100, 0.3, 450, rounds=[(1300, ())])
    assert rounds_of(forgotten, 1000)[:2] == [1300, 100]


def test_a_short_training_is_pruned_in_one_round():
    assert rounds_of(Rewiring("gradual", 100, 0.3, 30), 40) == [30]
    assert rounds_of(Rewiring("gradual", 100, 0.3, 0), 1) == [1]


def test_pruning_that_calls_have_cut_comes_to_its_end():
    schedule = Rewiring("gradual", 10, 0.3, 20, position=35, start=35)
    assert schedule.is_pruning and schedule.steps_to_round(35) == 1
    schedule.is_complete = True
    assert not schedule.is_pruning and schedule.steps_to_round(35) is None
    assert Rewiring("set", 10, 0.3, 20, position=35).steps_to_round(0) is None
    # The position is told by the length of this call, rounds by steps.
    schedule = Rewiring(
        "gradual", 10, 0.3, 40, position=33, start=7, initial=(9,), final=(3,)
    )
    assert rounds_of(schedule, 100) == [10, 14]
    assert schedule.fan_ins_at(14) == [3]


def test_the_fraction_falls_along_half_a_cosine_wave():
    schedule = Rewiring("set", 10, 0.4, 100, position=10, start=60)
    fractions = [schedule.fraction_at(50 + done) for done in (0, 25, 50, 75, 100, 200)]
    root = np.sqrt(0.5)
    expected = [0.4, 0.2 * (1 + root), 0.2, 0.2 * (1 - root), 0, 0]
    np.testing.assert_allclose(fractions, expected, atol=1e-12)


@given(
    initial=st.integers(1, 10**6),
    kept=st.floats(0, 1),
    end=st.integers(1, 10**6),
    interval=st.integers(1, 10**6),
)
def test_pruning_ends_with_the_final_connections(initial, kept, end, interval):
    final = max(1, int(kept * initial))
    schedule = Rewiring(
        "gradual", interval, end=end, initial=(initial,), final=(final,)
    )
    before = initial
    for n_steps in sorted({0, schedule.last_pruning // 3, schedule.last_pruning}):
        (fan_in,) = schedule.fan_ins_at(n_steps)
        assert final <= fan_in <= before
        before = fan_in
    assert fan_in == final


def test_pruning_follows_the_cubic_schedule():
    schedule = Rewiring("gradual", 10, end=100, initial=(1000,), final=(100,))
    fan_ins = [schedule.fan_ins_at(n_steps)[0] for n_steps in (0, 50, 90)]
    assert fan_ins == [1000, 100 + round(900 / 8), 100 + round(900 / 1000)]


# --- networks ----------------------------------------------------------------------


@each_precision
@pytest.mark.parametrize("sparse_rows", [False, True])
@pytest.mark.parametrize("optimizer", [ADAM, ADAMW, SGD], ids=["adam", "adamw", "sgd"])
def test_a_network_is_pruned_from_dense_on(precision, sparse_rows, optimizer):
    sizes = (20, 18, 13, 3)
    network = random_network(
        sizes, (1.0, 1.0, 1.0), precision=precision, sparse_rows=sparse_rows
    )
    X, y = random_data(200)
    X = sparse.csr_array(X) if sparse_rows else X
    schedule = Rewiring("gradual", 2, end=8, initial=(20, 18, 13), final=(10, 4, 13))
    numbers = [[20 * 18, 18 * 13, 13 * 3]]
    for _ in range(4):
        train(
            network, X, y, optimizer=optimizer, batch_size=100, rewiring=schedule
        )  # fmt: skip
        numbers.append([layer.n_connections for layer in network.layers])
    assert numbers[-1] == [20 * 9 if sparse_rows else 10 * 18, 4 * 13, 13 * 3]
    # The schedule's last round, 8, would have pruned less than one connection.
    assert [step for step, _ in schedule.rounds] == [2, 4, 6]
    lost = -np.diff(numbers, axis=0)
    np.testing.assert_array_equal([n for _, n in schedule.rounds], lost[:3])
    assert (lost[:2, :2] > 0).all()
    assert np.isfinite(network.predict(X, 1)).all()
    # Every hidden unit is read by some unit of the next layer, where there are enough.
    layer = network.layers[1]
    unread = np.bincount(layer.indices, minlength=18) == 0
    assert unread.sum() == max(0, 18 - len(layer.indices))


@pytest.mark.parametrize("sparse_rows", [False, True])
def test_pruning_keeps_the_largest_weights_and_their_moments(sparse_rows):
    optimizer = replace(ADAM, density_exponent=0.0)  # which the twin does not know
    network = random_network((20, 18, 3), (1.0, 1.0), sparse_rows=sparse_rows)
    X, y = random_data(100)
    X = sparse.csr_array(X) if sparse_rows else X
    train(network, X, y, optimizer=optimizer)
    (before, _), _ = parameters(network)
    network.prune([10, 18])
    layer = network.layers[0]
    (after, _), _ = parameters(network)
    kept = after != 0
    np.testing.assert_array_equal(after[kept], before[kept])
    axis = 0 if sparse_rows else 1  # features, or units, keep as many each
    assert (kept.sum(axis=axis) == (9 if sparse_rows else 10)).all()
    height = 1 if sparse_rows else layer.height
    firsts = np.arange(0, 18, height)
    magnitudes = np.add.reduceat(np.abs(before), firsts, axis=0)
    whole = np.logical_and.reduceat(kept, firsts, axis=0)
    np.testing.assert_array_equal(np.repeat(whole, height, axis=0)[:18], kept)
    smallest = np.where(whole, magnitudes, np.inf).min(axis=axis, keepdims=True)
    assert (np.where(whole, 0, magnitudes) <= smallest).all()
    # Going on is going on with the moments: a twin with all of them.
    twin = random_network((20, 18, 3), (1.0, 1.0), sparse_rows=sparse_rows)
    train(twin, X, y, optimizer=optimizer)
    zeroed = twin.layers[0]
    if sparse_rows:
        zeroed.state[:, :, :18] *= kept.T[:, np.newaxis]
    else:
        mask = kept.T.reshape(20, -1)
        mask = np.pad(mask, ((0, 0), (0, 2))).reshape(20, 5, 4).transpose(1, 0, 2)
        for array in (zeroed.weights, *zeroed.moments[:2]):
            array.reshape(5, 20, 4)[...] *= mask
    np.testing.assert_array_equal(parameters(twin)[0][0], after)
    for net in (network, twin):
        train(net, X, y, optimizer=optimizer)
    assert layer.is_sparse
    (actual, _), (expected, _) = parameters(network)[0], parameters(twin)[0]
    np.testing.assert_allclose(actual[kept], expected[kept], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sparse_rows", [False, True])
def test_pruning_keeps_the_ages_of_connections(sparse_rows):
    network = random_network((20, 18, 13, 3), (0.6, 0.8, 1.0), sparse_rows=sparse_rows)
    X, y = random_data(100)
    X = sparse.csr_array(X) if sparse_rows else X
    train(
        network, X, y, optimizer=replace(ADAM, density_exponent=8.0), batch_size=10,
        rewiring=Rewiring("set", 5, 0.5, 100),
    )  # fmt: skip
    before = [
        dense(layer, layer.cohort.reshape(layer.weights.shape))
        for layer in network.layers[:2]
    ]
    network.prune([6, 9, 13])
    for layer, expected in zip(network.layers, before, strict=False):
        actual = dense(layer, layer.cohort.reshape(layer.weights.shape))
        connected = dense(layer, np.ones(layer.weights.shape))
        np.testing.assert_array_equal(actual, expected * (connected != 0))
        assert actual.any()
