"""Compiled kernels: products over sparse weights for each number format and CPU."""

from sparsenet._kernels._dispatch import available_isas, current_isa
from sparsenet._kernels._engine import HAS_OPENMP, max_threads

__all__ = ["HAS_OPENMP", "available_isas", "current_isa", "max_threads"]
