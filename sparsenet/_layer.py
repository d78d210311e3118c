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
from sparsenet._kernels._dispatch import BLOCK_HEIGHT, weight_group, weight_tile
from sparsenet._kernels.train.engine import PADDING
from sparsenet._kernels.train.rewire import transpose
from sparsenet._topology import index_dtype, largest_connections, random_connections


def padded(shape, dtype):
    """Zeros on cache lines, with room behind: kernels read whole vectors."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape))
    memory = np.zeros((size + PADDING) * dtype.itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size * dtype.itemsize].view(dtype).reshape(shape)


def copy_arrays(layer):
    """Copy a layer with its optimizer's state; arrays that are one stay one."""
    other, copies = copy.copy(layer), {}
    for name, array in vars(other).items():
        if isinstance(array, np.ndarray):
            if id(array) not in copies:
                copies[id(array)] = padded(array.shape, array.dtype)
                copies[id(array)][...] = array
            setattr(other, name, copies[id(array)])
    if layer.moments is not None:
        other.moments = tuple(moments.copy() for moments in layer.moments)
    return other


def glorot_bound(fan_in, fan_out, activation):
    """Bound of uniform initial weights: Glorot & Bengio 2010, equation 16."""
    return np.sqrt((2.0 if activation == "logistic" else 6.0) / (fan_in + fan_out))


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


def in_tiles(matrix, rows, columns):
    """A matrix as tiles of rows x columns, those of `rows` rows side by side."""
    n_strips, n_tiles = -(-matrix.shape[0] // rows), -(-matrix.shape[1] // columns)
    whole = np.zeros((n_strips * rows, n_tiles * columns), matrix.dtype)
    whole[: matrix.shape[0], : matrix.shape[1]] = matrix
    return whole.reshape(n_strips, rows, n_tiles, columns).transpose(0, 2, 1, 3)


def from_tiles(tiles, n_rows, n_columns, rows, columns):
    """The matrix that `in_tiles` laid out."""
    n_strips = -(-n_rows // rows)
    tiles = tiles.reshape(n_strips, -1, rows, columns).transpose(0, 2, 1, 3)
    return tiles.reshape(n_strips * rows, -1)[:n_rows, :n_columns]


def by_block(matrix):
    """A dense layer's values (n_out, n_in) in the shape of its `weights`."""
    n_out, n_in = matrix.shape
    rows = np.zeros((-(-n_out // BLOCK_HEIGHT), BLOCK_HEIGHT, n_in), matrix.dtype)
    rows.reshape(-1, n_in)[:n_out] = matrix
    return rows.transpose(0, 2, 1).reshape(-1, BLOCK_HEIGHT)


class Layer:
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
    bias : float32 array of shape (n_out,)
    moments : tuple of four float32 arrays, or None
        Optimizer state: first and second moment of weights and of biases.
    cohort : uint16 array of shape (n_blocks * fan_in, height), or None
        When each weight came into being: a number of the network's `births`. None: all
        are as old as the network.
    """

    def __init__(self, n_in, n_out, precision, indices, weights, bias, *, first=False):
        self.n_in, self.n_out, self.precision = n_in, n_out, precision
        self.indices, self.weights, self.bias = indices, weights, bias
        self.height = weights.shape[1]
        self.n_blocks = -(-n_out // self.height)
        self.fan_in = len(weights) // self.n_blocks
        self.indptr = np.arange(self.n_blocks + 1, dtype=np.int64) * self.fan_in
        self.moments = self.cohort = None
        self.row_scale = np.zeros(self.n_blocks * self.height, np.float32)
        dtype = STORED_DTYPE[precision]
        self.forward = weights
        if precision != "float32":
            self.forward = padded(self._copy_size(n_out, self.fan_in), dtype)
        self.transpose = None
        if not first:
            self._build_transpose(dtype)
        self._set_stored(self._round_weights())

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
        """Draw connections and weights (Glorot & Bengio 2010, by actual fan-in)."""
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
        """The dense layer with the given float32 weights (n_in, n_out) and biases."""
        n_in, n_out = weights.shape
        columns = (
            weights[:, begin : begin + BLOCK_HEIGHT]
            for begin in range(0, n_out, BLOCK_HEIGHT)
        )
        blocks = block_weights(n_in, n_out, columns)
        return cls(n_in, n_out, precision, None, blocks, bias, first=first)

    def pruned(self, fan_in, block_size):
        """The layer that keeps each unit's `fan_in` largest weights, with their state.

        Where units share their inputs, now or, if the layer is dense, by `block_size`,
        those with the largest sums of magnitudes. No input loses its last connection,
        unless it is one of the network's.
        """
        height = self.height if self.is_sparse else block_size

        def rows(values):
            if height == self.height:
                return values.reshape(self.n_blocks, -1, height)
            return self._by_output(values)[:, :, np.newaxis]

        inputs = np.arange(self.n_in, dtype=index_dtype(self.n_in))[np.newaxis]
        if self.is_sparse:
            inputs = self.indices.reshape(self.n_blocks, -1)
        magnitudes = np.abs(rows(self.weights)).sum(axis=2)
        alive = 0 if self.transpose is None else self.n_in
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
            first=self.transpose is None,
        )
        if self.moments is not None:
            of_weights = (take(m) if m.size else m for m in self.moments[:2])
            layer.moments = (*of_weights, *self.moments[2:])
        if self.cohort is not None:
            layer.cohort = take(self.cohort)
        return layer

    def exceeds(self, fan_in, _block_size):
        """Whether units have more connections than that, in blocks or not."""
        return self.fan_in > fan_in

    def copy(self):
        """A copy that goes on training as this layer would."""
        return copy_arrays(self)

    def in_format(self, precision):
        """A copy in a number format, without the optimizer's state."""
        weights = padded(self.weights.shape, np.float32)
        weights[...] = self.weights
        indices = self.indices.copy() if self.is_sparse else None
        arrays = indices, weights, self.bias.copy()
        first = self.transpose is None
        return Layer(self.n_in, self.n_out, precision, *arrays, first=first)

    @property
    def is_sparse(self):
        """Whether connections are missing."""
        return self.indices is not None

    @property
    def n_connections(self):
        return self.n_out * self.fan_in

    @property
    def n_moments(self):
        """Moments of a weight that the optimizer keeps; 0: it has not started."""
        return 0 if self.moments is None else 1 + (self.moments[1].size > 0)

    def with_optimizer(self, n_moments):
        """The same layer, whose optimizer starts; it shares all other arrays."""
        layer = self.without_optimizer()
        layer.moments = tuple(
            np.zeros(parameter.shape if moment < n_moments else 0, np.float32)
            for parameter in (self.weights, self.bias)
            for moment in range(2)
        )
        return layer

    def without_optimizer(self):
        """The same layer without the optimizer's state; it shares all arrays."""
        layer = copy.copy(self)
        layer.moments = layer.cohort = None
        return layer

    def with_cohorts(self, number=None):
        """The same layer with its weights' cohorts numbered anew, as `number` says.

        Without it, where it has none yet, all weights are of the first one. It shares
        all other arrays.
        """
        layer = copy.copy(self)
        if self.cohort is None:
            layer.cohort = padded(self.weights.shape, np.uint16)
        elif number is not None:
            layer.cohort = padded(self.cohort.shape, np.uint16)
            layer.cohort[...] = number[self.cohort]
        return layer

    def sum_of_squares(self):
        """Of the weights, for the L2 term of the loss."""
        return float(np.vdot(self.weights, self.weights))

    def to_csc(self):
        """The weights that products use, as a float32 csc_array (n_in, n_out)."""
        indptr = np.arange(self.n_out + 1, dtype=np.int64) * self.fan_in
        inputs = np.arange(self.n_in)
        if self.is_sparse:
            inputs = self.indices.reshape(self.n_blocks, 1, -1)
        shape = self.n_blocks, self.height, self.fan_in
        indices = np.broadcast_to(inputs, shape).reshape(-1, self.fan_in)[: self.n_out]
        # int32 unless the size forbids: what other libraries expect of a csc_array.
        wide = np.int64 if max(indptr[-1], self.n_in) >= 2**31 else np.int32
        data = self._by_output(self._from_stored(self._stored()))
        return sp.csc_array(
            (data.flatten(), indices.ravel().astype(wide), indptr.astype(wide)),
            shape=(self.n_in, self.n_out),
        )

    def _by_output(self, values):
        """Values of the shape of `weights` as (n_out, fan_in)."""
        blocks = values.reshape(self.n_blocks, -1, self.height).transpose(0, 2, 1)
        return blocks.reshape(-1, self.fan_in)[: self.n_out]

    # The transpose -----------------------------------------------------------------

    def _build_transpose(self, dtype):
        """Room for the same weights in the order of the inputs, in O(connections)."""
        self.transpose_indices = self.transpose_position = None
        if self.is_sparse:
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
            self.transpose = padded(self.weights.size, dtype)
            return
        n_blocks = -(-self.n_in // BLOCK_HEIGHT)
        self.transpose_indptr = np.arange(n_blocks + 1, dtype=np.int64) * self.n_out
        self.transpose = padded(self._copy_size(self.n_in, self.n_out), dtype)

    @property
    def _tile(self):
        """(rows, columns) of the tiles of a dense layer's copies, if they have any."""
        return None if self.is_sparse else weight_tile(self.precision)

    def _copy_size(self, n_rows, n_columns):
        """Weights of a compute copy, with those that complete its blocks or tiles."""
        rows, columns = self._tile or (self.height, 1)
        return -(-n_rows // rows) * rows * (-(-n_columns // columns) * columns)

    # Stored values -----------------------------------------------------------------

    def _scale_of_columns(self):
        """row_scale for each row of `weights`; int8 only."""
        scale = self.row_scale.reshape(self.n_blocks, self.height)
        return np.repeat(scale, self.fan_in, axis=0)

    def _round_weights(self):
        """The float32 weights in the number format."""
        if self.precision != "int8":
            return to_stored(self.weights, self.precision)
        blocks = np.abs(self.weights).reshape(self.n_blocks, -1, self.height)
        self.row_scale[:] = quantization_scale(blocks.max(axis=1)).ravel()
        return to_stored(self.weights, "int8", self._scale_of_columns())

    def _from_stored(self, stored):
        if self.precision != "int8":
            return from_stored(stored, self.precision)
        return from_stored(stored, "int8", self._scale_of_columns())

    def _set_stored(self, stored):
        """Write the copies that the two products read."""
        if self._tile:
            matrix = self._by_output(stored)
            self.forward[:] = in_tiles(matrix, *self._tile).ravel()
            if self.transpose is not None:
                self.transpose[:] = in_tiles(matrix.T, *self._tile).ravel()
            return
        if self.precision != "float32":
            order = self._group_order(self.fan_in)
            blocks = self.forward.reshape(self.n_blocks, -1)
            blocks[:, order] = stored.reshape(blocks.shape)
        if self.transpose is None:
            return
        if self.is_sparse:
            self.transpose.reshape(-1, self.height)[self.transpose_position] = stored
            return
        inputs = np.zeros((self.transpose.size // self.n_out, self.n_out), stored.dtype)
        inputs[: self.n_in] = self._by_output(stored).T
        inputs = inputs.reshape(-1, BLOCK_HEIGHT, self.n_out).transpose(0, 2, 1)
        blocks = self.transpose.reshape(len(inputs), -1)
        blocks[:, self._group_order(self.n_out)] = inputs.reshape(blocks.shape)

    def _stored(self):
        """The weights as the products read them, in the order of `weights`."""
        if self.precision == "float32":
            return self.weights
        if self._tile:
            matrix = from_tiles(self.forward, self.n_out, self.n_in, *self._tile)
            return by_block(matrix)
        blocks = self.forward.reshape(self.n_blocks, -1)
        return blocks[:, self._group_order(self.fan_in)].reshape(self.weights.shape)

    def _group_order(self, n_columns):
        """Place of each weight of a block: layouts/blocks.h, `group_position`."""
        column, row = np.divmod(np.arange(n_columns * self.height), self.height)
        group = weight_group(self.precision) if self.height > 1 else 1
        base = column // group * group
        return np.where(
            base + group <= n_columns,
            base * self.height + row * group + (column - base),
            column * self.height + row,
        )

    # Pickling ----------------------------------------------------------------------

    def to_state(self, training=False):
        """Weights in their own format and 16-bit indices.

        With `training`, also what only training needs: float32 weights and the
        optimizer's state.
        """
        stored = self._stored()
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
        """The layer that `to_state` described."""
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
        weights[...] = layer._from_stored(stored)
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
        layer._set_stored(stored)
        return layer
