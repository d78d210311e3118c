"""Encoders of a column, against NumPy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import ndtr
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from sparsenet._tables.column_encoders import CategoryEncoder, NumberEncoder


def dense(encoder, values):
    """The columns that a network sees."""
    columns, entries = encoder.encode(values)
    encoded = np.zeros((len(values), encoder.n_columns))
    for column, entry in zip(columns, entries, strict=True):
        encoded[np.arange(len(values)), column] += entry
    return encoded


def normal(n=1000, seed=0):
    return np.random.default_rng(seed).normal(size=n)


def test_hat_functions_are_splines_of_degree_1():
    values = normal()
    encoder = NumberEncoder(10).fit(values)
    assert encoder.knots[0] == values.min() and encoder.knots[-1] == values.max()
    spline = SplineTransformer(
        n_knots=10, degree=1, knots=encoder.knots[:, None], extrapolation="constant"
    ).fit(values[:, None])
    far = np.array([-100.0, 100.0, 0.0, *encoder.knots])
    np.testing.assert_allclose(
        dense(encoder, far)[:, 1:], spline.transform(far[:, None]), atol=1e-12
    )


def test_knots_are_at_quantiles_and_at_frequent_values():
    values = np.concatenate([np.zeros(900), np.arange(1.0, 101.0)])
    knots = NumberEncoder(5).fit(values).knots
    # A ninth of the samples would have got all knots but two, were 0 not one of them.
    np.testing.assert_array_equal(knots, [0, 1, 34, 67, 100])


def test_few_values_are_knots_all_of_them():
    values = np.array([3.0, 1.0, 7.0, 1.0])
    encoder = NumberEncoder(16).fit(values)
    np.testing.assert_array_equal(encoder.knots, [1, 3, 7])
    expected = np.eye(3)[[1, 0, 2, 0]]
    np.testing.assert_array_equal(dense(encoder, values)[:, 1:], expected)


@pytest.mark.parametrize("values", [[1.0, 2.0], [5.0, 5.0], [np.nan, np.nan]])
def test_there_are_no_hat_functions_of_two_values(values):
    assert len(NumberEncoder(16).fit(np.array(values)).knots) == 0


@pytest.mark.parametrize("n_knots", [0, 1, 2])
def test_there_are_no_hat_functions_of_few_knots(n_knots):
    assert NumberEncoder(n_knots).fit(normal()).n_columns == 1


def test_numbers_get_normal_scores():
    values = normal(10_000)
    scores = dense(NumberEncoder(0).fit(values), values)[:, 0]
    ranks = (values.argsort().argsort() + 0.5) / len(values)
    np.testing.assert_allclose(ndtr(scores), ranks, atol=2e-3)
    # Whatever their scale, and however far away others are.
    large = dense(NumberEncoder(0).fit(values * 1e290), values * 1e290)[:, 0]
    np.testing.assert_allclose(large, scores, atol=1e-9)
    far = NumberEncoder(0).fit(np.append(values, 1e300))
    middle = np.abs(scores) < 2.5
    np.testing.assert_allclose(dense(far, values)[middle, 0], scores[middle], atol=0.02)
    assert np.abs(dense(far, np.array([-1e300, 1e300]))).max() == 3


def test_numbers_next_to_0_are_0():
    values = np.array([1e-320, 1e-310, *np.linspace(0, 1, 98)])
    encoder = NumberEncoder(16).fit(values)
    assert np.isfinite(dense(encoder, np.array([2e-320, 0.0, -5e-324]))).all()


def test_equal_numbers_get_the_middle_of_their_ranks():
    values = np.array([0.0] * 8 + [1.0] * 2)
    scores = dense(NumberEncoder(0).fit(values), np.array([0.0, 1.0]))[:, 0]
    np.testing.assert_allclose(ndtr(scores), [0.4, 0.9])


def test_a_constant_says_nothing():
    encoder = NumberEncoder(16).fit(np.full(5, 7.0))
    np.testing.assert_array_equal(dense(encoder, np.array([7.0, 8.0])), [[0], [0]])


def test_missing_numbers_have_a_column_if_training_has_some():
    values = np.array([1.0, np.nan, 2.0, 3.0])
    encoder = NumberEncoder(3).fit(values)
    assert encoder.names("a") == ["a", "a__missing", "a__hat0", "a__hat1", "a__hat2"]
    np.testing.assert_array_equal(dense(encoder, values)[1], [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(dense(encoder, values)[[0, 2], 1], [0, 0])
    complete = NumberEncoder(3).fit(values[[0, 2, 3]])
    assert complete.names("a") == ["a", "a__hat0", "a__hat1", "a__hat2"]
    np.testing.assert_array_equal(dense(complete, np.array([np.nan])), [[0, 0, 0, 0]])


finite = st.floats(allow_nan=True, allow_infinity=False)


@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=finite),
    hnp.arrays(np.float64, st.integers(1, 10), elements=finite),
    st.integers(0, 20),
)
def test_any_number_is_encoded_as_few_small_ones(training, values, n_knots):
    encoder = NumberEncoder(n_knots).fit(training)
    encoded = dense(encoder, values)
    assert np.isfinite(encoded).all() and np.abs(encoded).max(initial=0) <= 3
    hats = encoded[:, 1 + encoder.has_missing :]
    if hats.shape[1]:
        present = ~np.isnan(values)
        np.testing.assert_allclose(hats[present].sum(axis=1), 1)
        assert (hats >= 0).all() and ((hats > 0).sum(axis=1) <= 2).all()
        assert not hats[~present].any()


def test_categories_are_one_hot():
    values = np.array(["b", "a", None, "c", "b", "a", None], dtype=object)
    encoder = CategoryEncoder(1).fit(values)
    assert encoder.names("x") == ["x=a", "x=b", "x=c", "x__missing"]
    theirs = OneHotEncoder(sparse_output=False).fit_transform(values[:, None])
    np.testing.assert_array_equal(dense(encoder, values), theirs)
    # Training has not seen it, and there are no rare ones: it has no non-zero.
    np.testing.assert_array_equal(
        dense(encoder, np.array(["z"], object)), np.zeros((1, 4))
    )


def test_rare_and_unknown_categories_share_a_place():
    values = np.array(["a"] * 5 + ["b"] * 4 + ["c", None], dtype=object)
    encoder = CategoryEncoder(4).fit(values)
    assert encoder.names("x") == ["x=a", "x=b", "x__rare"]
    theirs = OneHotEncoder(min_frequency=4, handle_unknown="infrequent_if_exist")
    theirs.fit(values[:, None])
    new = np.array(["a", "b", "c", None, "z"], dtype=object)
    np.testing.assert_array_equal(
        dense(encoder, new), theirs.transform(new[:, None]).toarray()
    )
