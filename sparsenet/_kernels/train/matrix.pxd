from libc.stdint cimport int64_t

from sparsenet._kernels.kernels cimport sn_format_kernels, sn_matrix

cdef bint pays(const sn_matrix *m, int percent)
cdef sn_matrix matrix_of(int layout, indptr, indices, weights, int64_t n_columns,
                         const sn_format_kernels *ops)
