"""Which connections a layer has: from a density to column indices.

A layer's connections are CSR over its outputs: unit `o` reads the inputs
``indices[indptr[o]:indptr[o + 1]]``. All units of a layer have the same fan-in.
"""

from itertools import pairwise

import numpy as np

#: A unit keeps at least so many inputs (or all, where there are fewer).
MIN_FAN_IN = 8
#: The same for ``density="auto"``, which keeps a tenth of the inputs: as accurate as
#: dense layers within standard errors, or more so, from 178 to 100,000 samples
#: (benchmarks/auto_density.py, and sparse_training.py at several densities).
AUTO_MIN_FAN_IN = 32
AUTO_DENSITY = 0.1
#: How many neighbouring units may share their inputs; the kernels know no others.
BLOCK_SIZES = (1, 4)
# How many inputs are permuted in one call.
PERMUTED = 1 << 20


def index_dtype(n_inputs):
    """Smallest unsigned integer type that holds the indices of `n_inputs`."""
    return np.dtype(np.uint16 if n_inputs <= 1 << 16 else np.uint32)


def connection_dtype(n_units):
    """The same in a pickle, where the kernels' 16 bits are not the narrowest."""
    return np.dtype(np.uint8) if n_units <= 1 << 8 else index_dtype(n_units)


def erdos_renyi_densities(density, shapes):
    """Spread one density over layers by the Erdős-Rényi rule.

    A layer's density is proportional to ``(n_in + n_out) / (n_in * n_out)``, so that
    narrow layers stay denser; layers that would exceed 1 become dense and leave
    their surplus to the others (Mocanu et al. 2018, doi:10.1038/s41467-018-04316-3;
    saturation as in Evci et al. 2020, arXiv:1911.11134).

    Parameters
    ----------
    density : float
        Connections of all layers together over those of the dense layers, in (0, 1].
    shapes : sequence of (int, int)
        (n_in, n_out) of each layer.

    Returns
    -------
    list of float
        The density of each layer.
    """
    sizes = np.array([n_in * n_out for n_in, n_out in shapes], float)
    perimeters = np.array([n_in + n_out for n_in, n_out in shapes], float)
    dense = np.zeros(len(shapes), bool)
    while not dense.all():
        budget = density * sizes.sum() - sizes[dense].sum()
        factor = budget / perimeters[~dense].sum()
        overfull = ~dense & (factor * perimeters > sizes)
        if not overfull.any():
            return list(np.where(dense, 1.0, factor * perimeters / sizes))
        dense |= overfull
    return [1.0] * len(shapes)


def fan_ins(density, layer_sizes, distribution="erdos_renyi"):
    """Fan-in of each layer's units.

    Parameters
    ----------
    density : "auto", float or sequence of float
        As the estimators' parameter `density`.
    layer_sizes : sequence of int
        Widths of the input, hidden and output layers.
    distribution : {"erdos_renyi", "uniform"}
        How a single number is spread over the hidden layers.

    Returns
    -------
    list of int
        One fan-in per weight matrix; equal to the number of inputs where dense.
    """
    shapes = list(pairwise(layer_sizes))
    if isinstance(density, str):
        hidden = [
            max(AUTO_DENSITY * n_in, AUTO_MIN_FAN_IN) / n_in for n_in, _ in shapes
        ]
        densities = [*hidden[:-1], 1.0]
    elif np.ndim(density) == 0 and distribution == "uniform":
        densities = [*[float(density)] * (len(shapes) - 1), 1.0]
    elif np.ndim(density) == 0:
        densities = [*erdos_renyi_densities(float(density), shapes[:-1]), 1.0]
    else:
        densities = [float(d) for d in density]
    return [
        min(n_in, max(MIN_FAN_IN, round(d * n_in)))
        for d, (n_in, _) in zip(densities, shapes, strict=True)
    ]


def average_fan_out(fan_in, n_in, n_out, height=1):
    """Fan-out of n_in features with which n_out units have nearly that fan-in.

    The nearest multiple of the `height` of blocks that leaves no unit without inputs.
    """
    whole = n_in * height
    return max(-(-n_out // whole), (2 * fan_in * n_out + whole) // (2 * whole)) * height


def block_height(n_out, block_size):
    """Units of a block of a layer that is stored feature by feature.

    Blocks that would not be whole are of one unit.
    """
    return block_size if n_out % block_size == 0 else 1


def random_connections(n_inputs, n_outputs, fan_in, rng):
    """Draw `fan_in` different inputs for each output, and use all inputs evenly.

    Random permutations of the inputs are cut into pieces of `fan_in`: no piece holds
    an input twice, and no input is used much more often than another. Neighbouring
    pieces share no input, so they are shuffled: samples that an output has brought into
    the L1 cache may then serve the next (a product took 124 us in the order of dealing,
    110 shuffled: 1024 x 1024 at density 0.1 in bfloat16 on a Zen 4 core).

    Parameters
    ----------
    n_inputs, n_outputs, fan_in : int
        ``1 <= fan_in <= n_inputs``.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n_outputs, fan_in)
        Input numbers, ascending in each row; uint16 or uint32 (`index_dtype`).
    """
    dtype = index_dtype(n_inputs)
    pieces = n_inputs // fan_in
    connections = np.empty((n_outputs, fan_in), dtype)
    inputs = np.arange(n_inputs, dtype=dtype)
    at_once = max(1, PERMUTED // n_inputs)  # permutations
    for begin in range(0, n_outputs, pieces * at_once):
        rows = min(pieces * at_once, n_outputs - begin)
        dealt = np.tile(inputs, (-(-rows // pieces), 1))
        dealt = rng.permuted(dealt, axis=1, out=dealt)[:, : pieces * fan_in]
        dealt = dealt.reshape(-1, fan_in)[:rows]
        connections[begin : begin + rows] = np.sort(dealt, axis=1)
    return connections[rng.permutation(n_outputs)]


def largest_connections(weights, n_kept, columns, n_columns=0):
    """Choose each row's largest weights.

    Parameters
    ----------
    weights : ndarray of shape (n_rows, length)
    n_kept : int
        Connections of a row that stay, at most `length`.
    columns : integer ndarray of shape (n_rows, length) or (1, length)
        The column that each connection leads to.
    n_columns : int, default=0
        If not 0, each of so many columns keeps a connection at least: the largest it
        has, in the place of the smallest of that row whose column keeps others.

    Returns
    -------
    ndarray of shape (n_rows, n_kept)
        Places in the rows, ascending.
    """
    n_rows, length = weights.shape
    kept = np.empty((n_rows, n_kept), np.int64)
    rows_at_once = max(1, PERMUTED // length)
    for begin in range(0, n_rows, rows_at_once):
        rows = slice(begin, begin + rows_at_once)
        order = np.argpartition(np.abs(weights[rows]), length - n_kept, axis=1)
        kept[rows] = np.sort(order[:, length - n_kept :], axis=1)
    columns = np.broadcast_to(columns, weights.shape)
    counts = np.bincount(
        np.take_along_axis(columns, kept, axis=1).ravel(), minlength=n_columns
    )
    is_lost = counts == 0
    is_lost[n_columns:] = False
    if not is_lost.any():
        return kept
    # All connections of the lost columns, by column, the largest first.
    rows, places = np.nonzero(is_lost[columns])
    of_column, magnitudes = columns[rows, places], np.abs(weights[rows, places])
    order = np.lexsort((-magnitudes, of_column))
    rows, places, of_column = rows[order], places[order], of_column[order]
    for row, place, column in zip(rows, places, of_column, strict=True):
        if counts[column] > 0:
            continue
        kept_weights = np.abs(weights[row, kept[row]])
        kept_weights[counts[columns[row, kept[row]]] < 2] = np.inf
        smallest = kept_weights.argmin()
        if np.isfinite(kept_weights[smallest]):
            counts[columns[row, kept[row, smallest]]] -= 1
            counts[column] += 1
            kept[row, smallest] = place
            kept[row].sort()
    return kept
