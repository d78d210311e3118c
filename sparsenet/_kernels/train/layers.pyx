"""Layers as the passes see them: pointers to the arrays of Python's, which the caller
keeps, and how their matrices are multiplied.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from sparsenet._kernels.kernels cimport (
    SN_BLOCK_COLUMNS,
    SN_BLOCK_HEIGHT,
    SN_BLOCKS,
    SN_DENSE,
    SN_LANES,
    SN_ROWS,
    SN_STRIP_PAIR,
    SN_WINDOWS,
    sn_format_kernels,
    sn_matrix,
)
from sparsenet._kernels.train.input cimport address
from sparsenet._kernels.train.memory cimport Arena
from sparsenet._kernels.train.network cimport CLayer, Net
from sparsenet._kernels.train.sparse_first_layer cimport Features
from sparsenet._kernels.train.transpose cimport find_tiles

import numpy as np

# Bytes of a transpose from which on its cache lines are fetched before they are written
# to: half of a small L2.
cdef int64_t FAR = 1 << 19
# Bytes of the samples of a tile of columns, of a dense matrix and a sparse one: all of
# a dense one's are read for each block, and stay in L1, the others' in a part of L2.
cdef int64_t DENSE_TILE = 1 << 15, SPARSE_TILE = 1 << 17
# Rows of a last layer, and connections of each, from and up to which the gradient is
# found panel by panel. A step with 27,806 outputs (128 inputs, float32): 1.24 times as
# fast with 6 connections each, 1.12 with 13, 0.96 with 51; with 500 outputs, 1.09 with
# 6 each.
cdef int64_t MANY_ROWS = 500, FEW_CONNECTIONS = 16


cdef bint pays(const sn_matrix *m, int percent):
    """Whether a matrix has so many percent of all its connections; 0: it never pays."""
    cdef int64_t columns = m.n_columns
    if m.layout == SN_BLOCK_COLUMNS:
        columns = (columns + SN_BLOCK_HEIGHT - 1) // SN_BLOCK_HEIGHT
    return percent > 0 and columns > 0 and (
        100 * m.indptr[m.n_blocks] >= percent * m.n_blocks * columns)


cdef sn_matrix matrix_of(int layout, indptr, indices, weights, int64_t n_columns,
                         const sn_format_kernels *ops):
    """Pointers to the arrays, which the caller keeps; `indices` of a dense layer: None.

    A dense layer is cut into tiles of columns where the format has them.
    """
    cdef sn_matrix m
    m.layout = layout
    m.height = SN_BLOCK_HEIGHT if layout in (SN_BLOCKS, SN_DENSE) else 1
    m.n_columns = n_columns
    m.n_tiles = 1
    m.tile_columns = n_columns
    m.tile_starts = NULL
    if layout == SN_DENSE and ops.tile_columns > 0:
        m.n_tiles = (n_columns + ops.tile_columns - 1) // ops.tile_columns
        m.tile_columns = (n_columns + m.n_tiles - 1) // m.n_tiles
        # All but the last whole vectors of weights, as strips want them.
        m.tile_columns = (m.tile_columns + 63) // 64 * 64
        m.n_tiles = (n_columns + m.tile_columns - 1) // m.tile_columns
    m.n_blocks = len(indptr) - 1
    m.indptr = <const int64_t*>address(indptr)
    m.indices = address(indices)
    m.wide = indices is not None and indices.dtype == np.uint32
    m.by_strips = layout < SN_DENSE and pays(&m, ops.spmm_strip_percent[layout])
    # AMX multiplies panels, and nothing interleaves a lane.
    m.lane_alone = not m.by_strips and layout != SN_BLOCK_COLUMNS and (
        layout != SN_DENSE or ops.sddmm_strips == NULL)
    m.weights = <void*>address(weights)
    return m


cdef int cut_columns(sn_matrix *m, const sn_format_kernels *ops,
                     Arena arena) except -1:
    """Make tiles of the columns whose samples would not stay in a cache otherwise."""
    cdef int64_t column = SN_LANES * ops.activation_size
    if m.by_strips or m.n_tiles > 1 or m.n_columns * column <= FAR:
        return 0
    m.tile_columns = (DENSE_TILE if m.layout == SN_DENSE else SPARSE_TILE) // column
    m.n_tiles = (m.n_columns + m.tile_columns - 1) // m.tile_columns
    m.lane_alone = False
    if m.layout != SN_DENSE:
        m.tile_starts = <int64_t*>arena.take((m.n_tiles + 1) * m.n_blocks * 8)
        find_tiles(m)
    return 0


cdef bint has_panel_gradient(const Net *net):
    """Whether each panel has the gradient of the last layer, and no deltas of it.

    Deltas are 64 numbers for each output and panel, the gradient as many as there are
    connections; and the inputs of one panel stay in L1.
    """
    cdef const sn_matrix *m = &net.layers[net.n_layers - 1].forward
    return (net.n_layers > 1 and m.layout == SN_ROWS and m.n_blocks >= MANY_ROWS
            and m.indptr[m.n_blocks] <= FEW_CONNECTIONS * m.n_blocks)


cdef int point_to_layer(CLayer *c, layer, const sn_format_kernels *ops) except -1:
    """A layer that is stored by units: its matrices, parameters and moments."""
    cdef int i
    if not layer.is_sparse:
        layouts = SN_DENSE, SN_DENSE
    elif layer.height == 1:
        layouts = SN_ROWS, SN_ROWS
    else:
        layouts = SN_BLOCKS, SN_BLOCK_COLUMNS
    c.n_in = layer.n_in
    c.n_out = layer.n_out
    c.bias = <float*>address(layer.bias)
    c.forward = matrix_of(layouts[0], layer.indptr, layer.indices, layer.forward,
                          layer.n_in, ops)
    c.alone = c.forward
    if layer.windows is not None:
        indptr, columns, weights = layer.windows
        c.alone = matrix_of(SN_WINDOWS, indptr, columns, weights, layer.n_in, ops)
    if not layer.first:
        c.transpose = matrix_of(
            layouts[1], layer.transpose_indptr, layer.transpose_indices,
            layer.transpose, layer.n_out, ops)
        c.transpose_position = <const uint32_t*>address(layer.transpose_position)
        c.far = layer.transpose.nbytes > FAR
    c.in_strips = pays(&c.forward, ops.strip_percent[c.forward.layout != SN_ROWS])
    c.blocks_at_once = 1
    if c.in_strips:
        c.blocks_at_once = SN_STRIP_PAIR // c.forward.height
    c.weights = <float*>address(layer.weights)
    c.row_scale = <float*>address(layer.row_scale)
    c.cohort = <const uint16_t*>address(layer.cohort)
    if layer.moments is not None:
        for i in range(4):
            c.moments[i] = <float*>address(layer.moments[i])
    c.averages[0] = <float*>address(layer.average)
    c.averages[1] = <float*>address(layer.average_bias)
    return 0


cdef int point_to_features(Features *f, layer) except -1:
    """A first layer that is stored by feature: its connections, state and table."""
    f.n_features = layer.n_in
    f.n_units = layer.n_out
    f.height = layer.height
    f.connections = address(layer.connections)
    if layer.is_sparse:
        f.wide = layer.connections.dtype == np.uint32
        f.connections_bytes = layer.connections.strides[0]
    f.state.values = <float*>address(layer.state)
    f.state.planes = layer.state.shape[1]
    f.state.stride = layer.stride
    f.state.fan_out = layer.fan_out
    f.state.cohort = <const uint16_t*>address(layer.cohort)
    f.table = <char*>address(layer.table)
    f.row_bytes = layer.table.strides[0]
    f.scale = <float*>address(layer.scale)
    f.seen = <uint8_t*>address(layer.seen)
    return 0
