"""scikit-learn's estimators with the weights of this package's."""

import copy

import numpy as np
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sparsenet._constraints import shown

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
#: scikit-learn's loss of a regressor, by the activation of its output layer.
LOSSES = {"identity": "squared_error", "exp": "poisson"}
SOLVERS = ("lbfgs", "sgd", "adam")
SCHEDULES = ("constant", "invscaling", "adaptive")

FITTED = (
    *("classes_", "feature_names_in_", "n_iter_", "t_", "loss_", "loss_curve_"),
    *("best_loss_", "validation_scores_", "best_validation_score_"),
)


def to_sklearn(estimator):
    """See `ExportMixin.to_sklearn`; `estimator` is fitted."""
    network = estimator._network
    kind = MLPClassifier if is_classifier(estimator) else MLPRegressor
    structure = {"hidden_layer_sizes": network.layer_sizes[1:-1]}
    structure |= _activation(estimator) | _loss(estimator, kind)
    mlp = kind(**structure, random_state=0)
    # The public way to all that it needs to predict: a step on one row.
    X = np.zeros((1, network.layer_sizes[0]), estimator._dtype)
    if kind is MLPRegressor:
        mlp.partial_fit(X, np.zeros((1, network.layer_sizes[-1])))
    else:
        y = estimator.classes_[:1]
        if estimator._is_multilabel():
            y = np.zeros((1, network.layer_sizes[-1]), int)
        mlp.partial_fit(X, y, classes=estimator.classes_)
    for weights, bias, coef, intercept in zip(
        network.coefs, network.intercepts, mlp.coefs_, mlp.intercepts_, strict=True
    ):
        coef[...] = weights.toarray()
        intercept[...] = bias
    mlp.set_params(**_parameters(estimator, mlp, structure))
    for name in FITTED:
        if hasattr(estimator, name):
            setattr(mlp, name, copy.copy(getattr(estimator, name)))
        elif hasattr(mlp, name):
            delattr(mlp, name)
    return mlp


def _parameters(estimator, mlp, structure):
    """Those of the estimator that scikit-learn's has, too, with values it allows."""
    shared = mlp.get_params().keys() & estimator.get_params().keys() - structure.keys()
    given = {name: getattr(estimator, name) for name in shared}
    for name, allowed in (("solver", SOLVERS), ("learning_rate", SCHEDULES)):
        if given[name] not in allowed:
            del given[name]
    return given


def _activation(estimator):
    """The parameter `activation`, if all hidden layers have the same."""
    activation, n_hidden = estimator._network.activation, estimator.n_layers_ - 2
    each = (activation,) * n_hidden if isinstance(activation, str) else activation
    if n_hidden == 0:
        return {"activation": "identity"}  # of nothing
    if len(set(each)) > 1 or each[0] not in ACTIVATIONS:
        raise ValueError(
            f"to_sklearn: activation={shown(activation)}; allowed: "
            f"{', '.join(map(repr, ACTIVATIONS))}, one for all hidden layers, as "
            "scikit-learn has it"
        )
    return {"activation": each[0]}


def _loss(estimator, kind):
    """The parameter `loss` of a regressor, if scikit-learn has such outputs."""
    if kind is MLPClassifier:
        if len(estimator.classes_) == 1 and not estimator._is_multilabel():
            raise ValueError(
                f"to_sklearn: classes_={shown(list(estimator.classes_))}; allowed: at "
                "least two, since scikit-learn predicts probabilities of two"
            )
        return {}
    if estimator._levels() is not None:
        raise ValueError(
            f"to_sklearn: quantile={shown(estimator._levels())}; allowed: a number, "
            "since scikit-learn sorts no outputs"
        )
    if "loss" in kind().get_params():
        return {"loss": LOSSES[estimator.out_activation_]}
    if estimator.out_activation_ == "identity":
        return {}
    raise ValueError(
        f"to_sklearn: loss={estimator.loss!r}; allowed: losses whose outputs have no "
        "exponential, which scikit-learn has since version 1.7"
    )
