"""What the two compute copies of a layer's weights mean."""

import numpy as np
import reference
from problems import dense

from sparsenet._kernels._dispatch import weight_group, weight_tile


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
    for block, columns in enumerate(rows_of(layer)):
        begin, end = layer.indptr[block : block + 2] * layer.height
        numbers = np.arange(end - begin).reshape(-1, layer.height)
        place = reference.lay_out(numbers, weight_group(layer.precision))
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
    layout = weight_group(layer.precision), weight_tile(layer.precision), -1
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
