"""One layer: its connections, its parameters and the copies that kernels read."""

import copy

import numpy as np
import scipy.sparse as sp

from sparsenet._formats import (
    STORED_DTYPE,
    from_stored,
    quantization_scale,
    to_stored,
)
from sparsenet._kernels._dispatch import BLOCK_HEIGHT, weight_group
from sparsenet._kernels._engine import PADDING
from sparsenet._kernels._rewire import transpose
from sparsenet._topology import index_dtype, largest_connections, random_connections


def padded(shape, dtype):
    """Zeros on cache lines, with room behind: kernels read whole vectors."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape))
    memory = np.zeros((size + PADDING) * dtype.itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size * dtype.itemsize].view(dtype).reshape(shape)


def copy_arrays(layer):
    """Copy a layer, without its optimizer's state; arrays that are one stay one."""
    other, copies = copy.copy(layer), {}
    other.moments = other.cohort = None
    for name, array in vars(other).items():
        if isinstance(array, np.ndarray):
            if id(array) not in copies:
                copies[id(array)] = padded(array.shape, array.dtype)
                copies[id(array)][...] = array
            setattr(other, name, copies[id(array)])
    return other


def glorot_bound(fan_in, fan_out, activation):
    """Bound of uniform initial weights: Glorot & Bengio 2010, equation 16."""
    return np.sqrt((2.0 if activation == "logistic" else 6.0) / (fan_in + fan_out))


def dense_weights(n_in, n_out, bound, rng):
    """Draw the weights of all inputs, for BLOCK_HEIGHT units at a time.

    Yields arrays of shape (n_in, at most BLOCK_HEIGHT).
    """
    for begin in range(0, n_out, BLOCK_HEIGHT):
        units = min(BLOCK_HEIGHT, n_out - begin)
        yield rng.uniform(-bound, bound, (n_in, units))


def dense_blocks(n_in, n_out, columns):
    """Blocks of a dense layer: indptr, indices and padded float32 weights.

    `columns` yields weights of shape (n_in, at most BLOCK_HEIGHT).
    """
    n_blocks = -(-n_out // BLOCK_HEIGHT)
    weights = padded((n_blocks * n_in, BLOCK_HEIGHT), np.float32)
    for block, of_units in enumerate(columns):
        rows = slice(block * n_in, (block + 1) * n_in)
        weights[rows, : of_units.shape[1]] = of_units
    indptr = np.arange(n_blocks + 1, dtype=np.int64) * n_in
    indices = np.tile(np.arange(n_in, dtype=index_dtype(n_in)), n_blocks)
    return indptr, indices, weights


class Layer:
    """Weights of one layer, W of shape (n_out, n_in), stored by blocks of outputs.

    A block is `height` neighbouring outputs that share their inputs: 1 for a sparse
    layer, 4 for a dense one, whose loads are then shared by four rows. The rows that
    complete a dense layer's last block have zero weights and stay inside.

    Attributes
    ----------
    indptr : int64 array of shape (n_blocks + 1,)
    indices : uint16 or uint32 array of shape (n_columns,)
        The inputs of each block, ascending.
    weights : float32 array of shape (n_columns, height)
        What the optimizer owns.
    forward, transpose : arrays of the number format
        The same weights as the two products read them: in the order of the outputs
        and of the inputs. For float32 `forward` is `weights` itself. `transpose` is
        None in the first layer, whose input has no gradient.
    transpose_position : uint32 array of shape (n_columns, height)
        Place of each weight in `transpose`.
    row_scale : float32 array of shape (n_blocks * height,)
        int8 only: weight = row_scale * stored byte.
    bias : float32 array of shape (n_out,)
    moments : tuple of four float32 arrays, or None
        Optimizer state: first and second moment of weights and of biases.
    cohort : uint16 array of shape (n_columns, 1), or None
        When each weight came into being: a number of the network's `births`. None: all
        are as old as the network.
    """

    def __init__(
        self, n_in, n_out, precision, indptr, indices, weights, bias, *, first=False
    ):
        self.n_in, self.n_out, self.precision = n_in, n_out, precision
        self.indptr, self.indices = indptr, indices
        self.weights, self.bias = weights, bias
        self.height = weights.shape[1]
        self.moments = self.cohort = None
        self.row_scale = np.zeros(self.n_blocks * self.height, np.float32)
        stored = np.zeros(1, STORED_DTYPE[precision])
        self.forward = (
            weights if precision == "float32" else padded(weights.size, stored.dtype)
        )
        self.transpose = None
        if not first:
            self._build_transpose()
            # One place more, where the rows that complete a block leave their zeros.
            self.transpose = padded(self._transpose_size + 1, stored.dtype)
        self._set_stored(self._round_weights())

    @classmethod
    def random(cls, n_in, n_out, fan_in, precision, activation, rng, *, first=False):
        """Draw connections and weights (Glorot & Bengio 2010, by actual fan-in)."""
        bound = glorot_bound(fan_in, fan_in * n_out / n_in, activation)
        if fan_in == n_in:
            drawn = dense_weights(n_in, n_out, bound, rng)
            indptr, indices, weights = dense_blocks(n_in, n_out, drawn)
        else:
            weights = padded((n_out * fan_in, 1), np.float32)
            weights[:, 0] = rng.uniform(-bound, bound, n_out * fan_in)
            indices = random_connections(n_in, n_out, fan_in, rng).ravel()
            indptr = np.arange(n_out + 1, dtype=np.int64) * fan_in
        bias = rng.uniform(-bound, bound, n_out).astype(np.float32)
        return cls(n_in, n_out, precision, indptr, indices, weights, bias, first=first)

    @classmethod
    def dense(cls, weights, bias, precision, *, first=False):
        """The dense layer with the given float32 weights (n_in, n_out) and biases."""
        n_in, n_out = weights.shape
        columns = (
            weights[:, begin : begin + BLOCK_HEIGHT]
            for begin in range(0, n_out, BLOCK_HEIGHT)
        )
        blocks = dense_blocks(n_in, n_out, columns)
        return cls(n_in, n_out, precision, *blocks, bias, first=first)

    def pruned(self, fan_in):
        """The layer that keeps each unit's `fan_in` largest weights, with their state.

        No input loses its last connection, unless it is one of the network's.
        """
        weights, inputs = self._by_output(self.weights), self._inputs()
        alive = 0 if self.transpose is None else self.n_in
        kept = largest_connections(weights, fan_in, inputs, alive)

        def take(values):
            taken = padded((self.n_out * fan_in, 1), values.dtype)
            taken[:, 0] = np.take_along_axis(self._by_output(values), kept, 1).ravel()
            return taken

        layer = Layer(
            self.n_in,
            self.n_out,
            self.precision,
            np.arange(self.n_out + 1, dtype=np.int64) * fan_in,
            np.take_along_axis(np.broadcast_to(inputs, weights.shape), kept, 1).ravel(),
            take(self.weights),
            self.bias,
            first=self.transpose is None,
        )
        if self.moments is not None:
            of_weights = (take(m) if m.size else m for m in self.moments[:2])
            layer.moments = (*of_weights, *self.moments[2:])
        if self.cohort is not None:
            layer.cohort = take(self.cohort)
        return layer

    def exceeds(self, fan_in):
        """Whether units have more connections than that."""
        return self.fan_in > fan_in

    def copy(self):
        """A copy without the optimizer's state."""
        return copy_arrays(self)

    def in_format(self, precision):
        """A copy in a number format, without the optimizer's state."""
        weights = padded(self.weights.shape, np.float32)
        weights[...] = self.weights
        arrays = self.indptr, self.indices.copy(), weights, self.bias.copy()
        first = self.transpose is None
        return Layer(self.n_in, self.n_out, precision, *arrays, first=first)

    @property
    def is_sparse(self):
        """Whether connections are missing."""
        return self.height == 1

    @property
    def fan_in(self):
        """Connections of a unit."""
        return int(self.indptr[1])

    @property
    def n_blocks(self):
        return len(self.indptr) - 1

    @property
    def n_connections(self):
        return len(self.indices) if self.height == 1 else self.n_in * self.n_out

    def start_optimizer(self, n_moments):
        """Make room for the optimizer's state, and forget what was there."""
        self.moments = tuple(
            np.zeros(parameter.shape if moment < n_moments else 0, np.float32)
            for parameter in (self.weights, self.bias)
            for moment in range(2)
        )

    def stop_optimizer(self):
        """Forget the optimizer's state."""
        self.moments = self.cohort = None

    def start_cohorts(self):
        """Make room for the weights' cohorts; all weights are of the first one."""
        self.cohort = padded((len(self.indices), 1), np.uint16)

    def sum_of_squares(self):
        """Of the weights, for the L2 term of the loss."""
        return float(np.vdot(self.weights, self.weights))

    def to_csc(self):
        """The weights that products use, as a float32 csc_array (n_in, n_out)."""
        values = self._from_stored(self._stored())
        if self.height == 1:
            indptr, indices, data = self.indptr, self.indices, values[:, 0]
        else:
            indptr = np.arange(self.n_out + 1, dtype=np.int64) * self.n_in
            indices = np.tile(np.arange(self.n_in), self.n_out)
            data = self._by_output(values).ravel()
        # int32 unless the size forbids: what other libraries expect of a csc_array.
        wide = np.int64 if max(indptr[-1], self.n_in) >= 2**31 else np.int32
        return sp.csc_array(
            (data.copy(), indices.astype(wide), indptr.astype(wide)),
            shape=(self.n_in, self.n_out),
        )

    def _by_output(self, values):
        """Values of (n_columns, height) as (n_out, fan_in)."""
        if self.height == 1:
            return values.reshape(self.n_out, -1)
        rows = values.reshape(self.n_blocks, self.n_in, self.height).transpose(0, 2, 1)
        return rows.reshape(-1, self.n_in)[: self.n_out]

    def _inputs(self):
        """The inputs of each unit, (n_out, fan_in); of a dense layer (1, n_in)."""
        if self.height == 1:
            return self.indices.reshape(self.n_out, -1)
        return self.indices[np.newaxis, : self.n_in]

    # The transpose -----------------------------------------------------------------

    def _build_transpose(self):
        """The same non-zeros in the order of the inputs, in O(connections)."""
        if self.height == 1:
            size = self._transpose_size = len(self.indices)
            self.transpose_height = 1
            self.transpose_indptr = np.empty(self.n_in + 1, np.int64)
            self.transpose_indices = np.empty(size, index_dtype(self.n_out))
            self.transpose_position = padded((size, 1), np.uint32)
            transpose(
                self.indptr,
                self.indices,
                self.transpose_indptr,
                self.transpose_indices,
                self.transpose_position,
            )
            return
        height = self.transpose_height = BLOCK_HEIGHT
        n_blocks = -(-self.n_in // height)
        self.transpose_indptr = np.arange(n_blocks + 1, dtype=np.int64) * self.n_out
        self.transpose_indices = np.tile(
            np.arange(self.n_out, dtype=index_dtype(self.n_out)), n_blocks
        )
        self._transpose_size = n_blocks * height * self.n_out
        group = weight_group(self.precision)
        inputs = np.arange(self.n_in)
        position = padded((self.n_blocks, self.n_in, height), np.uint32)
        position[...] = self._transpose_size  # what completes the last block
        for output in range(self.n_out):
            position[output // height, :, output % height] = inputs // height * (
                height * self.n_out
            ) + _group_position(output, inputs % height, self.n_out, height, group)
        self.transpose_position = position.reshape(-1, height)  # a view: padding stays

    # Stored values -----------------------------------------------------------------

    def _scale_of_columns(self):
        """row_scale for each weight of (n_columns, height); int8 only."""
        scale = self.row_scale.reshape(self.n_blocks, self.height)
        return np.repeat(scale, np.diff(self.indptr), axis=0)

    def _round_weights(self):
        """The float32 weights in the number format, (n_columns, height)."""
        if self.precision != "int8":
            return to_stored(self.weights, self.precision)
        largest = np.zeros((self.n_blocks, self.height), np.float32)
        filled = np.diff(self.indptr) > 0
        if filled.any():
            largest[filled] = np.maximum.reduceat(
                np.abs(self.weights), self.indptr[:-1][filled], axis=0
            )
        self.row_scale[:] = quantization_scale(largest).ravel()
        return to_stored(self.weights, "int8", self._scale_of_columns())

    def _from_stored(self, stored):
        if self.precision != "int8":
            return from_stored(stored, self.precision)
        return from_stored(stored, "int8", self._scale_of_columns())

    def _forward_position(self):
        """(blocks, block size) of `forward`, and each weight's place in a block."""
        n_columns = self.n_in if self.height > 1 else len(self.weights)
        column, row = np.divmod(np.arange(n_columns * self.height), self.height)
        group = weight_group(self.precision)
        position = _group_position(column, row, n_columns, self.height, group)
        return (-1, n_columns * self.height), position

    def _set_stored(self, stored):
        """Write the copies that the two products read."""
        if self.transpose is not None:
            self.transpose[self.transpose_position.ravel()] = stored.ravel()
        if self.precision != "float32":
            shape, position = self._forward_position()
            self.forward.reshape(shape)[:, position] = stored.reshape(shape)

    def _stored(self):
        """The weights as the products read them, (n_columns, height)."""
        if self.precision == "float32":
            return self.weights
        shape, position = self._forward_position()
        return self.forward.reshape(shape)[:, position].reshape(self.weights.shape)

    # Pickling ----------------------------------------------------------------------

    def to_state(self):
        """Weights in their own format and 16-bit indices; no optimizer state."""
        stored = self._stored()
        state = {
            "n_in": self.n_in,
            "n_out": self.n_out,
            "precision": self.precision,
            "bias": self.bias,
        }
        if self.height == 1:
            state["fan_in"] = np.diff(self.indptr).astype(index_dtype(self.n_in + 1))
            state["indices"] = self.indices
            state["stored"] = stored[:, 0]
        else:
            state["stored"] = np.ascontiguousarray(self._by_output(stored))
        if self.precision == "int8":
            state["row_scale"] = self.row_scale[: self.n_out]
        return state

    @classmethod
    def from_state(cls, state, *, first=False):
        """The layer that `to_state` described."""
        n_in, n_out = state["n_in"], state["n_out"]
        stored, precision = state["stored"], state["precision"]
        if stored.ndim == 2:
            n_blocks = -(-n_out // BLOCK_HEIGHT)
            rows = np.zeros((n_blocks * BLOCK_HEIGHT, n_in), stored.dtype)
            rows[:n_out] = stored
            stored = rows.reshape(n_blocks, BLOCK_HEIGHT, n_in).transpose(0, 2, 1)
            stored = np.ascontiguousarray(stored).reshape(-1, BLOCK_HEIGHT)
            indptr = np.arange(n_blocks + 1, dtype=np.int64) * n_in
            indices = np.tile(np.arange(n_in, dtype=index_dtype(n_in)), n_blocks)
        else:
            stored = stored.reshape(-1, 1)
            indptr = np.concatenate([[0], np.cumsum(state["fan_in"], dtype=np.int64)])
            indices = np.array(state["indices"])
        weights = padded(stored.shape, np.float32)
        bias = np.array(state["bias"])
        layer = cls(n_in, n_out, precision, indptr, indices, weights, bias, first=first)
        if precision == "int8":
            layer.row_scale[:n_out] = state["row_scale"]
        weights[...] = layer._from_stored(stored)
        layer._set_stored(stored)
        return layer


def _group_position(column, row, n_columns, height, group):
    """Place of a weight within its block: kernels_body.h, `group_position`."""
    base = column // group * group
    return np.where(
        base + group <= n_columns,
        base * height + row * group + (column - base),
        column * height + row,
    )
