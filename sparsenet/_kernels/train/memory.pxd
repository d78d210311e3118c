cdef void *allocate(size_t size, bint zeroed) noexcept nogil

cdef class Arena:
    cdef void **pieces
    cdef int n_pieces
    cdef int capacity
    cdef bint for_a_pass
    cdef char *block   # kept from an arena before, or NULL
    cdef size_t size   # of the block
    cdef size_t used   # of it
    cdef size_t wanted  # by all pieces

    cdef void *take(self, size_t size, bint zeroed=*) except NULL
