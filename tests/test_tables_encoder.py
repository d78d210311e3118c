"""The encoder of tables."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sparsenet import SparseMLPClassifier, TableEncoder

TABLE = pd.DataFrame(
    {
        "size": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0],
        "color": ["red", "red", "blue", None, "blue", "green"],
        "old": [True, False, True, True, False, True],
    }
)
Y = np.array([0, 0, 1, 1, 0, 1])


def encoder(**parameters):
    return TableEncoder(**{"min_count": 2, "n_knots": 3} | parameters)


def test_a_table_becomes_a_matrix_with_names():
    fitted = encoder().fit(TABLE)
    encoded = fitted.transform(TABLE)
    names = fitted.get_feature_names_out().tolist()
    assert names == [
        "size", "size__missing", "size__hat0", "size__hat1", "size__hat2",
        "color=blue", "color=red", "color__rare", "old",
    ]  # fmt: skip
    assert encoded.dtype == np.float32 and encoded.shape == (6, len(names))
    by_name = dict(zip(names, encoded.T, strict=True))
    np.testing.assert_array_equal(by_name["size__missing"], TABLE["size"].isna())
    np.testing.assert_array_equal(by_name["color=red"], TABLE["color"] == "red")
    np.testing.assert_array_equal(by_name["color__rare"], [0, 0, 0, 1, 0, 1])
    assert len(np.unique(by_name["old"])) == 2


def test_fit_transform_is_fit_and_transform():
    expected = encoder().fit(TABLE).transform(TABLE)
    np.testing.assert_array_equal(encoder().fit_transform(TABLE), expected)
    loaded = pickle.loads(pickle.dumps(encoder().fit(TABLE)))
    np.testing.assert_array_equal(loaded.transform(TABLE), expected)
    polars = pl.DataFrame(
        {name: list(TABLE[name].replace({np.nan: None})) for name in TABLE}
    )
    np.testing.assert_array_equal(encoder().fit_transform(polars), expected)
    objects = TABLE.astype(object).to_numpy()
    np.testing.assert_array_equal(encoder().fit_transform(objects), expected)


@pytest.mark.parametrize("sparse_output", [True, False])
def test_large_tables_are_encoded_some_rows_at_a_time(sparse_output, monkeypatch):
    whole = encoder(sparse_output=sparse_output).fit(TABLE)
    expected = csr_array(whole.transform(TABLE)).toarray()
    monkeypatch.setattr("sparsenet._tables.encoder.ROWS_AT_ONCE", 4)
    encoded = encoder(sparse_output=sparse_output).fit_transform(TABLE)
    np.testing.assert_array_equal(csr_array(encoded).toarray(), expected)


def test_rows_do_not_depend_on_each_other():
    fitted = encoder().fit(TABLE)
    encoded = fitted.transform(TABLE)
    for row in range(len(TABLE)):
        one = fitted.transform(TABLE.iloc[[row]])
        np.testing.assert_array_equal(one[0], encoded[row])


def test_many_rare_categories_make_a_sparse_matrix():
    words = pd.DataFrame({"word": [f"w{n % 200}" for n in range(1000)]})
    fitted = TableEncoder(min_count=1).fit(words)
    encoded = fitted.transform(words)
    assert isinstance(encoded, csr_array) and encoded.has_canonical_format
    assert encoded.shape == (1000, 200) and encoded.nnz == 1000
    assert isinstance(fitted.transform(words[:1]), csr_array)
    # Training on them goes by their non-zeros.
    labels = np.arange(1000) % 200 < 100
    model = SparseMLPClassifier(
        (16,), max_iter=200, learning_rate="cosine", random_state=0
    )
    assert make_pipeline(fitted, model).fit(words, labels).score(words, labels) == 1


@pytest.mark.parametrize(
    ("n_samples", "n_columns", "n_knots"),
    [(7000, 1, 24), (7000, 16, 16), (3000, 60, 8), (2560, 1, 10), (20, 60, 4)],
)
def test_few_columns_of_many_rows_have_most_hat_functions(
    n_samples, n_columns, n_knots
):
    X = np.random.default_rng(0).random((n_samples, n_columns))
    fitted = TableEncoder().fit(X)
    assert {len(column.knots) for column in fitted.columns_} == {n_knots}


@pytest.mark.parametrize("sparse_output", [True, False])
def test_the_matrix_is_sparse_where_asked_for(sparse_output):
    fitted = encoder(sparse_output=sparse_output).fit(TABLE)
    encoded = fitted.transform(TABLE)
    assert isinstance(encoded, csr_array) == sparse_output
    dense = encoder().fit_transform(TABLE)
    np.testing.assert_array_equal(csr_array(encoded).toarray(), dense)


def test_names_may_be_handed_over():
    fitted = encoder(n_knots=0).fit(TABLE.to_numpy())
    names = fitted.get_feature_names_out(["a", "b", "c"])
    assert names[:2].tolist() == ["a", "a__missing"]
    with pytest.raises(ValueError, match=r"input_features=.*; allowed: the 3 names"):
        fitted.get_feature_names_out(["a"])
    with pytest.raises(ValueError, match=r"input_features=.*; allowed: the 3 names"):
        encoder().fit(TABLE).get_feature_names_out(["a", "b", "c"])


def test_a_fit_that_fails_changes_nothing():
    fitted = encoder().fit(TABLE)
    expected = fitted.transform(TABLE)
    with pytest.raises(ValueError, match="contains infinity"):
        fitted.fit(pd.DataFrame({"other": [np.inf, 1.0]}))
    np.testing.assert_array_equal(fitted.transform(TABLE), expected)
    fresh = encoder()
    with pytest.raises(ValueError, match="contains infinity"):
        fresh.fit(pd.DataFrame({"other": [np.inf, 1.0]}))
    with pytest.raises(NotFittedError):
        fresh.transform(TABLE)


def test_names_of_columns_without_names():
    fitted = TableEncoder(n_knots=0, min_count=1).fit([[1.5, "a"], [2.5, "a"]])
    assert fitted.get_feature_names_out().tolist() == ["x0", "x1=a"]


def test_it_is_used_alone_in_a_pipeline():
    model = make_pipeline(clone(encoder()), LogisticRegression()).fit(TABLE, Y)
    assert model.predict(TABLE).shape == (6,)
    framed = encoder().set_output(transform="pandas").fit(TABLE).transform(TABLE)
    assert framed.columns.tolist()[:2] == ["size", "size__missing"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_knots": -1}, "n_knots=-1; allowed: 'auto' or an integer >= 0"),
        ({"n_knots": "many"}, "n_knots='many'; allowed: 'auto' or an integer >= 0"),
        (
            {"sparse_output": 1},
            "sparse_output=1; allowed: 'auto' or a bool",
        ),
        ({"min_count": 0}, "min_count=0; allowed: an integer >= 1"),
    ],
)
def test_parameters_out_of_bounds_are_refused(parameters, message):
    with pytest.raises(ValueError) as error:
        encoder(**parameters).fit(TABLE)
    assert str(error.value) == f"TableEncoder: {message}"


def test_other_tables_than_in_training_are_refused():
    fitted = encoder().fit(TABLE)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.transform(TABLE[["color", "size", "old"]])
    with pytest.raises(ValueError, match="column 'size' of X holds words"):
        fitted.transform(TABLE.assign(size="large"))
    with pytest.raises(ValueError, match="column 'size' of X contains infinity"):
        fitted.transform(TABLE.assign(size=np.inf))
