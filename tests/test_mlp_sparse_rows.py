"""The two estimators on sparse X: alone, after dense X, and in a grid search."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from small_estimators import BOTH, PRECISIONS, X_TEST, X, small

from sparsenet import SparseMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def same_model(ours, theirs):
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_array_equal(a.toarray(), b.toarray())
    for a, b in zip(ours.intercepts_, theirs.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


def as_is(X):
    return X


@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("first", [sparse.csr_array, as_is])
@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_going_on_takes_dense_and_sparse_X(estimator, y, precision, first, way):
    """The first X decides how the network is stored, and later ones are converted."""
    second = as_is if first is sparse.csr_array else sparse.csr_array
    settings = {"precision": precision, "warm_start": way == "warm_start"}
    mixed, same = (small(estimator, **settings) for _ in range(2))
    for kinds in ((first, second), (second, first)):
        for kind in kinds:
            if way == "warm_start":
                mixed.fit(kind(X), y)
                same.fit(first(X), y)
            elif estimator is SparseMLPClassifier:
                mixed.partial_fit(kind(X), y, classes=np.arange(10))
                same.partial_fit(first(X), y, classes=np.arange(10))
            else:
                mixed.partial_fit(kind(X), y)
                same.partial_fit(first(X), y)
            assert mixed._network.sparse_rows == (first is sparse.csr_array)
    same_model(mixed, same)
    np.testing.assert_array_equal(mixed.loss_curve_, same.loss_curve_)


@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_network_of_sparse_rows_predicts_any_container(estimator, y, precision):
    fitted = small(estimator, precision=precision).fit(sparse.csr_array(X), y)
    assert fitted._network.sparse_rows
    method = "predict_proba" if estimator is SparseMLPClassifier else "predict"
    expected = getattr(fitted, method)(sparse.csr_array(X_TEST))
    for kind in (
        as_is,
        np.asfortranarray,
        sparse.csr_matrix,
        sparse.csc_array,
        sparse.csc_matrix,
        sparse.coo_array,
    ):
        np.testing.assert_array_equal(getattr(fitted, method)(kind(X_TEST)), expected)


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_csc_trains_as_csr(estimator, y):
    fitted = [
        small(estimator).fit(kind(X), y).partial_fit(kind(X), y)
        for kind in (sparse.csr_array, sparse.csc_array)
    ]
    same_model(*fitted)


def test_a_grid_search_over_texts_chooses_a_density():
    rng = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(60)])
    y = np.arange(90) % 3
    # A third of the words of a text tell its class, the others nothing.
    texts = [
        " ".join(words[np.r_[rng.integers(0, 10, 4) + 10 * k, rng.integers(30, 60, 8)]])
        for k in y
    ]
    pipeline = make_pipeline(
        TfidfVectorizer(),
        SparseMLPClassifier(
            hidden_layer_sizes=(40,),
            learning_rate_init=0.01,
            max_iter=30,
            random_state=0,
        ),
    )
    densities = [0.3, 1.0]
    search = GridSearchCV(pipeline, {"sparsemlpclassifier__density": densities}, cv=3)
    search.fit(texts, y)
    assert search.best_params_["sparsemlpclassifier__density"] in densities
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.8
    network = search.best_estimator_[-1]._network
    assert network.sparse_rows
    for density in densities:
        model = clone(pipeline).set_params(sparsemlpclassifier__density=density)
        coef = sparse.csr_array(model.fit(texts, y)[-1].coefs_[0])
        assert (coef.nnz == 60 * 40) == (density == 1.0)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_rows_without_non_zeros_teach_the_biases(hidden):
    X_empty, y = sparse.csr_array((30, 7)), np.repeat([0, 1, 2], (15, 10, 5))
    model = SparseMLPClassifier(
        hidden,
        learning_rate_init=0.05,
        max_iter=300,
        n_iter_no_change=np.inf,
        random_state=0,
    )
    model.fit(X_empty, y)
    shares = model.predict_proba(X_empty)[0]
    np.testing.assert_allclose(shares, [1 / 2, 1 / 3, 1 / 6], atol=0.02)


@pytest.mark.parametrize("n_classes", [2, 5, "labels"])
@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_classes_of_many_rows_are_predicted_some_at_a_time(
    monkeypatch, n_classes, as_given
):
    rng = np.random.default_rng(0)
    X = as_given(rng.random((300, 8)) * (rng.random((300, 8)) > 0.5))
    if n_classes == "labels":
        y = rng.integers(0, 2, (300, 3))
    else:
        y = np.array(list("abcde"))[rng.integers(0, n_classes, 300)]
    model = SparseMLPClassifier((16,), max_iter=3, random_state=0).fit(X, y)
    expected, seen = model.predict(X), []
    monkeypatch.setattr("sparsenet._outputs.OUTPUTS_AT_ONCE", 1)
    monkeypatch.setattr("sparsenet._outputs.CHUNK", 70)
    decide = model._decide
    monkeypatch.setattr(
        model, "_decide", lambda output: (seen.append(len(output)), decide(output))[1]
    )
    np.testing.assert_array_equal(model.predict(X), expected)
    assert seen == [70, 70, 70, 70, 20]
    assert len(np.unique(expected)) > 1
