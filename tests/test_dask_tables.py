"""Tables on a cluster."""

import numpy as np
import pytest

pytest.importorskip("distributed", reason="Dask is an extra")

import dask.array as da
import dask.dataframe as dd
import pandas as pd
from clusters import cluster_of
from sklearn.base import clone

import sparsenet
from sparsenet.dask import TabularMLPClassifier, TabularMLPRegressor

RNG = np.random.default_rng(0)
N = 1200
TABLE = pd.DataFrame(
    {
        "number": RNG.normal(size=N),
        "word": RNG.choice(["x", "y", "z"], N),
        "gaps": np.where(RNG.random(N) < 0.1, np.nan, RNG.random(N)),
    }
)
LABELS = np.where((TABLE["number"] > 0) ^ (TABLE["word"] == "x"), "yes", "no")
TARGET = TABLE["number"].to_numpy() * (1 + (TABLE["word"] == "x")) * 10 + 5


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as client:
        yield client


@pytest.fixture(scope="module")
def frame(client):
    whole = TABLE.assign(label=LABELS, target=TARGET)
    return dd.from_pandas(whole, npartitions=4).persist()


COLUMNS = ["number", "word", "gaps"]


def test_a_classifier_learns_a_frame(client, frame):
    model = TabularMLPClassifier(client=client, random_state=0)
    model.fit(frame[COLUMNS], frame["label"])
    assert model.feature_names_in_.tolist() == COLUMNS
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.score(frame[COLUMNS], frame["label"]) > 0.95
    predicted = model.predict(frame[COLUMNS])
    assert (predicted.dtype, predicted.ndim) == (model.classes_.dtype, 1)
    np.testing.assert_array_equal(predicted.compute(), model.predict(TABLE))
    probabilities = model.predict_proba(frame[COLUMNS])
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities.compute(), model.predict_proba(TABLE))
    logarithms = model.predict_log_proba(frame[COLUMNS]).compute()
    np.testing.assert_array_equal(logarithms, model.predict_log_proba(TABLE))


def test_a_regressor_learns_a_frame(client, frame):
    model = TabularMLPRegressor(client=client, random_state=0)
    model.fit(frame[COLUMNS], frame["target"])
    assert model.score(frame[COLUMNS], frame["target"]) > 0.95
    predicted = model.predict(frame[COLUMNS])
    assert predicted.dtype == np.float64
    np.testing.assert_array_equal(predicted.compute(), model.predict(TABLE))


def test_what_comes_out_is_local(client, frame):
    model = TabularMLPClassifier(client=client, random_state=0, n_members=1)
    local = model.fit(frame[COLUMNS], frame["label"]).to_local()
    assert type(local) is sparsenet.TabularMLPClassifier
    assert type(local.members_[0]) is sparsenet.SparseMLPClassifier
    np.testing.assert_array_equal(local.predict(TABLE), model.predict(TABLE))
    assert clone(model).client is client


def test_one_worker_is_the_local_estimator():
    with cluster_of(1) as client:
        model = TabularMLPClassifier(client=client, random_state=0, n_members=1)
        model.fit(TABLE, LABELS)
    local = sparsenet.TabularMLPClassifier(random_state=0, n_members=1)
    expected = local.fit(TABLE, LABELS).predict_proba(TABLE)
    np.testing.assert_array_equal(model.predict_proba(TABLE), expected)


def test_arrays_and_weights(client):
    X = TABLE[["number", "gaps"]].to_numpy()
    weight = (np.arange(N) % 3 > 0).astype(float)
    labels = np.where(weight > 0, X[:, 0] > 0, 2).astype(int)  # a class without weight
    parts = [
        da.from_array(values, chunks=(300, *values.shape[1:]))
        for values in (X, labels, weight)
    ]
    model = TabularMLPClassifier(client=client, random_state=0, n_members=1)
    model.fit(*parts)
    counted = weight > 0
    assert (model.predict(X[counted]) == labels[counted]).mean() > 0.95


def test_a_sample_is_spread_evenly(client, frame, monkeypatch):
    monkeypatch.setattr("sparsenet.dask._tables.SAMPLE", 100)
    model = TabularMLPClassifier(client=client, n_members=1, max_iter=1)
    rows = model._sample([500, 500, 200], None)
    np.testing.assert_array_equal(rows, np.arange(0, 1200, 12))
    assert model.fit(frame[COLUMNS], frame["label"]).n_iter_ == 1


def test_errors_name_the_estimator(client, frame):
    model = TabularMLPClassifier(client=client, sync_interval=0)
    with pytest.raises(ValueError, match="TabularMLPClassifier: sync_interval=0; "):
        model.fit(frame[COLUMNS], frame["label"])
    model = TabularMLPRegressor(client=client)
    with pytest.raises(ValueError, match="TabularMLPRegressor: y has something else"):
        model.fit(frame[COLUMNS], frame["label"])
    assert not hasattr(model, "encoder_")
