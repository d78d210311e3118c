"""Sample weights and sizes of networks: what is allowed, and what an error says."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import SVC

from sparsenet import SparseMLPClassifier, prune
from sparsenet import _validation as validation


@pytest.mark.parametrize("value", [2, 2.0, np.float64(2), np.array(2), Fraction(2)])
def test_a_number_is_a_weight_for_every_sample(value):
    weights = validation.check_sample_weight(SVC(), value, 3)
    assert weights.dtype == np.float64
    assert weights.tolist() == [2, 2, 2]


def test_sample_weight_none_stays_none():
    assert validation.check_sample_weight(SVC(), None, 3) is None


@given(weights=st.lists(st.floats(0, 1e300), min_size=1, max_size=20))
def test_weights_that_are_not_all_zero_pass_as_float64(weights):
    expected = np.array(weights, np.float64)
    if expected.any():
        checked = validation.check_sample_weight(SVC(), weights, len(weights))
        np.testing.assert_array_equal(checked, expected)
        assert checked.dtype == np.float64
    else:
        with pytest.raises(ValueError, match="SVC: sample_weight is zero for every"):
            validation.check_sample_weight(SVC(), weights, len(weights))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -1, 1], "sample_weight has the value -1"),
        ([1, math.nan, 1], "sample_weight contains NaN"),
        ([1, math.inf, 1], "sample_weight contains infinity"),
        ([1, 1], r"sample_weight has shape \(2,\); allowed: \(3,\)"),
        ([[1], [1], [1]], r"sample_weight has shape \(3, 1\)"),
        (-1, "sample_weight has the value -1"),
        (0, "sample_weight is zero for every row; allowed: a finite sum above 0"),
        (1e308, "sample_weight has the sum inf; allowed: a finite sum above 0"),
        (math.nan, "sample_weight contains NaN"),
        (np.ones(3, "m8[s]"), "sample_weight has values of the type timedelta64"),
        (np.ma.masked_less([1, 2, 3], 2), "sample_weight has masked values"),
    ],
)
def test_bad_sample_weight_is_named(weights, message):
    with pytest.raises(ValueError, match=message):
        validation.check_sample_weight(SVC(), weights, 3)


def test_a_network_that_fits_passes():
    validation.check_network_size(SparseMLPClassifier(), (10, 100, 3), (10, 100))


def test_units_panels_and_threads_count():
    """Few connections, but 10 million units."""
    estimator, sizes, fan_ins = SparseMLPClassifier(), (1, 10**7, 1), (1, 10**7)
    many = {"batch_size": 200_000, "n_threads": 1}, {"batch_size": 1, "n_threads": 1000}
    for options in many:
        with pytest.raises(ValueError, match=r"training 10,000,001 units with batches"):
            validation.check_network_size(estimator, sizes, fan_ins, **options)


def test_a_network_larger_than_memory_is_refused():
    estimator = SparseMLPClassifier(hidden_layer_sizes=(10**7, 10**7))
    with pytest.raises(ValueError) as error:
        validation.check_network_size(
            estimator, (10, 10**7, 10**7, 2), (10, 10**6, 10**7)
        )
    assert "hidden_layer_sizes=(10000000, 10000000)" in str(error.value)
    assert "density='auto'" in str(error.value)
    assert "10,000,120,000,000 connections" in str(error.value)
    assert "GiB of this machine" in str(error.value)


@pytest.mark.parametrize(
    ("block_size", "n_connections"), [(1, "2,000,000,800"), (4, "8,000,000,800")]
)
def test_each_feature_of_sparse_rows_has_a_block_at_least(
    block_size, n_connections, monkeypatch
):
    monkeypatch.setattr(validation, "available_memory", lambda: 2**30)
    estimator = SparseMLPClassifier(block_size=block_size)
    sizes = 2 * 10**9, 400, 2
    with pytest.raises(ValueError, match=f"{n_connections} connections"):
        validation.check_network_size(estimator, sizes, (200, 400), sparse_rows=True)


def test_a_layer_with_too_many_units_is_refused():
    with pytest.raises(ValueError, match="2147483648"):
        validation.check_network_size(SparseMLPClassifier(), (2**31, 1, 1), (1, 1))


@pytest.mark.parametrize(
    ("dealt", "layer_sizes", "fan_ins"),
    [
        (True, (70_000, 10, 2), (70_000, 10)),
        (True, (10, 10, 70_000, 2), (10, 10, 8)),  # 70,000 outputs of each input
        (False, (10, 100, 70_000, 2), (10, 8, 8)),  # may become as many
    ],
)
def test_int8_sums_that_could_overflow_are_refused(dealt, layer_sizes, fan_ins):
    estimator = SparseMLPClassifier(precision="int8")
    with pytest.raises(ValueError, match=r"precision='int8'.* 70,000 connections"):
        validation.check_network_size(estimator, layer_sizes, fan_ins, dealt=dealt)
    estimator.set_params(precision="bfloat16")
    validation.check_network_size(estimator, layer_sizes, fan_ins, dealt=dealt)


@pytest.mark.parametrize(
    ("dealt", "layer_sizes", "fan_ins"),
    [
        (True, (10, 100, 70_000, 2), (10, 8, 8)),  # 5,834 outputs of an input
        (False, (10, 70_000, 2), (10, 8)),  # no gradient of X is summed
    ],
)
def test_int8_sums_that_cannot_overflow_pass(dealt, layer_sizes, fan_ins):
    estimator = SparseMLPClassifier(precision="int8")
    validation.check_network_size(estimator, layer_sizes, fan_ins, dealt=dealt)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_int8_sums_are_bounded_where_connections_begin_to_change():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 3)), np.arange(20) % 2
    model = SparseMLPClassifier(
        (100, 70_000), density=[1.0, 0.08, 0.001], precision="int8", max_iter=1,
        warm_start=True, sparse_training="static",
    )  # fmt: skip
    model.fit(X, y)
    expected = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"precision='int8'.* 70,000 connections"):
        model.set_params(sparse_training="set").fit(X, y)
    with pytest.raises(ValueError, match=r"precision='int8'.* 70,000 connections"):
        prune(model, [1.0, 0.08, 0.0005])
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_a_layer_whose_transpose_needs_wider_positions_is_refused(monkeypatch):
    monkeypatch.setattr(validation, "MAX_CONNECTIONS", 1000)
    with pytest.raises(ValueError, match="1,000 connections"):
        validation.check_network_size(SparseMLPClassifier(), (10, 100, 1), (10, 1))
