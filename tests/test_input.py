"""X as users have it, as kernels read it, and what neither takes."""

import itertools

import numpy as np
import pytest
from problems import random_data, random_network, train
from scipy import sparse
from sklearn.linear_model import SGDClassifier

from sparsenet import (
    SparseMLPClassifier,
    SparseMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
    TopologyDisplay,
)
from sparsenet._formats import PRECISIONS
from sparsenet._input import read_X, read_X_y
from sparsenet._kernels.train.input import are_rows
from sparsenet._kernels.train.layouts import round_table, round_weights

each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
pytestmark = pytest.mark.filterwarnings("ignore")
LETTERS, Y = list("abcdef") * 10, np.array([0, 0, 0, 1, 1, 1] * 10)


def fitted_columns(X):
    """An estimator that has seen X's columns."""
    estimator = SGDClassifier()
    estimator.n_features_in_ = X.shape[1]
    return estimator


# --- rows that are taken as they are --------------------------------------------------

ROWS = np.arange(12.0, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 3, 300])  # 300 rows: without the GIL
def test_rows_as_kernels_read_them_are_not_converted(dtype, n):
    X = np.ones((n, 200), dtype)
    X.flags.writeable = False
    assert are_rows(X, 200)
    assert read_X(fitted_columns(X), X, "float32") is X
    for row, column in ((0, 0), (n - 1, 199)):
        for value in (np.nan, -np.nan, np.inf, -np.inf):
            damaged = X.copy()
            damaged[row, column] = value
            assert not are_rows(damaged, 200)
            with pytest.raises(ValueError, match="Input X contains"):
                read_X(fitted_columns(X), damaged, "float32")
        largest = X * np.finfo(dtype).max
        largest[row, column] = np.finfo(dtype).smallest_subnormal
        assert are_rows(largest, 200)


@pytest.mark.parametrize(
    "X",
    [
        ROWS.astype(">f4"),
        *map(ROWS.astype, (np.float16, np.int32, complex, np.longdouble, object, "S")),
        ROWS.astype("M8[s]"),  # which has no buffer
        np.asfortranarray(ROWS),
        np.repeat(ROWS, 2, axis=1)[:, ::2],
        ROWS[:, :3],
        ROWS[:0],
        ROWS[0],
        ROWS[np.newaxis],
        np.float32(3),
        ROWS.astype([("x", "f4")]),
        np.frombuffer(b"_" + ROWS.tobytes(), np.float32, offset=1).reshape(3, 4),
        np.matrix(ROWS),
        np.ma.masked_array(ROWS),
        ROWS.tolist(),
        memoryview(ROWS),
        sparse.csr_array(ROWS),
        None,
    ],
    ids=lambda X: f"{type(X).__name__} {getattr(X, 'dtype', '')}",
)
def test_rows_to_be_converted_or_refused(X):
    """Left to scikit-learn, as are those of the wrong width."""
    assert not are_rows(X, 4)


def test_names_of_features_are_missed():
    X = ROWS.copy()
    estimator = fitted_columns(X)
    estimator.feature_names_in_ = np.array(list("abcd"), object)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        read_X(estimator, X, "float32")


# --- types -------------------------------------------------------------------------


CONTAINERS = [np.asarray, sparse.csr_array, sparse.csc_array, sparse.coo_matrix]
TYPES = [bool, np.uint8, np.int64, np.longdouble]


@each_precision
@pytest.mark.parametrize(
    ("dtype", "container"),
    # SciPy has no sparse arrays of float16.
    [*itertools.product(TYPES, CONTAINERS), (np.float16, np.asarray)],
)
def test_every_type_of_number_is_read_as_floats(precision, dtype, container):
    X = container(np.eye(6, dtype=dtype))
    for rows in (
        read_X(fitted_columns(X), X, precision),
        read_X_y(fitted_columns(X), X, Y[:6], precision, reset=True)[0],
    ):
        assert rows.dtype == np.float64
        dense = rows.toarray() if sparse.issparse(rows) else rows
        np.testing.assert_array_equal(dense, np.eye(6))


@each_precision
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("fill", ["sparse", "dense", "mixed"])
def test_one_hot_columns_of_a_data_frame(precision, dtype, fill):
    """scikit-learn's check returns frames of sparse bool columns as they are."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.get_dummies(
        pandas.Series(LETTERS), sparse=fill != "dense", dtype=dtype
    )
    if fill == "mixed":
        frame["a"] = frame["a"].sparse.to_dense()
    settings = {"random_state": 0, "precision": precision, "max_iter": 60}
    settings["learning_rate_init"] = 0.02
    classifier = SparseMLPClassifier(**settings).fit(frame, Y)
    assert classifier.score(frame, Y) == 1.0
    dense = frame.to_numpy().astype(float)
    np.testing.assert_array_equal(classifier.predict(dense), Y)
    assert classifier.partial_fit(frame, Y).score(frame, Y) == 1.0
    regressor = SparseMLPRegressor(**settings).fit(frame, Y)
    predicted = regressor.predict(frame)
    assert predicted.dtype in (np.float32, np.float64)
    np.testing.assert_allclose(predicted, Y, atol=0.2)
    np.testing.assert_allclose(predicted, regressor.predict(dense), atol=0.02)


TIMES = np.arange(6).astype("datetime64[ns]")


@pytest.mark.parametrize("times", [TIMES, TIMES - TIMES[0]])
def test_dates_and_durations_are_no_numbers(times):
    pandas, polars = map(pytest.importorskip, ("pandas", "polars"))
    columns = {"a": np.arange(6), "b": times}
    frames = pandas.DataFrame(columns), polars.DataFrame(columns)
    for X in (np.c_[times, times], [*np.c_[times, times]], *frames):
        message = "^SparseMLPRegressor: X has values of the type .*; allowed: numbers"
        with pytest.raises(ValueError, match=message):
            SparseMLPRegressor().fit(X, Y[:6])
    X = np.eye(6)
    for y in (times, pandas.Series(times)):
        message = "^SparseMLPRegressor: y has values of the type .*; allowed: numbers"
        with pytest.raises(ValueError, match=message):
            SparseMLPRegressor().fit(X, y)
    labels = SparseMLPClassifier(max_iter=1).fit(X, times).classes_
    np.testing.assert_array_equal(labels, times)
    with pytest.raises(ValueError, match="SparseMLPClassifier: X has values of the"):
        SparseMLPClassifier(max_iter=1).fit(X, times).predict(np.c_[times, times])


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (SparseMLPClassifier(max_iter=1), Y[:6]),
        (SparseMLPRegressor(max_iter=1), np.arange(6.0)),
        (TabularMLPClassifier(), Y[:6]),
        (TabularMLPRegressor(), np.arange(6.0)),
    ],
)
def test_masked_values_are_no_numbers(estimator, y):
    X, hidden = np.eye(6), np.arange(6) == 2
    arguments = {"X": X, "y": y, "sample_weight": np.ones(6)}
    estimator.fit(**{k: np.ma.masked_array(v) for k, v in arguments.items()})
    for name, values in arguments.items():
        masked = np.ma.masked_array(values, np.broadcast_to(hidden, values.shape))
        message = f"{name} has masked values; allowed: .*{name}\\.filled"
        with pytest.raises(ValueError, match=message):
            estimator.fit(**arguments | {name: masked})
        if name == "X":
            with pytest.raises(ValueError, match=message):
                estimator.predict(masked)
    if hasattr(estimator, "predictor"):
        with pytest.raises(ValueError, match="Predictor: X has masked values"):
            estimator.predictor().predict(np.ma.masked_array(X, X > 0))


def test_missing_values_of_pandas_are_no_masks():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"_mask": [1.0, 0.0, 1.0], "x": [1.0, 2.0, 3.0]})
    y = pandas.array([0, 1, 1], dtype="Int64")
    assert SparseMLPClassifier(max_iter=1).fit(frame, y).n_features_in_ == 2
    with pytest.raises(ValueError, match=r"^(?!.*filled).*NaN"):
        SparseMLPRegressor().fit(frame, pandas.array([0.5, None, 1], "Float64"))


def test_sparse_arrays_of_one_dimension():
    row = sparse.coo_array(np.arange(6.0))
    if row.ndim != 1:
        pytest.skip("SciPy has them since 1.13")
    message = r"^SparseMLPClassifier: X has shape \(6,\); allowed: \(n_samples"
    with pytest.raises(ValueError, match=message):
        SparseMLPClassifier().fit(row, Y[:6])
    model = SparseMLPClassifier(max_iter=1).fit(np.eye(6), Y[:6])
    with pytest.raises(ValueError, match=message):
        model.predict(row)


def test_a_plot_reads_such_a_frame_too():
    pytest.importorskip("matplotlib")
    pandas = pytest.importorskip("pandas")
    frame = pandas.get_dummies(pandas.Series(LETTERS), sparse=True)
    model = SparseMLPClassifier(random_state=0, max_iter=5).fit(frame, Y)
    dense = frame.to_numpy().astype(float)
    actual, expected = (
        TopologyDisplay.from_estimator(model, X).importance for X in (frame, dense)
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


# --- the kernels' door -------------------------------------------------------------


def wrong_arrays(X, sparse_rows):
    if not sparse_rows:
        return [X.astype(bool), X.astype(np.float16), X[:, ::-1], np.asfortranarray(X)]
    rows = []
    for name, dtype in (("data", bool), ("indices", np.int16), ("indptr", np.int64)):
        bad = X.copy()
        setattr(bad, name, getattr(bad, name).astype(dtype))
        rows.append(bad)
    return rows


@each_precision
@pytest.mark.parametrize("sparse_rows", [False, True])
def test_a_network_takes_no_other_arrays(precision, sparse_rows):
    network = random_network(precision=precision, sparse_rows=sparse_rows)
    X, y = random_data(30)
    X = sparse.csr_array(X) if sparse_rows else X
    expected = network.predict(X, 1)
    for bad in wrong_arrays(X, sparse_rows):
        with pytest.raises(TypeError, match=r"X.* is .*; allowed: .* C-contiguous"):
            network.predict(bad, 1)
        with pytest.raises(TypeError, match=r"X.* is .*; allowed: .* C-contiguous"):
            train(network, bad, y)
    for bad in (y.astype(np.int64), y.astype(np.float32), np.repeat(y, 2)[::2]):
        with pytest.raises(TypeError, match=r"y is .*; allowed: int32"):
            train(network, X, bad)
    weight = np.ones(30)
    with pytest.raises(
        TypeError, match=r"sample_weight is float64.*; allowed: float32"
    ):
        train(network, X, y, weight)
    with pytest.raises(ValueError, match=r"y has shape \(29,\); allowed: \(30,\)"):
        train(network, X, y[:-1])
    for codes in (y - 1, y + 1):
        with pytest.raises(ValueError, match="class codes"):
            train(network, X, codes)
    if sparse_rows:
        with pytest.raises(TypeError, match="X is dense; allowed: CSR"):
            train(network, X.toarray(), y)
    np.testing.assert_array_equal(network.predict(X, 1), expected)


@each_precision
@pytest.mark.parametrize("sparse_rows", [False, True])
@pytest.mark.parametrize("n_columns", [1, 19, 21, 5000])
@each_container
def test_a_network_takes_rows_of_its_own_width_only(
    precision, sparse_rows, n_columns, container
):
    network = random_network(precision=precision, sparse_rows=sparse_rows)
    X, (_, y) = container(np.ones((30, n_columns), np.float32)), random_data(30)
    message = f"X has {n_columns} columns; allowed: 20"
    with pytest.raises(ValueError, match=message):
        network.predict(X, 1)
    with pytest.raises(ValueError, match=message):
        train(network, X, y)


# --- float16 -----------------------------------------------------------------------


def doubling(precision="float16", sparse_rows=False, hidden=1.0):
    """Networks that put out twice their single input, if the formats hold it."""
    network = random_network(
        (1, 1, 1), (1.0, 1.0), activation="identity", loss="squared_error",
        precision=precision, sparse_rows=sparse_rows,
    )  # fmt: skip
    for layer, weight in zip(network.layers, (hidden, 2.0), strict=True):
        layer.weights[...] = 0
        layer.weights[0, 0] = weight
        layer.bias[:] = 0
        (round_table if layer.by_feature else round_weights)(layer)
    return network


@pytest.mark.parametrize("sparse_rows", [False, True])
@each_container
@pytest.mark.parametrize("n", [1, 33, 65])
def test_what_float16_does_not_hold_is_no_output(sparse_rows, container, n):
    for x in (60000, -65504, 65519.99):
        rows = container(np.full((n, 1), x, np.float32))
        expected = np.float32(2) * np.float16(np.clip(x, -65504, 65504))
        out = doubling(sparse_rows=sparse_rows).predict(rows, 1)
        np.testing.assert_array_equal(out, expected)
    for x in (65520, -7e4, 1e6, 3e38):
        rows = container(np.full((n, 1), x, np.float32))
        assert np.isnan(doubling(sparse_rows=sparse_rows).predict(rows, 1)).all()
        assert np.isfinite(doubling("bfloat16").predict(rows / 4, 1)).all()
    # So are outputs that depend on a hidden unit whose value it does not hold.
    rows = container(np.full((n, 1), 1000, np.float32))
    large = doubling(sparse_rows=sparse_rows, hidden=80)
    assert np.isnan(large.predict(rows, 1)).all()
    np.testing.assert_array_equal(large.predict(rows / 2, 1), 80000)


@each_container
@pytest.mark.parametrize("warm_start", [False, True])
def test_float16_refuses_X_beyond_its_numbers(container, warm_start):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-2, 2, (100, 3)), rng.standard_normal(100)
    model = SparseMLPRegressor(
        precision="float16", warm_start=warm_start, max_iter=5, random_state=0
    )
    model.fit(container(X), y)
    expected = model.predict(container(X))
    for large in (65505, 7e4, -1e6, 1e300):
        damaged = X.copy()
        damaged[7, 1] = large
        message = "allowed: at most 65504, the largest float16"
        with pytest.raises(ValueError, match=message):
            model.fit(container(damaged), y)
        with pytest.raises(ValueError, match=message):
            model.partial_fit(container(damaged), y)
        if abs(large) < 65520:  # which rounds to a number that float16 has
            continue
        for call in (model.predict, lambda rows: model.score(rows, y)):
            with pytest.raises(ValueError, match=r"precision='float16' .* up to 65504"):
                call(container(damaged))
    np.testing.assert_array_equal(model.predict(container(X)), expected)


@each_container
def test_float16_says_when_training_leaves_its_numbers(container):
    rng = np.random.default_rng(0)
    X = container(rng.uniform(3e4, 6e4, (100, 20)))
    model = SparseMLPRegressor(
        precision="float16", max_iter=5, alpha=0, learning_rate_init=1, random_state=0
    )
    with pytest.raises(ValueError, match="diverged"):
        model.fit(X, rng.standard_normal(100))
