"""Counter-based random numbers: seeds for what a step draws."""

from libc.stdint cimport uint64_t


cdef inline uint64_t mix(uint64_t x, uint64_t y) noexcept nogil:
    """SplitMix64's output function (Steele et al. 2014) over a combined counter."""
    cdef uint64_t z = x * <uint64_t>0x9E3779B97F4A7C15 + y + 1
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)
