"""Estimators of a cluster, and what threads of this process learn of the same parts."""

import numpy as np
from sklearn.base import is_classifier
from small_estimators import LABELS, TARGET

from sparsenet._parallel.simulation import fit_in_threads
from sparsenet.dask import SparseMLPClassifier, SparseMLPRegressor

BOTH = [(SparseMLPClassifier, LABELS), (SparseMLPRegressor, TARGET)]


def small(estimator, client, **parameters):
    """One that takes outer steps and rewires several times in an epoch."""
    defaults = {
        "hidden_layer_sizes": (32,),
        "max_iter": 5,
        "random_state": 0,
        "density": 0.3,
        "batch_size": 25,
        "rewire_interval": 4,
        "sync_interval": 3,
        "timeout": 15,
        "client": client,
    }
    return estimator(**defaults | parameters)


def in_threads(model, parts, **call):
    """A local estimator that goes on where one of a cluster stands."""
    local = model.to_local().set_params(n_threads=1)
    if is_classifier(local) and np.ndim(parts[0][1]) == 1:
        call.setdefault("classes", np.unique(np.concatenate([y for _, y, *_ in parts])))
    (first, _), *_ = fit_in_threads(
        local,
        parts,
        interval=model.sync_interval,
        learning_rate=model.outer_learning_rate,
        momentum=model.outer_momentum,
        compression=model.compression,
        n_threads=1,
        **call,
    )
    return first


def learned(model):
    """All that training leaves."""
    names = [
        *("n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "train_scores_"),
        *("validation_scores_", "validation_loss_curve_", "best_validation_score_"),
    ]
    weights = [coef.toarray() for coef in model._network.coefs]
    return {
        "weights": [array.tolist() for array in weights + model.intercepts_],
        "rounds": model.topology_.rounds,
        "classes": getattr(model, "classes_", np.empty(0)).tolist(),
    } | {name: getattr(model, name, None) for name in names}
