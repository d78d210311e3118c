"""Where the products have their weights: room for them, rounding, writing and reading.

Nothing above knows the place of a weight in a copy that products read. The weights of a
layer that is stored by units have the shape (n_blocks * fan_in, height) there, those of
one that is stored by feature (n_features, fan_out).
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from sparsenet._kernels._dispatch cimport kernels_in_use, tile_of
from sparsenet._kernels.kernels cimport (
    SN_BLOCK_HEIGHT,
    SN_DENSE,
    sn_format_kernels,
    sn_formats,
    sn_kernels,
    sn_matrix,
    sn_thread_state,
)
from sparsenet._kernels.train.input cimport address
from sparsenet._kernels.train.layers cimport point_to_features, point_to_layer
from sparsenet._kernels.train.memory cimport Arena
from sparsenet._kernels.train.network cimport PADDING, CLayer, Net
from sparsenet._kernels.train.sparse_first_layer cimport (
    CHUNK,
    Features,
    FeatureScratch,
    take_scratch,
    write_table,
)
from sparsenet._kernels.train.update cimport encode_blocks

import numpy as np

from sparsenet._kernels._dispatch import FORMATS

# What is added to the bytes of a table (int8).
TABLE_OFFSET = kernels_in_use().format[<int>FORMATS["int8"]].signed_offset


def padded(shape, dtype):
    """Zeros on cache lines, with room behind: kernels read whole vectors."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape))
    memory = np.zeros((size + PADDING) * dtype.itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size * dtype.itemsize].view(dtype).reshape(shape)


def dense_size(str precision, int64_t n_rows, int64_t n_columns):
    """Weights of a copy of a dense matrix, with those that complete blocks or tiles."""
    tile = tile_of(kernels_in_use().format[<int>FORMATS[precision]])
    rows, columns = tile or (SN_BLOCK_HEIGHT, 1)
    return -(-n_rows // rows) * rows * (-(-n_columns // columns) * columns)


# Layers stored by units ------------------------------------------------------------

cdef int start(Net *net, CLayer *c, layer) except -1:
    """The network of one layer."""
    memset(net, 0, sizeof(Net))
    memset(c, 0, sizeof(CLayer))
    net.format = &sn_formats[<int>FORMATS[layer.precision]]
    net.ops = kernels_in_use().format[<int>FORMATS[layer.precision]]
    net.layers = c
    net.n_layers = 1
    return point_to_layer(c, layer, net.ops)


def round_weights(layer):
    """Round the float32 weights of a layer into its copies; int8: fill `row_scale`."""
    cdef Net net
    cdef CLayer c
    cdef sn_thread_state state
    start(&net, &c, layer)
    with nogil:
        kernels_in_use().enter(&state)
        encode_blocks(&net, 0, 0, c.forward.n_blocks)
        kernels_in_use().leave(&state)


def write_weights(layer, stored):
    """Fill the copies of a layer with weights that are rounded already."""
    cdef Net net
    cdef CLayer c
    cdef int64_t block
    start(&net, &c, layer)
    cdef bint dense = c.forward.layout == SN_DENSE
    cdef int64_t n = layer.fan_in, size = n * c.forward.height * net.ops.weight_size
    cdef const char *source = <const char*>address(stored)
    cdef char *forward = <char*>c.forward.weights
    cdef const uint32_t *position = c.transpose_position
    with nogil:
        for block in range(c.forward.n_blocks):
            net.ops.write_weights(
                source + block * size, n, c.forward.height,
                NULL if position == NULL else position + block * n,
                block if dense else -1, c.n_out,
                forward if dense else forward + block * size, c.transpose.weights)


def read_weights(layer):
    """The rounded weights of a layer, from the copy of the forward product."""
    cdef Net net
    cdef CLayer c
    cdef int64_t block
    start(&net, &c, layer)
    stored = np.empty(layer.weights.shape, layer.forward.dtype)
    cdef bint dense = c.forward.layout == SN_DENSE
    cdef int64_t n = layer.fan_in, size = n * c.forward.height * net.ops.weight_size
    cdef char *target = <char*>address(stored)
    cdef const char *forward = <const char*>c.forward.weights
    with nogil:
        for block in range(c.forward.n_blocks):
            net.ops.read_weights(
                forward if dense else forward + block * size, n, c.forward.height,
                block if dense else -1, target + block * size)
    return stored


cdef windows_of(const sn_format_kernels *ops, const sn_matrix *m, int64_t n_rows):
    """A matrix in windows, as kernels.h has it: `indptr`, `columns` and `weights`."""
    cdef int64_t height = ops.window_rows, n_steps
    indptr = np.zeros((n_rows + height - 1) // height + 1, np.int64)
    cdef int64_t *starts = <int64_t*>address(indptr)
    with nogil:
        n_steps = ops.cut_windows(m, n_rows, starts, NULL, NULL)
    columns = padded(n_steps, np.uint32)
    # A vector has 4 bytes for each of its rows.
    weights = padded((len(indptr) - 1 + 2 * n_steps) * 4 * height, np.int8)
    cdef uint32_t *first = <uint32_t*>address(columns)
    cdef void *steps = <void*>address(weights)
    with nogil:
        ops.cut_windows(m, n_rows, starts, first, steps)
    return indptr, columns, weights


def cut_windows(layer):
    """The weights of a layer in windows; None where its format has no such layout."""
    cdef Net net
    cdef CLayer c
    start(&net, &c, layer)
    if net.ops.window_rows == 0:
        return None
    stored = read_weights(layer)
    c.forward.weights = <void*>address(stored)
    return windows_of(net.ops, &c.forward, c.n_out)


# Layers stored by feature ----------------------------------------------------------

def round_table(layer):
    """Round the float32 weights of a layer into its table; int8: fill `scale`."""
    cdef Arena arena = Arena()
    cdef Features f
    cdef FeatureScratch s
    cdef sn_thread_state state
    cdef const sn_kernels *kernels = kernels_in_use()
    cdef const sn_format_kernels *ops = kernels.format[<int>FORMATS[layer.precision]]
    cdef int64_t first = 0, at_once, n, i
    memset(&f, 0, sizeof(Features))
    point_to_features(&f, layer)
    take_scratch(arena, &f, &s, 0, 0, 1)
    at_once = max(<int64_t>1, CHUNK // f.state.stride)
    with nogil:
        kernels.enter(&state)
        while first < f.n_features:
            n = min(at_once, f.n_features - first)
            for i in range(n):
                s.features[i] = <uint32_t>(first + i)
            write_table(&f, ops, s.features, n, &s)
            first += n
        kernels.leave(&state)


def write_rows(layer, stored):
    """Fill the table of a layer with weights that are rounded already."""
    if layer.precision == "int8":
        stored = (stored.astype(np.int16) + TABLE_OFFSET).astype(np.uint8)
    if layer.precision != "float32":
        layer.table[:, :layer.fan_out] = stored


def read_rows(layer):
    """The rounded weights of a layer, from its table."""
    if layer.precision == "float32":
        return np.ascontiguousarray(layer.weights)
    stored = layer.table[:, :layer.fan_out]
    if layer.precision == "int8":
        return (stored.astype(np.int16) - TABLE_OFFSET).astype(np.int8)
    return np.ascontiguousarray(stored)
