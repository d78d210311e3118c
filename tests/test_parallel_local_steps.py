"""Outer steps, and what they carry over a round of rewiring."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
from problems import PRECISIONS, dense, random_data, random_network, train
from reference_parallel import Sums, group_of_threads, in_threads
from scipy import sparse

from sparsenet._network import Data
from sparsenet._optimizer import Optimizer
from sparsenet._parallel.group import DataParallel
from sparsenet._parallel.local_steps import (
    LocalSteps,
    carried,
    connections_of,
    parameters_of,
    set_parameters,
)
from sparsenet._rewiring import Rewiring

pytestmark = pytest.mark.usefixtures("each_block_size")
each_layout = pytest.mark.parametrize("sparse_rows", [False, True])
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
ADAM = Optimizer("adam", 0.01)
OPTIONS = {"interval": 5, "learning_rate": 1.0, "momentum": 0.0, "compression": None}


def local_steps(member, share=0.5, **options):
    return LocalSteps(member, share, **OPTIONS | options)


def rows_of(sparse_rows, n=130, seed=0, **options):
    X, y = random_data(n, seed=seed, **options)
    X[X < 0.3] = 0
    return (sparse.csr_array(X) if sparse_rows else X), y


def trained(sparse_rows=False, **options):
    network = random_network(sparse_rows=sparse_rows, **options)
    train(network, *rows_of(sparse_rows), optimizer=ADAM, batch_size=65)
    return network


def schedule(network, method, fraction=0.8):
    return Rewiring(
        method, fraction=fraction, end=100, position=50, start=network.n_steps
    )


def round_of(network, method, data, rows):
    """A round in the midst of a schedule."""
    if method == "gradual":
        network.prune((4, 3, 7))
        return
    network._number_cohorts(ADAM)
    network._rewire(data, rows, ADAM, schedule(network, method), 1)


def values_of(network, flat):
    """{(layer, output, input): value} of connections, {(layer, output): value}."""
    values, begin = {}, 0
    for number, layer in enumerate(network.layers):
        end = begin + layer.weights.size
        weights = dense(layer, flat[begin:end].reshape(layer.weights.shape))
        there = dense(layer, np.ones(layer.weights.shape, bool))
        for place in np.argwhere(there):
            values[(number, *place.tolist())] = weights[tuple(place)]
        begin, end = end, end + len(layer.bias)
        values |= {(number, unit): value for unit, value in enumerate(flat[begin:end])}
        begin = end
    assert begin == len(flat)
    return values


@each_layout
@each_precision
def test_parameters_can_be_taken_and_given_back(sparse_rows, precision):
    network = trained(sparse_rows, precision=precision)
    other = trained(sparse_rows, precision=precision, seed=0)
    flat = parameters_of(network)
    assert flat.dtype == np.float32
    set_parameters(other, flat + 1)
    np.testing.assert_array_equal(parameters_of(other), flat + 1)
    set_parameters(other, flat)
    X, _ = rows_of(sparse_rows)
    np.testing.assert_array_equal(other.predict(X, 1), network.predict(X, 1))


@each_layout
@pytest.mark.parametrize("method", ["set", "rigl", "gradual"])
def test_connections_have_ascending_keys(sparse_rows, method):
    network = trained(sparse_rows)
    data = Data(*rows_of(sparse_rows))
    for _ in range(2):
        for (keys, of_each), layer in zip(
            connections_of(network), network.layers, strict=True
        ):
            assert keys.dtype == np.int64
            assert (np.diff(keys) > 0).all()
            assert len(keys) * of_each == layer.weights.size
        round_of(network, method, data, np.arange(65))


@each_layout
@pytest.mark.parametrize("method", ["set", "rigl", "gradual"])
def test_values_are_carried_to_connections_that_are_still_there(sparse_rows, method):
    network = trained(sparse_rows)
    before, old = connections_of(network), copy.deepcopy(network)
    flat = np.random.default_rng(0).uniform(1, 2, parameters_of(network).size)
    flat = flat.astype(np.float32)
    round_of(network, method, Data(*rows_of(sparse_rows)), np.arange(65))
    after = connections_of(network)
    taken = carried(flat, before, after, network)
    assert taken.shape == parameters_of(network).shape
    expected, actual = values_of(old, flat), values_of(network, taken)
    if method != "gradual":
        assert expected.keys() != actual.keys()
    for key, value in actual.items():
        layer = key[0]
        blocks_are_others = len(key) == 3 and before[layer][1] != after[layer][1]
        assert value == (0 if blocks_are_others else expected.get(key, 0))


def test_a_dense_layer_that_is_pruned_starts_from_zero():
    network = random_network(density=(1.0, 0.4, 1.0))
    before = connections_of(network)
    network.prune((10, 8, 13))
    after = connections_of(network)
    flat = np.ones(sum(len(k) * n for k, n in before) + 18 + 13 + 3, np.float32)
    taken = carried(flat, before, after, network)
    of_first = values_of(network, taken)
    is_other = before[0][1] != after[0][1]
    for key, value in of_first.items():
        assert value == (0 if is_other and key[0] == 0 and len(key) == 3 else 1)


@pytest.mark.parametrize("compression", [None, "bfloat16", "int8"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("learning_rate", [1.0, 0.7])
def test_outer_steps_are_those_of_the_twin(compression, momentum, learning_rate):
    shares = [0.5, 0.3, 0.2]
    first = parameters_of(random_network())
    rng = np.random.default_rng(0)
    moves = 0.1 * rng.standard_normal((4, 3, first.size)).astype(np.float32)

    def shared(member):
        network = random_network()
        steps = local_steps(
            member,
            shares[member.rank],
            learning_rate=learning_rate,
            momentum=momentum,
            compression=compression,
        )
        steps.begin(network)
        parameters = []
        for move in moves:
            set_parameters(network, parameters_of(network) + move[member.rank])
            network.steps += 1
            steps.step(network)
            parameters.append(parameters_of(network))
        assert steps.n_outer_steps == len(moves)
        return parameters

    actual = in_threads(shared, group_of_threads(3))
    sums = Sums(3, first.size, compression, feedback=compression is not None)
    expected, velocity = [first], np.zeros_like(first)
    for move in moves:
        members = expected[-1] + move
        mean = sums.of((expected[-1] - members) * np.float32(shares)[:, np.newaxis])
        velocity = np.float32(momentum) * velocity + mean
        mean = mean + np.float32(momentum) * velocity
        expected.append(expected[-1] - np.float32(learning_rate) * mean)
    for parameters in actual:
        np.testing.assert_array_equal(parameters, expected[1:])


def test_no_outer_step_without_steps():
    (member,) = group_of_threads(1)
    network = random_network()
    steps = local_steps(member, 1.0)
    steps.begin(network)
    steps.step(network)
    assert steps.n_outer_steps == 0


def test_an_outer_step_comes_after_each_interval():
    (member,) = group_of_threads(1)
    network = random_network()
    steps = local_steps(member, 1.0, interval=3)
    network.steps += 7
    steps.begin(network)
    for n_steps, left, n_outer in [(8, 2, 0), (9, 1, 0), (10, 0, 1), (11, 2, 1)]:
        network.steps[0] = n_steps
        assert steps.steps_left(n_steps) == left
        steps.meet(network, is_last=False)
        assert steps.n_outer_steps == n_outer
    steps.meet(network, is_last=True)
    assert steps.n_outer_steps == 2


def test_members_have_different_noise():
    seeds = {local_steps(member).noise_seed(12345) for member in group_of_threads(5)}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert local_steps(group_of_threads(2)[0]).noise_seed(12345) == 12345


def test_an_interrupt_of_one_member_ends_all():
    def meet(member):
        network = random_network()
        steps = local_steps(member)
        steps.begin(network)
        member.interrupt = member.rank == 1
        network.steps += 5
        steps.meet(network, is_last=False)

    # A future would pass on no KeyboardInterrupt, but end with it.
    def interrupted(member):
        with pytest.raises(KeyboardInterrupt):
            meet(member)
        return True

    assert in_threads(interrupted, group_of_threads(3)) == [True] * 3


# --- rounds ------------------------------------------------------------------------

SHARES = [0.5, 0.3, 0.2]


def data_of(rank, sparse_rows, weighted):
    X, y = rows_of(sparse_rows, 50, seed=10 + rank)
    weights = np.random.default_rng(rank).uniform(0.1, 2, 50).astype(np.float32)
    return Data(X, y, weights if weighted and rank != 1 else None)


def round_together(member, method, sparse_rows=False, weighted=False, **options):
    """A round after steps of each member on data of its own."""
    network = trained(sparse_rows)
    network._number_cohorts(ADAM)
    steps = local_steps(member, SHARES[member.rank], **options)
    steps.begin(network)
    data = data_of(member.rank, sparse_rows, weighted)
    network.train_epoch(data, np.arange(50), batch_size=20, optimizer=ADAM, n_threads=1)
    rated = steps.before_round(network, data, np.arange(40, 50), method)
    before = copy.deepcopy(network)
    network._rewire(*rated, ADAM, schedule(network, method), 1)
    steps.after_round(network)
    return steps, before, network


@each_layout
@pytest.mark.parametrize("method", ["set", "rigl"])
@pytest.mark.parametrize("weighted", [False, True])
def test_members_choose_the_same_connections(sparse_rows, method, weighted):
    first, *others = in_threads(
        lambda member: round_together(member, method, sparse_rows, weighted),
        group_of_threads(3),
    )
    _, before, network = first
    for _, _, other in others:
        for (mine, _), (theirs, _) in zip(
            connections_of(network), connections_of(other), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(parameters_of(network), parameters_of(other))
    assert any(
        not np.array_equal(old, new)
        for (old, _), (new, _) in zip(
            connections_of(before), connections_of(network), strict=True
        )
    )


@each_layout
@pytest.mark.parametrize("weighted", [False, True])
def test_connections_grow_where_the_gathered_batch_shows(sparse_rows, weighted):
    members = in_threads(
        lambda member: round_together(member, "rigl", sparse_rows, weighted),
        group_of_threads(3),
    )
    # A third of each batch of 10, rounded up.
    parts = [data_of(rank, sparse_rows, weighted) for rank in range(3)]
    X = [part.X[40:44] for part in parts]
    weights = [
        np.ones(50, np.float32) if part.sample_weight is None else part.sample_weight
        for part in parts
    ]
    gathered = Data(
        sparse.csr_array(sparse.vstack(X)) if sparse_rows else np.vstack(X),
        np.concatenate([part.y[40:44] for part in parts]),
        np.concatenate([of_part[40:44] for of_part in weights]),
    )
    _, alone, _ = members[0]
    alone._rewire(gathered, np.arange(12), ADAM, schedule(alone, "rigl"), 1)
    for (mine, _), (theirs, _) in zip(
        connections_of(alone), connections_of(members[1][2]), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_what_any_member_has_seen_all_have_seen():
    def seen(member):
        network = trained(sparse_rows=True)
        first = network.layers[0]
        first.seen[:] = np.arange(first.n_in) % 3 == member.rank
        steps = local_steps(member)
        steps.begin(network)
        steps.before_round(network, data_of(0, True, False), np.arange(5), "set")
        return first.seen

    np.testing.assert_array_equal(
        in_threads(seen, group_of_threads(2)), [np.arange(20) % 3 < 2] * 2
    )


def test_set_needs_no_samples_of_others():
    (member,) = group_of_threads(1)
    network, data, batch = trained(), data_of(0, False, False), np.arange(5)
    steps = local_steps(member)
    steps.begin(network)
    rated = steps.before_round(network, data, batch, "set")
    assert rated[0] is data
    assert rated[1] is batch


@each_layout
def test_velocity_and_residual_of_new_connections_are_zero(sparse_rows):
    options = {"momentum": 0.9, "compression": "bfloat16"}
    for steps, before, network in in_threads(
        lambda member: round_together(member, "rigl", sparse_rows, **options),
        group_of_threads(3),
    ):
        old = values_of(before, np.ones_like(parameters_of(before)))
        assert len(steps.velocity) == len(steps.residuals.of_values.values)
        velocity = values_of(network, steps.velocity)
        residual = values_of(network, steps.residuals.of_values.values)
        new = velocity.keys() - old.keys()
        assert new
        assert all(velocity[key] == residual[key] == 0 for key in new)
        kept = velocity.keys() & old.keys()
        assert sum(velocity[key] != 0 for key in kept) > len(kept) / 2
        assert sum(residual[key] != 0 for key in kept) > len(kept) / 4
        assert steps.residuals.of_sums.values is None
        np.testing.assert_array_equal(steps.shared, parameters_of(network))


def test_members_with_different_connections_are_told_so():
    def call(member):
        network = random_network(seed=0)
        steps = local_steps(member)
        steps.begin(network)
        steps.connections = connections_of(network)
        steps.after_round(random_network(seed=member.rank))

    for error in in_threads(call, group_of_threads(2)):
        assert isinstance(error, RuntimeError)
        assert "SPARSENET_ISA" in str(error)


def test_members_that_start_with_different_networks_are_told_so():
    def call(member):
        group = DataParallel(member, **OPTIONS)
        network, data = random_network(seed=member.rank), SimpleNamespace(rows=[])
        group.begin_all_rows(network, data)

    for error in in_threads(call, group_of_threads(2)):
        assert isinstance(error, RuntimeError)
        assert "start with different networks" in str(error)
