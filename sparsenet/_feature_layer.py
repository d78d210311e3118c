"""The first layer of a network that is trained on sparse rows: weights by feature."""

import copy

import numpy as np
import scipy.sparse as sp

from sparsenet._formats import (
    STORED_DTYPE,
    from_stored,
    quantization_scale,
    to_stored,
)
from sparsenet._kernels._dispatch import BLOCK_HEIGHT
from sparsenet._layer import Layer, copy_arrays, drawn_weights, glorot_bound, padded
from sparsenet._topology import (
    average_fan_out,
    block_height,
    connection_dtype,
    index_dtype,
    largest_connections,
    random_connections,
)

#: What is added to the bytes of an int8 table, which the sums read as unsigned.
TABLE_OFFSET = 128
# How many weights are drawn at a time.
DRAWN = 1 << 22


class FeatureLayer:
    """Weights of a first layer, W of shape (n_in, n_out), stored feature by feature.

    A sample that holds few features reads few rows, and an update writes them only.
    Every feature has the same number of connections, its fan-out. The value and the
    moments of a feature's weights lie side by side. Units may be connected in blocks
    of `height` neighbours.

    Attributes
    ----------
    connections : uint16 or uint32 array of shape (n_in, fan_out // height), or None
        The blocks of units that each feature reaches, ascending; None: all units.
    state : float32 array of shape (n_in, n_planes, stride)
        Plane 0 holds the weights, the others the optimizer's moments, where it has
        started. What is behind a plane's first `fan_out` values is zero.
    table : array of shape (n_in, stride)
        The weights in the number format, as the forward product reads them. For
        float32 it is `state` itself.
    scale : float32 array of shape (n_in,), or None
        int8 only: weight = scale * (byte - 128).
    bias : float32 array of shape (n_out,)
    moments : tuple of two float32 arrays, or None
        Moments of the biases, where the optimizer has started.
    cohort : uint16 array of shape (n_in, fan_out), or None
        As `Layer.cohort`.

    Notes
    -----
    Between two calls of the engine all features have had all steps.
    """

    def __init__(self, n_in, n_out, precision, connections, weights, bias):
        self.n_in, self.n_out, self.precision = n_in, n_out, precision
        self.connections, self.bias = connections, bias
        self.fan_out = weights.shape[1]
        self.height = 1 if connections is None else self.fan_out // connections.shape[1]
        # Whole cache lines, where a row is not much shorter than one.
        line = min(16, 1 << (self.fan_out - 1).bit_length())
        self.stride = -(-self.fan_out // line) * line
        self.state = padded((n_in, 1, self.stride), np.float32)
        self.weights[...] = weights
        self.moments = self.cohort = None
        self.scale, self.table = None, self.state
        if precision != "float32":
            dtype = np.uint8 if precision == "int8" else STORED_DTYPE[precision]
            self.table = padded((n_in, self.stride), dtype)
        if precision == "int8":
            self.scale = np.zeros(n_in, np.float32)
        self._set_stored(self._round_weights())

    @classmethod
    def random(cls, n_in, n_out, fan_in, precision, activation, rng, *, block_size=1):
        """Draw connections and weights, as `Layer.random`.

        Units have `fan_in` inputs on average, and features the same fan-out. A dense
        layer gets the weights that `Layer.random` gives it.
        """
        height = block_height(n_out, block_size)
        fan_out = average_fan_out(fan_in, n_in, n_out, height)
        bound = glorot_bound(fan_out * n_in / n_out, fan_out, activation)
        weights = np.empty((n_in, fan_out), np.float32)
        connections = None
        if fan_out == n_out:
            for block, drawn in enumerate(drawn_weights(n_in, n_out, bound, rng)):
                begin = block * BLOCK_HEIGHT
                weights[:, begin : begin + drawn.shape[1]] = drawn
        else:
            n_blocks = n_out // height
            connections = random_connections(n_blocks, n_in, fan_out // height, rng)
            rows = max(1, DRAWN // fan_out)
            for begin in range(0, n_in, rows):
                part = weights[begin : begin + rows]
                part[...] = rng.uniform(-bound, bound, part.shape)
        bias = rng.uniform(-bound, bound, n_out).astype(np.float32)
        return cls(n_in, n_out, precision, connections, weights, bias)

    @classmethod
    def dense(cls, weights, bias, precision):
        """The dense layer with the given float32 weights (n_in, n_out) and biases."""
        return cls(*weights.shape, precision, None, weights, bias)

    def pruned(self, fan_in, block_size):
        """The layer whose features keep their largest weights, with their state.

        As many as units then have `fan_in` inputs on average. Where connections come in
        blocks, now or, if the layer is dense, by `block_size`, those with the largest
        sums of magnitudes. No unit loses its last one.
        """
        height, connections = self.height, self.connections
        if connections is None:
            height = block_height(self.n_out, block_size)
            n_blocks = self.n_out // height
            connections = np.arange(n_blocks, dtype=index_dtype(n_blocks))[np.newaxis]
        fan_out = average_fan_out(fan_in, self.n_in, self.n_out, height)
        weights = self.weights
        magnitudes = np.abs(weights).reshape(self.n_in, -1, height).sum(axis=2)
        kept_blocks = largest_connections(
            magnitudes, fan_out // height, connections, self.n_out // height
        )
        kept = _units(kept_blocks, height)
        connections = np.broadcast_to(connections, magnitudes.shape)
        layer = FeatureLayer(
            self.n_in,
            self.n_out,
            self.precision,
            np.take_along_axis(connections, kept_blocks, 1),
            np.take_along_axis(weights, kept, 1),
            self.bias,
        )
        if self.moments is not None:
            n_moments = self.state.shape[1] - 1
            layer = layer.with_optimizer(n_moments)
            for plane in range(1, n_moments + 1):
                moments = self.state[:, plane, : self.fan_out]
                layer.state[:, plane, :fan_out] = np.take_along_axis(moments, kept, 1)
            layer.moments = self.moments
        if self.cohort is not None:
            layer = layer.with_cohorts()
            layer.cohort[...] = np.take_along_axis(self.cohort, kept, 1)
        return layer

    def exceeds(self, fan_in, block_size):
        """Whether features have more connections than `pruned` would leave them."""
        height = self.height if self.is_sparse else block_height(self.n_out, block_size)
        return self.fan_out > average_fan_out(fan_in, self.n_in, self.n_out, height)

    def copy(self):
        """A copy that goes on training as this layer would."""
        return copy_arrays(self)

    def in_format(self, precision):
        """A copy in a number format, without the optimizer's state."""
        units = None if self.connections is None else self.connections.copy()
        sizes = self.n_in, self.n_out
        return FeatureLayer(*sizes, precision, units, self.weights, self.bias.copy())

    @property
    def is_sparse(self):
        """Whether connections are missing."""
        return self.connections is not None

    @property
    def weights(self):
        """What the optimizer owns: a float32 view of shape (n_in, fan_out)."""
        return self.state[:, 0, : self.fan_out]

    @property
    def n_connections(self):
        return self.n_in * self.fan_out

    @property
    def n_moments(self):
        """Moments of a weight that the optimizer keeps; 0: it has not started."""
        return 0 if self.moments is None else self.state.shape[1] - 1

    def with_optimizer(self, n_moments):
        """The same layer, whose optimizer starts; it shares all but the weights."""
        layer = self._with_planes(1 + n_moments)
        layer.moments = tuple(
            np.zeros(self.n_out if moment < n_moments else 0, np.float32)
            for moment in range(2)
        )
        return layer

    def without_optimizer(self):
        """The same layer without the optimizer's state; it shares all arrays or all
        but the weights.
        """
        return self._with_planes(1)

    def _with_planes(self, n_planes):
        """The same layer with room for so many planes, and no optimizer's state."""
        layer = copy.copy(self)
        layer.moments = layer.cohort = None
        if n_planes > 1 or self.state.shape[1] > 1:
            layer.state = padded((self.n_in, n_planes, self.stride), np.float32)
            layer.weights[...] = self.weights
            if self.precision == "float32":
                layer.table = layer.state
        return layer

    with_cohorts = Layer.with_cohorts

    def sum_of_squares(self):
        """Of the weights, for the L2 term of the loss."""
        squares = np.einsum("ij,ij->i", self.weights, self.weights)
        return float(squares.sum(dtype=np.float64))

    def to_csc(self):
        """The weights that products use, as a float32 csc_array (n_in, n_out)."""
        data = self._from_stored(self._stored()).ravel()
        indptr = np.arange(self.n_in + 1, dtype=np.int64) * self.fan_out
        if self.connections is None:
            indices = np.tile(np.arange(self.n_out), self.n_in)
        else:
            indices = _units(self.connections, self.height).ravel()
        # int32 unless the size forbids: what other libraries expect of a csc_array.
        wide = np.int64 if max(indptr[-1], self.n_in) >= 2**31 else np.int32
        rows = sp.csr_array(
            (data, indices.astype(wide), indptr.astype(wide)),
            shape=(self.n_in, self.n_out),
        )
        return rows.tocsc()

    # Stored values -----------------------------------------------------------------

    def _round_weights(self):
        """The float32 weights in the number format, (n_in, fan_out)."""
        if self.precision != "int8":
            return to_stored(self.weights, self.precision)
        largest = np.abs(self.weights).max(axis=1)
        self.scale[:] = quantization_scale(largest)
        return to_stored(self.weights, "int8", self.scale[:, np.newaxis])

    def _from_stored(self, stored):
        if self.precision != "int8":
            return from_stored(stored, self.precision)
        return from_stored(stored, "int8", self.scale[:, np.newaxis])

    def _set_stored(self, stored):
        if self.precision == "int8":
            stored = stored.astype(np.int16) + TABLE_OFFSET
        if self.precision != "float32":
            self.table[:, : self.fan_out] = stored

    def _stored(self):
        """The weights as the products read them, (n_in, fan_out)."""
        if self.precision == "float32":
            return np.ascontiguousarray(self.weights)
        stored = self.table[:, : self.fan_out]
        if self.precision == "int8":
            return (stored.astype(np.int16) - TABLE_OFFSET).astype(np.int8)
        return np.ascontiguousarray(stored)

    # Pickling ----------------------------------------------------------------------

    def to_state(self, training=False):
        """Weights in their own format and narrow indices; `training` as in `Layer`."""
        state = {
            "n_in": self.n_in,
            "n_out": self.n_out,
            "precision": self.precision,
            "bias": self.bias,
            "connections": None,
            "by_feature": self._stored(),
        }
        if self.connections is not None:
            narrow = connection_dtype(self.n_out // self.height)
            state["connections"] = self.connections.astype(narrow)
        if self.precision == "int8":
            state["scale"] = self.scale
        if training:
            planes = np.ascontiguousarray(self.state[:, :, : self.fan_out])
            state["training"] = {
                "weights": None if self.precision == "float32" else planes[:, 0],
                "planes": planes[:, 1:],
                "moments": self.moments,
                "cohort": self.cohort,
            }
        return state

    @classmethod
    def from_state(cls, state):
        """The layer that `to_state` described."""
        n_out, connections = state["n_out"], state["connections"]
        stored, training = state["by_feature"], state.get("training")
        if connections is not None:
            n_blocks = n_out * connections.shape[1] // stored.shape[1]
            connections = np.array(connections, index_dtype(n_blocks), order="C")
        weights = np.zeros(stored.shape, np.float32)
        layer = cls(
            state["n_in"],
            n_out,
            state["precision"],
            connections,
            weights,
            np.array(state["bias"], order="C"),
        )
        if layer.scale is not None:
            layer.scale[:] = state["scale"]
        layer.weights[...] = layer._from_stored(stored)
        if training is not None:
            if training["weights"] is not None:
                layer.weights[...] = training["weights"]
            if training["moments"] is not None:
                layer = layer.with_optimizer(training["planes"].shape[1])
                layer.state[:, 1:, : layer.fan_out] = training["planes"]
                moments = (np.array(m, order="C") for m in training["moments"])
                layer.moments = tuple(moments)
            if training["cohort"] is not None:
                layer = layer.with_cohorts()
                layer.cohort[...] = training["cohort"]
        layer._set_stored(stored)
        return layer


def _units(blocks, height):
    """Numbers of the units of each block, along the last axis."""
    units = blocks[..., np.newaxis].astype(np.int64) * height + np.arange(height)
    return units.reshape(*blocks.shape[:-1], -1)
