from libc.stdint cimport int64_t

cdef struct Input:
    const void *data         # dense rows, or CSR values
    int double_precision
    const void *indptr       # CSR only, else NULL
    const void *indices
    int wide                 # CSR indices are int64
    int64_t n_features

cdef const void *address(array) except? NULL
cdef const void *checked(array, name, dtypes) except? NULL
cdef Input input_of(X)
cdef void pack(const Input *x, const int64_t *rows, int n, int64_t stride,
               float *z) noexcept nogil
