"""Check the content of a pickle before a network is built from it."""

import math
import zlib
from dataclasses import fields, is_dataclass
from numbers import Integral, Real

import numpy as np

from sparsenet._formats import PRECISIONS, STORED_DTYPE
from sparsenet._kernels._dispatch import (
    ACTIVATIONS,
    BLOCK_HEIGHT,
    LOSS_PARAMETERS,
    LOSSES,
    REGRESSOR_LOSSES,
)
from sparsenet._topology import BLOCK_SIZES, connection_dtype, index_dtype

DAMAGED = "damaged or foreign sparsenet model"


def checksum(value, crc=0):
    """CRC-32 of a state's content.

    Counts are dicts, sequences, arrays, numbers, strings, generators and dataclasses;
    of other objects, the name of their class. A changed bit in a weight breaks no rule
    that could be checked otherwise.
    """
    if isinstance(value, np.random.RandomState):
        value = value.get_state(legacy=False)
    elif is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        for key in sorted(value.keys() - {"checksum"}, key=str):
            crc = checksum(value[key], zlib.crc32(str(key).encode(), crc))
        return crc
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        for member in value:
            crc = checksum(member, zlib.crc32(b",", crc))
        return crc
    if isinstance(value, np.ndarray):
        # In the processor's order of bytes, as pickles are loaded.
        value = value.astype(value.dtype.newbyteorder("="), copy=False)
        crc = zlib.crc32(f"{value.dtype.str}{value.shape}".encode(), crc)
        return zlib.crc32(np.ascontiguousarray(value).ravel().view(np.uint8), crc)
    if isinstance(value, (bool, np.bool_, Integral)):
        plain = str(int(value))  # NumPy's repr has changed
    elif isinstance(value, Real):
        plain = float(value).hex()
    elif value is None or isinstance(value, str):
        plain = str(value)
    else:
        plain = type(value).__name__
    return zlib.crc32(plain.encode(), crc)


def is_array(value):
    """Whether a value is an array that means what its memory holds: no masked one."""
    return type(value) in (np.ndarray, np.memmap)


def _require(condition, what):
    if not condition:
        raise ValueError(f"{DAMAGED}: {what}")


def _require_array(array, name, dtype, shape):
    _require(is_array(array), f"{name} is not an array")
    _require(array.dtype == dtype, f"{name} is {array.dtype}, not {dtype}")
    _require(array.shape == shape, f"{name} has shape {array.shape}, not {shape}")


def check_state(state, versions):
    """Raise ValueError unless `state` describes a whole and consistent network."""
    _require(isinstance(state, dict) and "version" in state, "no version")
    _require(
        type(state["version"]) is int and state["version"] in versions,
        f"version {state['version']!r}; this sparsenet reads version "
        + " and ".join(map(str, versions)),
    )
    keys = {"layer_sizes", "activation", "loss", "precision", "seed", "layers"}
    keys |= {"block_size"} if state["version"] == 3 else {"block_size", "n_steps"}
    _require(keys <= state.keys(), f"{sorted(keys - state.keys())} missing")
    for name, known in ("precision", PRECISIONS), ("loss", LOSSES):
        value = state[name]
        _require(isinstance(value, str) and value in known, f"{name} {value!r}")
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
    _check_activations(state["activation"], len(sizes) - 2)
    _check_loss_parameter(state, sizes[-1])
    layers = state["layers"]
    _require(isinstance(layers, list), "layers are not a list")
    _require(len(layers) == len(sizes) - 1, "number of layers")
    n_cohorts, n_moments = _check_steps(state), set()
    for number, layer in enumerate(layers):
        name = f"layer {number}"
        _check_layer(layer, name, sizes[number], sizes[number + 1], state)
        n_moments.add(_check_training(layer, name, n_cohorts))
    _require(len(n_moments) == 1, "the optimizer's states of its layers differ")
    if state["version"] > 3:
        _require("checksum" in state, "no checksum")
        expected = state["checksum"]
        _require(
            type(expected) is int and checksum(state) == expected,
            "its checksum does not match",
        )


def _check_activations(activation, n_hidden):
    """Check the activation of all hidden layers, or a list of one for each."""
    names = activation if isinstance(activation, list) else [activation]
    _require(
        all(isinstance(name, str) and name in ACTIVATIONS for name in names)
        and (names == [activation] or len(names) == n_hidden > 0),
        f"activation {activation!r}",
    )


def _check_loss_parameter(state, n_outputs):
    """Check a number for all outputs, or a list of one for each."""
    if state["loss"] not in LOSS_PARAMETERS:
        return
    # Left out where it is 0, which those of regressors are not.
    parameter = state.get("loss_parameter", 0.0)
    values = parameter if isinstance(parameter, list) else [parameter]
    is_positive = state["loss"] in REGRESSOR_LOSSES
    _require(
        all(type(value) is float and 0 <= value < math.inf for value in values)
        and not (is_positive and 0.0 in values)
        and (values == [parameter] or len(values) == n_outputs),
        f"parameter of the loss {parameter!r}",
    )


def _check_steps(state):
    """Check the counters of steps; returns the number of cohorts of weights."""
    n_steps, births = state.get("n_steps", 0), state.get("births")
    _require(type(n_steps) is int and 0 <= n_steps < 2**62, f"n_steps {n_steps!r}")
    if births is None:
        return 0
    _require(is_array(births), "births are not an array")
    _require(0 < births.size <= 2**16, f"{births.size} births")
    _require_array(births, "births", np.int64, (births.size,))
    inside = 0 <= births[0] and births[-1] <= n_steps
    _require(inside and (births[1:] >= births[:-1]).all(), "births do not ascend")
    return births.size


def _check_training(layer, name, n_cohorts):
    """Check what only training needs; the rest of the layer is checked already.

    Returns the number of moments of a weight, 0 without an optimizer's state.
    """
    training = layer.get("training")
    if training is None:
        return 0
    _require(isinstance(training, dict), f"{name} training is not a dict")
    by_feature, n_out = "by_feature" in layer, layer["n_out"]
    keys = {"weights", "moments", "cohort"}
    keys |= {"planes"} if by_feature else set()
    missing = sorted(keys - training.keys())
    _require(not missing, f"{name} training: {missing} missing")
    moments, cohort = training["moments"], training["cohort"]
    _require(
        moments is None or isinstance(moments, (tuple, list)),
        f"{name} moments are not a list",
    )
    if by_feature:
        shape, planes = layer["by_feature"].shape, training["planes"]
        _require(is_array(planes), f"{name} planes are not an array")
        _require(planes.ndim == 3, f"{name} planes have {planes.ndim} dimensions")
        n_moments = planes.shape[1]
        whole = shape[0], n_moments, shape[1]
        _require_array(planes, f"{name} planes", np.float32, whole)
        shapes = [(n_out,), (n_out if n_moments == 2 else 0,)]
        seen, is_sparse = training.get("seen"), layer["connections"] is not None
        _require(
            "seen" not in training  # as in older pickles
            or (seen is not None) == (is_sparse and n_moments > 0),
            f"{name} training: seen features",
        )
        if seen is not None:
            _require_array(seen, f"{name} seen features", np.uint8, shape[:1])
    else:
        stored = layer["stored"]
        height = stored.shape[2] if "indices" in layer else BLOCK_HEIGHT
        shape = -(-n_out // height) * stored.shape[1], height
        n_moments = 0 if moments is None else 2
        if n_moments and len(moments) > 1 and np.size(moments[1]) == 0:
            n_moments = 1
        second = [shape, (n_out,)] if n_moments == 2 else [(0,), (0,)]
        shapes = [shape, second[0], (n_out,), second[1]]
    weights = training["weights"]
    is_float32 = layer["precision"] == "float32"
    _require((weights is None) == is_float32, f"{name} float32 weights")
    if weights is not None:
        _require_array(weights, f"{name} float32 weights", np.float32, shape)
    _require(
        n_moments <= 2 and (n_moments == 0) == (moments is None),
        f"{name} has {n_moments} moments",
    )
    if moments is not None:
        _require(len(moments) == len(shapes), f"{name} has {len(moments)} moments")
        for moment, expected in zip(moments, shapes, strict=True):
            _require_array(moment, f"{name} moment", np.float32, expected)
    _require(n_cohorts > 0, f"{name} has a state of training, but no births")
    if cohort is not None:
        _require_array(cohort, f"{name} cohorts", np.uint16, shape)
        _require(int(cohort.max()) < n_cohorts, f"{name}: cohort out of range")
    return n_moments


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
    for key, of_network in ("n_in", n_in), ("n_out", n_out), ("precision", precision):
        _require(
            type(layer[key]) is type(of_network) and layer[key] == of_network,
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
        _require(is_array(array), f"{name} {what} are not an array")
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
    _require(is_array(stored), f"{name} weights are not an array")
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
        is_array(connections) and connections.ndim == 2,
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
