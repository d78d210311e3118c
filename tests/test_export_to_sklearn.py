"""scikit-learn's estimators with the weights of this package's."""

import pickle

import numpy as np
import pytest
from random_estimators import assert_close, random_estimator
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from small_estimators import LABELS, TARGET, X, small

from sparsenet import SparseMLPClassifier, SparseMLPRegressor, from_sklearn
from sparsenet._export.to_sklearn import ACTIVATIONS
from sparsenet._formats import PRECISIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("seed", range(50))
def test_predictions_are_equal(seed):
    activation = str(np.random.default_rng(seed).choice(ACTIVATIONS))
    estimator, rows = random_estimator(seed, PRECISIONS[seed % 4], (activation,))
    if hasattr(estimator, "quantile") and estimator._levels() is not None:
        with pytest.raises(ValueError, match=r"quantile=\(.*; allowed: a number"):
            estimator.to_sklearn()
        return
    if estimator.out_activation_ == "exp" and "loss" not in MLPRegressor().get_params():
        pytest.skip("MLPRegressor has an exponential since scikit-learn 1.7")
    mlp = pickle.loads(pickle.dumps(estimator.to_sklearn()))
    assert type(mlp) in (MLPClassifier, MLPRegressor)
    if type(mlp) is MLPRegressor:
        assert_close(mlp.predict(rows), estimator.predict(rows), estimator.precision)
        return
    expected = estimator.predict_proba(rows)
    assert_close(mlp.predict_proba(rows), expected, estimator.precision)
    if estimator.precision == "float32":
        np.testing.assert_array_equal(mlp.predict(rows), estimator.predict(rows))
    assert mlp.predict(rows).dtype == estimator.predict(rows).dtype


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_are_those_that_predict(precision):
    classifier = small(SparseMLPClassifier, precision=precision).fit(X, LABELS)
    mlp = classifier.to_sklearn()
    for theirs, coef in zip(mlp.coefs_, classifier.coefs_, strict=True):
        np.testing.assert_array_equal(theirs, coef.toarray())
    for theirs, bias in zip(mlp.intercepts_, classifier.intercepts_, strict=True):
        np.testing.assert_array_equal(theirs, bias)


def test_parameters_and_history_come_along():
    classifier = small(SparseMLPClassifier, alpha=0.01, solver="sgd", momentum=0.5)
    mlp = classifier.fit(X, LABELS).to_sklearn()
    for name in ("alpha", "solver", "momentum", "max_iter", "random_state"):
        assert getattr(mlp, name) == getattr(classifier, name)
    for name in ("loss_", "loss_curve_", "best_loss_", "n_iter_", "t_"):
        assert getattr(mlp, name) == getattr(classifier, name)
    mlp.loss_curve_.clear()
    assert len(classifier.loss_curve_) == 5
    assert clone(mlp).fit(X, LABELS).n_iter_ == 5


def test_what_only_training_knows_is_left_out():
    classifier = small(SparseMLPClassifier, solver="adamw", learning_rate="cosine")
    mlp = classifier.fit(X, LABELS).to_sklearn()
    assert (mlp.solver, mlp.learning_rate) == ("adam", "constant")
    regressor = small(SparseMLPRegressor, solver="lbfgs").fit(X, TARGET)
    mlp = regressor.to_sklearn()
    assert mlp.solver == "lbfgs" and not hasattr(mlp, "loss_curve_")
    assert_close(mlp.predict(X), regressor.predict(X), "float32")


def test_there_and_back_again():
    classifier = small(SparseMLPClassifier).fit(X, LABELS)
    back = from_sklearn(classifier.to_sklearn())
    np.testing.assert_allclose(
        back.predict_proba(X), classifier.predict_proba(X), rtol=1e-5
    )
    assert back.loss_curve_ == classifier.loss_curve_


def test_training_goes_on():
    classifier = small(SparseMLPClassifier, density=1.0).fit(X, LABELS)
    mlp = classifier.to_sklearn()
    before = mlp.loss_
    for _ in range(5):
        mlp.partial_fit(X, LABELS)
    assert mlp.loss_ < before


def test_names_of_features_come_along():
    pandas = pytest.importorskip("pandas", reason="names are those of a data frame")
    frame = pandas.DataFrame(X[:, 20:24], columns=list("abcd"))
    mlp = small(SparseMLPClassifier).fit(frame, LABELS).to_sklearn()
    assert list(mlp.feature_names_in_) == list("abcd") and mlp.n_features_in_ == 4
    assert len(mlp.predict(frame)) == len(X)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (small(SparseMLPClassifier, activation="silu"), "activation='silu'; allowed"),
        (
            small(
                SparseMLPClassifier,
                hidden_layer_sizes=(8, 8),
                activation=("relu", "tanh"),
            ),
            r"activation=\('relu', 'tanh'\); allowed",
        ),
        (
            small(SparseMLPRegressor, loss="quantile", quantile=(0.1, 0.9)),
            r"quantile=\(0.1.*, 0.9.*\); allowed",
        ),
    ],
)
def test_what_scikit_learn_lacks_is_refused(estimator, message):
    y = LABELS if isinstance(estimator, SparseMLPClassifier) else TARGET
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y).to_sklearn()


def test_a_single_class_is_refused():
    classifier = small(SparseMLPClassifier).fit(X, np.full(len(X), "only"))
    with pytest.raises(ValueError, match=r"classes_=.*only.*; allowed: at least two"):
        classifier.to_sklearn()


def test_an_exponential_needs_a_scikit_learn_that_has_it(monkeypatch):
    regressor = small(SparseMLPRegressor, loss="gamma").fit(X, np.exp(TARGET))
    monkeypatch.setattr(MLPRegressor, "get_params", lambda self, deep=True: {})
    with pytest.raises(ValueError, match=r"loss='gamma'; allowed: .*since version 1.7"):
        regressor.to_sklearn()


def test_it_has_to_be_fitted():
    with pytest.raises(NotFittedError):
        SparseMLPClassifier().to_sklearn()
