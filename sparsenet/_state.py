"""Check the content of a pickle before a network is built from it."""

import numpy as np

from sparsenet._formats import PRECISIONS, STORED_DTYPE
from sparsenet._topology import connection_dtype, index_dtype


def _require(condition, what):
    if not condition:
        raise ValueError(f"damaged or foreign sparsenet model: {what}")


def _require_array(array, name, dtype, shape):
    _require(isinstance(array, np.ndarray), f"{name} is not an array")
    _require(array.dtype == dtype, f"{name} is {array.dtype}, not {dtype}")
    _require(array.shape == shape, f"{name} has shape {array.shape}, not {shape}")


def check_state(state, versions):
    """Raise ValueError unless `state` describes a whole and consistent network."""
    _require(isinstance(state, dict) and "version" in state, "no version")
    _require(
        state["version"] in versions,
        f"version {state['version']!r}; this sparsenet reads version "
        + " and ".join(map(str, versions)),
    )
    keys = {"layer_sizes", "activation", "loss", "precision", "seed", "layers"}
    _require(keys <= state.keys(), f"{sorted(keys - state.keys())} missing")
    _require(state["precision"] in PRECISIONS, f"precision {state['precision']!r}")
    _require(
        state["activation"] in ("identity", "logistic", "tanh", "relu"),
        f"activation {state['activation']!r}",
    )
    _require(
        state["loss"] in ("softmax", "logistic", "squared_error", "poisson"),
        f"loss {state['loss']!r}",
    )
    seed = state["seed"]
    _require(isinstance(seed, int) and 0 <= seed < 2**64, f"seed {seed!r}")
    sizes = state["layer_sizes"]
    _require(
        isinstance(sizes, (tuple, list))
        and len(sizes) >= 2
        and all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes),
        f"layer sizes {sizes!r}",
    )
    layers = state["layers"]
    _require(isinstance(layers, list), "layers are not a list")
    _require(len(layers) == len(sizes) - 1, "number of layers")
    for number, layer in enumerate(layers):
        _check_layer(layer, f"layer {number}", sizes[number], sizes[number + 1], state)


def _check_layer(layer, name, n_in, n_out, state):
    precision = state["precision"]
    _require(isinstance(layer, dict), f"{name} is not a dict")
    by_feature = "by_feature" in layer
    _require(not by_feature or name == "layer 0", f"{name} is stored by feature")
    keys = {"n_in", "n_out", "precision", "bias"}
    keys |= {"connections"} if by_feature else {"stored"}
    if precision == "int8":
        keys |= {"scale"} if by_feature else {"row_scale"}
    _require(keys <= layer.keys(), f"{name}: {sorted(keys - layer.keys())} missing")
    _require(
        (layer["n_in"], layer["n_out"], layer["precision"]) == (n_in, n_out, precision),
        f"{name}: sizes or precision differ from the network's",
    )
    _require_array(layer["bias"], f"{name} bias", np.float32, (n_out,))
    dtype = STORED_DTYPE[precision]
    if by_feature:
        _check_features(layer, name, n_in, n_out, precision)
        return
    if precision == "int8":
        _require_array(layer["row_scale"], f"{name} scale", np.float32, (n_out,))
    if "indices" not in layer:
        _require_array(layer["stored"], f"{name} weights", dtype, (n_out, n_in))
        return
    _require("fan_in" in layer, f"{name}: fan_in missing")
    _require_array(layer["fan_in"], f"{name} fan-in", index_dtype(n_in + 1), (n_out,))
    fan_in = layer["fan_in"].astype(np.int64)
    size = int(fan_in.sum())
    _require_array(layer["stored"], f"{name} weights", dtype, (size,))
    _require_array(layer["indices"], f"{name} indices", index_dtype(n_in), (size,))
    indices = layer["indices"].astype(np.int64)
    _require(size == 0 or indices.max() < n_in, f"{name}: index out of range")
    ascending = np.diff(indices) > 0
    row_starts = np.cumsum(fan_in)[:-1]
    ascending[row_starts[(row_starts > 0) & (row_starts < size)] - 1] = True
    _require(ascending.all(), f"{name}: indices do not ascend")
    # Rewiring and pruning rely on it.
    _require((fan_in == fan_in[0]).all(), f"{name}: units differ in their fan-in")


def _check_features(layer, name, n_in, n_out, precision):
    """Check what is particular to a first layer that is stored by feature."""
    stored, connections = layer["by_feature"], layer["connections"]
    _require(isinstance(stored, np.ndarray), f"{name} weights are not an array")
    _require(stored.ndim == 2, f"{name} weights have {stored.ndim} dimensions, not 2")
    fan_out = n_out if connections is None else stored.shape[1]
    _require(1 <= fan_out <= n_out, f"{name} has the fan-out {fan_out}")
    dtype = STORED_DTYPE[precision]
    _require_array(stored, f"{name} weights", dtype, (n_in, fan_out))
    if precision == "int8":
        _require_array(layer["scale"], f"{name} scale", np.float32, (n_in,))
    if connections is None:
        return
    dtype = connection_dtype(n_out)
    _require_array(connections, f"{name} connections", dtype, (n_in, fan_out))
    _require(int(connections.max()) < n_out, f"{name}: connection out of range")
    ascending = connections[:, 1:] > connections[:, :-1]
    _require(ascending.all(), f"{name}: connections do not ascend")
