"""The two estimators behind scikit-learn's interface."""

import inspect
import pickle
import warnings

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from small_estimators import (
    BOTH,
    LABELS,
    PRECISIONS,
    TARGET,
    X_TEST,
    X_TRAIN,
    Y_TEST,
    Y_TRAIN,
    X,
    needs_loss,
    small,
)

from sparsenet import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._kernels._dispatch import ACTIVATIONS
from sparsenet._network import Network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


each_factor = pytest.mark.parametrize("factor", [1e-45, 1e-30, 3.0, 1e38, 1e200])


# --- the interface -----------------------------------------------------------------


@needs_loss
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(SparseMLPClassifier, MLPClassifier), (SparseMLPRegressor, MLPRegressor)],
)
def test_parameters_are_those_of_scikit_learn_and_some_more(ours, theirs):
    signature, expected = inspect.signature(ours), inspect.signature(theirs)
    parameters = [
        parameter.replace(annotation=parameter.empty)  # scikit-learn has no types
        for parameter in signature.parameters.values()
    ]
    n_shared = len(expected.parameters)
    assert parameters[:n_shared] == list(expected.parameters.values())
    new = parameters[n_shared:]
    assert all(p.kind is p.KEYWORD_ONLY for p in new)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(SparseMLPClassifier, MLPClassifier), (SparseMLPRegressor, MLPRegressor)],
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_fitted_attributes_are_those_of_scikit_learn(ours, theirs, early_stopping):
    y = LABELS if ours is SparseMLPClassifier else TARGET
    ours, theirs = (
        small(estimator, early_stopping=early_stopping).fit(X, y)
        for estimator in (ours, theirs)
    )
    for name in vars(theirs):
        if name.endswith("_") and not name.startswith("_"):
            value, expected = getattr(ours, name), getattr(theirs, name)
            if isinstance(expected, list):
                assert len(value) == len(expected), name
            elif expected is None or isinstance(expected, (int, str)):
                assert value == expected, name
    for matrix, bias, expected in zip(
        ours.coefs_, ours.intercepts_, theirs.coefs_, strict=True
    ):
        assert sparse.issparse(matrix)
        assert matrix.dtype == bias.dtype == np.float32
        assert matrix.shape == expected.shape
        assert bias.shape == expected.shape[1:]


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_methods_and_attributes_need_a_fit(estimator, y):
    estimator = small(estimator)
    for name in ("coefs_", "intercepts_", "n_iter_", "loss_"):
        assert not hasattr(estimator, name)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        estimator.predict(X)


@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("representation", [repr, lambda e: e._repr_html_()])
def test_representations_work_before_and_after_fit(estimator, y, representation):
    estimator = small(estimator, density=0.5)
    assert "density" in representation(estimator)
    assert "density" in representation(estimator.fit(X, y))


# --- what is learned ---------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_digits_are_learned_as_well_as_by_scikit_learn(precision, solver):
    parameters = {
        "hidden_layer_sizes": (100,),
        "max_iter": 40,
        "solver": solver,
        "learning_rate_init": 0.002 if solver == "adam" else 0.1,
        "random_state": 0,
    }
    ours = SparseMLPClassifier(**parameters, precision=precision)
    theirs = MLPClassifier(**parameters)
    accuracy, expected = (
        model.fit(X_TRAIN, Y_TRAIN).score(X_TEST, Y_TEST) for model in (ours, theirs)
    )
    assert expected > 0.95
    assert accuracy > expected - 0.015


@pytest.mark.parametrize("precision", PRECISIONS)
def test_sparse_layers_learn_digits(precision):
    model = SparseMLPClassifier(
        (200, 200), density=0.2, max_iter=40, random_state=0, precision=precision
    ).fit(X_TRAIN, Y_TRAIN)
    n_hidden = sum(matrix.nnz for matrix in model.coefs_[:-1])
    assert n_hidden <= 0.25 * (64 * 200 + 200 * 200)
    assert model.coefs_[-1].nnz == 200 * 10
    assert model.score(X_TEST, Y_TEST) > 0.95


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_every_activation_learns_in_every_format(precision, activation, container):
    """Also with negative values, which int8 stores with an offset."""
    model = SparseMLPClassifier(
        (64, 64), activation, precision=precision, max_iter=30, batch_size=50,
        learning_rate_init=0.005, random_state=0,
    ).fit(container(X_TRAIN), Y_TRAIN)  # fmt: skip
    assert model.score(container(X_TEST), Y_TEST) > 0.9


def test_a_column_of_targets_is_raveled_with_a_warning():
    with pytest.warns(UserWarning, match="column-vector"):
        model = small(SparseMLPRegressor).fit(X, TARGET[:, None])
    assert model.predict(X).shape == TARGET.shape


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["three classes", "two classes", "numbers"])
def test_a_sparse_column_of_targets_is_that_column(container, early_stopping, kind):
    y = {"three classes": LABELS % 3, "two classes": LABELS % 2, "numbers": TARGET}[
        kind
    ]
    estimator = SparseMLPRegressor if kind == "numbers" else SparseMLPClassifier
    options = {"early_stopping": early_stopping, "max_iter": 20}
    options["learning_rate_init"] = 0.01
    expected = small(estimator, **options).fit(X, y)
    with pytest.warns(DataConversionWarning):
        actual = small(estimator, **options).fit(X, container(y[:, np.newaxis]))
    assert actual.loss_curve_ == expected.loss_curve_
    assert actual.validation_scores_ == expected.validation_scores_
    if early_stopping and kind != "numbers":
        assert actual.best_validation_score_ > 0.5
    np.testing.assert_array_equal(actual.predict(X), expected.predict(X))
    if not early_stopping:
        actual.partial_fit(X, container(y[:, np.newaxis]))
        assert actual.partial_fit(X, y).predict(X).shape == y.shape


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_several_labels_are_learned_together(container):
    inputs, y = make_multilabel_classification(300, n_classes=4, random_state=0)
    inputs = StandardScaler().fit_transform(inputs)
    model = small(SparseMLPClassifier, max_iter=100, learning_rate_init=0.02)
    model.fit(inputs, container(y))
    probabilities, predictions = model.predict_proba(inputs), model.predict(inputs)
    assert model.score(inputs, y) > 0.9
    assert model.classes_.tolist() == [0, 1, 2, 3]
    assert probabilities.shape == predictions.shape == y.shape
    np.testing.assert_array_equal(predictions, probabilities > 0.5)
    model.partial_fit(inputs[:10], container(y[:10]))


@pytest.mark.parametrize(
    "classes",
    [
        ["one", "two"],
        ["one", "two", "three"],
        [False, True],
        [-1.0, 1.0],
        [7, 3, 11, 5],
        np.array(["a", "bb", "ccc"], dtype=object),
    ],
)
def test_labels_may_be_of_any_kind(classes):
    classes = np.asarray(classes)
    y = classes[LABELS % len(classes)]
    model = small(SparseMLPClassifier, max_iter=50, learning_rate_init=0.02).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(classes))
    assert model.predict(X).dtype == classes.dtype
    assert model.score(X, y) > 0.9
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (len(X), len(classes))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(
        model.predict(X), model.classes_[probabilities.argmax(axis=1)]
    )
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(probabilities))


def test_a_single_class_is_certain():
    model = small(SparseMLPClassifier).fit(X, np.full(len(X), "only"))
    assert set(model.predict(X)) == {"only"}
    np.testing.assert_array_equal(model.predict_proba(X), 1)
    np.testing.assert_array_equal(model.predict_log_proba(X), 0)


@pytest.mark.parametrize(
    "y",
    [LABELS, LABELS == 0, np.eye(10, dtype=int)[LABELS]],
    ids=["classes", "two classes", "labels"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_probability_is_zero_and_logarithms_are_finite(y, dtype):
    model = small(SparseMLPClassifier).fit(X, y)
    extreme = (np.vstack([X, -X]) * 1e6).astype(dtype)
    assert (model.predict_proba(extreme) > 0).all()
    assert np.isfinite(model.predict_log_proba(extreme)).all()
    if y.ndim == 2:
        assert (model.predict_proba(extreme) < 1).all()


# --- sample weights ----------------------------------------------------------------


@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_zero_weight_is_the_same_as_absence(estimator, y, early_stopping):
    absent = np.arange(len(X)) % 3 == 0
    model = small(estimator, early_stopping=early_stopping)
    weighted = clone(model).fit(X, y, sample_weight=np.where(absent, 0, 1))
    without = clone(model).fit(X[~absent], y[~absent], sample_weight=np.ones(200))
    np.testing.assert_array_equal(weighted.predict(X), without.predict(X))
    assert weighted.loss_curve_ == without.loss_curve_
    assert weighted.validation_scores_ == without.validation_scores_


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_equal_weights_and_none_agree(estimator, y):
    model = small(estimator)
    weighted = clone(model).fit(X, y, sample_weight=np.ones(len(X)))
    np.testing.assert_allclose(weighted.predict(X), clone(model).fit(X, y).predict(X))


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_an_integer_weight_does_what_repetition_does(estimator, y):
    # Each epoch is one batch, so that both see the same gradients.
    rows, weight = np.arange(100), np.arange(100) % 5
    repeated = np.repeat(rows, weight)
    weighted = small(estimator).fit(X[rows], y[rows], sample_weight=weight)
    expected = small(estimator).fit(X[repeated], y[repeated])
    np.testing.assert_allclose(weighted.loss_curve_, expected.loss_curve_, rtol=1e-4)
    for matrix, other in zip(weighted.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(matrix.data, other.data, atol=1e-4)


@each_factor
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_common_factor_of_weights_matters_to_alpha_only(factor, solver):
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    for alpha, scaled_alpha in (0, 0), (0.01, 0.01 * factor):
        plain, scaled = (
            small(SparseMLPClassifier, solver=solver, alpha=alpha).fit(X, LABELS, w)
            for alpha, w in ((alpha, weight), (scaled_alpha, weight * factor))
        )
        np.testing.assert_allclose(
            plain.predict_proba(X), scaled.predict_proba(X), rtol=1e-3, atol=1e-5
        )
        assert plain.loss_ == pytest.approx(scaled.loss_, rel=1e-3)


def test_weight_moves_a_prediction():
    y = np.r_[np.zeros(150), np.ones(150)]
    weight = np.where(y == 0, 1, 9)
    model = small(SparseMLPClassifier, max_iter=60, learning_rate_init=0.02)
    model.fit(np.ones((300, 1)), y, sample_weight=weight)
    assert model.predict_proba([[1.0]])[0, 1] == pytest.approx(0.9, abs=0.02)


# --- kinds of X --------------------------------------------------------------------


@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        np.ndarray.tolist,
        sparse.csr_array,
        sparse.csc_matrix,
        sparse.coo_array,
        sparse.lil_matrix,
    ],
)
def test_kinds_of_X_agree(estimator, y, convert):
    # Of a sparse first layer, sparse X has other connections.
    expected = small(estimator, density=1.0).fit(X, y)
    model = small(estimator, density=1.0).fit(convert(X), y)
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-6)
    np.testing.assert_array_equal(expected.predict(convert(X)), expected.predict(X))


def test_entries_of_sparse_X_that_are_given_twice_add_up():
    once = sparse.csr_array(X)
    twice = sparse.csr_array(
        (
            np.repeat(once.data / 2, 2),
            np.repeat(once.indices, 2),
            once.indptr * 2,
        ),
        shape=X.shape,
    )
    assert twice.nnz == 2 * once.nnz
    model = small(SparseMLPRegressor).fit(twice, TARGET)
    assert twice.nnz == 2 * once.nnz
    expected = small(SparseMLPRegressor).fit(once, TARGET)
    assert model.loss_curve_ == expected.loss_curve_
    np.testing.assert_array_equal(model.predict(twice), expected.predict(once))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.float16, np.float64),
        (np.int32, np.float64),
        (np.uint8, np.float64),
        (bool, np.float64),
    ],
)
def test_predictions_have_the_type_of_X(precision, dtype, expected):
    inputs = (X * 16).astype(dtype)
    classifier = small(SparseMLPClassifier, precision=precision).fit(inputs, LABELS)
    assert classifier.predict_proba(inputs).dtype == expected
    assert classifier.predict_log_proba(inputs).dtype == expected
    assert classifier.predict(inputs).dtype == LABELS.dtype
    regressor = small(SparseMLPRegressor, precision=precision).fit(inputs, TARGET)
    assert regressor.predict(inputs).dtype == expected


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_float32_and_float64_inputs_train_alike(estimator, y):
    single, double = (
        small(estimator).fit(inputs, y) for inputs in (X.astype(np.float32), X)
    )
    np.testing.assert_allclose(single.loss_curve_, double.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_data_frames_work_and_names_are_kept(library, estimator, y):
    frames = pytest.importorskip(library, reason=f"makes the {library} frames")
    names = [f"pixel {i}" for i in range(X.shape[1])]
    frame = frames.DataFrame(dict(zip(names, X.T, strict=True)))
    series = frames.Series(y)
    model = small(estimator).fit(frame, series)
    expected = small(estimator).fit(X, y)
    np.testing.assert_array_equal(model.predict(frame), expected.predict(X))
    model.partial_fit(frame, series)
    # scikit-learn 1.6 does not see the names in frames of polars 2.
    if hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        assert model.feature_names_in_.tolist() == names
        with pytest.raises(ValueError, match="feature names"):
            model.predict(frame[names[::-1]])


# --- parts of a larger whole -------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
def test_pipeline_and_parallel_grid_search_choose_parameters(precision):
    model = make_pipeline(MinMaxScaler(), small(SparseMLPClassifier))
    grid = {
        "sparsemlpclassifier__density": [0.3, 1.0],
        "sparsemlpclassifier__hidden_layer_sizes": [(8,), (32, 16)],
    }
    model.set_params(sparsemlpclassifier__precision=precision)
    search = GridSearchCV(model, grid, n_jobs=2, cv=2, error_score="raise").fit(
        X, LABELS
    )
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.predict(X).shape == LABELS.shape


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_a_clone_is_unfitted_and_learns_the_same(estimator, y):
    model = small(estimator, density=[0.5, 1.0], precision="bfloat16").fit(X, y)
    copy = clone(model)
    assert not hasattr(copy, "coefs_")
    np.testing.assert_array_equal(copy.fit(X, y).predict(X), model.predict(X))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_pickle_and_joblib_keep_predictions_and_go_on_learning(
    estimator, y, precision, tmp_path
):
    model = small(estimator, precision=precision).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = [
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
        joblib.load(tmp_path / "model.joblib", mmap_mode="r"),
    ]
    for copy in loaded:
        np.testing.assert_array_equal(copy.predict(X), model.predict(X))
        assert copy.loss_curve_ == model.loss_curve_
        copy.partial_fit(X, y)
        assert copy.t_ == 6 * len(X)
    first, *others = loaded
    for other in others:
        np.testing.assert_array_equal(other.predict(X), first.predict(X))


# --- training in parts -------------------------------------------------------------


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_partial_fits_are_the_epochs_of_a_fit(estimator, y):
    classes = {"classes": np.unique(y)} if estimator is SparseMLPClassifier else {}
    whole = small(estimator).fit(X, y)
    parts = small(estimator)
    for epoch in range(5):
        parts.partial_fit(X, y, **classes if epoch == 0 else {})
        assert parts.n_iter_ == 1
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.t_ == whole.t_
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))


def test_partial_fit_learns_from_batches_that_lack_classes():
    model = SparseMLPClassifier(
        (100,), learning_rate_init=0.005, sparse_training="static", random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, 40 * 25, 25):
            rows = np.arange(start, start + 25) % len(X_TRAIN)
            model.partial_fit(X_TRAIN[rows], Y_TRAIN[rows], classes=range(10))
        model.partial_fit(X_TRAIN[:1], Y_TRAIN[:1])
    assert model.score(X_TEST, Y_TEST) > 0.8


def test_partial_fit_goes_on_after_fit():
    model = small(SparseMLPClassifier).fit(X, LABELS)
    loss = model.loss_
    model.partial_fit(X, LABELS)
    assert model.loss_curve_[-1] < loss
    assert len(model.loss_curve_) == 6


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_warm_start_goes_on_and_a_cold_one_starts_anew(estimator, y):
    model = small(estimator, warm_start=True).fit(X, y)
    connections = [matrix.indices for matrix in model.coefs_]
    loss = model.loss_
    model.fit(X, y)
    assert len(model.loss_curve_) == 10
    assert model.n_iter_ == 5
    assert model.loss_ < loss
    for matrix, expected in zip(model.coefs_, connections, strict=True):
        np.testing.assert_array_equal(matrix.indices, expected)
    cold = model.set_params(warm_start=False).fit(X, y)
    assert cold.loss_ == loss
    assert len(cold.loss_curve_) == 5


@pytest.mark.parametrize("target", ["classes", "numbers", "labels"])
def test_early_stopping_keeps_the_best_epoch(target):
    estimator, y = {
        "classes": (SparseMLPClassifier, LABELS),
        "numbers": (SparseMLPRegressor, TARGET),
        "labels": (SparseMLPClassifier, np.eye(10, dtype=int)[LABELS]),
    }[target]
    model = small(
        estimator, early_stopping=True, max_iter=60, n_iter_no_change=3, tol=0.01
    ).fit(X, y)
    assert model.n_iter_ < 60
    assert model.best_loss_ is None
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.t_ == model.n_iter_ * 270


def test_validation_score_is_the_score_of_the_validation_samples():
    # Half of the samples are set aside; the weights of the others count for nothing
    # in the score, and each sample has a twin on the other side or beside it.
    model = small(SparseMLPClassifier, early_stopping=True, validation_fraction=0.5)
    inputs, y = np.repeat(X[:1], 100, axis=0), np.r_[np.zeros(60), np.ones(40)]
    model.fit(inputs, y, sample_weight=np.where(y, 3, 1))
    expected = [1 * 30 / (30 + 3 * 20), 3 * 20 / (30 + 3 * 20)]
    for score in model.validation_scores_:
        assert min(abs(score - e) for e in expected) < 1e-6


def test_too_few_epochs_warn():
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        small(SparseMLPClassifier).fit(X, LABELS)


@pytest.mark.parametrize("n_epochs", [0, 3])
@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_interruption_leaves_a_usable_model(monkeypatch, estimator, y, n_epochs):
    train_epoch = Network.train_epoch
    calls = []

    def interrupted(self, *args, **kwargs):
        if len(calls) == n_epochs:
            raise KeyboardInterrupt
        calls.append(1)
        return train_epoch(self, *args, **kwargs)

    monkeypatch.setattr(Network, "train_epoch", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = small(estimator, max_iter=50).fit(X, y)
    monkeypatch.undo()
    assert model.n_iter_ == n_epochs
    assert np.isnan(model.loss_) == (n_epochs == 0)
    assert model.predict(X).shape == y.shape
    assert model.partial_fit(X, y).t_ == (n_epochs + 1) * len(X)


def test_warnings_point_to_the_call_of_fit():
    with pytest.warns(ConvergenceWarning) as caught:
        small(SparseMLPClassifier).fit(X, LABELS)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="batch_size") as caught:
        small(SparseMLPClassifier, batch_size=1000).fit(X, LABELS)
    assert caught[0].filename == __file__


# --- reproducibility ---------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_results_depend_on_the_seed_and_not_on_threads(estimator, y, precision):
    model = small(estimator, precision=precision, density=0.5)
    first = clone(model).set_params(n_threads=1).fit(X, y)
    second = clone(model).set_params(n_threads=2).fit(X, y)
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert first.loss_curve_ == second.loss_curve_
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert first.loss_curve_ != other.loss_curve_


def test_a_random_state_object_is_drawn_from():
    state = np.random.RandomState(0)
    first, second = (
        small(SparseMLPRegressor, random_state=state).fit(X, TARGET) for _ in range(2)
    )
    assert first.loss_curve_ != second.loss_curve_


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_fit_and_predict_leave_X_y_and_weights_alone(estimator, y):
    inputs, targets, weights = X.copy(), y.copy(), np.ones(len(X))
    for array in (inputs, targets, weights):
        array.setflags(write=False)
    model = small(estimator).fit(inputs, targets, sample_weight=weights)
    model.partial_fit(inputs, targets, sample_weight=weights)
    model.predict(inputs)
    np.testing.assert_array_equal(inputs, X)
