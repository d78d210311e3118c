"""Check the content of a pickle before a network is built from it."""

import numpy as np

from sparsenet._formats import PRECISIONS, STORED_DTYPE
from sparsenet._topology import BLOCK_SIZES, connection_dtype, index_dtype


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
    keys |= {"block_size"}
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
    _require(
        type(state["block_size"]) is int and state["block_size"] in BLOCK_SIZES,
        f"block size {state['block_size']!r}",
    )
    sizes = state["layer_sizes"]
    _require(
        isinstance(sizes, (tuple, list))
        and len(sizes) >= 2
        and all(type(n) is int and n > 0 for n in sizes),  # NumPy's may overflow
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
        (layer["n_in"], layer["n_out"], layer["precision"]) == (n_in, n_out, precision)
        and type(layer["n_in"]) is type(layer["n_out"]) is int,
        f"{name}: sizes or precision differ from the network's",
    )
    _require_array(layer["bias"], f"{name} bias", np.float32, (n_out,))
    dtype = STORED_DTYPE[precision]
    if by_feature:
        _check_features(layer, name, n_in, n_out, precision)
        return
    if precision == "int8":
        _require_array(layer["row_scale"], f"{name} scale", np.float32, (n_out,))
    if "indices" in layer:
        _check_connections(layer, name, n_in, n_out, dtype)
    else:
        _require_array(layer["stored"], f"{name} weights", dtype, (n_out, n_in))


def _check_connections(layer, name, n_in, n_out, dtype):
    """Check what is particular to a sparse layer."""
    indices, stored = layer["indices"], layer["stored"]
    for array, what, ndim in ((indices, "indices", 2), (stored, "weights", 3)):
        _require(isinstance(array, np.ndarray), f"{name} {what} are not an array")
        _require(
            array.ndim == ndim,
            f"{name} {what} have {array.ndim} dimensions, not {ndim}",
        )
    (n_blocks, fan_in), height = indices.shape, stored.shape[2]
    _require(height in BLOCK_SIZES, f"{name} has blocks of {height} units")
    _require(n_blocks == -(-n_out // height), f"{name} has {n_blocks} blocks")
    _require(1 <= fan_in <= n_in, f"{name} has the fan-in {fan_in}")
    shape = n_blocks, fan_in, height
    _require_array(stored, f"{name} weights", dtype, shape)
    _require_array(indices, f"{name} indices", index_dtype(n_in), shape[:2])
    _require(int(indices.max()) < n_in, f"{name}: index out of range")
    ascending = indices[:, 1:] > indices[:, :-1]
    _require(ascending.all(), f"{name}: indices do not ascend")
    in_last_block = n_out - (n_blocks - 1) * height
    absent = stored[-1, :, in_last_block:]
    _require(not absent.any(), f"{name}: weights of units that it does not have")


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
    _require(
        isinstance(connections, np.ndarray) and connections.ndim == 2,
        f"{name} connections are not an array of 2 dimensions",
    )
    height = fan_out // max(1, connections.shape[1])
    _require(
        height in BLOCK_SIZES
        and n_out % height == 0
        and fan_out == height * connections.shape[1],
        f"{name} has {connections.shape[1]} connections of {fan_out} weights",
    )
    dtype, shape = connection_dtype(n_out // height), (n_in, fan_out // height)
    _require_array(connections, f"{name} connections", dtype, shape)
    _require(
        int(connections.max()) < n_out // height, f"{name}: connection out of range"
    )
    ascending = connections[:, 1:] > connections[:, :-1]
    _require(ascending.all(), f"{name}: connections do not ascend")
