"""A layer whose weights are stored by units: any but a first one of sparse rows."""

import copy

import numpy as np
import scipy.sparse as sp

from sparsenet._base_layer import BaseLayer, glorot_bound
from sparsenet._formats import STORED_DTYPE, from_stored
from sparsenet._kernels._dispatch import BLOCK_HEIGHT
from sparsenet._kernels.train.layouts import (
    cut_windows,
    dense_size,
    padded,
    read_weights,
    round_weights,
    write_weights,
)
from sparsenet._kernels.train.transpose import transpose
from sparsenet._topology import index_dtype, largest_connections, random_connections


def drawn_weights(fan_in, n_out, bound, rng):
    """Draw the weights of BLOCK_HEIGHT units at a time.

    Yields arrays of shape (fan_in, at most BLOCK_HEIGHT).
    """
    for begin in range(0, n_out, BLOCK_HEIGHT):
        units = min(BLOCK_HEIGHT, n_out - begin)
        yield rng.uniform(-bound, bound, (fan_in, units))


def block_weights(fan_in, n_out, columns):
    """Padded float32 weights of blocks, (n_blocks * fan_in, BLOCK_HEIGHT).

    `columns` yields those of each block, (fan_in, at most BLOCK_HEIGHT).
    """
    n_blocks = -(-n_out // BLOCK_HEIGHT)
    weights = padded((n_blocks * fan_in, BLOCK_HEIGHT), np.float32)
    for block, of_units in enumerate(columns):
        rows = slice(block * fan_in, (block + 1) * fan_in)
        weights[rows, : of_units.shape[1]] = of_units
    return weights


def by_block(matrix):
    """A dense layer's values (n_out, n_in) in the shape of its `weights`."""
    n_out, n_in = matrix.shape
    rows = np.zeros((-(-n_out // BLOCK_HEIGHT), BLOCK_HEIGHT, n_in), matrix.dtype)
    rows.reshape(-1, n_in)[:n_out] = matrix
    return np.ascontiguousarray(rows.transpose(0, 2, 1)).reshape(-1, BLOCK_HEIGHT)


class Layer(BaseLayer):
    """Weights of one layer, W of shape (n_out, n_in), stored by blocks of outputs.

    A block is `height` neighbouring outputs that share their inputs: 1 or BLOCK_HEIGHT
    for a sparse layer, BLOCK_HEIGHT for a dense one. All blocks have as many inputs,
    the fan-in. Rows that complete the last block have zero weights and stay inside.

    Attributes
    ----------
    indices : uint16 or uint32 array of shape (n_blocks * fan_in,), or None
        The inputs of each block, ascending. None: all of them, the layer is dense.
    indptr : int64 array of shape (n_blocks + 1,)
        Where each block starts in `indices`, or would start.
    weights : float32 array of shape (n_blocks * fan_in, height)
        What the optimizer owns.
    forward, transpose : arrays of the number format
        The same weights as the two products read them: in the order of the outputs
        and of the inputs. For float32 `forward` is `weights` itself. `transpose` is
        None in the first layer, whose input has no gradient.
    transpose_position : uint32 array of shape (n_blocks * fan_in,), or None
        Place of each row of `weights` in `transpose`. None: the layer is dense.
    row_scale : float32 array of shape (n_blocks * height,)
        int8 only: weight = row_scale * stored byte.
    moments : tuple of four float32 arrays, or None
        First and second moment of weights and of biases.
    average : float32 array like `weights`, or None
        Their running average, where there is one.
    windows : tuple of arrays, or None
        The weights as the product of one sample reads them, where that is another way.
    """

    by_feature = False

    def __init__(self, n_in, n_out, precision, indices, weights, bias, *, first=False):
        self.n_in, self.n_out, self.precision = n_in, n_out, precision
        self.indices, self.weights, self.bias = indices, weights, bias
        self.first = first
        self.height = weights.shape[1]
        self.n_blocks = -(-n_out // self.height)
        self.fan_in = len(weights) // self.n_blocks
        self.indptr = np.arange(self.n_blocks + 1, dtype=np.int64) * self.fan_in
        self.moments = self.cohort = self.transpose = None
        self.average = self.average_bias = self.windows = None
        self.row_scale = np.zeros(self.n_blocks * self.height, np.float32)
        self.forward = weights
        if precision != "float32":
            self.forward = self._compute_copy(n_out, n_in)
        if not first:
            self._build_transpose()
        round_weights(self)

    @classmethod
    def random(
        cls,
        n_in,
        n_out,
        fan_in,
        precision,
        activation,
        rng,
        *,
        block_size=1,
        first=False,
    ):
        bound = glorot_bound(fan_in, fan_in * n_out / n_in, activation)
        if fan_in < n_in and block_size == 1:
            weights = padded((n_out * fan_in, 1), np.float32)
            weights[:, 0] = rng.uniform(-bound, bound, n_out * fan_in)
        else:
            drawn = drawn_weights(fan_in, n_out, bound, rng)
            weights = block_weights(fan_in, n_out, drawn)
        indices = None
        if fan_in < n_in:
            n_blocks = len(weights) // fan_in
            indices = random_connections(n_in, n_blocks, fan_in, rng).ravel()
        bias = rng.uniform(-bound, bound, n_out).astype(np.float32)
        return cls(n_in, n_out, precision, indices, weights, bias, first=first)

    @classmethod
    def dense(cls, weights, bias, precision, *, first=False):
        n_in, n_out = weights.shape
        columns = (
            weights[:, begin : begin + BLOCK_HEIGHT]
            for begin in range(0, n_out, BLOCK_HEIGHT)
        )
        blocks = block_weights(n_in, n_out, columns)
        return cls(n_in, n_out, precision, None, blocks, bias, first=first)

    def pruned(self, fan_in, block_size):
        """See `BaseLayer`. Inputs of the network may lose their last connection."""
        height = self.height if self.is_sparse else block_size

        def rows(values):
            if height == self.height:
                return values.reshape(self.n_blocks, -1, height)
            return self._by_output(values)[:, :, np.newaxis]

        inputs = np.arange(self.n_in, dtype=index_dtype(self.n_in))[np.newaxis]
        if self.is_sparse:
            inputs = self.indices.reshape(self.n_blocks, -1)
        magnitudes = np.abs(rows(self.weights)).sum(axis=2)
        alive = 0 if self.first else self.n_in
        kept = largest_connections(magnitudes, fan_in, inputs, alive)

        def take(values):
            taken = padded((kept.size, height), values.dtype)
            kept_rows = np.take_along_axis(rows(values), kept[:, :, np.newaxis], 1)
            taken[...] = kept_rows.reshape(taken.shape)
            return taken

        inputs = np.broadcast_to(inputs, magnitudes.shape)
        layer = Layer(
            self.n_in,
            self.n_out,
            self.precision,
            np.take_along_axis(inputs, kept, 1).ravel(),
            take(self.weights),
            self.bias,
            first=self.first,
        )
        if self.moments is not None:
            of_weights = (take(m) if m.size else m for m in self.moments[:2])
            layer.moments = (*of_weights, *self.moments[2:])
        if self.cohort is not None:
            layer.cohort = take(self.cohort)
        if self.average is not None:
            layer.average, layer.average_bias = take(self.average), self.average_bias
        return layer

    def exceeds(self, fan_in, block_size):
        return self.fan_in > fan_in

    def in_format(self, precision):
        weights = padded(self.weights.shape, np.float32)
        weights[...] = self.weights
        indices = self.indices.copy() if self.is_sparse else None
        arrays = indices, weights, self.bias.copy()
        return Layer(self.n_in, self.n_out, precision, *arrays, first=self.first)

    @property
    def is_sparse(self):
        return self.indices is not None

    @property
    def n_connections(self):
        return self.n_out * self.fan_in

    @property
    def n_moments(self):
        return 0 if self.moments is None else 1 + (self.moments[1].size > 0)

    def with_optimizer(self, n_moments):
        """See `BaseLayer`. It shares all other arrays."""
        layer = self.without_optimizer()
        layer.moments = tuple(
            np.zeros(parameter.shape if moment < n_moments else 0, np.float32)
            for parameter in (self.weights, self.bias)
            for moment in range(2)
        )
        return layer

    def without_optimizer(self):
        """See `BaseLayer`. It shares all arrays."""
        layer = copy.copy(self)
        layer.moments = layer.cohort = layer.average = layer.average_bias = None
        return layer

    def for_prediction(self):
        layer = self.without_optimizer()
        layer.first = True  # nobody asks for the gradient of its inputs
        layer.transpose = None
        if not self.first:
            layer.transpose_indptr = layer.transpose_indices = None
            layer.transpose_position = None
        layer.windows = cut_windows(self)
        return layer

    def with_average(self):
        layer = copy.copy(self)
        layer.average = padded(self.weights.shape, np.float32)
        layer.average[...] = self.weights
        layer.average_bias = self.bias.copy()
        return layer

    def averaged(self):
        weights = padded(self.weights.shape, np.float32)
        weights[...] = self.average
        arrays = self.indices, weights, self.average_bias.copy()
        return Layer(self.n_in, self.n_out, self.precision, *arrays, first=self.first)

    def connection_keys(self):
        if not self.is_sparse:
            return np.arange(len(self.weights))
        blocks = np.repeat(np.arange(self.n_blocks), self.fan_in)
        return blocks * self.n_in + self.indices

    def average_weights(self):
        return self.average

    def round_weights(self):
        if self.precision != "float32" or not self.first:  # else there is no copy
            round_weights(self)

    def sum_of_squares(self):
        return float(np.vdot(self.weights, self.weights))

    def to_csc(self, stored=False):
        indptr = np.arange(self.n_out + 1, dtype=np.int64) * self.fan_in
        inputs = np.arange(self.n_in)
        if self.is_sparse:
            inputs = self.indices.reshape(self.n_blocks, 1, -1)
        shape = self.n_blocks, self.height, self.fan_in
        indices = np.broadcast_to(inputs, shape).reshape(-1, self.fan_in)[: self.n_out]
        # int32 unless the size forbids: what other libraries expect of a csc_array.
        wide = np.int64 if max(indptr[-1], self.n_in) >= 2**31 else np.int32
        values = read_weights(self)
        data = self._by_output(values if stored else self._values(values))
        return sp.csc_array(
            (data.flatten(), indices.ravel().astype(wide), indptr.astype(wide)),
            shape=(self.n_in, self.n_out),
        )

    def _by_output(self, values):
        """Values of the shape of `weights` as (n_out, fan_in)."""
        blocks = values.reshape(self.n_blocks, -1, self.height).transpose(0, 2, 1)
        return blocks.reshape(-1, self.fan_in)[: self.n_out]

    # Compute copies ----------------------------------------------------------------

    def _compute_copy(self, n_rows, n_columns):
        """Room for the weights as a product reads them."""
        size = self.weights.size
        if not self.is_sparse:
            size = dense_size(self.precision, n_rows, n_columns)
        return padded(size, STORED_DTYPE[self.precision])

    def _build_transpose(self):
        """Room for the same weights in the order of the inputs, in O(connections)."""
        self.transpose = self._compute_copy(self.n_in, self.n_out)
        self.transpose_indices = self.transpose_position = None
        if not self.is_sparse:
            n_blocks = -(-self.n_in // BLOCK_HEIGHT)
            self.transpose_indptr = np.arange(n_blocks + 1, dtype=np.int64) * self.n_out
            return
        size = len(self.indices)
        self.transpose_indptr = np.empty(self.n_in + 1, np.int64)
        self.transpose_indices = np.empty(size, index_dtype(self.n_blocks))
        self.transpose_position = padded(size, np.uint32)
        transpose(
            self.indptr,
            self.indices,
            self.transpose_indptr,
            self.transpose_indices,
            self.transpose_position,
        )

    def _values(self, stored):
        """float32 weights from rounded ones."""
        if self.precision != "int8":
            return from_stored(stored, self.precision)
        scale = self.row_scale.reshape(self.n_blocks, self.height)
        return from_stored(stored, "int8", np.repeat(scale, self.fan_in, axis=0))

    # Pickling ----------------------------------------------------------------------

    def to_state(self, training=False):
        stored = read_weights(self)
        state = {
            "n_in": self.n_in,
            "n_out": self.n_out,
            "precision": self.precision,
            "bias": self.bias,
        }
        if self.is_sparse:
            state["indices"] = self.indices.reshape(self.n_blocks, -1)
            state["stored"] = stored.reshape(self.n_blocks, -1, self.height)
        else:
            state["stored"] = np.ascontiguousarray(self._by_output(stored))
        if self.precision == "int8":
            state["row_scale"] = self.row_scale[: self.n_out]
        if training:
            state["training"] = {
                "weights": None if self.precision == "float32" else self.weights,
                "moments": self.moments,
                "cohort": self.cohort,
            }
        return state

    @classmethod
    def from_state(cls, state, *, first=False):
        n_in, n_out, precision = state["n_in"], state["n_out"], state["precision"]
        stored, indices = np.array(state["stored"], order="C"), None
        if "indices" in state:
            indices = np.array(state["indices"], order="C").ravel()
            stored = stored.reshape(-1, stored.shape[2])
        else:
            stored = by_block(stored)
        weights = padded(stored.shape, np.float32)
        bias = np.array(state["bias"], order="C")
        layer = cls(n_in, n_out, precision, indices, weights, bias, first=first)
        if precision == "int8":
            layer.row_scale[:n_out] = state["row_scale"]
        weights[...] = layer._values(stored)
        training = state.get("training")
        if training is not None:
            if training["weights"] is not None:
                weights[...] = training["weights"]
            if training["moments"] is not None:
                moments = (np.array(m, order="C") for m in training["moments"])
                layer.moments = tuple(moments)
            if training["cohort"] is not None:
                layer.cohort = padded(weights.shape, np.uint16)
                layer.cohort[...] = training["cohort"]
        write_weights(layer, stored)
        return layer
