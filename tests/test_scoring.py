"""By what samples are rated after each epoch."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    accuracy_score,
    make_scorer,
    mean_squared_error,
    median_absolute_error,
)
from small_estimators import (
    BOTH,
    LABELS,
    PRECISIONS,
    TARGET,
    X_VAL,
    Y_VAL,
    X,
    others,
    same,
    small,
)

from sparsenet import SparseMLPClassifier, SparseMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore")
each_estimator = pytest.mark.parametrize(("estimator", "y"), BOTH)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])


@each_precision
@each_container
@pytest.mark.parametrize("given", [False, True])
def test_a_scorer_gives_what_the_score_gives(precision, container, given):
    options = {"early_stopping": True, "precision": precision, "max_iter": 8}
    rows, validation = container(X), others(SparseMLPClassifier) if given else {}
    expected = small(SparseMLPClassifier, **options).fit(rows, LABELS, **validation)
    model = small(SparseMLPClassifier, **options, scoring="accuracy")
    model.fit(rows, LABELS, **validation)
    assert model.validation_scores_ == pytest.approx(expected.validation_scores_)
    assert model.validation_loss_curve_ == expected.validation_loss_curve_
    assert same(model, expected)


@each_estimator
def test_the_loss_may_be_the_score(estimator, y):
    model = small(estimator, early_stopping=True, scoring="loss", max_iter=30)
    model.fit(X, y)
    assert model.validation_scores_ == [-loss for loss in model.validation_loss_curve_]
    assert model.best_validation_score_ == -min(model.validation_loss_curve_)


def test_a_scorer_sees_what_the_user_has_given():
    pandas = pytest.importorskip("pandas")
    frame, words = pandas.DataFrame(X).add_prefix("p"), np.array(list("abcdefghij"))
    seen = []

    def scorer(estimator, X, y, **options):
        seen.append((X, y, options))
        return accuracy_score(y, estimator.predict(X))

    model = small(SparseMLPClassifier, scoring=scorer, early_stopping=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "X does not have valid feature names")
        model.fit(frame, words[LABELS])
    for samples, y, options in seen:
        assert list(samples.columns) == list(frame.columns) and len(samples) == 30
        np.testing.assert_array_equal(y, words[LABELS][samples.index])
        assert options == {}
    assert len(seen) == model.n_iter_
    seen.clear()
    weight = np.arange(150.0)
    given = {
        "X_val": pandas.DataFrame(X_VAL).add_prefix("p"),
        "y_val": words[Y_VAL],
    }
    model.fit(frame, words[LABELS], **given, sample_weight_val=weight)
    for samples, _, options in seen:
        assert len(samples) == 149  # one has no weight
        np.testing.assert_array_equal(options["sample_weight"], weight[1:])


def test_polars_frames_stay_frames():
    polars = pytest.importorskip("polars")
    frame, kinds = polars.DataFrame(X), set()

    def scorer(estimator, X, y):
        kinds.add((type(X), len(X)))
        return 0.5

    small(SparseMLPClassifier, scoring=scorer, early_stopping=True).fit(frame, LABELS)
    assert kinds == {(polars.DataFrame, 30)}


@pytest.mark.parametrize("value", [np.nan, np.inf, None, "0.5", True, np.ones(2), 1j])
def test_what_is_no_number_is_no_score(value):
    model = small(SparseMLPClassifier, early_stopping=True).fit(X, LABELS)
    model.scoring = lambda *_: value
    before = vars(model).copy()
    with pytest.raises(ValueError, match=r"scoring=.*returned.*allowed: a finite"):
        model.fit(X, LABELS)
    assert vars(model) == before


@pytest.mark.parametrize("value", [1, np.float32(0.5), np.array([0.5])])
def test_numbers_of_all_kinds_are_scores(value):
    model = small(SparseMLPClassifier, early_stopping=True, scoring=lambda *_: value)
    assert model.fit(X, LABELS).best_validation_score_ == np.ravel(value)[0]


@pytest.mark.parametrize("error", [RuntimeError("no"), MemoryError(), SystemExit()])
def test_a_scorer_that_raises_leaves_the_estimator_as_it_was(error):
    calls = []

    def scorer(estimator, X, y):
        calls.append(estimator.predict(X))
        if len(calls) > 2:
            raise error
        return 0.5

    model = small(SparseMLPClassifier, early_stopping=True, warm_start=True)
    model.fit(X, LABELS).set_params(scoring=scorer)
    before, predicted = vars(model).copy(), model.predict_proba(X)
    with pytest.raises(type(error)):
        model.fit(X, LABELS)
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict_proba(X), predicted)


def test_a_metric_is_no_scorer():
    message = r"^SparseMLPClassifier: scoring=.*; allowed: a scorer"
    with pytest.raises(ValueError, match=message):
        small(SparseMLPClassifier, scoring=accuracy_score).fit(X, LABELS)


def test_an_error_of_a_scorer_says_whose_it_is():
    model = small(SparseMLPClassifier, scoring="neg_log_loss")
    some = LABELS < 2
    with pytest.raises(ValueError) as error:
        model.fit(X, LABELS, X_val=X[some], y_val=LABELS[some])
    assert any("scoring='neg_log_loss'" in note for note in error.value.__notes__)


def test_scorers_that_only_look_alike_are_others():
    scorers = [
        make_scorer(metric, greater_is_better=False)
        for metric in (mean_squared_error, median_absolute_error)
    ]
    options = {"restore_best": True, "warm_start": True}
    model = small(SparseMLPRegressor, **options, scoring=scorers[0])
    for scorer, n_scores in zip([*scorers, scorers[1]], (5, 5, 10), strict=True):
        model.set_params(scoring=scorer).fit(X, TARGET)
        assert len(model.validation_scores_) == n_scores
    again = pickle.loads(pickle.dumps(model)).fit(X, TARGET)
    assert len(again.validation_scores_) == 15


def test_other_scores_start_afresh():
    model = small(SparseMLPClassifier, early_stopping=True, warm_start=True)
    model.fit(X, LABELS)
    model.fit(X, LABELS)
    assert len(model.validation_scores_) == 10
    model.set_params(scoring="loss").fit(X, LABELS)
    assert len(model.validation_scores_) == 5 and len(model.loss_curve_) == 15
    assert model.best_validation_score_ == max(model.validation_scores_) < 0


def test_a_callable_in_a_pickle_is_the_users():
    model = small(SparseMLPClassifier, scoring=linear_is_better, early_stopping=True)
    other = pickle.loads(pickle.dumps(model.fit(X, LABELS)))
    assert other.scoring is linear_is_better
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def linear_is_better(estimator, X, y):
    return LinearRegression().fit(X, y).score(X, y)
