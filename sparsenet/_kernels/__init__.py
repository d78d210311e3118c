"""Compiled kernels: products over sparse weights for each number format and CPU."""

try:
    from sparsenet._kernels._dispatch import (
        HAS_OPENMP,
        available_isas,
        current_isa,
        max_threads,
    )
except ModuleNotFoundError as error:
    raise ImportError(
        "this is sparsenet's source folder, whose kernels are not compiled: run Python "
        "in another folder to use the installed package, or compile them here by "
        "`python setup.py build_ext --inplace`"
    ) from error

__all__ = ["HAS_OPENMP", "available_isas", "current_isa", "max_threads"]
