"""The estimators' parameters: default, what is allowed and documentation, in tables.

Docstrings and checks come from the tables, and a test holds the signatures against
them.
"""

from functools import cache
from numbers import Integral, Real
from types import SimpleNamespace

import numpy as np
from sklearn.base import ClassifierMixin

from sparsenet._constraints import (
    Constraint,
    check,
    choice,
    each,
    either,
    fraction,
    plain,
    share,
    shown,
)
from sparsenet._formats import INT8_MAX_TERMS
from sparsenet._kernels._dispatch import ACTIVATIONS
from sparsenet._parameters import (
    architecture,
    classifier,
    optimization,
    regressor,
    training,
)
from sparsenet._schedules import value_of

SHARED = architecture.PARAMETERS | optimization.PARAMETERS | training.PARAMETERS

#: Of a layer each: what one may be, what stands for all, and of which layers.
BY_LAYER = {
    "activation": (choice(*ACTIVATIONS), [choice(*ACTIVATIONS)], "hidden layer"),
    "dropout": (share, [share], "hidden layer"),
    "density": (fraction, [choice("auto"), fraction], "weight matrix"),
}


@cache
def parameters_of(cls):
    """The parameters of an estimator's class, by name."""
    own = classifier if issubclass(cls, ClassifierMixin) else regressor
    return SHARED | own.PARAMETERS | getattr(cls, "_further_parameters", {})


def snapshot(estimator):
    """An object with the parameters that an estimator has now."""
    names = parameters_of(type(estimator))
    return SimpleNamespace(**{name: plain(getattr(estimator, name)) for name in names})


def documentation(cls, names):
    """The entries of some parameters of a class in a docstring."""
    table = parameters_of(cls)
    return "\n\n".join(table[name].documentation(name) for name in names)


def check_parameter(estimator, name):
    """Refuse the value of one parameter if it is out of bounds, as below."""
    constraint = parameters_of(type(estimator))[name].constraint
    check(estimator, name, getattr(estimator, name), constraint)


UNSMOOTHED = Constraint(lambda value: value == 0, "0 with loss='focal'")

WITH_GRADUAL = Constraint(
    lambda value: value is None, "None with sparse_training='gradual'"
)

#: What a callback may change from one epoch to the next.
OF_STEPS = optimization.PARAMETERS.keys() - {"solver", "batch_size", "max_fun"}

#: What is allowed where all rows are looked at in each step. Epochs and rounds of
#: rewiring have no place there; "set" is the default, which no one has chosen.
WITH_LBFGS = {
    "precision": ["float32"],
    "sparse_training": ["static", "set"],
    "max_grad_norm": [None],
    "ema_decay": [0.0],
    "dropout": [0.0],
    "restore_best": [False],
    "train_scores": [False],
    "time_limit": [None],
}


def check_parameters(estimator, values=None):
    """Refuse a parameter that is out of bounds.

    Parameters
    ----------
    estimator : SparseMLPClassifier or SparseMLPRegressor
        Whose parameters they are.
    values : object, default=None
        Has them as attributes; None: the estimator.

    Raises
    ------
    ValueError
        Names the estimator, the parameter, its value and what is allowed.
    """
    values = estimator if values is None else values
    for name, parameter in parameters_of(type(estimator)).items():
        if name not in BY_LAYER:
            check(estimator, name, getattr(values, name), parameter.constraint)
    n_hidden = len(hidden_layer_sizes(values))
    for name, (of_one, of_all, layer) in BY_LAYER.items():
        n = n_hidden + (layer == "weight matrix")
        one_each = each(of_one, f"one per {layer} ({n} here)", length=n)
        check(estimator, name, getattr(values, name), either(*of_all, one_each))
    if callable(values.learning_rate):
        _look_at_schedule(estimator, values.learning_rate)
    if values.loss == "focal":
        check(estimator, "label_smoothing", values.label_smoothing, UNSMOOTHED)
    if values.sparse_training == "gradual":
        # A shorter training would end in the middle of pruning.
        check(estimator, "time_limit", values.time_limit, WITH_GRADUAL)
    if values.solver == "lbfgs":
        _check_with_lbfgs(estimator, values)
    if values.precision == "int8" and values.batch_size != "auto":
        # A weight's gradient is a sum over the batch in 32 bits.
        bound = Constraint(
            lambda value: value <= INT8_MAX_TERMS,
            f"at most {INT8_MAX_TERMS:,} with precision='int8'",
        )
        check(estimator, "batch_size", values.batch_size, bound)


def _check_with_lbfgs(estimator, values):
    for name, allowed in WITH_LBFGS.items():
        value = getattr(values, name)
        if name == "dropout":
            value = max(dropout(values), default=0.0)
        if value not in allowed:
            raise ValueError(
                f"{type(estimator).__name__}: {name}={value!r}; allowed with "
                f"solver='lbfgs': {' or '.join(map(repr, allowed))}"
            )


def _look_at_schedule(estimator, schedule):
    """Refuse a callable that fails, or returns what is no rate, seen from afar."""
    t = None
    try:
        for t in np.linspace(0, 1, 101).tolist():
            value_of(schedule, t)
    except Exception as error:
        raise ValueError(
            f"{type(estimator).__name__}: learning_rate={shown(schedule)} fails for "
            f"t={t:g}: {error}; allowed: a callable that returns a number >= 0 for "
            "each t in [0, 1]"
        ) from error


def hidden_layer_sizes(estimator):
    """Return the sizes of the hidden layers as a tuple of int."""
    sizes = estimator.hidden_layer_sizes
    return (int(sizes),) if isinstance(sizes, Integral) else tuple(map(int, sizes))


def dropout(estimator):
    """Return the shares of dropout, one for each hidden layer, or () for none."""
    value = estimator.dropout
    if not isinstance(value, Real):
        return tuple(map(float, value))
    return (float(value),) * len(hidden_layer_sizes(estimator)) if value > 0 else ()


def activation(estimator):
    """Return what all hidden layers have, or a tuple of what each has if they differ.

    Without hidden layers, where an empty sequence is allowed, "identity" stands for it.
    """
    value = plain(estimator.activation)
    if isinstance(value, str):
        return value
    names = tuple(map(str, value))
    return names if len(set(names)) > 1 else next(iter(names), "identity")


def loss_parameter(estimator, name):
    """Return the parameter of a loss as a float, or a tuple of one for each output."""
    value = getattr(estimator, name)
    return float(value) if isinstance(value, Real) else tuple(map(float, value))


def density(estimator):
    """Return the density as "auto", a float or a tuple of float."""
    value = estimator.density
    if isinstance(value, str):
        return value
    return float(value) if isinstance(value, Real) else tuple(map(float, value))
