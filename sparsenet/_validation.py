"""Checks of parameters and sample weights, made before any work starts.

scikit-learn's own parameter checker is private, so this is a small one. A
`Constraint` is a test together with the words that say what passes it, so that
an error can name the parameter, its value and what is allowed.
"""

import math
import os
import reprlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_array

from sparsenet._formats import INT8_MAX_TERMS
from sparsenet._kernels._dispatch import (
    ACTIVATIONS,
    FORMATS,
    REGRESSOR_LOSSES,
    SOLVERS,
)
from sparsenet._topology import BLOCK_SIZES, average_fan_out, block_height

MAX_UNITS = 2**31 - 1
MAX_CONNECTIONS = 2**32  # of a layer, whose order in the transpose is 32 bits
# Training with Adam: the weight and its two moments in float32, in each of two orders
# a compute copy and an index of up to four bytes, and when the weight came into being.
BYTES_PER_CONNECTION = 30


class Constraint(NamedTuple):
    """A test of a parameter's value, and the words for what passes it."""

    allows: Callable[[object], bool]
    description: str


def listing(words):
    """Join words: a; a or b; a, b, or c."""
    *first, last = words
    if len(first) < 2:
        return " or ".join(words)
    return f"{', '.join(first)}, or {last}"


def _is_number(value, kind):
    """Whether value is a finite number; True and False are not numbers here."""
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def number(low, high=math.inf, *, bounds="[]", kind=Real):
    """Allow finite numbers from low to high; `bounds` says which ends belong."""
    noun = "an integer" if kind is Integral else "a number"
    above = ">=" if bounds[0] == "[" else ">"
    if high == math.inf:
        words = f"{noun} {above} {low}"
    else:
        words = f"{noun} in {bounds[0]}{low}, {high}{bounds[1]}"

    def allows(value):
        return (
            _is_number(value, kind)
            and (value >= low if bounds[0] == "[" else value > low)
            and (value <= high if bounds[1] == "]" else value < high)
        )

    return Constraint(allows, words)


def integer(low, high=math.inf):
    """Allow integers from low to high, both included."""
    return number(low, high, kind=Integral)


def choice(*options):
    """Allow these strings and nothing else."""
    return Constraint(
        lambda value: isinstance(value, str) and value in options,
        listing([repr(option) for option in options]),
    )


def instance(description, *classes):
    """Allow instances of these classes."""
    return Constraint(lambda value: isinstance(value, classes), description)


def either(*constraints):
    """Allow what any of the constraints allows."""
    return Constraint(
        lambda value: any(constraint.allows(value) for constraint in constraints),
        listing([constraint.description for constraint in constraints]),
    )


def each(constraint, description, length=None):
    """Allow a sequence whose members all pass, of this length if one is given."""

    def allows(value):
        if isinstance(value, np.ndarray):
            value = list(value) if value.ndim == 1 else None
        return (
            isinstance(value, Sequence)
            and not isinstance(value, (str, bytes))
            and (length is None or len(value) == length)
            and all(map(constraint.allows, value))
        )

    return Constraint(allows, description)


boolean = instance("a bool", bool, np.bool_)
none = instance("None", type(None))
units = integer(1, MAX_UNITS)
fraction = number(0, 1, bounds="(]")
# The optimizer computes in float32, where what is too near to 1 or 0 would be 1 or 0.
decay = Constraint(
    lambda value: _is_number(value, Real) and 0 <= value < 1 and np.float32(value) < 1,
    "a number in [0, 1), also when rounded to float32",
)

CONSTRAINTS = {
    "loss": choice(*REGRESSOR_LOSSES),
    "hidden_layer_sizes": either(units, each(units, "a sequence of such")),
    "activation": choice(*ACTIVATIONS),
    "solver": choice(*SOLVERS)._replace(
        description="'adam' or 'sgd' ('lbfgs' is not implemented yet)"
    ),
    "alpha": number(0),
    "batch_size": either(choice("auto"), integer(1)),
    "learning_rate": choice("constant", "invscaling", "adaptive"),
    "learning_rate_init": number(0, bounds="(]"),
    "power_t": number(0),
    "max_iter": integer(1),
    "shuffle": boolean,
    "random_state": either(
        none,
        integer(0, 2**32 - 1),
        instance("a numpy.random.RandomState", np.random.RandomState),
    ),
    "tol": number(0),
    "verbose": either(boolean, integer(0)),
    "warm_start": boolean,
    "momentum": number(0, 1),
    "nesterovs_momentum": boolean,
    "early_stopping": boolean,
    "validation_fraction": number(0, 1, bounds="[)"),
    "beta_1": decay,
    "beta_2": decay,
    "epsilon": number(2.0**-126),
    "n_iter_no_change": either(
        integer(1),
        Constraint(lambda v: isinstance(v, Real) and v == math.inf, "numpy.inf"),
    ),
    "max_fun": integer(1),
    "density_distribution": choice("erdos_renyi", "uniform"),
    "block_size": Constraint(
        lambda value: _is_number(value, Integral) and value in BLOCK_SIZES,
        listing([str(size) for size in BLOCK_SIZES]),
    ),
    "sparse_training": choice("static", "set", "rigl", "gradual"),
    "rewire_interval": integer(1),
    "rewire_fraction": fraction,
    "rewire_until": Constraint(
        lambda value: (
            _is_number(value, Real)
            and (value >= 1 if isinstance(value, Integral) else 0 < value <= 1)
        ),
        "a float in (0, 1] or an integer >= 1",
    ),
    "initial_density": fraction,
    "precision": choice(*FORMATS),
    "n_threads": either(none, integer(1, 1024)),
}


def check_parameter(estimator, name):
    """Refuse the value of one parameter if it is out of bounds, as below."""
    _check(estimator, name, getattr(estimator, name), CONSTRAINTS[name])


def check_parameters(estimator):
    """Refuse a parameter that is out of bounds.

    Parameters
    ----------
    estimator : object
        Has the method ``get_params``, as scikit-learn's estimators.

    Raises
    ------
    ValueError
        Names the estimator, the parameter, its value and what is allowed.
    """
    parameters = estimator.get_params(deep=False)
    for name, constraint in CONSTRAINTS.items():
        if name in parameters:
            _check(estimator, name, parameters[name], constraint)
    # How many densities there may be depends on how many layers there are.
    n_matrices = len(hidden_layer_sizes(estimator)) + 1
    one_each = each(
        fraction, f"one per weight matrix ({n_matrices} here)", length=n_matrices
    )
    _check(
        estimator,
        "density",
        estimator.density,
        either(choice("auto"), fraction, one_each),
    )
    if estimator.precision == "int8" and estimator.batch_size != "auto":
        # A weight's gradient is a sum over the batch in 32 bits.
        bound = Constraint(
            lambda value: value <= INT8_MAX_TERMS,
            f"at most {INT8_MAX_TERMS:,} with precision='int8'",
        )
        _check(estimator, "batch_size", estimator.batch_size, bound)


def _check(estimator, name, value, constraint):
    if not constraint.allows(value):
        raise ValueError(
            f"{type(estimator).__name__}: {name}={_shown(value)}; "
            f"allowed: {constraint.description}"
        )


def _shown(value):
    """Return a short representation on one line."""
    return " ".join(reprlib.repr(value).split())


def hidden_layer_sizes(estimator):
    """Return the sizes of the hidden layers as a tuple of int."""
    sizes = estimator.hidden_layer_sizes
    return (int(sizes),) if isinstance(sizes, Integral) else tuple(map(int, sizes))


def density(estimator):
    """Return the density as "auto", a float or a tuple of float."""
    value = estimator.density
    if isinstance(value, str):
        return value
    return float(value) if isinstance(value, Real) else tuple(map(float, value))


def check_sample_weight(sample_weight, n_samples):
    """Check the weights of samples.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
        A number stands for as many equal weights.
    n_samples : int
        Number of rows of X.

    Returns
    -------
    sample_weight : ndarray of shape (n_samples,), float32, or None
        None if all weights are 1.

    Raises
    ------
    ValueError
        A weight is negative, infinite or NaN, all are zero, or there is not one
        weight per row.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_samples, sample_weight)
    with np.errstate(over="ignore"):
        weights = check_array(
            sample_weight,
            dtype=np.float32,
            order="C",
            ensure_2d=False,
            allow_nd=True,
            input_name="sample_weight",
        )
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}; allowed: ({n_samples},), "
            "one weight per row of X"
        )
    if weights.min() < 0:
        raise ValueError(
            f"sample_weight has the value {weights.min()}; allowed: numbers >= 0"
        )
    if not weights.any():
        raise ValueError("sample_weight is zero for every row: nothing to train on")
    return weights


def check_network_size(
    estimator, layer_sizes, fan_ins, *, sparse_rows=False, dealt=True
):
    """Refuse a network that this machine cannot hold.

    Parameters
    ----------
    estimator : object
        Has the parameters that the message names.
    layer_sizes : sequence of int
        Number of features, of units in each hidden layer, of outputs.
    fan_ins : sequence of int
        How many inputs a unit has, for each weight matrix.
    sparse_rows : bool, default=False
        Whether rows are sparse: the sums of the first layer are then as long as a
        row has non-zeros, whatever the fan-in.
    dealt : bool, default=True
        Whether connections are as `random_connections` deals them and stay so, which
        bounds the fan-out.

    Raises
    ------
    ValueError
        Training would need more than the machine's memory, a layer has more than
        2**31 - 1 units or 2**32 connections, or a sum of int8 products would not fit
        32 bits.
    """
    name = type(estimator).__name__
    if max(layer_sizes) > MAX_UNITS:
        raise ValueError(
            f"{name}: layer sizes {tuple(layer_sizes)}; allowed: {units.description}"
        )
    connections = [
        fan_in * n_out for fan_in, n_out in zip(fan_ins, layer_sizes[1:], strict=True)
    ]
    if sparse_rows:  # each feature has as many, and at least a block
        n_in, n_out = layer_sizes[:2]
        height = block_height(n_out, int(estimator.block_size))
        connections[0] = average_fan_out(fan_ins[0], n_in, n_out, height) * n_in
    n_connections = sum(connections)
    n_bytes, available = n_connections * BYTES_PER_CONNECTION, _physical_memory()
    if n_bytes > available:
        raise ValueError(
            f"{name}: hidden_layer_sizes={_shown(estimator.hidden_layer_sizes)} "
            f"and density={_shown(estimator.density)} make "
            f"{n_connections:,} connections with {layer_sizes[0]:,} features, and "
            f"training them takes {n_bytes / 2**30:,.0f} GiB; allowed: at most the "
            f"{available / 2**30:,.0f} GiB of this machine"
        )
    largest = max(connections)
    if largest >= MAX_CONNECTIONS:
        raise ValueError(
            f"{name}: density={_shown(estimator.density)} gives a layer {largest:,} "
            f"connections; allowed: fewer than {MAX_CONNECTIONS:,}"
        )
    if estimator.precision == "int8":
        _check_int8_sums(estimator, layer_sizes, fan_ins, sparse_rows, dealt)


def _check_int8_sums(estimator, layer_sizes, fan_ins, sparse_rows, dealt):
    """Refuse sums over inputs or outputs that could overflow 32 bits."""
    name, limit = type(estimator).__name__, INT8_MAX_TERMS
    for number, (n_in, n_out) in enumerate(pairwise(layer_sizes)):
        fan_in = 0 if number == 0 and sparse_rows else fan_ins[number]
        if number == 0:  # whose input has no gradient
            fan_out = 0
        elif dealt:
            block_size = int(estimator.block_size)
            n_blocks = -(-n_out // block_size)
            times = -(-n_blocks // (n_in // fan_in))  # that an input is used
            fan_out = min(n_out, times * block_size)
        else:
            fan_out = n_out
        if max(fan_in, fan_out) > limit:
            raise ValueError(
                f"{name}: precision='int8' and density={_shown(estimator.density)} "
                f"give a unit {max(fan_in, fan_out):,} connections; allowed: at most "
                f"{limit:,}, or another precision"
            )


def _physical_memory():
    """Bytes of memory; where the system does not tell, what 48 bits can address."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**48
