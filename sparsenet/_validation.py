"""Checks of samples and of a network's size, made before any work starts."""

import os
from itertools import pairwise
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_array

from sparsenet._constraints import MAX_UNITS, shown, units
from sparsenet._formats import INT8_MAX_TERMS
from sparsenet._topology import average_fan_out, block_height

MAX_CONNECTIONS = 2**32  # of a layer, whose order in the transpose is 32 bits
# Training with Adam: the weight and its two moments in float32, in each of two orders
# a compute copy and an index of up to four bytes, and when the weight came into being.
BYTES_PER_CONNECTION = 30


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
            f"{name}: hidden_layer_sizes={shown(estimator.hidden_layer_sizes)} "
            f"and density={shown(estimator.density)} make "
            f"{n_connections:,} connections with {layer_sizes[0]:,} features, and "
            f"training them takes {n_bytes / 2**30:,.0f} GiB; allowed: at most the "
            f"{available / 2**30:,.0f} GiB of this machine"
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


def _physical_memory():
    """Bytes of memory; where the system does not tell, what 48 bits can address."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**48
