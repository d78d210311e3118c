"""Which rows train, which validate, and how output is rated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_network import FLAT, ScriptedNetwork, run, training_set

from sparsenet._training_set import TrainingSet


@pytest.mark.parametrize("n_classes", [2, 4])
def test_validation_rows_keep_the_shares_of_the_classes(n_classes):
    classes = np.arange(80) % n_classes
    rows, validation = training_set(80, classes).split(0.1, np.random.RandomState(0))
    assert set(np.bincount(classes[validation])) == {8 // n_classes}
    assert sorted([*rows, *validation]) == list(range(80))


@pytest.mark.parametrize(
    "classes",
    [
        pytest.param([0] * 39 + [1], id="a class with one row"),
        pytest.param([*range(20), *range(20)], id="more classes than validation rows"),
    ],
)
def test_validation_rows_are_plain_random_where_stratifying_is_impossible(classes):
    data = training_set(40, np.array(classes))
    rows, validation = data.split(0.1, np.random.RandomState(0))
    assert len(rows) == 36
    assert len(validation) == 4


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.99])
def test_too_few_rows_to_validate_or_train_on_name_the_parameter(fraction):
    with pytest.raises(ValueError, match=f"validation_fraction={fraction}.*allowed"):
        run(ScriptedNetwork(), early_stopping=True, validation_fraction=fraction)


def test_rows_are_rated_in_chunks_with_their_weights():
    seen, decided_of = [], []

    def decide(output):
        decided_of.append(len(output))
        return output[:, 0] > 0.5

    def score(y, decided, sample_weight):
        seen.append((len(y), decided.shape, sample_weight.sum()))
        return 0.5

    n = 3000
    X, y, twos = np.zeros((n, 1)), np.zeros((n, 1)), np.full(n, 2.0)
    data = TrainingSet(X, y, None, decide, score, rated_weight=twos)
    rating = data.rate(ScriptedNetwork(outputs=FLAT), np.arange(2500), 1)
    assert rating == (
        0.5,
        2.0,
    )  # the script's losses; what all weights are is no matter
    assert decided_of == [1024, 1024, 452]
    assert seen == [(2500, (2500,), 5000)]


@given(
    weights=st.lists(st.floats(0.1, 10), min_size=1, max_size=20),
    factor=st.floats(1e-290, 1e290),
)
def test_a_common_factor_of_weights_is_divided_out(weights, factor):
    weights = np.array([*weights, 0.0])
    plain, scaled = training_set_of(weights), training_set_of(weights * factor)
    assert plain.rows.tolist() == [*range(len(weights) - 1)]
    assert plain.sample_weight.dtype == np.float32
    assert plain.sample_weight[plain.rows].mean() == pytest.approx(1, rel=1e-6)
    assert plain.mean_weight == pytest.approx(weights[:-1].mean())
    assert scaled.mean_weight == pytest.approx(factor * plain.mean_weight)
    np.testing.assert_allclose(scaled.sample_weight, plain.sample_weight, rtol=1e-6)


def test_weights_that_are_equal_become_exactly_1():
    for weight in (5e-324, 1e-40, 0.1, 3.0, 1e300):
        assert (training_set_of(np.full(7, weight)).sample_weight == 1).all()


def training_set_of(weights):
    y = np.zeros(len(weights))
    return TrainingSet(y[:, np.newaxis], y, weights, decide=None, score=None)
