"""Estimators as versions of this package have pickled them, and what they predicted.

``SPARSENET_ISA=portable python tests/old_pickles.py NAME`` adds those of what
is installed; of the estimators of tables, if the name begins with "tables". Files stay
as they are for ever: test_old_pickles.py loads all of them.
"""

import gzip
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from sparsenet import (
    SparseMLPClassifier,
    SparseMLPRegressor,
    TableEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from sparsenet._formats import PRECISIONS

DIRECTORY = Path(__file__).parent / "pickles"
LAYOUTS = {
    "rows": {"density": 0.4},
    "blocks": {"density": 0.4, "block_size": 4},
    "dense": {"density": 1.0},
}
KINDS = {
    "sgd": (SparseMLPClassifier, {"solver": "sgd"}),
    "lbfgs": (SparseMLPClassifier, {"solver": "lbfgs"}),
    "gradual": (SparseMLPClassifier, {"sparse_training": "gradual"}),
    "rigl": (SparseMLPClassifier, {"sparse_training": "rigl", "rewire_interval": 5}),
    "activations": (SparseMLPClassifier, {"activation": ["tanh", "mish"]}),
    "focal": (SparseMLPClassifier, {"loss": "focal"}),
    "averages": (SparseMLPClassifier, {"ema_decay": 0.9}),
    "early": (SparseMLPClassifier, {"early_stopping": True}),
    "regressor": (SparseMLPRegressor, {}),
    "huber": (SparseMLPRegressor, {"loss": "huber"}),
    "quantiles": (SparseMLPRegressor, {"loss": "quantile", "quantile": [0.1, 0.9]}),
    "poisson": (SparseMLPRegressor, {"loss": "poisson"}),
}


def samples():
    """X with many zeros, and numbers of classes."""
    rng = np.random.default_rng(0)
    X = rng.random((60, 12)) * (rng.random((60, 12)) < 0.5)
    return X.astype(np.float32), np.arange(60) % 3


def estimators():
    """(name, fitted estimator, X to predict) of every format, layout and method."""
    X, y = samples()
    shared = {"hidden_layer_sizes": (8, 8), "max_iter": 3, "random_state": 0}
    for container in (np.asarray, csr_array):
        rows = container(X)
        for precision in PRECISIONS:
            for layout, options in LAYOUTS.items():
                model = SparseMLPClassifier(**shared, **options, precision=precision)
                name = f"{container.__name__}, {precision}, {layout}"
                yield f"{name}, fit", model.fit(rows, y), rows
                model = SparseMLPClassifier(**shared, **options, precision=precision)
                model.partial_fit(rows, y, classes=range(3))
                yield f"{name}, partial_fit", model, rows
                yield f"{name}, predictor", model.predictor(), rows
        for kind, (estimator, options) in KINDS.items():
            model = estimator(**shared | options).fit(rows, y)
            yield f"{container.__name__}, {kind}", model, rows


def rows_for(name):
    """What the model of that name predicts for."""
    X, y = samples()
    if name.startswith("csr"):
        return csr_array(X)
    if not name.startswith("table"):
        return X
    table = X[:, :4].astype(object)
    table[:, 2] = np.array(["red", "green", "blue"], object)[y]
    table[::7, 2], table[::5, 1] = None, np.nan
    return table


def estimators_of_tables():
    """(name, fitted estimator, table) of every format."""
    table, y = rows_for("table"), samples()[1]
    shared = {"hidden_layer_sizes": (8, 8), "max_iter": 3, "random_state": 0}
    for precision in PRECISIONS:
        for cls in TabularMLPClassifier, TabularMLPRegressor:
            model = cls(**shared, precision=precision).fit(table, y)
            yield f"table, {cls.__name__}, {precision}", model, table
    yield "table, encoder", TableEncoder(min_count=20).fit(table), table


def output(model, X):
    """Probabilities, predictions of a regressor, or what an encoder makes of X."""
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(model, method):
            return getattr(model, method)(X)
    raise TypeError(model)


def main(name):
    warnings.simplefilter("ignore")
    models = estimators_of_tables() if name.startswith("tables") else estimators()
    content = {key: (pickle.dumps(model), output(model, X)) for key, model, X in models}
    DIRECTORY.mkdir(exist_ok=True)
    (DIRECTORY / f"{name}.gz").write_bytes(gzip.compress(pickle.dumps(content)))


if __name__ == "__main__":
    main(sys.argv[1])
