"""What the two compute copies of a layer's weights mean."""

import numpy as np
import reference
from problems import dense

from sparsenet._kernels import current_isa
from sparsenet._kernels.testing.kernels import Kernels
from sparsenet._kernels.train.layouts import read_rows, read_weights


def stored_weights(layer):
    """The weights as products read them, in the shape of `layer.weights`."""
    return (read_rows if layer.by_feature else read_weights)(layer)


def rounded_weights(layer):
    """The same from the float32 weights, by the twin."""
    weights = layer.weights
    if layer.precision != "int8":
        return reference.to_bits(weights, layer.precision)
    if layer.by_feature:
        scale = reference.scale_of(np.abs(weights), axis=1)[:, np.newaxis]
        return reference.quantize(weights, scale).astype(np.int8)
    blocks = weights.reshape(layer.n_blocks, -1, layer.height)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    return reference.quantize(blocks, scale).astype(np.int8).reshape(weights.shape)


def rows_of(layer):
    """The inputs of each block."""
    if layer.indices is None:
        return [np.arange(layer.n_in)] * layer.n_blocks
    return np.split(layer.indices, layer.indptr[1:-1])


def product_weights(layer):
    """(n_out, n_in) as the forward product reads `layer.forward`."""
    if layer.precision == "float32":
        return dense(layer, layer.weights)
    if not layer.is_sparse:
        return scaled(layer, dense_copy(layer, layer.forward, layer.n_out, layer.n_in))
    matrix = np.zeros((layer.n_blocks, layer.height, layer.n_in), np.float32)
    group = Kernels(current_isa(), layer.precision).weight_group
    for block, columns in enumerate(rows_of(layer)):
        begin, end = layer.indptr[block : block + 2] * layer.height
        numbers = np.arange(end - begin).reshape(-1, layer.height)
        place = reference.lay_out(numbers, group)
        stored = in_order(layer.forward[begin:end], place, numbers.shape)
        matrix[block][:, columns] = values(layer, stored).T
    return scaled(layer, matrix.reshape(-1, layer.n_in)[: layer.n_out])


def in_order(copy, place, shape):
    """A compute copy put in order: the twin's layout tells what went where."""
    stored = np.empty(np.prod(shape), copy.dtype)
    real = place >= 0
    stored[place[real]] = copy[real]
    return stored.reshape(shape)


def dense_copy(layer, copy, n_rows, n_columns):
    """The values (n_rows, n_columns) of a compute copy of a dense layer."""
    numbers = np.arange(n_rows * n_columns).reshape(n_rows, n_columns)
    kernels = Kernels(current_isa(), layer.precision)
    layout = kernels.weight_group, kernels.weight_tile, -1
    place = reference.lay_out_dense(numbers, *layout)
    assert not copy[place < 0].any()
    return values(layer, in_order(copy, place, numbers.shape))


def transposed_weights(layer):
    """(n_out, n_in) as the product of the input gradient reads `layer.transpose`."""
    if not layer.is_sparse:
        matrix = dense_copy(layer, layer.transpose, layer.n_in, layer.n_out)
        return scaled(layer, matrix.T)
    # A place has the weights of all units of a block.
    matrix = np.zeros((layer.n_in, layer.n_blocks, layer.height), np.float32)
    fan_outs = np.diff(layer.transpose_indptr)
    inputs = np.repeat(np.arange(layer.n_in), fan_outs)
    stored = layer.transpose.reshape(-1, layer.height)
    matrix[inputs, layer.transpose_indices] = values(layer, stored)
    return scaled(layer, matrix.reshape(layer.n_in, -1)[:, : layer.n_out].T)


def values(layer, stored):
    if layer.precision == "int8":
        return stored.astype(np.float32)
    return reference.from_bits(stored, layer.precision)


def scaled(layer, matrix):
    if layer.precision == "int8":
        return matrix * layer.row_scale[: layer.n_out, np.newaxis]
    return matrix
