"""The connections of a layer in the order of its inputs."""

from cython.parallel cimport prange
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from sparsenet._kernels.kernels cimport SN_BLOCK_COLUMNS, SN_BLOCK_HEIGHT, sn_matrix
from sparsenet._kernels.train.input cimport address

import numpy as np


cdef int64_t first_at_least(const void *columns, int wide, int64_t begin, int64_t end,
                            int64_t column) noexcept nogil:
    cdef int64_t middle
    while begin < end:
        middle = (begin + end) // 2
        if column_at(columns, wide, middle) < column:
            begin = middle + 1
        else:
            end = middle
    return begin


cdef void find_tiles(const sn_matrix *m) noexcept nogil:
    """Where each tile of columns begins in the blocks of a matrix that has them."""
    cdef int64_t columns = m.tile_columns, tile, block
    if m.layout == SN_BLOCK_COLUMNS:
        columns //= SN_BLOCK_HEIGHT
    for tile in range(m.n_tiles + 1):
        for block in range(m.n_blocks):
            m.tile_starts[tile * m.n_blocks + block] = first_at_least(
                m.indices, m.wide, m.indptr[block], m.indptr[block + 1],
                tile * columns)


cdef void transpose_part(const int64_t *starts, const void *columns, int wide,
                         int64_t n_rows, int64_t begin, int64_t end, int64_t *indptr,
                         void *indices, int indices_wide,
                         uint32_t *position) noexcept nogil:
    """Sort the connections of the columns begin..end, whose indptr is set.

    Rows are taken in turn, so that a column's ascend. Many parameters: one order of the
    connections and the other.
    """
    cdef int64_t row, k, last, column, place, start
    if begin == end:  # more threads than columns
        return
    start = indptr[begin]
    for row in range(n_rows):
        last = starts[row + 1]
        k = first_at_least(columns, wide, starts[row], last, begin)
        while k < last:
            column = column_at(columns, wide, k)
            if column >= end:
                break
            place = indptr[column]
            indptr[column] = place + 1
            set_column(indices, indices_wide, place, <uint32_t>row)
            position[k] = <uint32_t>place
            k += 1
    # Every start has moved to its column's end, which is where the next one starts.
    for column in range(end - 1, begin, -1):
        indptr[column] = indptr[column - 1]
    indptr[begin] = start


cdef void transpose_rows(const int64_t *starts, const void *columns, int wide,
                         int64_t n_rows, int64_t n_columns, int64_t *indptr,
                         void *indices, int indices_wide, uint32_t *position,
                         int n_threads) noexcept nogil:
    """Companion order of CSR rows, by counting: O(connections). Parameters as above."""
    cdef int64_t k, column, part, total = 0, n
    memset(indptr, 0, (n_columns + 1) * sizeof(int64_t))
    for k in range(starts[n_rows]):
        indptr[column_at(columns, wide, k)] += 1
    for column in range(n_columns + 1):
        n = indptr[column]
        indptr[column] = total
        total += n
    for part in prange(n_threads, schedule="static", num_threads=n_threads):
        transpose_part(starts, columns, wide, n_rows, n_columns * part // n_threads,
                       n_columns * (part + 1) // n_threads, indptr, indices,
                       indices_wide, position)


def transpose(indptr, indices, column_starts, rows, position):
    """Fill the companion order of CSR rows: the same connections by column.

    `column_starts` int64 [n_columns + 1]; `rows` has the row of each connection in that
    order, and `position` uint32 the place there of each of `indices`.
    """
    transpose_rows(
        <const int64_t*>address(indptr), address(indices), indices.dtype == np.uint32,
        len(indptr) - 1, len(column_starts) - 1, <int64_t*>address(column_starts),
        <void*>address(rows), rows.dtype == np.uint32, <uint32_t*>address(position), 1)
