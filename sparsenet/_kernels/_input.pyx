"""From rows of X, dense or CSR, to panels of 64 samples stored feature by feature."""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport SN_LANES, sn_kernels

import numpy as np

cdef const sn_kernels *kernels = kernels_in_use()

ctypedef fused real:
    float
    double

ctypedef fused index:
    int32_t
    int64_t


cdef const void *address(array) except? NULL:
    """First byte of an array, which may be read-only or empty; NULL for None."""
    if array is None:
        return NULL
    return <const void*><size_t>array.ctypes.data


cdef Input input_of(X):
    cdef Input x
    x.n_features = X.shape[1]
    if isinstance(X, np.ndarray):
        x.data = address(X)
        x.double_precision = X.dtype == np.float64
        x.indptr = x.indices = NULL
        x.wide = 0
    else:
        x.data = address(X.data)
        x.double_precision = X.data.dtype == np.float64
        x.indptr = address(X.indptr)
        x.indices = address(X.indices)
        x.wide = X.indices.dtype == np.int64
    return x


cdef void pack_csr(const real *data, const index *indptr, const index *indices,
                   int64_t n_features, const int64_t *rows, int n,
                   float *z) noexcept nogil:
    cdef int lane
    cdef index k
    memset(z, 0, n_features * SN_LANES * sizeof(float))
    for lane in range(n):
        for k in range(indptr[rows[lane]], indptr[rows[lane] + 1]):
            z[<int64_t>indices[k] * SN_LANES + lane] += <float>data[k]


cdef void pack(const Input *x, const int64_t *rows, int n, float *z) noexcept nogil:
    if x.indptr == NULL:
        kernels.pack(x.data, x.double_precision, x.n_features, rows, n, z)
    elif x.wide:
        if x.double_precision:
            pack_csr[double, int64_t](
                <const double*>x.data, <const int64_t*>x.indptr,
                <const int64_t*>x.indices, x.n_features, rows, n, z)
        else:
            pack_csr[float, int64_t](
                <const float*>x.data, <const int64_t*>x.indptr,
                <const int64_t*>x.indices, x.n_features, rows, n, z)
    elif x.double_precision:
        pack_csr[double, int32_t](
            <const double*>x.data, <const int32_t*>x.indptr,
            <const int32_t*>x.indices, x.n_features, rows, n, z)
    else:
        pack_csr[float, int32_t](
            <const float*>x.data, <const int32_t*>x.indptr,
            <const int32_t*>x.indices, x.n_features, rows, n, z)
