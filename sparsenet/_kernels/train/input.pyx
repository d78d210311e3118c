"""From rows of X, dense or CSR, to panels of 64 samples stored feature by feature."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_STRIDED_RO,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport sn_kernels

import numpy as np

cdef const sn_kernels *kernels = kernels_in_use()

# Bytes of X from which on the GIL is given up for a look at all numbers: some 10
# microseconds.
cdef Py_ssize_t LONG_CHECK = 1 << 17

ctypedef fused real:
    float
    double

ctypedef fused index:
    int32_t
    int64_t


cdef const void *address(array) except? NULL:
    """First byte of an array, which may be read-only or empty; NULL for None.

    By the buffer protocol: `array.ctypes` takes a microsecond.
    """
    cdef Py_buffer view
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_STRIDED_RO)
    PyBuffer_Release(&view)
    return view.buf


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


cdef bint finite(const Py_buffer *view) noexcept nogil:
    """Whether no number, float32 or float64, has an exponent of ones only.

    No early end: the loop becomes one over vectors.
    """
    cdef const uint32_t *singles = <const uint32_t*>view.buf
    cdef const uint64_t *doubles = <const uint64_t*>view.buf
    cdef uint32_t infinity = 0x7f800000, found = 0
    cdef uint64_t large_infinity = 0x7ff0000000000000, found_double = 0
    cdef Py_ssize_t i, n = view.len // view.itemsize
    if view.itemsize == sizeof(float):
        for i in range(n):
            found |= (singles[i] & infinity) == infinity
    else:
        for i in range(n):
            found_double |= (doubles[i] & large_infinity) == large_infinity
    return not (found | found_double)


cdef bint released_finite(const Py_buffer *view):
    """`finite`, without the GIL where that takes long."""
    if view.len < LONG_CHECK:
        return finite(view)
    with nogil:
        return finite(view)


def is_finite(array):
    """Whether a C-contiguous float32 or float64 array has finite numbers only."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS)
    try:
        return released_finite(&view)
    finally:
        PyBuffer_Release(&view)


def are_rows(X, Py_ssize_t n_features):
    """Whether X is rows as kernels read them: nothing has to be converted or refused.

    A plain array of shape (n, n_features), n > 0, C-contiguous, float32 or float64,
    and all numbers finite.
    """
    cdef Py_buffer view
    if type(X) is not np.ndarray or not X.flags.c_contiguous:
        return False
    try:
        PyObject_GetBuffer(X, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    except (BufferError, ValueError):  # of types that buffers do not have
        return False
    try:
        return (view.ndim == 2 and view.shape[0] > 0 and view.shape[1] == n_features
                and view.format[0] in b"fd" and view.format[1] == 0
                and released_finite(&view))
    finally:
        PyBuffer_Release(&view)


cdef Input input_of(X):
    cdef Input x
    x.n_features = X.shape[1]
    values = X if isinstance(X, np.ndarray) else X.data
    x.data = checked(values, "X", ("<f4", "<f8"))
    x.double_precision = values.itemsize == sizeof(double)
    x.indptr = x.indices = NULL
    x.wide = 0
    if values is not X:
        x.wide = X.indices.dtype == np.int64
        index = "<i8" if x.wide else "<i4"
        x.indices = checked(X.indices, "X.indices", (index,))
        x.indptr = checked(X.indptr, "X.indptr", (index,))
    return x


cdef void copy_row(const Input *x, int64_t row, float *z) noexcept nogil:
    """A dense row as float32."""
    cdef const float *singles = <const float*>x.data + row * x.n_features
    cdef const double *doubles = <const double*>x.data + row * x.n_features
    cdef int64_t i
    if x.double_precision:
        for i in range(x.n_features):
            z[i] = <float>doubles[i]
    else:
        memcpy(z, singles, x.n_features * sizeof(float))


cdef void pack_csr(const real *data, const index *indptr, const index *indices,
                   int64_t n_features, const int64_t *rows, int n, int64_t stride,
                   float *z) noexcept nogil:
    cdef int lane
    cdef index k
    memset(z, 0, n_features * stride * sizeof(float))
    for lane in range(n):
        for k in range(indptr[rows[lane]], indptr[rows[lane] + 1]):
            z[<int64_t>indices[k] * stride + lane] += <float>data[k]


cdef void pack(const Input *x, const int64_t *rows, int n, int64_t stride,
               float *z) noexcept nogil:
    """n rows of X as z[feature][stride]: a panel, or one row with a stride of 1."""
    if x.indptr == NULL and stride == 1:
        copy_row(x, rows[0], z)
    elif x.indptr == NULL:
        kernels.pack(x.data, x.double_precision, x.n_features, rows, n, z)
    elif x.wide:
        if x.double_precision:
            pack_csr[double, int64_t](
                <const double*>x.data, <const int64_t*>x.indptr,
                <const int64_t*>x.indices, x.n_features, rows, n, stride, z)
        else:
            pack_csr[float, int64_t](
                <const float*>x.data, <const int64_t*>x.indptr,
                <const int64_t*>x.indices, x.n_features, rows, n, stride, z)
    elif x.double_precision:
        pack_csr[double, int32_t](
            <const double*>x.data, <const int32_t*>x.indptr,
            <const int32_t*>x.indices, x.n_features, rows, n, stride, z)
    else:
        pack_csr[float, int32_t](
            <const float*>x.data, <const int32_t*>x.indptr,
            <const int32_t*>x.indices, x.n_features, rows, n, stride, z)
