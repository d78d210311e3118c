"""From a density to connections."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsenet._topology import (
    AUTO_MIN_FAN_IN,
    MIN_FAN_IN,
    erdos_renyi_densities,
    fan_ins,
    index_dtype,
    largest_connections,
    random_connections,
)

widths = st.integers(1, 3000)
layer_sizes = st.lists(widths, min_size=2, max_size=6)
densities = st.floats(1e-6, 1, exclude_min=True)


@pytest.mark.parametrize(
    ("n_inputs", "dtype"),
    [(1, np.uint16), (2**16, np.uint16), (2**16 + 1, np.uint32), (2**32, np.uint32)],
)
def test_index_dtype_holds_the_last_index(n_inputs, dtype):
    assert index_dtype(n_inputs) == dtype
    assert np.iinfo(dtype).max >= n_inputs - 1


# --- densities ---------------------------------------------------------------------


def test_erdos_renyi_is_proportional_to_the_perimeter_over_the_area():
    shapes = [(1000, 500), (500, 2000)]
    first, second = erdos_renyi_densities(0.01, shapes)
    assert first / second == pytest.approx((1500 / 500_000) / (2500 / 1_000_000))


def test_erdos_renyi_gives_the_surplus_of_a_full_layer_to_the_others():
    shapes = [(10, 10), (1000, 1000), (1000, 1000)]
    first, second, third = erdos_renyi_densities(0.1, shapes)
    assert first == 1 and second == third
    assert second == pytest.approx((0.1 * 2_000_100 - 100) / 2_000_000)


@given(densities, st.lists(st.tuples(widths, widths), min_size=1, max_size=6))
def test_erdos_renyi_spends_the_whole_budget(density, shapes):
    sizes = np.array([n_in * n_out for n_in, n_out in shapes])
    spread = np.array(erdos_renyi_densities(density, shapes))
    assert np.all((spread > 0) & (spread <= 1 + 1e-12))
    assert np.dot(spread, sizes) == pytest.approx(density * sizes.sum())


def test_erdos_renyi_of_no_layers_and_of_dense_ones():
    assert erdos_renyi_densities(0.5, []) == []
    assert erdos_renyi_densities(1.0, [(3, 4), (4, 100)]) == [1, 1]


# --- fan-ins -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_inputs", "fan_in"),
    [
        (1, 1),
        (31, 31),
        (32, 32),
        (33, 32),
        (640, 64),
        (641, 64),
        (784, 78),
        (4096, 410),
    ],
)
def test_auto_keeps_a_tenth_and_at_least_32(n_inputs, fan_in):
    assert fan_ins("auto", (n_inputs, 1000, 10)) == [fan_in, 1000]


def test_the_output_layer_is_dense_unless_it_has_a_density_of_its_own():
    sizes = (784, 1000, 1000, 10)
    assert fan_ins("auto", sizes)[-1] == fan_ins(0.1, sizes)[-1] == 1000
    assert fan_ins((0.1, 0.2, 0.5), sizes) == [78, 200, 500]
    assert fan_ins("auto", (784, 10)) == fan_ins(0.1, (784, 10)) == [784]


def test_one_density_is_that_of_all_hidden_layers_together():
    sizes = (784, 1024, 1024, 10)
    fan_in = fan_ins(0.1, sizes)
    connections = 1024 * (fan_in[0] + fan_in[1])
    # Rounding moves a fan-in by at most one half.
    assert abs(connections - 0.1 * 1024 * (784 + 1024)) <= 1024
    assert fan_in[0] / 784 > fan_in[1] / 1024  # the narrower is the denser


@given(st.data(), layer_sizes)
def test_fan_ins_stay_within_their_limits(data, sizes):
    n_layers = len(sizes) - 1
    kind = data.draw(st.sampled_from(["auto", "one", "each"]))
    density, least = "auto", AUTO_MIN_FAN_IN
    if kind != "auto":
        least = MIN_FAN_IN
        each = st.lists(densities, min_size=n_layers, max_size=n_layers)
        density = data.draw(densities if kind == "one" else each)
    result = fan_ins(density, sizes)
    assert len(result) == n_layers
    for n_inputs, fan_in in zip(sizes, result, strict=False):
        assert isinstance(fan_in, int)
        assert min(least, n_inputs) <= fan_in <= n_inputs
    if kind == "each":
        for n_inputs, fan_in, d in zip(sizes, result, density, strict=False):
            if MIN_FAN_IN < fan_in:
                assert abs(fan_in - d * n_inputs) <= 0.5


@given(layer_sizes)
def test_density_one_is_dense(sizes):
    assert fan_ins(1.0, sizes) == fan_ins([1.0] * (len(sizes) - 1), sizes) == sizes[:-1]


@given(densities, densities, layer_sizes)
def test_a_larger_density_has_no_fewer_connections(a, b, sizes):
    low, high = sorted((a, b))
    total = [np.dot(fan_ins(d, sizes), sizes[1:]) for d in (low, high)]
    assert total[0] <= total[1]


# --- connections -------------------------------------------------------------------


@given(st.data(), st.integers(1, 200), st.integers(1, 100), st.integers(0, 2**32))
def test_random_connections(data, n_inputs, n_outputs, seed):
    fan_in = data.draw(st.integers(1, n_inputs))
    rng = np.random.default_rng(seed)
    connections = random_connections(n_inputs, n_outputs, fan_in, rng)
    assert connections.shape == (n_outputs, fan_in)
    assert connections.dtype == index_dtype(n_inputs)
    assert np.all(np.diff(connections.astype(int), axis=1) > 0)
    assert connections.max() < n_inputs
    # Each permutation of the inputs uses none of them twice.
    permutations = -(-n_outputs // (n_inputs // fan_in))
    assert np.bincount(connections.ravel()).max() <= permutations
    again = random_connections(n_inputs, n_outputs, fan_in, np.random.default_rng(seed))
    np.testing.assert_array_equal(connections, again)


def test_connections_differ_between_seeds_and_permutations():
    first, second = (
        random_connections(100, 20, 10, np.random.default_rng(seed)) for seed in (0, 1)
    )
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[:10], first[10:])


def test_every_pair_of_inputs_is_possible():
    """The pieces of a permutation are random sets, not neighbours."""
    connections = random_connections(12, 6000, 2, np.random.default_rng(0))
    pairs, counts = np.unique(connections, axis=0, return_counts=True)
    assert len(pairs) == 12 * 11 / 2
    # 6000 / 66 = 91 expected; five standard deviations of a Poisson count.
    assert np.all(np.abs(counts - 6000 / 66) < 5 * np.sqrt(6000 / 66))


def test_uniform_distribution_gives_hidden_layers_one_density():
    sizes = (1000, 200, 100, 10)
    assert fan_ins(0.1, sizes, "uniform") == [100, 20, 100]
    assert fan_ins(0.1, sizes) != fan_ins(0.1, sizes, "uniform")
    # It spreads a single number only.
    for density in ("auto", (0.1, 0.2, 0.3)):
        assert fan_ins(density, sizes) == fan_ins(density, sizes, "uniform")


# --- pruning -----------------------------------------------------------------------


@given(
    n_rows=st.integers(1, 20),
    length=st.integers(1, 30),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_the_largest_weights_of_each_row_are_kept(n_rows, length, share, seed):
    n_kept = max(1, int(share * length))
    weights = np.random.default_rng(seed).standard_normal((n_rows, length))
    kept = largest_connections(weights, n_kept, np.arange(length)[np.newaxis])
    expected = np.argsort(-np.abs(weights), axis=1)[:, :n_kept]
    np.testing.assert_array_equal(kept, np.sort(expected, axis=1))


@pytest.mark.parametrize("sparse", [False, True])
def test_a_column_that_would_lose_all_keeps_its_largest(sparse):
    rng = np.random.default_rng(0)
    weights = rng.uniform(1, 2, (30, 40))
    columns = np.arange(40)[np.newaxis]
    if sparse:  # rows have other columns, ascending
        columns = np.sort(rng.permuted(np.tile(np.arange(60), (30, 1)), axis=1)[:, :40])
    lost = [3, 17, 39]
    tiny = np.isin(np.broadcast_to(columns, weights.shape), lost)
    weights[tiny] = rng.uniform(1e-3, 1e-2, tiny.sum())
    n_columns = int(columns.max()) + 1
    kept = largest_connections(weights, 10, columns, n_columns)
    assert (np.diff(kept, axis=1) > 0).all()
    of_kept = np.take_along_axis(np.broadcast_to(columns, weights.shape), kept, axis=1)
    assert np.bincount(of_kept.ravel(), minlength=n_columns).min() >= 1
    for column in lost:
        row, place = np.argwhere(of_kept == column)[0]
        here = np.broadcast_to(columns, weights.shape) == column
        assert weights[row, kept[row, place]] == weights[here].max()
    without = largest_connections(weights, 10, columns)
    changed = (kept != without).any(axis=1).sum()
    assert 1 <= changed <= len(lost)


def test_columns_beyond_the_connections_that_are_kept_are_left_without():
    kept = largest_connections(np.ones((2, 50)), 5, np.arange(50)[np.newaxis], 50)
    assert kept.shape == (2, 5)
    assert len(np.unique(kept)) == 10
