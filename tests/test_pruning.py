"""Pruned and converted estimators."""

import pickle
from copy import deepcopy
from functools import cache

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from small_estimators import needs_loss, share_inputs

from sparsenet import SparseMLPClassifier, SparseMLPRegressor, from_sklearn, prune
from sparsenet._formats import PRECISIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
X, LABELS = load_digits(return_X_y=True)
X = X / 16
X_NUMBERS, NUMBERS = load_diabetes(return_X_y=True)
X_NUMBERS = StandardScaler().fit_transform(X_NUMBERS)
NUMBERS = (NUMBERS - NUMBERS.mean()) / NUMBERS.std()
SETTINGS = {"hidden_layer_sizes": (96, 64), "max_iter": 30, "random_state": 0}


def fitted(precision="float32", convert=np.asarray, **options):
    settings = SETTINGS | {"density": 1.0, "precision": precision} | options
    return SparseMLPClassifier(**settings).fit(convert(X), LABELS)


# --- prune -------------------------------------------------------------------------


@each_precision
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_a_pruned_copy_predicts_and_can_be_tuned(precision, convert):
    dense = fitted(precision, convert)
    before = pickle.dumps(dense)
    small = prune(dense, 0.3)
    assert pickle.dumps(dense) == before
    assert type(small) is SparseMLPClassifier and small.density == 0.3
    hidden = sum(layer.n_connections for layer in small.topology_.layers[:2])
    assert hidden == pytest.approx(0.3 * (64 * 96 + 96 * 64), rel=0.06)
    assert small.topology_.layers[1].fan_out.min() > 0
    assert small.loss_curve_ == dense.loss_curve_
    at_once, connections = small.score(convert(X), LABELS), small.coefs_[1].indices
    assert at_once > 0.8
    for _ in range(4):
        small.partial_fit(convert(X), LABELS)
    assert small.score(convert(X), LABELS) > max(0.97, at_once)
    # partial_fit is beyond the rounds of rewiring: what was chosen stays.
    np.testing.assert_array_equal(small.coefs_[1].indices, connections)
    small.set_params(warm_start=True, max_iter=3).fit(convert(X), LABELS)
    assert small.score(convert(X), LABELS) > 0.97
    reloaded = pickle.loads(pickle.dumps(small))
    np.testing.assert_array_equal(reloaded.predict(X), small.predict(X))


@each_precision
def test_a_model_of_scikit_learn_becomes_one_of_blocks(precision):
    settings = {"hidden_layer_sizes": (97, 62), "max_iter": 30, "random_state": 0}
    mlp = MLPClassifier(**settings).fit(X, LABELS)
    size = np.uint8(4)
    small = from_sklearn(mlp, density=0.5, precision=precision, block_size=size)
    assert share_inputs(small.coefs_[0]) and share_inputs(small.coefs_[1])
    assert small.score(X, LABELS) > 0.6
    small.partial_fit(X, LABELS)
    assert small.score(X, LABELS) > 0.95
    smaller = prune(small.set_params(block_size=1), 0.3)  # which has been built
    assert smaller.block_size == 4
    assert share_inputs(smaller.coefs_[0]) and share_inputs(smaller.coefs_[1])
    assert smaller.coefs_[1].nnz < small.coefs_[1].nnz


@each_precision
def test_a_copy_in_another_format_predicts_nearly_the_same(precision):
    dense = fitted()
    copy = prune(dense, 1.0, precision=precision)
    assert copy.precision == precision
    difference = np.abs(copy.predict_proba(X) - dense.predict_proba(X)).max()
    assert difference <= {"float32": 0, "int8": 0.3}.get(precision, 0.06)
    assert len(pickle.dumps(copy)) <= len(pickle.dumps(dense))


def test_a_copy_has_its_own_weights():
    dense = fitted()
    copy, expected = prune(dense, 1.0), dense.predict_proba(X)
    copy.partial_fit(X, LABELS)
    np.testing.assert_array_equal(dense.predict_proba(X), expected)
    # And its own random numbers: the original goes on as if there were no copy.
    alone = fitted().partial_fit(X, LABELS).predict_proba(X)
    np.testing.assert_array_equal(dense.partial_fit(X, LABELS).predict_proba(X), alone)


def test_layers_that_are_sparser_already_stay_as_they_are():
    small = fitted(density=0.2)
    copy = prune(small, 0.9)
    np.testing.assert_array_equal(copy.predict_proba(X), small.predict_proba(X))
    assert copy._network.n_connections == small._network.n_connections


def test_pruning_takes_a_density_for_each_layer():
    layers = prune(fitted(), [0.5, 0.25, 0.5]).topology_.layers
    assert [layer.fan_in.max() for layer in layers] == [32, 24, 32]


@pytest.mark.parametrize(
    ("estimator", "density", "precision", "error", "message"),
    [
        (SparseMLPClassifier(), 0.5, None, NotFittedError, "not fitted"),
        (MLPClassifier(), 0.5, None, TypeError, "from_sklearn"),
        ("fitted", 0, None, ValueError, "density=0; allowed"),
        ("fitted", [0.5], None, ValueError, "one per weight matrix"),
        ("fitted", 0.5, "float64", ValueError, "precision='float64'; allowed"),
    ],
)
def test_what_cannot_be_pruned_is_refused(
    estimator, density, precision, error, message
):
    estimator = fitted() if estimator == "fitted" else estimator
    with pytest.raises(error, match=message):
        prune(estimator, density, precision=precision)


# --- from_sklearn ------------------------------------------------------------------


@cache
def fitted_once(kind, y, options):
    inputs = X if kind is MLPClassifier else X_NUMBERS
    targets = {"labels": LABELS, "numbers": NUMBERS}[y]
    return kind(**SETTINGS | dict(options)).fit(inputs, targets)


def theirs(kind, y=LABELS, **options):
    """An estimator of scikit-learn, to be changed as one likes, and its inputs."""
    if y is LABELS or y is NUMBERS:
        mlp = fitted_once(
            kind, "labels" if y is LABELS else "numbers", (*options.items(),)
        )
        return deepcopy(mlp), X if kind is MLPClassifier else X_NUMBERS
    inputs = X if kind is MLPClassifier else X_NUMBERS
    return kind(**SETTINGS | options).fit(inputs, y), inputs


CASES = {
    "classes": (MLPClassifier, LABELS),
    "two classes": (MLPClassifier, np.where(LABELS > 4, "high", "low")),
    "labels": (MLPClassifier, np.eye(10, dtype=int)[LABELS]),
    "numbers": (MLPRegressor, NUMBERS),
    "several numbers": (MLPRegressor, np.c_[NUMBERS, -NUMBERS, NUMBERS**2]),
}


@pytest.mark.parametrize(("kind", "y"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sparse_rows", [False, True])
def test_a_converted_estimator_predicts_the_same(kind, y, activation, sparse_rows):
    mlp, inputs = theirs(kind, y, activation=activation)
    ours = from_sklearn(mlp, sparse_rows=sparse_rows)
    expected_class = SparseMLPRegressor if kind is MLPRegressor else SparseMLPClassifier
    assert type(ours) is expected_class
    rows = sparse.csr_array(inputs) if sparse_rows else inputs
    if kind is MLPRegressor:
        np.testing.assert_allclose(ours.predict(rows), mlp.predict(inputs), atol=1e-5)
    else:
        actual, expected = ours.predict_proba(rows), mlp.predict_proba(inputs)
        np.testing.assert_allclose(actual, expected, atol=1e-5)
        np.testing.assert_array_equal(ours.predict(rows), mlp.predict(inputs))
    assert ours._network.sparse_rows == sparse_rows
    assert ours.score(rows, y) == pytest.approx(mlp.score(inputs, y), abs=1e-5)
    for name in ("n_iter_", "t_", "loss_", "loss_curve_", "out_activation_"):
        assert getattr(ours, name) == getattr(mlp, name)
    assert ours.get_params().items() >= mlp.get_params().items()
    before = ours.score(rows, y)
    ours.partial_fit(rows, y)  # goes on learning
    assert ours.score(rows, y) > before - 0.1
    assert ours.t_ == mlp.t_ + len(y)


@each_precision
def test_a_converted_estimator_may_be_sparse_and_of_low_precision(precision):
    mlp, _ = theirs(MLPClassifier)
    ours = from_sklearn(mlp, density=0.4, precision=precision, n_threads=1)
    assert ours.score(X, LABELS) > 0.85
    assert ours.n_threads == 1
    ours.set_params(warm_start=True, max_iter=5).fit(X, LABELS)
    assert ours.score(X, LABELS) > 0.97
    reloaded = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(reloaded.predict(X), ours.predict(X))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_every_solver_can_be_converted(solver, early_stopping):
    mlp, _ = theirs(MLPClassifier, solver=solver, early_stopping=early_stopping)
    ours = from_sklearn(mlp)
    assert ours.solver == solver
    np.testing.assert_allclose(
        ours.predict_proba(X), mlp.predict_proba(X), atol=1e-5
    )  # fmt: skip
    if solver != "lbfgs":
        assert ours.best_loss_ == mlp.best_loss_
        assert ours.validation_scores_ == mlp.validation_scores_
    else:
        assert ours.loss_ == mlp.loss_
        small = from_sklearn(mlp, precision="int8")
        assert small.solver == prune(ours, 0.5, precision="int8").solver == "adam"
    ours.set_params(warm_start=True, max_iter=2).fit(X, LABELS)


def test_names_of_features_are_kept():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X_NUMBERS, columns=list("abcdefghij"))
    mlp = MLPRegressor(**SETTINGS).fit(frame, NUMBERS)
    ours = from_sklearn(mlp)
    np.testing.assert_array_equal(ours.feature_names_in_, mlp.feature_names_in_)
    np.testing.assert_allclose(ours.predict(frame), mlp.predict(frame), atol=1e-5)


@pytest.mark.parametrize(
    ("mlp", "options", "error", "message"),
    [
        (MLPClassifier(), {}, NotFittedError, "not fitted"),
        (SparseMLPClassifier(), {}, TypeError, "MLPClassifier and MLPRegressor"),
        (None, {}, TypeError, "NoneType"),
        ("fitted", {"density": 2}, ValueError, "density=2; allowed"),
        ("fitted", {"precision": "fp8"}, ValueError, "precision='fp8'; allowed"),
        ("fitted", {"max_iter": 0}, ValueError, "max_iter=0; allowed"),
    ],
)
def test_what_cannot_be_converted_is_refused(mlp, options, error, message):
    mlp = theirs(MLPClassifier)[0] if mlp == "fitted" else mlp
    with pytest.raises(error, match=message):
        from_sklearn(mlp, **options)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("hidden_layer_sizes", (5,)),
        ("activation", "tanh"),
        pytest.param("loss", "poisson", marks=needs_loss),
    ],
)
@pytest.mark.parametrize("changed", ["by option", "in the estimator"])
def test_parameters_that_contradict_the_network_are_refused(parameter, value, changed):
    mlp, inputs = theirs(MLPRegressor, NUMBERS)
    message = rf"from_sklearn: {parameter}=.*; allowed: .* was fitted with"
    if changed == "by option":
        with pytest.raises(ValueError, match=message):
            from_sklearn(mlp, **{parameter: value})
        return
    ours = from_sklearn(mlp).set_params(**{parameter: value})
    with pytest.raises(ValueError, match=message.replace("from_sklearn", "prune")):
        prune(ours, 0.5)
    np.testing.assert_allclose(ours.predict(inputs), mlp.predict(inputs), atol=1e-4)
    if parameter != "activation":
        mlp.set_params(**{parameter: value})
        with pytest.raises(ValueError, match=message):
            from_sklearn(mlp)


@pytest.mark.parametrize("array", ["coefs_", "intercepts_"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("sparse_rows", [False, True])
def test_weights_that_are_no_float32_are_refused(array, value, sparse_rows):
    mlp, _ = theirs(MLPClassifier)
    getattr(mlp, array)[1].flat[2] = value
    with pytest.raises(
        ValueError, match=r"from_sklearn: coefs_\[1\] and .* not finite"
    ):
        from_sklearn(mlp, sparse_rows=sparse_rows)


@pytest.mark.parametrize("sparse_rows", [False, True])
def test_weights_that_are_no_float16_are_refused(sparse_rows):
    mlp, inputs = theirs(MLPClassifier)
    mlp.coefs_[0][2, 3] = 70000
    with pytest.raises(ValueError, match=r"'float16' does not hold .* up to 65504"):
        from_sklearn(mlp, precision="float16", sparse_rows=sparse_rows)
    ours = from_sklearn(mlp, sparse_rows=sparse_rows)
    with pytest.raises(ValueError, match=r"'float16' does not hold"):
        prune(ours, 1.0, precision="float16")
    assert prune(ours, 1.0, precision="bfloat16").predict(inputs).shape == (
        len(inputs),
    )


def other_coefs(mlp):
    mlp.coefs_[0] = mlp.coefs_[0][:, :-1]


def other_intercepts(mlp):
    mlp.intercepts_[0] = mlp.intercepts_[0][np.newaxis]


def too_few_layers(mlp):
    del mlp.coefs_[-1], mlp.intercepts_[-1]


def other_features(mlp):
    mlp.n_features_in_ += 1


def other_outputs(mlp):
    mlp.n_outputs_ += 1


def other_classes(mlp):
    mlp.classes_ = mlp.classes_[:-1]


def other_layers(mlp):
    mlp.n_layers_ += 1


def classes_in_disorder(mlp):
    mlp.classes_ = mlp.classes_[::-1]


def classes_in_a_list(mlp):
    mlp.classes_ = mlp.classes_.tolist()


def another_output(mlp):
    mlp.out_activation_ = "identity"


def complex_weights(mlp):
    mlp.coefs_[0] = mlp.coefs_[0] + 1j


def other_names(mlp):
    mlp.feature_names_in_ = np.array(["a", "b"], dtype=object)


@pytest.mark.parametrize(
    "damage",
    [
        other_coefs, other_intercepts, too_few_layers, other_features, other_outputs,
        other_classes, other_layers, classes_in_disorder, classes_in_a_list,
        another_output, complex_weights, other_names,
    ],
)  # fmt: skip
def test_an_inconsistent_estimator_is_refused(damage):
    mlp, _ = theirs(MLPClassifier)
    damage(mlp)
    with pytest.raises(ValueError, match=r"from_sklearn: .*; allowed"):
        from_sklearn(mlp)


@each_precision
@pytest.mark.parametrize("training_state", [True, "auto", False])
def test_a_pruned_copy_pickles_as_it_says(precision, training_state):
    model = fitted(precision=precision).set_pickle(training_state=training_state)
    model.partial_fit(X, LABELS)
    pruned = prune(model, 0.5)
    loaded = pickle.loads(pickle.dumps(pruned))
    for one in (pruned, loaded):
        one.partial_fit(X, LABELS)
    same = np.array_equal(pruned.predict_proba(X), loaded.predict_proba(X))
    # Without it, the weights that a format has rounded are what is left.
    assert same or (training_state is False and precision != "float32")


@pytest.mark.parametrize("n_classes", [1, 3])
def test_two_classes_are_two(n_classes):
    mlp, _ = theirs(MLPClassifier, LABELS > 4)
    mlp.classes_ = np.arange(n_classes)
    with pytest.raises(ValueError, match=r"classes_ of mlp: .*; allowed: \(2,\)"):
        from_sklearn(mlp)


class Renamed(MLPClassifier):
    """A subclass with parameters of its own."""

    def __init__(self, width=20):
        self.width = width
        super().__init__(**SETTINGS | {"hidden_layer_sizes": (width,)})


def test_a_subclass_is_converted_by_its_attributes():
    mlp = Renamed().fit(X, LABELS)
    ours = from_sklearn(mlp)
    assert (ours.predict(X) == mlp.predict(X)).mean() > 0.99
