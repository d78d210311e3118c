"""How long networks of tables train."""

import pytest

from sparsenet._tables.recipe import (
    batch_size_of,
    epochs_of,
    n_knots_of,
    rewire_interval_of,
)


@pytest.mark.parametrize(
    ("n_samples", "size"),
    [(1, 1), (20, 20), (100, 32), (3000, 64), (10_000, 256), (10**6, 256)],
)
def test_batches_are_a_fiftieth_of_the_samples_within_bounds(n_samples, size):
    assert batch_size_of("auto", n_samples) == size
    assert batch_size_of(77, n_samples) == 77


@pytest.mark.parametrize(
    ("n_samples", "n_outputs", "epochs"),
    [(10, 1, 200), (1500, 2, 42), (1500, 8, 83), (12_500, 8, 20), (10**6, 2, 8)],
)
def test_small_tables_are_seen_often(n_samples, n_outputs, epochs):
    assert epochs_of("auto", n_samples, n_outputs) == epochs
    assert epochs_of(3, n_samples, n_outputs) == 3


@pytest.mark.parametrize(
    ("n_epochs", "n_samples", "interval"), [(1, 3, 1), (2, 320, 4), (1000, 320, 100)]
)
def test_connections_change_five_times_or_oftener(n_epochs, n_samples, interval):
    assert rewire_interval_of(n_epochs, n_samples, 32) == interval


@pytest.mark.parametrize(
    ("n_samples", "n_numbers", "n_knots"),
    [(10**5, 0, 24), (10**5, 16, 16), (10**5, 100, 8), (2560, 5, 10), (10, 5, 4)],
)
def test_few_columns_of_many_rows_have_most_knots(n_samples, n_numbers, n_knots):
    assert n_knots_of(n_samples, n_numbers) == n_knots
