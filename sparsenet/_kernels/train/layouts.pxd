from libc.stdint cimport int64_t

from sparsenet._kernels.kernels cimport sn_format_kernels, sn_matrix

cdef windows_of(const sn_format_kernels *ops, const sn_matrix *m, int64_t n_rows)
