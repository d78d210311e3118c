"""The first layer of a network that is trained on sparse rows: weights by feature."""

import copy

import numpy as np
import scipy.sparse as sp

from sparsenet._base_layer import BaseLayer, glorot_bound
from sparsenet._formats import STORED_DTYPE, from_stored
from sparsenet._kernels._dispatch import BLOCK_HEIGHT
from sparsenet._kernels.train.layouts import (
    padded,
    read_rows,
    round_table,
    write_rows,
)
from sparsenet._layer import drawn_weights
from sparsenet._topology import (
    average_fan_out,
    block_height,
    connection_dtype,
    index_dtype,
    largest_connections,
    random_connections,
)

# How many weights are drawn at a time.
DRAWN = 1 << 22


class FeatureLayer(BaseLayer):
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
        Plane 0 holds the weights, the next ones the optimizer's moments, where it has
        started, and the last one the running average, where there is one. What is
        behind a plane's first `fan_out` values is zero.
    table : array of shape (n_in, stride)
        The weights in the number format, as the forward product reads them. For
        float32 it is `state` itself.
    scale : float32 array of shape (n_in,), or None
        int8 only: weight = scale * (byte - 128).
    moments : tuple of two float32 arrays, or None
        Those of the biases.
    seen : uint8 array of shape (n_in,), or None
        Whether a batch has held each feature since the last round of rewiring; where
        there are connections to change, and the optimizer has started.

    Notes
    -----
    Between two calls of the engine all features have had all steps.
    """

    by_feature = True

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
        self.moments = self.cohort = self.average_bias = self.seen = None
        self.scale, self.table = None, self.state
        if precision != "float32":
            dtype = np.uint8 if precision == "int8" else STORED_DTYPE[precision]
            self.table = padded((n_in, self.stride), dtype)
        if precision == "int8":
            self.scale = np.zeros(n_in, np.float32)
        round_table(self)

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
        first=True,
    ):
        """See `BaseLayer`.

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
    def dense(cls, weights, bias, precision, *, first=True):
        return cls(*weights.shape, precision, None, weights, bias)

    def pruned(self, fan_in, block_size):
        """See `BaseLayer`; units have `fan_in` inputs on average then."""
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
        n_planes = self.state.shape[1]
        if n_planes > 1:
            layer = layer._with_planes(n_planes)
            for plane in range(1, n_planes):
                values = self.state[:, plane, : self.fan_out]
                layer.state[:, plane, :fan_out] = np.take_along_axis(values, kept, 1)
            layer.moments, layer.average_bias = self.moments, self.average_bias
        if self.cohort is not None:
            layer = layer.with_cohorts()
            layer.cohort[...] = np.take_along_axis(self.cohort, kept, 1)
        return layer

    def exceeds(self, fan_in, block_size):
        height = self.height if self.is_sparse else block_height(self.n_out, block_size)
        return self.fan_out > average_fan_out(fan_in, self.n_in, self.n_out, height)

    def in_format(self, precision):
        units = None if self.connections is None else self.connections.copy()
        sizes = self.n_in, self.n_out
        return FeatureLayer(*sizes, precision, units, self.weights, self.bias.copy())

    @property
    def is_sparse(self):
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
        if self.moments is None:
            return 0
        return self.state.shape[1] - 1 - (self.average_bias is not None)

    def with_optimizer(self, n_moments):
        """See `BaseLayer`. It shares all but the weights."""
        layer = self._with_planes(1 + n_moments)
        layer.moments = tuple(
            np.zeros(self.n_out if moment < n_moments else 0, np.float32)
            for moment in range(2)
        )
        return layer

    def without_optimizer(self):
        """See `BaseLayer`. It shares all arrays or all but the weights."""
        return self._with_planes(1)

    def with_average(self):
        """See `BaseLayer`. It shares all but the state of the weights."""
        layer = self._with_planes(self.state.shape[1] + 1)
        layer.state[:, 1:-1] = self.state[:, 1:]
        layer.state[:, -1] = self.state[:, 0]
        layer.moments, layer.cohort = self.moments, self.cohort
        layer.seen = self.seen
        layer.average_bias = self.bias.copy()
        return layer

    def averaged(self):
        weights = self.state[:, -1, : self.fan_out]
        arrays = self.connections, weights, self.average_bias.copy()
        return FeatureLayer(self.n_in, self.n_out, self.precision, *arrays)

    def _with_planes(self, n_planes):
        """The same layer with room for so many planes, and nothing in the others."""
        layer = copy.copy(self)
        layer.moments = layer.cohort = layer.average_bias = layer.seen = None
        if n_planes > 1 and self.is_sparse:
            layer.seen = np.zeros(self.n_in, np.uint8)
        if n_planes > 1 or self.state.shape[1] > 1:
            layer.state = padded((self.n_in, n_planes, self.stride), np.float32)
            layer.weights[...] = self.weights
            if self.precision == "float32":
                layer.table = layer.state
        return layer

    def connection_keys(self):
        if not self.is_sparse:
            return np.arange(self.n_in)
        n_blocks = self.n_out // self.height
        features = np.arange(self.n_in)[:, np.newaxis]
        return (features * n_blocks + self.connections).ravel()

    def average_weights(self):
        return self.state[:, -1, : self.fan_out]

    def round_weights(self):
        round_table(self)

    def sum_of_squares(self):
        squares = np.einsum("ij,ij->i", self.weights, self.weights)
        return float(squares.sum(dtype=np.float64))

    def to_csc(self, stored=False):
        values = read_rows(self)
        data = (values if stored else self._values(values)).ravel()
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

    def _values(self, stored):
        """float32 weights from rounded ones."""
        if self.precision != "int8":
            return from_stored(stored, self.precision)
        return from_stored(stored, "int8", self.scale[:, np.newaxis])

    # Pickling ----------------------------------------------------------------------

    def to_state(self, training=False):
        state = {
            "n_in": self.n_in,
            "n_out": self.n_out,
            "precision": self.precision,
            "bias": self.bias,
            "connections": None,
            "by_feature": read_rows(self),
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
                "seen": self.seen,
            }
        return state

    @classmethod
    def from_state(cls, state, *, first=True):
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
        layer.weights[...] = layer._values(stored)
        if training is not None:
            if training["weights"] is not None:
                layer.weights[...] = training["weights"]
            if training["moments"] is not None:
                layer = layer.with_optimizer(training["planes"].shape[1])
                layer.state[:, 1:, : layer.fan_out] = training["planes"]
                moments = (np.array(m, order="C") for m in training["moments"])
                layer.moments = tuple(moments)
            # Older pickles do not have it: all features may have been seen.
            if layer.seen is not None:
                layer.seen[:] = training.get("seen", 1)
            if training["cohort"] is not None:
                layer = layer.with_cohorts()
                layer.cohort[...] = training["cohort"]
        write_rows(layer, stored)
        return layer


def _units(blocks, height):
    """Numbers of the units of each block, along the last axis."""
    units = blocks[..., np.newaxis].astype(np.int64) * height + np.arange(height)
    return units.reshape(*blocks.shape[:-1], -1)
