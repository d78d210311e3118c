"""What users write, for type checkers (test_typing.py); it also runs."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import sparsenet
from sparsenet import (
    ClassifierPredictor,
    FeatureImportanceDisplay,
    LossCurveDisplay,
    RegressorPredictor,
    SparseMLPClassifier,
    SparseMLPRegressor,
    TableEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
    TopologyDisplay,
    TrainingTimeDisplay,
    from_sklearn,
    prune,
)

if TYPE_CHECKING:
    import dask.array as da
    from dask.distributed import Client

    import sparsenet.dask


def classify(X: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    classifier = SparseMLPClassifier((32, 16), activation=["relu", "mish"], max_iter=5)
    assert_type(classifier.fit(X, y, X_val=X, y_val=y), SparseMLPClassifier)
    classifier.partial_fit(X.tolist(), y.tolist(), np.ones(len(y)))
    probabilities = classifier.predict_proba(X)
    right: NDArray[np.bool_] = classifier.predict(X) == classifier.classes_[0]
    print(probabilities.max(), right.mean(), classifier.decision_function(X).shape)
    print(classifier.loss_ - min(classifier.loss_curve_), classifier.n_iter_ + 1)
    print(classifier.coefs_[0].nnz, classifier.intercepts_[0].dtype)
    print(classifier.topology_, classifier.topology_.layers[0].fan_in.mean())
    if classifier.validation_scores_ is not None:
        print(max(classifier.validation_scores_))
    hidden = classifier.hidden_activations(X, layer=0)
    print(hidden.shape, classifier.alpha / 2, classifier.feature_importances_.argmax())
    return classifier.score(X, y)


def classify_sparse_rows(X: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    for rows in csr_array(X), csr_matrix(X):
        classifier = SparseMLPClassifier(32, precision="int8", max_iter=5).fit(rows, y)
        print(classifier.predict(rows).shape, classifier.score(rows, y))
        print(classifier.predictor().predict_proba(rows).sum())


def regress(X: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    regressor = SparseMLPRegressor(
        "quantile",
        quantile=[0.1, 0.5, 0.9],
        density=[0.5, 1],
        solver="adamw",
        learning_rate=lambda t: 1 - t,
        n_iter_no_change=np.inf,
        random_state=np.random.RandomState(0),
        max_iter=5,
    )
    assert_type(regressor.fit(X, y), SparseMLPRegressor)
    low, _, high = regressor.predict(X).T
    print((high - low).mean(), regressor.fit(csr_array(X), y).predict(X).shape)
    return regressor.score(X, y)


def search(X: NDArray[np.float64], y: NDArray[np.int64]) -> Mapping[str, Any]:
    classifier = SparseMLPClassifier(max_iter=5, scoring="balanced_accuracy")
    pipeline = make_pipeline(MinMaxScaler(), clone(classifier)).fit(X, y)
    print(pipeline.predict(X), pipeline.score(X, y))
    grid: dict[str, list[Any]] = {"density": [0.1, "auto"], "precision": ["float16"]}
    found = GridSearchCV(classifier, grid, cv=2).fit(X, y)
    print(found.best_score_)
    parameters: Mapping[str, Any] = classifier.set_params(alpha=0.1).get_params()
    return parameters


def serve(X: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    classifier = SparseMLPClassifier(max_iter=5).fit(X, y)
    predictor = classifier.predictor(n_threads=None)
    assert_type(predictor, ClassifierPredictor)
    print(predictor.predict(X[:1]), predictor.classes_, predictor.n_threads)
    regressor = SparseMLPRegressor(max_iter=5).fit(X, y)
    assert_type(regressor.predictor(), RegressorPredictor)
    loaded: ClassifierPredictor = pickle.loads(pickle.dumps(predictor))
    print(loaded.predict_log_proba(X).shape)
    whole = classifier.set_pickle(training_state=True)
    assert_type(whole, SparseMLPClassifier)
    print(len(pickle.dumps(whole)))


def convert(X: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    converted = from_sklearn(MLPClassifier(max_iter=5).fit(X, y), density=0.5)
    print(converted.predict_proba(X).shape)
    regressor = from_sklearn(MLPRegressor(max_iter=5).fit(X, y), precision="bfloat16")
    print(regressor.predict(X).shape)
    small = prune(SparseMLPClassifier(max_iter=5).fit(X, y), 0.1, precision="int8")
    assert_type(small, SparseMLPClassifier)
    print(small.predict_proba(X).shape)


def take_out(X: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    classifier = SparseMLPClassifier(8, max_iter=5).fit(X, y)
    theirs = classifier.to_sklearn()
    # scikit-learn's methods have no types: checkers infer impossible ones.
    print(np.shape(theirs.predict_proba(X)))
    regressor = SparseMLPRegressor(max_iter=5).fit(X, y).to_sklearn()
    print(np.shape(regressor.predict(X)))
    source = classifier.to_c("network", path=None)
    assert_type(source, str)


def tables(table: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    classifier = TabularMLPClassifier((16,), max_iter=2, n_members=1)
    assert_type(classifier.fit(table, y), TabularMLPClassifier)
    print(classifier.predict_proba(table).shape)
    regressor = TabularMLPRegressor(max_iter=2, encoder=TableEncoder(n_knots=4))
    print(regressor.fit(table, y, np.ones(len(y))).predict(table).shape)
    encoder = TableEncoder(min_count=1).fit(table)
    print(encoder.transform(table).shape, encoder.get_feature_names_out()[0])


def plot(X: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    classifier = SparseMLPClassifier(max_iter=5, early_stopping=True).fit(X, y)
    losses = LossCurveDisplay.from_estimator(classifier)
    losses.ax_.set_title("losses")
    TopologyDisplay.from_estimator(classifier, X, image_shape=(8, 8)).plot()
    bars = FeatureImportanceDisplay.from_estimator(classifier, max_features=5)
    bars.figure_.set_dpi(50)
    estimators = {"ours": clone(classifier), "theirs": MLPClassifier()}
    times = TrainingTimeDisplay.from_estimators(estimators, X, y, X, y, epochs=[1, 2])
    print(len(times.lines_))


def on_a_cluster(client: Client, X: da.Array, y: da.Array) -> None:
    """The tests of `sparsenet.dask` run such lines, on clusters."""
    classifier = sparsenet.dask.SparseMLPClassifier(
        (32, 16), density=0.2, client=client, sync_interval=10
    )
    assert_type(classifier.fit(X, y), sparsenet.dask.SparseMLPClassifier)
    classifier.partial_fit(X, y, classes=range(10))
    print(classifier.predict_proba(X), classifier.score(X, y))
    regressor = sparsenet.dask.TabularMLPRegressor(client=client).fit(X, y)
    print(regressor.to_local())


def mistakes(X: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    """What type checkers have to find; it does not run."""
    SparseMLPClassifier(precision="int4")  # type: ignore[arg-type]
    SparseMLPClassifier(activation="relu6")  # type: ignore[arg-type]
    SparseMLPClassifier(loss="squared_error")  # type: ignore[arg-type]
    SparseMLPRegressor(solver="adamax")  # type: ignore[arg-type]
    SparseMLPRegressor(max_iter="200")  # type: ignore[arg-type]
    SparseMLPRegressor(densities=0.1)  # type: ignore[call-arg]
    classifier = SparseMLPClassifier().fit(X, y)
    classifier.predictor().fit(X, y)  # type: ignore[attr-defined]
    prune(classifier, 0.1, precision="int4")  # type: ignore[arg-type]
    classifier.partial_fit(X, y, labels=[0, 1])  # type: ignore[call-arg]


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    X, y = rng.random((200, 64)), rng.integers(0, 3, 200)
    classify(X, y)
    classify_sparse_rows(X, y)
    regress(X, rng.random(200))
    search(X, y)
    serve(X, y)
    convert(X, y)
    take_out(X, y)
    tables(X, y)
    plot(X, y)
    sparsenet.show_versions()
