from libc.stdint cimport int64_t, uint16_t, uint32_t

from sparsenet._kernels.kernels cimport sn_matrix


cdef inline uint32_t column_at(const void *columns, int wide, int64_t k) noexcept nogil:
    """Columns have 16 bits, or 32 if `wide`."""
    if wide:
        return (<const uint32_t*>columns)[k]
    return (<const uint16_t*>columns)[k]


cdef inline void set_column(void *columns, int wide, int64_t k,
                            uint32_t column) noexcept nogil:
    if wide:
        (<uint32_t*>columns)[k] = column
    else:
        (<uint16_t*>columns)[k] = <uint16_t>column


cdef void find_tiles(const sn_matrix *m) noexcept nogil
cdef void transpose_rows(const int64_t *starts, const void *columns, int wide,
                         int64_t n_rows, int64_t n_columns, int64_t *indptr,
                         void *indices, int indices_wide, uint32_t *position,
                         int n_threads) noexcept nogil
