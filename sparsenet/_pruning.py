"""Sparse, low-precision estimators from trained dense ones."""

import copy

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sparsenet import _topology, _validation
from sparsenet._base import LOSSES, BaseSparseMLP
from sparsenet._feature_layer import FeatureLayer
from sparsenet._layer import Layer
from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._network import Network
from sparsenet._training import History


def prune(estimator, density, *, precision=None):
    """Make a sparser copy of a fitted estimator.

    Each unit keeps its largest weights; no hidden unit loses its last connection. The
    copy predicts at once; `partial_fit`, or `fit` with ``warm_start=True``, trains it
    on, with these connections if ``sparse_training='static'``.

    Parameters
    ----------
    estimator : SparseMLPClassifier or SparseMLPRegressor
        A fitted estimator; it is not changed.

    density : 'auto', float or array-like of float
        Density of the copy, as the estimators' parameter. Layers that are sparser
        already stay as they are.

    precision : {'float32', 'bfloat16', 'float16', 'int8'}, default=None
        Number format of the copy; None: that of the estimator.

    Returns
    -------
    estimator : SparseMLPClassifier or SparseMLPRegressor
        A new, fitted estimator.

    Raises
    ------
    TypeError
        The estimator is of another class.
    ValueError
        `density` or `precision` is not allowed.

    See Also
    --------
    from_sklearn : Convert and prune scikit-learn's estimators.

    Notes
    -----
    Weights are chosen by magnitude (Han et al. 2015, "Learning both weights and
    connections for efficient neural networks", https://arxiv.org/abs/1506.02626),
    unit by unit, so that all units of a layer have as many connections.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sparsenet import SparseMLPClassifier, prune
    >>> X, y = load_digits(return_X_y=True)
    >>> dense = SparseMLPClassifier((128,), density=1.0, max_iter=30, random_state=0)
    >>> small = prune(dense.fit(X, y), 0.5, precision="int8")
    >>> bool(small.score(X, y) > 0.9)
    True
    """
    if not isinstance(estimator, BaseSparseMLP):
        raise TypeError(
            f"prune: estimator is of {type(estimator)}; allowed: SparseMLPClassifier "
            "and SparseMLPRegressor (see from_sklearn for those of scikit-learn)"
        )
    check_is_fitted(estimator)
    precision = estimator.precision if precision is None else precision
    pruned = clone(estimator).set_params(
        density=density, precision=precision, block_size=estimator._network.block_size
    )
    _validation.check_parameters(pruned)
    fitted = {
        name: value
        for name, value in vars(estimator).items()
        if name not in pruned.get_params(deep=False)
    }
    vars(pruned).update(fitted)
    pruned._random_state = copy.deepcopy(estimator._random_state)
    return _replace_network(pruned, estimator._network)


def from_sklearn(
    mlp, *, density=1.0, precision="float32", sparse_rows=False, **parameters
):
    """Convert a fitted `MLPClassifier` or `MLPRegressor` of scikit-learn.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
        A fitted estimator of scikit-learn; it is not changed.

    density : 'auto', float or array-like of float, default=1.0
        Density of the result, as the estimators' parameter: each unit keeps its largest
        weights. At 1.0 it predicts what `mlp` does, up to rounding.

    precision : {'float32', 'bfloat16', 'float16', 'int8'}, default='float32'
        Number format of the result.

    sparse_rows : bool, default=False
        Whether the result is for sparse X, as if it had been fitted on it.

    **parameters : dict
        Other parameters of the result. Those of scikit-learn are taken from `mlp`, with
        ``solver='adam'`` in the place of ``'lbfgs'``.

    Returns
    -------
    estimator : SparseMLPClassifier or SparseMLPRegressor
        A new, fitted estimator.

    Raises
    ------
    TypeError
        `mlp` is of another class.
    ValueError
        A parameter is not allowed.

    See Also
    --------
    prune : Make a sparser copy of an estimator of this package.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sparsenet import from_sklearn
    >>> X, y = load_digits(return_X_y=True)
    >>> mlp = MLPClassifier((128,), max_iter=50, random_state=0).fit(X, y)
    >>> small = from_sklearn(mlp, density=0.5, precision="int8")
    >>> bool(small.score(X, y) > 0.9)
    True
    """
    if not isinstance(mlp, (MLPClassifier, MLPRegressor)):
        raise TypeError(
            f"from_sklearn: mlp is of {type(mlp)}; allowed: MLPClassifier and "
            "MLPRegressor of scikit-learn"
        )
    check_is_fitted(mlp)
    taken = mlp.get_params(deep=False)
    if taken["solver"] == "lbfgs":
        taken["solver"] = "adam"
    cls = SparseMLPClassifier if is_classifier(mlp) else SparseMLPRegressor
    converted = cls(**taken | parameters | {"density": density, "precision": precision})
    _validation.check_parameters(converted)
    for name in ("classes_", "feature_names_in_"):
        if hasattr(mlp, name):
            setattr(converted, name, getattr(mlp, name))
    for name in ("n_features_in_", "n_layers_", "n_outputs_", "out_activation_"):
        setattr(converted, name, getattr(mlp, name))
    loss = LOSSES[mlp.out_activation_]
    converted._structure = {
        "hidden_layer_sizes": _validation.hidden_layer_sizes(converted),
        "activation": mlp.activation,
        "loss": loss,
        "n_outputs": mlp.n_outputs_,
    }
    converted._random_state = check_random_state(converted.random_state)
    converted._set_history(
        History(
            converted.solver,
            n_iter=mlp.n_iter_,
            t=int(mlp.t_),
            loss_curve=list(getattr(mlp, "loss_curve_", [mlp.loss_])),
            best_loss=getattr(mlp, "best_loss_", mlp.loss_),
            validation_scores=getattr(mlp, "validation_scores_", None),
            best_validation_score=getattr(mlp, "best_validation_score_", None),
        )
    )
    layers = []
    for weights, bias in zip(mlp.coefs_, mlp.intercepts_, strict=True):
        values = weights.astype(np.float32), bias.astype(np.float32), "float32"
        if sparse_rows and not layers:
            layers.append(FeatureLayer.dense(*values))
        else:
            layers.append(Layer.dense(*values, first=not layers))
    network = Network.of_layers(
        layers, mlp.activation, loss, seed=0, block_size=converted.block_size
    )
    return _replace_network(converted, network)


def _replace_network(estimator, network):
    """Give an estimator a copy of a network, as its parameters want it."""
    fan_ins = _topology.fan_ins(
        _validation.density(estimator),
        network.layer_sizes,
        estimator.density_distribution,
    )
    _validation.check_network_size(
        estimator,
        network.layer_sizes,
        fan_ins,
        sparse_rows=network.sparse_rows,
        dealt=False,
    )
    estimator._network = network.converted(fan_ins, estimator.precision)
    estimator._structure = estimator._structure | {
        "density": _validation.density(estimator),
        "density_distribution": estimator.density_distribution,
        "block_size": estimator.block_size,
        "precision": estimator.precision,
    }
    return estimator
