"""Memory of a pass."""

from libc.stdlib cimport calloc, free, malloc, realloc


cdef class Arena:
    """Memory in 64-byte aligned pieces, freed with the object."""

    def __dealloc__(self):
        cdef int i
        for i in range(self.n_pieces):
            free(self.pieces[i])
        free(self.pieces)

    cdef void *take(self, size_t size, bint zeroed=True) except NULL:
        cdef void *more
        if self.n_pieces == self.capacity:
            more = realloc(self.pieces, (2 * self.capacity + 16) * sizeof(void*))
            if more == NULL:
                raise MemoryError
            self.pieces = <void**>more
            self.capacity = 2 * self.capacity + 16
        cdef void *piece = calloc(size + 64, 1) if zeroed else malloc(size + 64)
        if piece == NULL:
            raise MemoryError(f"{size} bytes for training or prediction")
        self.pieces[self.n_pieces] = piece
        self.n_pieces += 1
        return <void*>((<size_t>piece + 63) // 64 * 64)
