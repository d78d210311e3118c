"""How many threads a call may use."""

import os
import sys
from functools import cache

import joblib
from joblib.parallel import get_active_backend

from sparsenet._kernels import max_threads


def effective_n_threads(n_threads=None):
    """Return the number of OpenMP threads for a call.

    Parameters
    ----------
    n_threads : int or None
        None: OMP_NUM_THREADS where it is set, as in the worker processes of joblib's
        default backend, which share the cores; else 1 in other workers of joblib's, and
        in tasks of Dask's workers, and the physical cores that the container may use
        anywhere else. In all cases no more than OpenMP's own limit, which threadpoolctl
        lowers.

    Returns
    -------
    int
    """
    if n_threads is not None:
        return int(n_threads)
    if os.environ.get("OMP_NUM_THREADS"):
        return max_threads()
    n_threads = max(1, min(max_threads(), _physical_cores()))
    if n_threads > 1 and (
        get_active_backend()[0].nesting_level > 0 or _is_task_of_dask()
    ):
        return 1  # how many workers share the cores is not known
    return n_threads


def _is_task_of_dask():
    """Whether a thread of a worker runs this."""
    worker = sys.modules.get("distributed.worker")
    return worker is not None and hasattr(worker.thread_state, "execution_state")


@cache  # it reads files, longer than a small network predicts a row
def _physical_cores():
    return joblib.cpu_count(only_physical_cores=True)
