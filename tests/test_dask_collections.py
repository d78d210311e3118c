"""Dask collections: what is learned of them where they lie, and predicted for them."""

import numpy as np
import pytest

pytest.importorskip("distributed", reason="Dask is an extra")

import dask
import dask.array as da
import dask.bag
import dask.dataframe as dd
import pandas as pd
from clusters import cluster_of, comes_true, cut, spread
from dask.distributed import futures_of, wait
from dask_estimators import BOTH, in_threads, learned, small
from scipy import sparse
from sklearn.exceptions import NotFittedError
from small_estimators import LABELS, NUMBERS_VAL, TARGET, X_VAL, Y_VAL, X

from sparsenet.dask import SparseMLPClassifier, SparseMLPRegressor
from sparsenet.dask._partitions import in_memory_parts

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
each_task = pytest.mark.parametrize(("estimator", "y"), BOTH)
WORDS = np.array(list("abcdefghij"))
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2, len(X))
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as client:
        yield client


def lazy(*arrays, rows=100):
    """Dask arrays of chunks of so many rows."""
    return [da.from_array(a, chunks=(rows, *a.shape[1:])) for a in arrays]


def frame(values=X, partitions=3):
    table = pd.DataFrame(values).add_prefix("pixel ")
    return dd.from_pandas(table, npartitions=partitions)


# --- what is learned -----------------------------------------------------------------


@each_task
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("sizes", [(150, 150), (220, 80)], ids=str)
def test_workers_learn_what_threads_do(client, estimator, y, weights, sizes):
    columns = [X, y] if weights is None else [X, y, weights]
    model = small(estimator, client)
    parts = list(zip(*(cut(column, sizes) for column in columns), strict=True))
    expected = in_threads(model, parts)
    model.fit(*(spread(client, column, sizes) for column in columns))
    assert learned(model) == learned(expected)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@each_task
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunks_may_be_cut_otherwise_in_columns_and_targets(
    client, estimator, y, dtype
):
    rows = da.from_array(X.astype(dtype), chunks=(75, 20))
    for targets in (da.from_array(y, chunks=40), da.from_array(y, chunks=300)):
        model = small(estimator, client).fit(rows, targets)
        assert model.n_features_in_ == 64 and model.n_iter_ == 5
        np.testing.assert_allclose(
            model.predict(rows).compute(), model.predict(X.astype(dtype)), rtol=1e-6
        )


def test_one_partition_is_learned_as_by_a_local_estimator(client):
    for estimator, y in BOTH:
        model = small(estimator, client)
        local = model.to_local().set_params(n_threads=1)
        model.fit(*lazy(X, y, rows=300))
        assert learned(model) == learned(local.fit(X, y))


@each_task
def test_data_frames_are_learned_with_their_names(client, estimator, y):
    X_frame = frame()
    series = dd.from_pandas(pd.Series(y), npartitions=3)
    model = small(estimator, client).fit(X_frame, series)
    names = [f"pixel {number}" for number in range(64)]
    assert list(model.feature_names_in_) == names
    predicted = model.predict(X_frame)
    assert isinstance(predicted, da.Array)
    np.testing.assert_array_equal(predicted.compute(), model.predict(X_frame.compute()))
    score = model.score(X_frame, series)
    assert score == model.score(X_frame.compute(), y)
    other = X_frame.rename(columns={"pixel 3": "picture"})
    with pytest.raises(ValueError, match="feature names"):
        model.predict(other).compute()


@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_one_frame_is_learned_as_by_a_local_estimator(client):
    X_frame, series = frame(partitions=1), pd.Series(WORDS[LABELS], name="label")
    y_frame = dd.from_pandas(series.to_frame(), npartitions=1)
    for y in (y_frame["label"], y_frame):
        model = small(SparseMLPClassifier, client)
        local = model.to_local().set_params(n_threads=1)
        local.fit(X_frame.compute(), series)
        assert learned(model.fit(X_frame, y)) == learned(local)
        assert list(model.classes_) == list(WORDS)


@each_task
def test_sparse_chunks_are_learned_as_such(client, estimator, y):
    sizes = 100, 200
    rows = spread(client, X, sizes).map_blocks(
        sparse.csr_array, dtype=X.dtype, meta=sparse.csr_array((0, 0))
    )
    model = small(estimator, client)
    parts = zip(map(sparse.csr_array, cut(X, sizes)), cut(y, sizes), strict=True)
    expected = in_threads(model, list(parts))
    model.fit(rows, spread(client, y, sizes))
    assert model._network.sparse_rows
    assert learned(model) == learned(expected)
    predicted = model.predict(rows).compute()
    np.testing.assert_array_equal(predicted, expected.predict(sparse.csr_array(X)))


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (SparseMLPClassifier, WORDS[LABELS]),
        (SparseMLPClassifier, WORDS[LABELS].astype(object)),
        (SparseMLPClassifier, LABELS < 5),
        (SparseMLPClassifier, np.column_stack([LABELS < 3, LABELS % 2]).astype(int)),
        (SparseMLPRegressor, np.column_stack([TARGET, X.mean(axis=1)])),
        (SparseMLPRegressor, TARGET.astype("float32")),
        (SparseMLPRegressor, TARGET[:, np.newaxis]),
    ],
    ids=["words", "objects", "binary", "multi-label", "outputs", "float32", "column"],
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_targets_of_all_kinds(client, estimator, y):
    rows, targets = lazy(X, y)
    model = small(estimator, client).fit(rows, targets)
    for method in METHODS:
        if hasattr(model, method):
            predicted = getattr(model, method)(rows)
            computed = predicted.compute()
            assert (predicted.shape, predicted.dtype) == (
                computed.shape,
                computed.dtype,
            )
            expected = getattr(model.to_local(), method)(X)
            assert computed.dtype == expected.dtype
            np.testing.assert_array_equal(computed, expected)
    score = model.score(rows, targets)
    np.testing.assert_allclose(score, model.to_local().score(X, y))


def test_classes_of_some_workers_are_known_to_all(client):
    order = np.argsort(LABELS, kind="stable")
    y = WORDS[LABELS[order]]
    rows, labels = (spread(client, values, (150, 150)) for values in (X[order], y))
    model = small(SparseMLPClassifier, client, max_iter=30, sync_interval=1)
    model.fit(rows, labels)
    assert list(model.classes_) == list(WORDS)
    assert len(np.unique(model.predict(X))) == 10


@pytest.mark.parametrize("multilabel", [False, True])
def test_classes_are_balanced_over_all_workers(client, multilabel):
    """With the weights that a local fit would take."""
    order = np.argsort(LABELS, kind="stable")
    y = np.where(LABELS < 6, 0, LABELS)[order]
    if multilabel:
        y = np.column_stack([y == 0, y % 2]).astype(int)
    sizes = 100, 200
    parts = list(zip(cut(X[order], sizes), cut(y, sizes), strict=True))
    if multilabel:
        weights = [
            {label: 150 / count for label, count in enumerate(np.bincount(column))}
            for column in y.T
        ]
    else:
        labels, counts = np.unique(y, return_counts=True)
        weights = dict(zip(labels, 300 / (len(labels) * counts), strict=True))
    told = small(SparseMLPClassifier, client, class_weight=weights)
    expected = in_threads(told, parts)
    model = small(SparseMLPClassifier, client, class_weight="balanced")
    model.fit(spread(client, X[order], sizes), spread(client, y, sizes))
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-4)
    assert model.class_weight == "balanced"


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True, "max_iter": 8},
        {"train_scores": True, "ema_decay": 0.9},
        {"sparse_training": "rigl", "compression": "int8"},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
@each_task
def test_workers_learn_what_threads_do_with(client, estimator, y, parameters):
    sizes = 120, 180
    model = small(estimator, client, **parameters)
    parts = list(zip(cut(X, sizes), cut(y, sizes), strict=True))
    expected = in_threads(model, parts)
    model.fit(spread(client, X, sizes), spread(client, y, sizes))
    assert learned(model) == learned(expected)
    if "early_stopping" in parameters:
        assert len(model.validation_scores_) == model.n_iter_


@each_task
@pytest.mark.parametrize("n_partitions", [1, 2, 5])
def test_validation_samples_need_not_lie_on_all_workers(
    client, estimator, y, n_partitions
):
    y_val = Y_VAL if estimator is SparseMLPClassifier else NUMBERS_VAL
    weight = np.linspace(0.5, 2, len(X_VAL))
    validation = lazy(X_VAL, y_val, weight, rows=150 // n_partitions)
    names = "X_val", "y_val", "sample_weight_val"
    model = small(estimator, client)
    model.fit(*lazy(X, y), **dict(zip(names, validation, strict=True)))
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 5
    if estimator is SparseMLPClassifier:
        score = model.score(*validation)
        np.testing.assert_allclose(model.validation_scores_[-1], score)
    else:
        errors = model.predict(X_VAL) - y_val
        loss = np.average(errors**2, weights=weight) / 2
        np.testing.assert_allclose(model.validation_loss_curve_[-1], loss, rtol=1e-4)


@each_task
def test_parts_are_learned_one_after_the_other(client, estimator, y):
    sizes, model = (150, 150), small(estimator, client)
    parts = list(zip(cut(X, sizes), cut(y, sizes), strict=True))
    classes = {"classes": np.arange(10)} if estimator is SparseMLPClassifier else {}
    rows, targets = spread(client, X, sizes), spread(client, y, sizes)
    for _ in range(3):
        expected = in_threads(model, parts, incremental=True, **classes)
        assert model.partial_fit(rows, targets, **classes) is model
        assert learned(model) == learned(expected)
        classes = {}
    assert len(model.loss_curve_) == 3


@each_task
def test_a_warm_start_goes_on(client, estimator, y):
    sizes = 150, 150
    model = small(estimator, client, warm_start=True)
    parts = list(zip(cut(X, sizes), cut(y, sizes), strict=True))
    rows, targets = spread(client, X, sizes), spread(client, y, sizes)
    for _ in range(2):
        expected = in_threads(model, parts)
        assert learned(model.fit(rows, targets)) == learned(expected)


def test_lbfgs_comes_close_to_a_local_fit(client):
    for estimator, y in BOTH:
        model = small(estimator, client, solver="lbfgs", max_iter=10)
        local = model.to_local().fit(X, y, WEIGHTS)
        model.fit(*lazy(X, y, WEIGHTS))
        np.testing.assert_allclose(model.loss_, local.loss_, rtol=0.01)


def test_each_epoch_is_printed_where_the_client_is(client, capsys):
    model = small(SparseMLPClassifier, client, verbose=True).fit(*lazy(X, LABELS))
    lines = capsys.readouterr().out.splitlines()
    epochs = [line for line in lines if line.startswith("Iteration ")]
    assert len(epochs) == 5 and f"loss = {model.loss_:.8f}" in epochs[-1]


# --- where samples lie ---------------------------------------------------------------


def test_samples_stay_where_they_are(client):
    samples = dask.persist(
        *(spread(client, values, (200, 100)) for values in (X, LABELS, WEIGHTS))
    )
    futures = futures_of(samples)
    wait(futures)
    before = client.who_has(futures)
    assert len(before) == 6 and all(len(held) == 1 for held in before.values())
    model = small(SparseMLPClassifier, client).fit(*samples)
    model.predict(samples[0]).compute()
    assert client.who_has(futures) == before


def test_nothing_is_left_on_workers(client):
    def n_held():
        return sum(map(len, client.has_what().values()))

    rows, targets = lazy(X, LABELS)
    before = n_held()
    model = small(SparseMLPClassifier, client).fit(rows, targets)
    model.predict(rows).compute()
    small(SparseMLPClassifier, client).fit(X, LABELS)
    assert comes_true(lambda: n_held() <= before)


def test_workers_without_samples_stand_aside():
    with cluster_of(3) as client:
        addresses = sorted(client.nthreads())
        sizes = 150, 150
        rows, targets = spread(client, X, sizes), spread(client, LABELS, sizes)
        model = small(SparseMLPClassifier, client)
        parts = list(zip(cut(X, sizes), cut(LABELS, sizes), strict=True))
        expected = in_threads(model, parts)
        held = client.has_what()
        assert not held[addresses[2]]
        assert learned(model.fit(rows, targets)) == learned(expected)
        assert not client.has_what()[addresses[2]]
        expected = in_threads(model, in_memory_parts(X, LABELS, None, 3))
        assert learned(model.fit(X, LABELS)) == learned(expected)


# --- what is predicted ---------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(client):
    y = {SparseMLPClassifier: WORDS[LABELS], SparseMLPRegressor: TARGET}
    return {estimator: small(estimator, client).fit(X, y[estimator]) for estimator in y}


@pytest.mark.parametrize("estimator", [SparseMLPClassifier, SparseMLPRegressor])
@pytest.mark.parametrize(
    ("dtype", "chunks"),
    [("float32", (100, 64)), ("float64", (70, 20)), ("int64", (300, 64))],
)
def test_predictions_are_lazy_and_as_declared(fitted, estimator, dtype, chunks):
    model, values = fitted[estimator], (X * 16).astype(dtype)
    rows = da.from_array(values, chunks=chunks)
    for method in METHODS:
        if hasattr(model, method):
            predicted = getattr(model, method)(rows)
            expected = getattr(model.to_local(), method)(values)
            assert isinstance(predicted, da.Array)
            assert predicted.chunks[0] == rows.chunks[0]
            assert predicted.shape == expected.shape
            assert predicted.dtype == expected.dtype
            assert getattr(model, method)(rows)[:70].compute().dtype == expected.dtype
            np.testing.assert_array_equal(predicted.compute(), expected)
            assert type(getattr(model, method)(values)) is np.ndarray


def test_nothing_is_computed_before_it_is_asked_for(fitted):
    def fails(block):
        raise OSError("computed")

    rows = da.from_array(X, chunks=(100, -1)).map_blocks(fails, meta=X[:0])
    for model in fitted.values():
        predicted = model.predict(rows)
        with pytest.raises(OSError, match="computed"):
            predicted.compute()


def test_chunks_of_unknown_length_are_predicted(fitted):
    rows, *_ = lazy(X)
    some = rows[rows[:, 20] > 0.5]
    assert np.isnan(some.shape[0])
    for model in fitted.values():
        predicted = model.predict(some)
        assert np.isnan(predicted.shape[0])
        np.testing.assert_array_equal(
            predicted.compute(), model.predict(X[X[:, 20] > 0.5])
        )


def test_chunks_of_unknown_length_are_learned(client):
    rows, targets = lazy(X, LABELS)
    chosen = rows[:, 20] > 0.5
    model = small(SparseMLPClassifier, client).fit(rows[chosen], targets[chosen])
    assert model.n_iter_ == 5
    assert model.score(rows[chosen], targets[chosen]) == model.score(
        X[X[:, 20] > 0.5], LABELS[X[:, 20] > 0.5]
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
def test_scores_are_those_of_all_samples(fitted, weights):
    weighted = () if weights is None else (weights,)
    for estimator, y in (
        (SparseMLPClassifier, WORDS[LABELS]),
        (SparseMLPRegressor, TARGET),
    ):
        model = fitted[estimator]
        score = model.score(*lazy(X, y, *weighted))
        assert isinstance(score, float)
        np.testing.assert_allclose(score, model.to_local().score(X, y, *weighted))
        np.testing.assert_allclose(score, model.score(X, y, *weighted))


def test_scores_of_quantiles_are_those_of_a_local_estimator(client):
    model = small(SparseMLPRegressor, client, loss="quantile", quantile=[0.1, 0.5, 0.9])
    rows, targets = lazy(X, TARGET)
    assert model.fit(rows, targets).predict(rows).shape == (300, 3)
    np.testing.assert_allclose(
        model.score(rows, targets), model.to_local().score(X, TARGET)
    )


def test_other_columns_are_refused_as_by_a_local_estimator(fitted):
    for model in fitted.values():
        for rows in (X[:, 1:], X[:, 0]):
            with pytest.raises(ValueError) as expected:
                model.to_local().predict(rows)
            with pytest.raises(ValueError) as error:
                model.predict(*lazy(rows)).compute()
            assert str(error.value).split(":")[0] == str(expected.value).split(":")[0]


def test_what_is_not_fitted_does_not_predict(client):
    for rows in (X, *lazy(X)):
        with pytest.raises(NotFittedError):
            small(SparseMLPClassifier, client).predict_proba(rows)


# --- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize("estimator", [SparseMLPClassifier, SparseMLPRegressor])
def test_collections_come_together(client, estimator):
    model, (rows, targets) = small(estimator, client), lazy(X, TARGET)
    for arguments, named in [
        ((rows, TARGET), "y"),
        ((X, targets), "X"),
        ((rows, None), "y"),
        ((rows, targets, WEIGHTS), "sample_weight"),
    ]:
        message = f"{estimator.__name__}: {named} is .*; allowed: a Dask array"
        with pytest.raises(TypeError, match=message):
            model.fit(*arguments)
    with pytest.raises(TypeError, match=f"{estimator.__name__}: y_val is "):
        model.fit(rows, targets, X_val=rows, y_val=TARGET)
    with pytest.raises(ValueError, match=f"{estimator.__name__}: y_val must be passed"):
        model.fit(rows, targets, X_val=rows)
    assert not hasattr(model, "n_iter_")


def test_partitions_have_to_be_as_many_and_as_long(client):
    model, (rows, labels) = small(SparseMLPClassifier, client), lazy(X, LABELS)
    series = dd.from_pandas(pd.Series(LABELS), npartitions=2)
    message = r"SparseMLPClassifier: X, y have \[3, 2\] partitions; allowed: as many"
    with pytest.raises(ValueError, match=message):
        model.fit(frame(), series)
    message = "SparseMLPClassifier: .* rows, and that of y"
    with pytest.raises(ValueError, match=message):
        model.fit(rows, labels[:290])
    assert not hasattr(model, "n_iter_")


@each_task
def test_bad_samples_are_refused_as_by_a_local_estimator(client, estimator, y):
    model, hole = small(estimator, client), X.copy()
    hole[3, 4] = np.inf
    for arguments in [(hole, y), (X[:, 0], y), (X, y, -WEIGHTS), (X, y, 0 * WEIGHTS)]:
        with pytest.raises(ValueError) as expected:
            model.to_local().fit(*arguments)
        with pytest.raises(ValueError) as error:
            model.fit(*lazy(*arguments, rows=300))
        assert str(error.value) == str(expected.value)
    assert not hasattr(model, "n_iter_")


def test_bad_labels_are_refused(client):
    model = small(SparseMLPClassifier, client)
    with pytest.raises(ValueError, match="SparseMLPClassifier: Unknown label type"):
        model.fit(*lazy(X, TARGET))
    with pytest.raises(ValueError, match="SparseMLPClassifier: y has the classes"):
        model.partial_fit(*lazy(X, LABELS), classes=[0, 1])
    with pytest.raises(ValueError, match="SparseMLPClassifier: classes must be passed"):
        model.partial_fit(*lazy(X, LABELS))
    with pytest.raises(ValueError, match="SparseMLPClassifier: class_weight='balanced"):
        model.set_params(class_weight="balanced").partial_fit(
            *lazy(X, LABELS), classes=range(10)
        )


@pytest.mark.parametrize("which", ["X", "y", "sample_weight", "X_val"])
def test_masked_values_are_refused_wherever_they_lie(client, which):
    samples = {"X": X, "y": LABELS, "sample_weight": WEIGHTS, "X_val": X[:100]}
    samples[which] = np.ma.masked_less(samples[which], 0.5)
    arrays = dict(zip(samples, lazy(*samples.values(), rows=50), strict=True))
    arrays["y_val"] = da.from_array(LABELS[:100], chunks=50)
    message = f"SparseMLPClassifier: {which} has masked values; allowed"
    with pytest.raises(ValueError, match=message):
        small(SparseMLPClassifier, client).fit(**arrays)


@pytest.mark.parametrize("columns", [list("cba"), list("abx")], ids="".join)
@pytest.mark.parametrize("n_partitions", [2, 4])
def test_frames_with_different_columns_are_refused(client, columns, n_partitions):
    """On different workers, or on one."""
    tables = [pd.DataFrame(X[:50, :3], columns=list("abc"))] * n_partitions
    tables[-1] = tables[-1].set_axis(columns, axis=1)
    table = dd.from_map(lambda i: tables[i], range(n_partitions), meta=tables[0][:0])
    y = dd.from_pandas(
        pd.Series(np.tile(LABELS[:50], n_partitions)),
        sort=False,
        npartitions=n_partitions,
    )
    with pytest.raises(ValueError, match=r"columns .*'b'.*; allowed: the same, in the"):
        small(SparseMLPClassifier, client).fit(table, y)


def test_weights_and_validation_samples_have_the_same_rows(client):
    unknown = [a[a[:, 0] > -1] if a.ndim == 2 else a[a > -1] for a in lazy(X, LABELS)]
    weights = da.from_array(WEIGHTS, chunks=((50, 100, 150),))
    weights = weights[weights > -1]
    model = small(SparseMLPClassifier, client)
    with pytest.raises(ValueError, match=r"has 100 rows, and that of sample_weight 50"):
        model.fit(*unknown, weights)
    labels = da.from_array(LABELS, chunks=((50, 100, 150),))
    with pytest.raises(ValueError, match=r"of X_val has 100 rows, and that of y_val"):
        model.fit(*unknown, X_val=unknown[0], y_val=labels[labels > -1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(*lazy(X, LABELS), X_val=X, y_val=LABELS[:200])
    validation = {"X_val": X.tolist(), "y_val": LABELS.tolist()}
    model.fit(*lazy(X, LABELS), **validation, sample_weight_val=2.0)
    assert len(model.validation_scores_) == model.n_iter_


def test_few_rows_to_validate_on_count_too(client):
    """A worker with a single one could not compute R²."""
    sizes = ((99, 1), (64,))
    X_val = da.from_array(X_VAL[:100], chunks=sizes)
    y_val = da.from_array(NUMBERS_VAL[:100], chunks=sizes[:1])
    model = small(SparseMLPRegressor, client)
    model.fit(X, TARGET, X_val=X_val, y_val=y_val)
    score = model.score(X_VAL[:100], NUMBERS_VAL[:100])
    assert model.validation_scores_[-1] == pytest.approx(score, rel=1e-5)
    assert score != pytest.approx(model.score(X_VAL[:99], NUMBERS_VAL[:99]), rel=1e-4)


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, sparse.csr_array])
def test_validation_samples_may_be_collections_where_others_are_not(client, kind):
    X_val = kind(X_VAL[:100])
    if kind is pd.DataFrame:
        X_val = dd.from_pandas(X_val, npartitions=2)
        y_val = dd.from_pandas(pd.Series(Y_VAL[:100]), npartitions=2)
    else:
        y_val = da.from_array(Y_VAL[:100], chunks=50)
        X_val = da.from_array(X_val, chunks=(50, -1), asarray=False)
    samples = pd.DataFrame(X) if kind is pd.DataFrame else kind(X)
    model = small(SparseMLPClassifier, client)
    model.fit(samples, LABELS, X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == model.n_iter_


def test_persisted_samples_are_learned_alike_each_time(client):
    samples = client.persist(lazy(X, LABELS, rows=13))
    wait(samples)
    models = [small(SparseMLPClassifier, client).fit(*samples) for _ in range(3)]
    assert learned(models[0]) == learned(models[1]) == learned(models[2])


def test_delayed_objects_are_no_collections_of_rows(client, fitted):
    model = small(SparseMLPClassifier, client)
    with pytest.raises(TypeError, match="X is of type Bag; allowed: a Dask array"):
        model.fit(dask.bag.from_sequence(X.tolist()), da.from_array(LABELS))
    with pytest.raises(
        TypeError, match=r"X is of type Delayed.*; allowed: a Dask array"
    ):
        model.fit(dask.delayed(X), dask.delayed(LABELS))
    with pytest.raises(
        TypeError, match=r"X is of type Delayed.*; allowed: a Dask array"
    ):
        fitted[SparseMLPClassifier].predict(dask.delayed(X))
