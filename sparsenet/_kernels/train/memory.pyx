"""Memory of a pass."""

from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

# The next allocations that succeed before one fails; negative: none fails.
cdef long allowed = -1


def fail_after(long n):
    """Let n allocations succeed and the one after fail, for tests; negative: none."""
    global allowed
    allowed = n


cdef bint fails() noexcept nogil:
    """Whether a test wants this allocation to fail."""
    global allowed
    if allowed < 0:
        return False
    allowed -= 1
    return allowed < 0


cdef void *allocate(size_t size, bint zeroed) noexcept nogil:
    """Memory to be freed with `free`; NULL where there is none."""
    if fails():
        return NULL
    return calloc(size, 1) if zeroed else malloc(size)


cdef extern from *:
    """
    /* Not where an address sanitizer is to see what lies behind each piece. */
    #if defined(__SANITIZE_ADDRESS__)
    #define SN_KEPT 0
    #else
    #define SN_KEPT (1 << 24)
    #endif
    static void *sn_kept_block;
    static inline void *sn_exchange_block(void *block)
    {
        return __atomic_exchange_n(&sn_kept_block, block, __ATOMIC_ACQ_REL);
    }
    """
    const size_t SN_KEPT
    void *sn_exchange_block(void *block) noexcept nogil


cdef class Arena:
    """Memory in 64-byte aligned pieces, freed with the object.

    Of those for one pass, one block of up to 16 MB is kept for the next pass of the
    process. Fresh memory costs a page fault for each 4 KB, which made a call of
    `partial_fit` with one mini-batch take 3.8 ms instead of 2.5 (784-1024-1024-10 at
    density 0.1, Zen 5).
    """

    def __cinit__(self, bint for_a_pass=False):
        self.for_a_pass = for_a_pass
        if for_a_pass:
            self.block = <char*>sn_exchange_block(NULL)
        if self.block != NULL:
            self.size = (<size_t*>self.block)[0]
            self.used = 64  # its size stands at its beginning

    def __dealloc__(self):
        cdef int i
        for i in range(self.n_pieces):
            free(self.pieces[i])
        free(self.pieces)
        if not self.for_a_pass:
            return
        if self.size < self.wanted + 64 <= SN_KEPT:
            free(self.block)
            self.size = self.wanted + 64
            self.block = <char*>malloc(self.size)
            if self.block != NULL:
                (<size_t*>self.block)[0] = self.size
        free(sn_exchange_block(self.block))

    cdef void *take(self, size_t size, bint zeroed=True) except NULL:
        cdef void *more
        cdef char *piece
        size = (size + 63) // 64 * 64 + 64
        self.wanted += size
        if self.used + size <= self.size:
            if fails():
                raise MemoryError(f"{size} bytes for training or prediction")
            piece = self.block + self.used
            piece += -<size_t>piece % 64
            self.used += size
            if zeroed:
                memset(piece, 0, size - 64)
            return piece
        if self.n_pieces == self.capacity:
            more = realloc(self.pieces, (2 * self.capacity + 16) * sizeof(void*))
            if more == NULL:
                raise MemoryError
            self.pieces = <void**>more
            self.capacity = 2 * self.capacity + 16
        piece = <char*>allocate(size, zeroed)
        if piece == NULL:
            raise MemoryError(f"{size} bytes for training or prediction")
        self.pieces[self.n_pieces] = piece
        self.n_pieces += 1
        return piece + -<size_t>piece % 64
