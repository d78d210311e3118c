cdef class Arena:
    cdef void **pieces
    cdef int n_pieces
    cdef int capacity

    cdef void *take(self, size_t size, bint zeroed=*) except NULL
