"""How many threads a call may use."""

import os
from functools import cache

import joblib

from sparsenet._kernels import max_threads


def effective_n_threads(n_threads=None):
    """Return the number of OpenMP threads for a call.

    Parameters
    ----------
    n_threads : int or None
        None: OMP_NUM_THREADS where it is set, else the physical cores that the
        container may use; in both cases no more than OpenMP's own limit, which
        threadpoolctl and joblib's workers lower.

    Returns
    -------
    int
    """
    if n_threads is not None:
        return int(n_threads)
    if os.environ.get("OMP_NUM_THREADS"):
        return max_threads()
    return max(1, min(max_threads(), _physical_cores()))


@cache  # it reads files, longer than a small network predicts a row
def _physical_cores():
    return joblib.cpu_count(only_physical_cores=True)
