"""Compiled kernels: products over sparse weights for each number format and CPU."""

from sparsenet._kernels._dispatch import (
    HAS_OPENMP,
    available_isas,
    current_isa,
    max_threads,
)

__all__ = ["HAS_OPENMP", "available_isas", "current_isa", "max_threads"]
