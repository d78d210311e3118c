"""Predictors: the results of their estimators, and what else a service asks of them."""

import copy
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.exceptions import NotFittedError
from small_estimators import LABELS, PRECISIONS, TARGET, X_TEST, X, small
from threadpoolctl import threadpool_limits

from sparsenet import (
    ClassifierPredictor,
    RegressorPredictor,
    SparseMLPClassifier,
    SparseMLPRegressor,
)
from sparsenet._threads import effective_n_threads

pytestmark = pytest.mark.filterwarnings("ignore")
METHODS = "predict", "predict_proba", "predict_log_proba", "decision_function"
NAMES = np.array(["zero", "one", "two", *"3456789"])
#: What an estimator is trained on, and how, for each kind of output.
KINDS = {
    "classes": (SparseMLPClassifier, LABELS, {}),
    "names": (SparseMLPClassifier, NAMES[LABELS], {}),
    "objects": (SparseMLPClassifier, NAMES[LABELS].astype(object), {}),
    "two classes": (SparseMLPClassifier, NAMES[LABELS % 2], {}),
    "two classes, focal loss": (SparseMLPClassifier, LABELS > 4, {"loss": "focal"}),
    "one class": (SparseMLPClassifier, LABELS * 0, {}),
    "labels": (SparseMLPClassifier, np.stack([LABELS > 4, LABELS % 2], axis=1) * 1, {}),
    "number": (SparseMLPRegressor, TARGET, {}),
    "numbers": (SparseMLPRegressor, np.stack([TARGET, -TARGET], axis=1), {}),
    "counts": (SparseMLPRegressor, LABELS, {"loss": "poisson"}),
    "quantile": (SparseMLPRegressor, TARGET, {"loss": "quantile", "quantile": 0.9}),
    "quantiles": (
        SparseMLPRegressor,
        TARGET,
        {"loss": "quantile", "quantile": (0.1, 0.5, 0.9)},
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])


def fitted(kind="classes", container=np.asarray, **parameters):
    estimator, y, options = KINDS[kind]
    return small(estimator, **{"max_iter": 2} | options | parameters).fit(
        container(X), y
    )


def assert_same(model, predictor, rows):
    """Whether all that both predict is the same, to the last bit."""
    for name in METHODS:
        assert hasattr(model, name) == hasattr(predictor, name)
        if hasattr(model, name):
            expected = getattr(model, name)(rows)
            result = getattr(predictor, name)(rows)
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected, strict=True)


# --- results -----------------------------------------------------------------------


@each_kind
@each_container
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_those_of_the_estimator(kind, container, dtype):
    model = fitted(kind, container)
    predictor = model.predictor()
    for n in (1, 2, 64, 150):
        rows = X_TEST[:n].astype(dtype)
        assert_same(model, predictor, rows)
        assert_same(model, predictor, sparse.csr_array(rows))


@each_precision
@pytest.mark.parametrize("block_size", [1, 4])
@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_of_every_format_and_layout(precision, block_size, density, activation):
    model = fitted(
        hidden_layer_sizes=(50, 70),
        precision=precision,
        block_size=block_size,
        density=density,
        activation=activation,
    )
    predictor = model.predictor()
    for n in (1, 40, 150):
        assert_same(model, predictor, X_TEST[:n])
    assert_same(model, pickle.loads(pickle.dumps(predictor)), X_TEST[:1])


def test_many_rows_are_predicted_some_at_a_time(monkeypatch):
    model = fitted("two classes")
    expected = model.predict(X_TEST)
    monkeypatch.setattr("sparsenet._outputs.OUTPUTS_AT_ONCE", 1)
    monkeypatch.setattr("sparsenet._outputs.CHUNK", 70)
    np.testing.assert_array_equal(model.predictor().predict(X_TEST), expected)


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda rows: np.repeat(rows, 2, axis=1)[:, ::2],
        lambda rows: rows[::-1][::-1],
        lambda rows: np.frombuffer(b"_" + rows.tobytes(), rows.dtype, offset=1).reshape(
            rows.shape
        ),
        np.matrix,
        sparse.csr_matrix,
        sparse.csc_array,
        sparse.coo_array,
        sparse.lil_matrix,
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_may_lie_anyhow(layout, dtype):
    model, rows = fitted(), X_TEST[:5].astype(dtype)
    expected = model.predict_proba(rows)
    given_rows = layout(rows)
    np.testing.assert_array_equal(
        model.predictor().predict_proba(given_rows), expected, strict=True
    )


def test_readonly_rows_are_taken_and_none_is_changed():
    rows = X_TEST[:3].copy()
    rows.flags.writeable = False
    fitted().predictor().predict(rows)
    np.testing.assert_array_equal(rows, X_TEST[:3])


# --- threads -----------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(8,), (300, 300)])  # with the GIL, and without
@each_container
def test_threads_share_a_predictor(hidden, container):
    model = fitted(container=container, hidden_layer_sizes=hidden, precision="int8")
    predictor = model.predictor()
    parts = [slice(i, i + n) for i in range(100) for n in (1, 3, 100)]
    expected = [model.predict_proba(X_TEST[part]) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            results = pool.map(lambda p: predictor.predict_proba(X_TEST[p]), parts)
            for result, same in zip(results, expected, strict=True):
                np.testing.assert_array_equal(result, same)


@pytest.mark.parametrize("n_threads", [1, 2, 5, None])
def test_threads_of_a_call(monkeypatch, n_threads):
    model = fitted()
    predictor = model.predictor(n_threads=n_threads)
    assert predictor.n_threads == n_threads
    assert pickle.loads(pickle.dumps(predictor)).n_threads == n_threads
    np.testing.assert_array_equal(predictor.predict(X_TEST), model.predict(X_TEST))
    used = []
    kind = type(predictor._network)
    original = kind.predict

    def remember(network, rows, threads, *options):
        used.append(threads)
        return original(network, rows, threads, *options)

    monkeypatch.setattr(kind, "predict", remember)
    predictor.predict(X_TEST)
    with threadpool_limits(1, user_api="openmp"):
        predictor.predict(X_TEST)
    # None follows what limits OpenMP at the time of a call.
    assert used == ([n_threads] * 2 if n_threads else [effective_n_threads(), 1])


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, "2"])
def test_threads_that_are_refused(n_threads):
    with pytest.raises(ValueError, match=r"n_threads=.*allowed"):
        fitted().predictor(n_threads=n_threads)


# --- immutability ------------------------------------------------------------------


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@each_precision
def test_training_the_estimator_does_not_change_it(container, precision):
    model = fitted(container=container, precision=precision, warm_start=True)
    predictor = model.predictor()
    expected = predictor.predict_proba(X_TEST)
    model.fit(container(X), LABELS)
    model.partial_fit(container(X), LABELS)
    model.classes_[:] = 0
    assert not np.array_equal(model.predict_proba(X_TEST), expected)
    np.testing.assert_array_equal(predictor.predict_proba(X_TEST), expected)
    assert len(np.unique(predictor.predict(X_TEST))) > 1


def test_nothing_of_it_can_be_set():
    predictor = fitted().predictor()
    for name in ("classes_", "n_threads", "_network", "other"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(predictor, name, 1)
        with pytest.raises(AttributeError, match="immutable"):
            delattr(predictor, name)
    with pytest.raises(ValueError, match="read-only"):
        predictor.classes_[0] = 5
    assert copy.copy(predictor) is copy.deepcopy(predictor) is predictor


def test_what_it_tells():
    predictor = fitted("names", hidden_layer_sizes=(32, 16)).predictor()
    assert repr(predictor) == "<ClassifierPredictor 64-32-16-10, float32, n_threads=1>"
    assert predictor.n_features_in_ == 64
    assert predictor.n_outputs_ == 10
    assert predictor.out_activation_ == "softmax"
    np.testing.assert_array_equal(predictor.classes_, np.unique(NAMES))
    assert isinstance(predictor, ClassifierPredictor)
    other = fitted("number").predictor()
    assert isinstance(other, RegressorPredictor)
    assert not hasattr(other, "classes_")


def test_of_an_estimator_that_is_not_fitted():
    with pytest.raises(NotFittedError):
        SparseMLPClassifier().predictor()


# --- pickles -----------------------------------------------------------------------


@each_kind
@each_container
def test_pickles(kind, container):
    model = fitted(kind, container, precision="int8")
    model.partial_fit(container(X), KINDS[kind][1])  # whose pickles keep moments
    pickled = pickle.dumps(model.predictor())
    model.set_pickle(training_state=False)
    assert len(pickled) <= len(pickle.dumps(model))
    assert b"_mlp" not in pickled  # the estimators
    assert_same(model, pickle.loads(pickled), X_TEST[:70])


@pytest.mark.parametrize("part", ["weights", "classes", "loss", "network"])
def test_damaged_pickles_are_refused(part):
    predictor = fitted().predictor()
    state = predictor.__getstate__()
    if part == "weights":
        damaged = bytearray(pickle.dumps(predictor))
        weights = predictor._network.layers[0].weights.tobytes()
        damaged[damaged.index(weights[:16]) + 2] ^= 1
        with pytest.raises(ValueError, match="damaged or foreign sparsenet model"):
            pickle.loads(damaged)
        return
    if part == "classes":
        state["classes"] = state["classes"][::-1]
    elif part == "loss":
        state["network"] = fitted("number")._network
    else:
        state["network"] = None
    with pytest.raises(ValueError, match="damaged or foreign sparsenet model"):
        object.__new__(ClassifierPredictor).__setstate__(state)


# --- bad input ---------------------------------------------------------------------

ROWS = X_TEST[:3]


def damaged(value):
    rows = ROWS.copy()
    rows[2, 7] = value
    return rows


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, np.asfortranarray])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["classes", "number"])
def test_values_that_are_not_finite(container, value, dtype, kind):
    predictor = fitted(kind).predictor()
    with pytest.raises(ValueError, match="Predictor: X contains NaN or infinity"):
        predictor.predict(container(damaged(value).astype(dtype)))


def test_values_too_large_for_the_network():
    with pytest.raises(ValueError, match="Predictor: X has values too large"):
        fitted(precision="float16").predictor().predict(damaged(1e30))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.tolist(), "X is of type list; allowed: an array"),
        (None, "X is of type NoneType"),
        ("abc", "X is of type str"),
        (memoryview(ROWS), "X is of type memoryview"),
        (ROWS.astype(int), "X has the dtype int64; allowed: .* float32 or float64"),
        (ROWS.astype(np.float16), "X has the dtype float16"),
        (ROWS.astype(complex), "X has the dtype complex128"),
        (ROWS.astype(object), "X has the dtype object"),
        (ROWS.astype(str), "X has the dtype <U32"),
        (ROWS.astype(">f4"), "X has the dtype >f4"),
        (sparse.csr_array(ROWS.astype(int)), "X has the dtype int64"),
    ],
)
def test_types_that_are_refused(rows, message):
    with pytest.raises(TypeError, match=f"^ClassifierPredictor: {message}"):
        fitted().predictor().predict(rows)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    "rows", [ROWS[:, :63], np.hstack([ROWS, ROWS]), ROWS[:0], ROWS[:, :0]]
)
def test_shapes_that_are_refused(container, rows):
    shape = re.escape(str(rows.shape))
    message = f"X has shape {shape}; allowed: at least 1 row, and 64 columns"
    for name in METHODS:
        with pytest.raises(ValueError, match=message):
            getattr(fitted().predictor(), name)(container(rows))


@pytest.mark.parametrize("rows", [ROWS[0], np.float64(3), ROWS[np.newaxis]])
def test_rows_that_are_no_matrix(rows):
    with pytest.raises(ValueError, match=r"allowed: \(n_samples, 64\).*reshape"):
        fitted().predictor().predict(np.asarray(rows))


def test_sparse_rows_with_indices_out_of_bounds():
    rows = sparse.csr_array(ROWS)
    rows.indices[0] = 64
    with pytest.raises(ValueError, match="ClassifierPredictor: X is not a valid CSR"):
        fitted().predictor().predict(rows)


PREDICTOR = small(SparseMLPClassifier).fit(X[:, :5], LABELS).predictor()


@settings(max_examples=300, deadline=None)
@given(
    hnp.arrays(
        st.one_of(
            hnp.floating_dtypes(endianness="?"),
            hnp.integer_dtypes(),
            hnp.complex_number_dtypes(),
            hnp.datetime64_dtypes(),
            hnp.boolean_dtypes(),
        ),
        st.one_of(
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6),
            st.tuples(st.integers(1, 70), st.just(5)),
        ),
    ),
    st.sampled_from([np.asarray, np.asfortranarray, lambda rows: rows[::-1]]),
)
def test_any_array_is_predicted_or_refused(rows, layout):
    if rows.ndim:
        rows = layout(rows)
    try:
        result = PREDICTOR.predict_proba(rows)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("ClassifierPredictor: X ")
        return
    assert rows.dtype in (np.float32, np.float64)
    assert rows.shape == (len(result), 5)
    assert np.isfinite(rows).all()
    assert result.shape == (len(rows), 10)
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-6)
