"""Dask clusters of processes, for tests."""

import warnings
from contextlib import contextmanager

from dask.distributed import Client, LocalCluster


@contextmanager
def cluster_of(n_workers):
    """A client of so many worker processes of one thread each."""
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
        warnings.catch_warnings(),
    ):
        yield client


def open_trainings(client):
    """How many trainings the workers still have something open of."""
    return sum(client.run(_n_members).values())


def _n_members():
    from sparsenet.dask import _worker

    return len(_worker._members)
