"""Dask clusters of processes, for tests."""

import gc
import time
from contextlib import contextmanager

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster


@contextmanager
def cluster_of(n_workers):
    """A client of so many worker processes of one thread each.

    They do not take tasks from each other: tests know where samples lie.
    """
    with (
        dask.config.set({"distributed.scheduler.work-stealing": False}),
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def comes_true(condition, patience=30):
    """Whether a condition holds within so many seconds.

    Workers forget data when the client has, and has said so; the client has when Python
    collects garbage, of tests before this one too.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        gc.collect()
        time.sleep(0.1)
    return True


def spread(client, values, sizes):
    """A Dask array of which each worker has a chunk, in the order of addresses."""
    futures = [
        client.scatter([part], workers=[address], hash=False)[0]
        for part, address in zip(
            cut(values, sizes), sorted(client.nthreads()), strict=False
        )
    ]
    chunks = [
        da.from_delayed(future, (size, *values.shape[1:]), values.dtype)
        for future, size in zip(futures, sizes, strict=True)
    ]
    return da.concatenate(chunks)


def cut(values, sizes):
    """The parts of some values, of so many rows each."""
    ends = np.cumsum(sizes)
    return [values[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def open_trainings(client):
    """How many trainings the workers still have something open of."""
    return sum(client.run(_n_members).values())


def trainings_of(client):
    """How many each worker takes part in, connected with the others, by its address."""
    return client.run(_n_members, connected=True)


def _n_members(connected=False):
    from sparsenet.dask import _worker

    members = list(_worker._members.values())
    return sum(member.communicator is not None or not connected for member in members)
