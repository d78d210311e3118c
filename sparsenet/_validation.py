"""Checks of samples and of a network's size, made before any work starts."""

from itertools import pairwise
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_array

from sparsenet._constraints import MAX_UNITS, shown, units
from sparsenet._formats import INT8_MAX_TERMS
from sparsenet._input import refuse_masked, refuse_times
from sparsenet._memory import available_memory, training_memory
from sparsenet._topology import average_fan_out, block_height

MAX_CONNECTIONS = 2**32  # of a layer, whose order in the transpose is 32 bits


class ValidationSamples(NamedTuple):
    """Samples to validate on, as they are passed to `fit`."""

    X_val: object = None
    y_val: object = None
    sample_weight_val: object = None

    def check(self, estimator):
        """Refuse a part without the others, or where nothing is validated."""
        name = type(estimator).__name__
        given = [part for part, value in self._asdict().items() if value is not None]
        missing = [part for part in ("X_val", "y_val") if part not in given]
        if given and missing:
            raise ValueError(
                f"{name}: {' and '.join(missing)} must be passed to fit, too, since "
                f"{given[0]} is"
            )
        if given and estimator.solver == "lbfgs":
            raise ValueError(
                f"{name}: X_val is passed to fit; allowed with solver='lbfgs': None, "
                "since there are no epochs to validate after"
            )


def check_sample_weight(estimator, sample_weight, n_samples):
    """Check the weights of samples.

    Parameters
    ----------
    estimator : object
        Named by messages.
    sample_weight : array-like of shape (n_samples,), number or None
        A number stands for as many equal weights.
    n_samples : int
        Number of rows of X.

    Returns
    -------
    sample_weight : ndarray of shape (n_samples,), float64, or None
        None if all weights are 1.

    Raises
    ------
    ValueError
        A weight is negative, infinite, NaN, masked or a time, all are zero, their sum
        is infinite, or there is not one weight per row.
    """
    if sample_weight is None:
        return None
    refuse_masked(type(estimator).__name__, "sample_weight", sample_weight)
    refuse_times(estimator, "sample_weight", sample_weight)
    if isinstance(sample_weight, Real) or getattr(sample_weight, "ndim", 1) == 0:
        sample_weight = np.full(n_samples, sample_weight)
    weights = check_array(
        sample_weight,
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_min_samples=0,
        input_name="sample_weight",
        estimator=estimator,
    )
    name = type(estimator).__name__
    if weights.shape != (n_samples,):
        raise ValueError(
            f"{name}: sample_weight has shape {weights.shape}; allowed: "
            f"({n_samples},), one weight per row of X"
        )
    if weights.min() < 0:
        raise ValueError(
            f"{name}: sample_weight has the value {weights.min()}; allowed: numbers "
            ">= 0"
        )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not 0 < total < np.inf:
        what = "is zero for every row" if total == 0 else f"has the sum {total}"
        raise ValueError(f"{name}: sample_weight {what}; allowed: a finite sum above 0")
    return weights


def check_network_size(
    estimator,
    layer_sizes,
    fan_ins,
    *,
    batch_size=1,
    n_threads=1,
    sparse_rows=False,
    dealt=True,
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
    batch_size, n_threads : int, default=1
        Rows of a step of training, and threads that it takes.
    sparse_rows : bool, default=False
        Whether rows are sparse: the sums of the first layer are then as long as a
        row has non-zeros, whatever the fan-in.
    dealt : bool, default=True
        Whether connections are as `random_connections` deals them and stay so, which
        bounds the fan-out.

    Raises
    ------
    ValueError
        Training would need more memory than there is, a layer has more than
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
    # Of sparse rows no panel holds the features.
    sizes = (0, *layer_sizes[1:]) if sparse_rows else layer_sizes
    n_bytes, available = (
        training_memory(
            n_connections, sizes, batch_size, estimator.precision, n_threads
        ),
        available_memory(),
    )
    if n_bytes > available:
        raise ValueError(
            f"{name}: hidden_layer_sizes={shown(estimator.hidden_layer_sizes)} "
            f"and density={shown(estimator.density)} make "
            f"{n_connections:,} connections with {layer_sizes[0]:,} features, and "
            f"training {sum(layer_sizes[1:]):,} units with batches of {batch_size:,} "
            f"and n_threads={n_threads} takes about {n_bytes / 2**30:,.1f} GiB; "
            f"allowed: at most the {available / 2**30:,.1f} GiB of this machine or "
            "container"
        )
    largest = max(connections)
    if largest >= MAX_CONNECTIONS:
        raise ValueError(
            f"{name}: density={shown(estimator.density)} gives a layer {largest:,} "
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
                f"{name}: precision='int8' and density={shown(estimator.density)} "
                f"give a unit {max(fan_in, fan_out):,} connections; allowed: at most "
                f"{limit:,}, or another precision"
            )
