"""Matrices as the products read them, from arrays, and how they are multiplied."""

from libc.stdint cimport int64_t

from sparsenet._kernels.kernels cimport (
    SN_BLOCK_COLUMNS,
    SN_BLOCK_HEIGHT,
    SN_BLOCKS,
    SN_DENSE,
    sn_format_kernels,
    sn_matrix,
)
from sparsenet._kernels.train.input cimport address

import numpy as np


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
    m.by_strips = layout != SN_DENSE and pays(&m, ops.spmm_strip_percent[layout])
    # AMX multiplies panels, and nothing interleaves a lane.
    m.lane_alone = not m.by_strips and layout != SN_BLOCK_COLUMNS and (
        layout != SN_DENSE or ops.sddmm_strips == NULL)
    m.weights = <void*>address(weights)
    return m
