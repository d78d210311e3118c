from libc.stdint cimport int64_t

from sparsenet._kernels.kernels cimport sn_format_kernels, sn_matrix
from sparsenet._kernels.train.memory cimport Arena
from sparsenet._kernels.train.network cimport CLayer, Net
from sparsenet._kernels.train.sparse_first_layer cimport Features

cdef sn_matrix matrix_of(int layout, indptr, indices, weights, int64_t n_columns,
                         const sn_format_kernels *ops)
cdef int cut_columns(sn_matrix *m, const sn_format_kernels *ops,
                     Arena arena) except -1
cdef bint has_panel_gradient(const Net *net)
cdef int point_to_layer(CLayer *c, layer, const sn_format_kernels *ops) except -1
cdef int point_to_features(Features *f, layer) except -1
