"""Sparse, low-precision estimators from trained dense ones."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils.validation import check_is_fitted

from sparsenet import _parameters, _topology, _validation
from sparsenet._base import BaseSparseMLP
from sparsenet._constraints import plain
from sparsenet._formats import LARGEST
from sparsenet._history import History
from sparsenet._kernels._dispatch import LOSS_CHOICES, LOSS_PARAMETERS
from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._network import Network, layer_class

if TYPE_CHECKING:
    from sparsenet._typing import Density, Precision
    from sparsenet._untyped import MLPClassifier, MLPRegressor
else:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

Estimator = TypeVar("Estimator", bound=BaseSparseMLP)

# What scikit-learn's estimators minimize, by the activation of their output layer.
LOSSES_OF_CLASSIFIERS = {"softmax": "softmax", "logistic": "logistic"}
LOSSES_OF_REGRESSORS = {"identity": "squared_error", "exp": "poisson"}


def prune(
    estimator: Estimator, density: Density, *, precision: Precision | None = None
) -> Estimator:
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
        `density` or `precision` is not allowed, `precision` does not hold a weight, or
        parameters of the estimator are no longer those it was fitted with.

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
        solver=_solver_for(precision, estimator.solver)
    )
    pruned.set_params(
        density=density, precision=precision, block_size=estimator._network.block_size
    )
    _parameters.check_parameters(pruned)
    _check_same_network(pruned, estimator._structure, "prune")
    fitted = {
        name: value
        for name, value in vars(estimator).items()
        if name not in pruned.get_params(deep=False)
    }
    vars(pruned).update(fitted)
    pruned._random_state = copy.deepcopy(estimator._random_state)
    return _replace_network(pruned, estimator._network)


@overload
def from_sklearn(
    mlp: MLPClassifier,
    *,
    density: Density = 1.0,
    precision: Precision = "float32",
    sparse_rows: bool = False,
    **parameters: Any,
) -> SparseMLPClassifier: ...
@overload
def from_sklearn(
    mlp: MLPRegressor,
    *,
    density: Density = 1.0,
    precision: Precision = "float32",
    sparse_rows: bool = False,
    **parameters: Any,
) -> SparseMLPRegressor: ...
def from_sklearn(
    mlp: MLPClassifier | MLPRegressor,
    *,
    density: Density = 1.0,
    precision: Precision = "float32",
    sparse_rows: bool = False,
    **parameters: Any,
) -> SparseMLPClassifier | SparseMLPRegressor:
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
        ``solver='adam'`` in the place of ``'lbfgs'`` unless `precision` is 'float32'.

    Returns
    -------
    estimator : SparseMLPClassifier or SparseMLPRegressor
        A new, fitted estimator.

    Raises
    ------
    TypeError
        `mlp` is of another class.
    ValueError
        A parameter is not allowed or contradicts the fitted network, weights are not
        finite or not of the shapes that `mlp` says, or `precision` does not hold them.

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
    weights, loss = _weights_of(mlp), _loss_of(mlp)
    _check_attributes(mlp, weights)
    structure = {
        "hidden_layer_sizes": tuple(len(bias) for _, bias in weights[:-1]),
        "activation": mlp.activation,
        "loss": loss,
        "n_outputs": mlp.n_outputs_,
    }
    # Of scikit-learn's class, whatever parameters a subclass has.
    kind = MLPClassifier if is_classifier(mlp) else MLPRegressor
    taken = {name: getattr(mlp, name) for name in kind().get_params()}
    taken["solver"] = _solver_for(precision, taken["solver"])
    cls = SparseMLPClassifier if is_classifier(mlp) else SparseMLPRegressor
    converted = cls(**taken | parameters | {"density": density, "precision": precision})
    _parameters.check_parameters(converted)
    _check_same_network(converted, structure, "from_sklearn")
    for name in ("classes_", "feature_names_in_"):
        if hasattr(mlp, name):
            setattr(converted, name, getattr(mlp, name))
    for name in ("n_features_in_", "n_layers_", "n_outputs_", "out_activation_"):
        setattr(converted, name, getattr(mlp, name))
    converted._structure = structure | converted._loss_parameter(loss)
    converted._random_state = converted._own_random_state()
    converted._set_history(_history_of(mlp, converted.solver))
    layers = []
    for values in weights:
        first = not layers
        kind = layer_class(first and sparse_rows)
        layers.append(kind.dense(*values, "float32", first=first))
    network = Network.of_layers(
        layers,
        mlp.activation,
        loss,
        seed=0,
        loss_parameter=converted._structure.get(LOSS_PARAMETERS.get(loss), 0.0),
        block_size=converted.block_size,
    )
    return _replace_network(converted, network)


def _solver_for(precision, solver):
    """The solver to go on with in a number format: 'lbfgs' knows float32 only."""
    return "adam" if solver == "lbfgs" and precision != "float32" else solver


def _history_of(mlp, solver):
    """How far scikit-learn has trained, to go on with a solver from there."""
    loss_curve = list(getattr(mlp, "loss_curve_", [mlp.loss_]))
    return History(
        solver,
        loss=mlp.loss_,
        n_iter=mlp.n_iter_,
        t=int(mlp.t_),
        loss_curve=loss_curve,
        best_loss=getattr(mlp, "best_loss_", mlp.loss_),
        validation_scores=getattr(mlp, "validation_scores_", None),
        best_validation_score=getattr(mlp, "best_validation_score_", None),
        first_epoch=len(loss_curve),
    )


def _weights_of(mlp):
    """Weights and biases of scikit-learn's estimator, float32, checked."""
    n_in, pairs = mlp.n_features_in_, []
    for number, (weights, bias) in enumerate(
        zip(mlp.coefs_, mlp.intercepts_, strict=True)
    ):
        where = f"coefs_[{number}] and intercepts_[{number}] of mlp"
        shapes, n_out = (np.shape(weights), np.shape(bias)), np.size(bias)
        _require(where + " have the shapes", shapes, ((n_in, n_out), (n_out,)))
        with np.errstate(over="ignore"):
            pair = [np.asarray(array) for array in (weights, bias)]
            if all(array.dtype.kind in "iuf" for array in pair):
                pair = [array.astype(np.float32) for array in pair]
        if not all(a.dtype == np.float32 and np.isfinite(a).all() for a in pair):
            raise ValueError(
                f"from_sklearn: {where} have a number that is not finite; allowed: "
                "those of float32, up to 3.4e+38"
            )
        pairs.append(tuple(pair))
        n_in = n_out
    return pairs


def _loss_of(mlp):
    """The loss that scikit-learn's estimator has minimized."""
    losses = LOSSES_OF_CLASSIFIERS if is_classifier(mlp) else LOSSES_OF_REGRESSORS
    if mlp.out_activation_ not in losses:
        _require("out_activation_ of mlp is", mlp.out_activation_, set(losses))
    loss = losses[mlp.out_activation_]
    # Regressors have had the parameter since scikit-learn 1.7.
    if not is_classifier(mlp) and getattr(mlp, "loss", loss) != loss:
        raise ValueError(
            f"from_sklearn: loss={mlp.loss!r}; allowed: {loss!r}, as the network was "
            "fitted with"
        )
    return loss


def _check_attributes(mlp, weights):
    """Refuse fitted attributes that contradict the weights."""
    n_outputs = weights[-1][1].size
    _require("n_layers_ of mlp is", mlp.n_layers_, len(weights) + 1)
    _require("n_outputs_ of mlp is", mlp.n_outputs_, n_outputs)
    if hasattr(mlp, "feature_names_in_"):
        n_names = len(mlp.feature_names_in_)
        _require("names in feature_names_in_:", n_names, mlp.n_features_in_)
    if is_classifier(mlp):
        classes = mlp.classes_
        n_classes = 2 if n_outputs == 1 and mlp.out_activation_ == "logistic" else 1
        n_classes = n_outputs if n_outputs > 1 else n_classes
        shape = getattr(classes, "shape", None)
        _require("shape of classes_ of mlp:", shape, (n_classes,))
        if not np.array_equal(np.unique(classes), classes):
            raise ValueError(
                f"from_sklearn: classes_ of mlp is {classes}; allowed: each class "
                "once, in order"
            )


def _require(what, value, expected):
    if value != expected:
        raise ValueError(f"from_sklearn: {what} {value!r}; allowed: {expected!r}")


def _check_same_network(estimator, structure, name):
    """Refuse parameters that say that the fitted network is another one."""
    loss = structure["loss"]
    expected = structure | {"loss": LOSS_CHOICES[loss]}
    parameters = {
        "hidden_layer_sizes": _parameters.hidden_layer_sizes(estimator),
        "activation": _parameters.activation(estimator),
        "loss": estimator.loss,
    } | estimator._loss_parameter(loss)
    for parameter, value in parameters.items():
        if value != expected.get(parameter, value):
            raise ValueError(
                f"{name}: {parameter}={value!r}; allowed: {expected[parameter]!r}, "
                "as the network was fitted with"
            )


def _replace_network(estimator, network):
    """Give an estimator a copy of a network, as its parameters want it."""
    fan_ins = _topology.fan_ins(
        _parameters.density(estimator),
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
    network = network.converted(fan_ins, plain(estimator.precision))
    if not network.is_finite():
        raise ValueError(
            f"precision={estimator.precision!r} does not hold all weights; allowed: "
            f"magnitudes up to {LARGEST[estimator.precision]:.6g}"
        )
    estimator._network = network
    estimator._choose_pickle()
    estimator._structure = estimator._structure | {
        "density": _parameters.density(estimator),
        "density_distribution": estimator.density_distribution,
        "block_size": estimator.block_size,
        "precision": plain(estimator.precision),
    }
    return estimator
