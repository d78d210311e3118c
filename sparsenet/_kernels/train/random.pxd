"""Counter-based random numbers: a seed for each thing that a step draws.

A step's seed has a stream for each panel (region 1), for each layer (region 2, and a
round of rewiring) and for a first layer of sparse rows; numbers of layers are
complemented, so that no two streams of a step are one. Those of a panel and of a layer
have one for each of their rows, and a panel's one for each layer's dropout, or for the
gradient of the last one, which drops nothing.
"""

from libc.stdint cimport uint64_t


cdef inline uint64_t mix(uint64_t x, uint64_t y) noexcept nogil:
    """SplitMix64's output function (Steele et al. 2014) over a combined counter."""
    cdef uint64_t z = x * <uint64_t>0x9E3779B97F4A7C15 + y + 1
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline uint64_t step_seed(uint64_t network_seed, uint64_t step) noexcept nogil:
    return mix(network_seed, step)


cdef inline uint64_t panel_seed(uint64_t step_seed, uint64_t panel) noexcept nogil:
    return mix(step_seed, panel)


cdef inline uint64_t dropout_seed(uint64_t panel_seed, uint64_t layer) noexcept nogil:
    return mix(panel_seed, ~layer)


cdef inline uint64_t layer_seed(uint64_t step_seed, uint64_t layer) noexcept nogil:
    return mix(step_seed, ~layer)


cdef inline uint64_t row_seed(uint64_t seed, uint64_t row) noexcept nogil:
    """Of a layer of a panel, a row or feature of a layer, or a draw of a row."""
    return mix(seed, row)


cdef inline uint64_t repair_seed(uint64_t layer_seed, uint64_t column) noexcept nogil:
    """Of a column that has lost its last connection."""
    return mix(layer_seed, ~column)
