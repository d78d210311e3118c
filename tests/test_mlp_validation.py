"""Validation samples and scores, as users of the estimators see them."""

import copy
import pickle

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_estimators import (
    BOTH,
    LABELS,
    NUMBERS_VAL,
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
from sparsenet._history import History

pytestmark = pytest.mark.filterwarnings("ignore")
each_estimator = pytest.mark.parametrize(("estimator", "y"), BOTH)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])


# --- X_val -------------------------------------------------------------------------


@each_precision
@each_container
@each_estimator
def test_validation_samples_are_watched_and_change_nothing(
    estimator, y, precision, container
):
    model = small(estimator, precision=precision, density=0.5)
    expected = copy.deepcopy(model).fit(container(X), y)
    given = others(estimator)
    given["X_val"] = container(given["X_val"])
    model.fit(container(X), y, **given)
    assert same(model, expected) and model.loss_curve_ == expected.loss_curve_
    assert expected.validation_scores_ is expected.validation_loss_curve_ is None
    assert model.best_loss_ == expected.best_loss_  # by which training stops
    assert model.best_validation_score_ == max(model.validation_scores_)
    score = model.score(given["X_val"], given["y_val"])
    assert model.validation_scores_[-1] == pytest.approx(score, rel=1e-6)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 5
    loss = (
        log_loss(given["y_val"], model.predict_proba(given["X_val"]))
        if estimator is SparseMLPClassifier
        else mean_squared_error(given["y_val"], model.predict(given["X_val"])) / 2
    )
    assert model.validation_loss_curve_[-1] == pytest.approx(loss, rel=1e-4)


@each_precision
@each_container
def test_the_number_of_threads_changes_no_score(precision, container):
    curves = []
    for n_threads in (1, 2, 3):
        model = small(
            SparseMLPClassifier, precision=precision, n_threads=n_threads,
            train_scores=True,
        ).fit(container(X), LABELS, **others(SparseMLPClassifier))  # fmt: skip
        curves.append(
            (
                model.validation_loss_curve_,
                model.validation_scores_,
                model.train_scores_,
            )
        )
    assert curves[0] == curves[1] == curves[2]


@each_estimator
def test_early_stopping_on_validation_samples_sets_nothing_aside(estimator, y):
    model = small(
        estimator, early_stopping=True, max_iter=60, n_iter_no_change=3, tol=0.01
    )
    given = others(estimator)
    model.fit(X, y, **given)
    assert model.n_iter_ < 60 and model.t_ == model.n_iter_ * len(X)
    assert model.best_loss_ is None
    assert model.score(*given.values()) == pytest.approx(model.best_validation_score_)


@pytest.mark.parametrize("fitted_on", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    "validated_on", [np.asarray, sparse.csr_array, sparse.coo_array]
)
def test_samples_may_be_sparse_or_dense_whatever_the_others_are(
    fitted_on, validated_on
):
    given = others(SparseMLPClassifier)
    expected = small(SparseMLPClassifier).fit(fitted_on(X), LABELS, **given)
    given["X_val"] = validated_on(X_VAL)
    model = small(SparseMLPClassifier).fit(fitted_on(X), LABELS, **given)
    assert model.validation_scores_ == expected.validation_scores_
    np.testing.assert_allclose(
        model.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-5
    )


def test_weights_of_validation_samples_count():
    given, weight = others(SparseMLPClassifier), np.arange(150) % 3
    model = small(SparseMLPClassifier)
    model.fit(X, LABELS, **given, sample_weight_val=weight)
    expected = model.score(*given.values(), sample_weight=weight)
    assert model.validation_scores_[-1] == pytest.approx(expected)
    kept = {name: values[weight > 0] for name, values in given.items()}
    other = small(SparseMLPClassifier)
    other.fit(X, LABELS, **kept, sample_weight_val=weight[weight > 0])
    assert other.validation_scores_ == model.validation_scores_
    np.testing.assert_allclose(
        other.validation_loss_curve_, model.validation_loss_curve_, rtol=1e-6
    )


@pytest.mark.parametrize("kind", ["labels", "words", "two classes", "numbers"])
def test_targets_of_all_kinds_are_encoded_like_y(kind):
    estimator, encode = {
        "labels": (SparseMLPClassifier, lambda y: np.eye(10, dtype=int)[y]),
        "words": (SparseMLPClassifier, lambda y: np.array(list("abcdefghij"))[y]),
        "two classes": (SparseMLPClassifier, lambda y: y > 4),
        "numbers": (SparseMLPRegressor, lambda y: np.eye(10)[y]),
    }[kind]
    y, y_val = encode(LABELS), encode(Y_VAL)
    model = small(estimator, early_stopping=True, max_iter=10)
    model.fit(X, y, X_val=X_VAL, y_val=y_val)
    score = model.score(X_VAL, y_val)
    assert model.best_validation_score_ == pytest.approx(score, rel=1e-5)


def test_some_of_the_classes_are_enough():
    some = Y_VAL < 3
    model = small(SparseMLPClassifier)
    model.fit(X, LABELS, X_val=X_VAL[some], y_val=Y_VAL[some])
    assert len(model.validation_scores_) == 5


REFUSED = {
    "no targets": (
        {"X_val": X_VAL},
        r"y_val must be passed to fit, too, since X_val",
    ),
    "no samples": ({"y_val": Y_VAL}, r"X_val must be .* since y_val is"),
    "weights alone": (
        {"sample_weight_val": np.ones(150)},
        r"X_val and y_val must be .* since sample_weight_val is",
    ),
    "features": (
        {"X_val": X_VAL[:, 1:], "y_val": Y_VAL},
        r"X_val.* like the training samples.*63 features",
    ),
    "class": (
        {"X_val": X_VAL, "y_val": Y_VAL + 1},
        r"y_val.* like the training samples.*classes .*10.*; allowed: those among \[0",
    ),
    "multi-label": (
        {"X_val": X_VAL, "y_val": np.eye(10, dtype=int)[Y_VAL]},
        r"y_val.* like the training samples.*multi-label",
    ),
    "length": (
        {"X_val": X_VAL, "y_val": Y_VAL[:149]},
        r"like the training samples.*149",
    ),
    "not finite": (
        {"X_val": np.full((150, 64), np.nan), "y_val": Y_VAL},
        r"X_val.* like the training samples.*NaN",
    ),
    "too large": (
        {"X_val": X_VAL + 1e39, "y_val": Y_VAL},
        r"X_val.* like the training samples.*magnitude 1e\+39; allowed",
    ),
    "weights": (
        {"X_val": X_VAL, "y_val": Y_VAL, "sample_weight_val": np.ones(3)},
        r"sample_weight_val have to be like the training samples.*\(150,\)",
    ),
    "one sample": (
        {
            "X_val": X_VAL,
            "y_val": Y_VAL,
            "sample_weight_val": np.arange(150) == 3,
        },
        r"X has 1 samples of weight > 0; allowed: at least 2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("warm_start", [False, True])
def test_what_is_no_validation_set_is_refused_and_changes_nothing(case, warm_start):
    given, message = REFUSED[case]
    model = small(SparseMLPClassifier, warm_start=warm_start).fit(X, LABELS)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=f"SparseMLPClassifier: .*{message}"):
        model.fit(X, LABELS, **given)
    assert vars(model) == before


def test_targets_of_a_regressor_are_checked_too():
    given = {"X_val": X_VAL, "y_val": np.c_[NUMBERS_VAL, NUMBERS_VAL]}
    with pytest.raises(ValueError, match=r"y_val.*y has 2 outputs; allowed: 1"):
        small(SparseMLPRegressor).fit(X, TARGET, **given)
    given["y_val"] = NUMBERS_VAL
    with pytest.raises(ValueError, match=r"y_val.*allowed: numbers >= 0"):
        small(SparseMLPRegressor, loss="poisson").fit(X, abs(TARGET), **given)
    with pytest.raises(ValueError, match=r"X_val is passed.*solver='lbfgs': None"):
        small(SparseMLPRegressor, solver="lbfgs").fit(X, TARGET, **given)


def test_float16_refuses_large_validation_samples():
    given = others(SparseMLPClassifier) | {"X_val": X_VAL * 1e5}
    with pytest.raises(ValueError, match=r"X_val.*largest float16"):
        small(SparseMLPClassifier, precision="float16").fit(X, LABELS, **given)


def test_names_of_features_are_compared():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X).add_prefix("pixel")
    given = others(SparseMLPClassifier)
    given["X_val"] = pandas.DataFrame(X_VAL).add_prefix("other")
    with pytest.raises(ValueError, match=r"X_val[\s\S]*feature names"):
        small(SparseMLPClassifier).fit(frame, LABELS, **given)


def test_metadata_is_routed_through_a_pipeline():
    with sklearn.config_context(enable_metadata_routing=True):
        model = small(SparseMLPClassifier).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), model)
        if "transform_input" in pipeline.get_params():
            pipeline.set_params(transform_input=["X_val"])
        pipeline.fit(X, LABELS, **others(SparseMLPClassifier))
    assert len(model.validation_scores_) == 5


# --- restore_best and train_scores -------------------------------------------------


@each_container
@pytest.mark.parametrize("name", ["restore_best", "early_stopping"])
def test_a_warm_start_that_finds_nothing_better_leaves_the_model(container, name):
    options = {name: True, "warm_start": True, "max_iter": 20}
    options |= {"density": 1.0, "learning_rate_init": 0.01}
    model = small(SparseMLPClassifier, **options).fit(container(X), LABELS)
    before, score = model.predict_proba(X), model.best_validation_score_
    n_before = len(model.validation_scores_)
    model.set_params(learning_rate_init=5.0, max_iter=3).fit(container(X), LABELS)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert model.best_validation_score_ == score
    assert score > max(model.validation_scores_[n_before:])


def test_a_warm_start_rates_the_model_before_on_its_own_samples():
    options = {"restore_best": True, "warm_start": True, "scoring": "loss"}
    model = small(SparseMLPClassifier, **options, max_iter=20)
    model.fit(X, LABELS, X_val=X, y_val=LABELS)
    # Of other labels, whose loss is larger.
    wrong = (LABELS + 1) % 10
    model.fit(X, wrong, X_val=X, y_val=wrong)
    assert model.best_validation_score_ == max(model.validation_scores_[20:])


@pytest.mark.parametrize("n_calls", [1, 2, 3, 4])
def test_ctrl_c_while_samples_are_rated_leaves_a_gap(n_calls):
    calls = []

    def scorer(estimator, X, y):
        calls.append(len(y))
        if len(calls) == n_calls:
            raise KeyboardInterrupt
        return float(len(calls))

    options = {"scoring": scorer, "train_scores": True, "warm_start": True}
    model = small(SparseMLPClassifier, **options)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, LABELS, X_val=X, y_val=LABELS)
    for _ in range(2):
        n_epochs = len(model.loss_curve_)
        for name in ("validation_scores_", "validation_loss_curve_", "train_scores_"):
            assert len(getattr(model, name)) == n_epochs
        model.fit(X, LABELS, X_val=X, y_val=LABELS)
    assert np.isnan(model.train_scores_[(n_calls - 1) // 2])
    assert not np.isnan(model.best_validation_score_)


@each_precision
@each_container
@pytest.mark.parametrize("given", [False, True])
def test_the_best_epoch_is_kept(precision, container, given):
    """The second of five epochs is the best, which two epochs would leave."""
    scores = iter([0.1, 0.9, 0.3, 0.2, 0.8, 0.1, 0.9])
    validation = others(SparseMLPClassifier) if given else {}
    options = {"precision": precision, "restore_best": True, "density": 0.5}
    model = small(SparseMLPClassifier, **options, scoring=lambda *_: next(scores))
    model.fit(container(X), LABELS, **validation)
    assert model.n_iter_ == 5 and model.best_validation_score_ == 0.9
    expected = small(
        SparseMLPClassifier, **options, scoring=lambda *_: next(scores), max_iter=2
    ).fit(container(X), LABELS, **validation)
    assert same(model, expected)
    assert model.t_ == 5 * (300 if given else 270)
    assert model.best_loss_ == min(model.loss_curve_)


@each_estimator
def test_train_scores_are_those_of_the_samples_trained_on(estimator, y):
    model = small(estimator, train_scores=True).fit(X, y)
    assert len(model.train_scores_) == 5
    assert model.train_scores_[-1] == pytest.approx(model.score(X, y), rel=1e-6)
    model.set_params(warm_start=True).fit(X, y)
    assert len(model.train_scores_) == 10
    model.partial_fit(X, y)
    assert len(model.train_scores_) == 11
    assert model.set_params(train_scores=False).fit(X, y).train_scores_ is None


@pytest.mark.parametrize("name", ["early_stopping", "restore_best"])
@each_estimator
def test_partial_fit_keeps_no_best_epoch(estimator, y, name):
    model = small(estimator, **{name: True})
    with pytest.raises(ValueError, match=f"partial_fit does not support {name}=True"):
        model.partial_fit(X, y)


@pytest.mark.parametrize("name", ["restore_best", "train_scores"])
def test_lbfgs_has_no_epochs_to_rate(name):
    model = small(SparseMLPClassifier, solver="lbfgs", **{name: True})
    with pytest.raises(ValueError, match=rf"{name}=True; allowed with solver='lbfgs'"):
        model.fit(X, LABELS)


def test_lbfgs_takes_away_what_epochs_have():
    model = small(SparseMLPClassifier, train_scores=True)
    model.fit(X, LABELS, **others(SparseMLPClassifier))
    model.set_params(solver="lbfgs", train_scores=False).fit(X, LABELS)
    for name in ("validation_loss_curve_", "train_scores_", "validation_scores_"):
        assert not hasattr(model, name)


# --- pickles -----------------------------------------------------------------------


def test_a_pickle_keeps_scores_and_goes_on():
    model = small(
        SparseMLPClassifier, early_stopping=True, train_scores=True, warm_start=True
    ).fit(X, LABELS)
    other = pickle.loads(pickle.dumps(model))
    for one in (model, other):
        one.fit(X, LABELS)
        assert len(one.validation_loss_curve_) == len(one.train_scores_) == 10


@pytest.mark.parametrize("early_stopping", [False, True])
def test_pickles_from_before_there_were_scorers_load(early_stopping):
    model = small(SparseMLPClassifier, early_stopping=early_stopping, warm_start=True)
    state = model.fit(X, LABELS).__getstate__()
    for name in ("scoring", "restore_best", "train_scores"):
        del state[name]
    for name in ("validation_loss_curve_", "train_scores_"):
        del state[name]
    history = History.from_state(state["_history"])  # it was an object
    for name in ("validation_losses", "train_scores", "scoring", "n_rated_before"):
        del vars(history)[name]
    state = state | {"_history": history}
    del state["_checksum"]
    old = SparseMLPClassifier.__new__(SparseMLPClassifier)
    old.__setstate__(state)
    assert old.validation_loss_curve_ is old.train_scores_ is old.scoring is None
    old.fit(X, LABELS)
    model.fit(X, LABELS)
    assert old.loss_curve_ == model.loss_curve_
    assert old.validation_scores_ == model.validation_scores_
    assert (len(old.validation_loss_curve_) if early_stopping else 5) == 5
