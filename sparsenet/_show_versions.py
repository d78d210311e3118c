"""Report of the environment, for bug reports and benchmarks."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from sparsenet._kernels import HAS_OPENMP, available_isas, current_isa
from sparsenet._threads import effective_n_threads

_PACKAGES = (
    "sparsenet",
    "numpy",
    "scipy",
    "scikit-learn",
    "joblib",
    "narwhals",
    "threadpoolctl",
    "cython",
)


def show_versions() -> None:
    """Print versions, the instruction set in use and those available, and threads.

    Examples
    --------
    >>> import sparsenet
    >>> sparsenet.show_versions()  # doctest: +SKIP
    """
    print(f"{'python':>16}: {sys.version.split()[0]} ({platform.platform()})")
    for package in _PACKAGES:
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "not installed"
        print(f"{package:>16}: {found}")
    print(f"{'instruction set':>16}: {current_isa()}")
    print(f"{'available':>16}: {', '.join(available_isas())}")
    openmp = "yes" if HAS_OPENMP else "no, kernels run on one thread"
    print(f"{'OpenMP':>16}: {openmp}")
    print(f"{'threads':>16}: {effective_n_threads()}")
