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


cdef const void *checked(array, name, dtypes) except? NULL:
    """The address of an array, if it is of one of these types and has no gaps.

    Types are named as in NumPy's array interface, "<f4". The last door before the
    kernels, which take what they get.
    """
    if array.dtype.str not in dtypes or not array.flags.c_contiguous:
        names = " or ".join([np.dtype(dtype).name for dtype in dtypes])
        raise TypeError(f"{name} is {array.dtype} with strides {array.strides}; "
                        f"allowed: {names}, C-contiguous")
    return address(array)


cdef Input input_of(X):
    cdef Input x
    x.n_features = X.shape[1]
    values = X if isinstance(X, np.ndarray) else X.data
    x.data = checked(values, "X", ("<f4", "<f8"))
    x.double_precision = values.dtype == np.float64
    x.indptr = x.indices = NULL
    x.wide = 0
    if values is not X:
        x.wide = X.indices.dtype == np.int64
        index = "<i8" if x.wide else "<i4"
        x.indices = checked(X.indices, "X.indices", (index,))
        x.indptr = checked(X.indptr, "X.indptr", (index,))
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
