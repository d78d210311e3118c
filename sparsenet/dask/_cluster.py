"""What the client asks of the workers: to have the samples, and to compute."""

import numpy as np
from distributed import CancelledError, default_client, wait
from distributed.threadpoolexecutor import thread_state
from sklearn.utils.validation import check_consistent_length

import sparsenet
from sparsenet._validation import check_sample_weight
from sparsenet.dask import _worker
from sparsenet.dask._partitions import (
    OF_TRAINING,
    OF_VALIDATION,
    Rows,
    by_worker,
    delayed_parts,
    in_memory_parts,
    is_collection,
)

#: Seconds between two looks at whether all workers are there.
PATIENCE = 1.0


def client_of(estimator):
    """The client of an estimator, or the one that was made last.

    Raises
    ------
    RuntimeError
        This is a task of a worker, which would wait for itself.
    ValueError
        There is none, or it is closed or asynchronous.
    """
    name = type(estimator).__name__
    if getattr(thread_state, "proceed", False):  # and has not left the workers' pool
        raise RuntimeError(
            f"{name}: fit is called in a task of a Dask worker, which would wait for "
            f"itself; use sparsenet.{name} there, or the client that "
            "distributed.worker_client() makes"
        )
    client = estimator.client
    if client is None:
        try:
            client = default_client()
        except ValueError:
            raise ValueError(
                f"{name}: client=None and there is no client yet; make one before: "
                "dask.distributed.Client(...)"
            ) from None
    if client.status != "running":
        raise ValueError(
            f"{name}: client is {client.status}; allowed: one that is running"
        )
    if client.asynchronous:
        raise ValueError(
            f"{name}: client is asynchronous; allowed: Client(asynchronous=False)"
        )
    return client


def gone(addresses):
    """That workers are gone, in words."""
    return ", ".join(f"the one at {address} is gone" for address in addresses)


class Cluster:
    """The workers of an estimator's client.

    Parameters
    ----------
    estimator : object
        Has a `client`; named by messages.

    Attributes
    ----------
    name : str
        Of the estimator's class.
    client : dask.distributed.Client
    holders : list of str
        Addresses of the workers that have partitions of X.

    Raises
    ------
    RuntimeError, ValueError
        As `client_of`.
    """

    def __init__(self, estimator):
        self.estimator, self.name = estimator, type(estimator).__name__
        self.client, self.holders = client_of(estimator), []

    def check_versions(self):
        """Refuse workers with another version of this package."""
        try:
            versions = self.client.run(_worker.version)
        except ImportError as error:
            raise RuntimeError(
                f"{self.name}: a worker cannot import sparsenet: {error}; install "
                f"version {sparsenet.__version__} on all workers"
            ) from error
        others = {a: v for a, v in versions.items() if v != sparsenet.__version__}
        if others:
            raise RuntimeError(
                f"{self.name}: the client has sparsenet {sparsenet.__version__}, but "
                f"workers have others: {others}; allowed: the same on all"
            )

    def _check_workers(self):
        if not self.client.nthreads():
            raise RuntimeError(
                f"{self.name}: the cluster has no workers; allowed: at least one, "
                "client.wait_for_workers(1)"
            )

    def look_for(self, addresses):
        """Those of some workers that are gone."""
        if self.client.status != "running":
            raise RuntimeError(f"{self.name}: the client was closed during training")
        there = self.client.nthreads()
        return [address for address in addresses if address not in there]

    def task(self, address, function, *arguments):
        """A future of what a function returns on the worker at the address."""
        return self.client.submit(
            function,
            *arguments,
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )

    def partitions(self, X, y, sample_weight):
        """Futures of `Rows`, each on a worker that keeps it."""
        self._check_workers()
        if not is_collection(X, y, sample_weight):
            return self._scattered(X, y, sample_weight)
        parts = self._computed(X, y, sample_weight, OF_TRAINING)
        places = by_worker(self.name, self.client, [columns[0] for columns in parts])
        self.holders = sorted(places)
        place_of = {f.key: address for address in places for f in places[address]}
        rows = [self.task(place_of[part[0].key], Rows, *part) for part in parts]
        self.wait_for_data(rows)
        return rows

    def validation_partitions(self, X, y, sample_weight):
        """Futures of `Rows`, on any workers."""
        if X is None:
            return []
        if is_collection(X, y, sample_weight):
            parts = self._computed(X, y, sample_weight, OF_VALIDATION)
            return [self.client.submit(Rows, *part, pure=False) for part in parts]
        X = X if hasattr(X, "shape") else np.asarray(X)
        check_consistent_length(X, y)
        weights = check_sample_weight(self.estimator, sample_weight, X.shape[0])
        return self._scattered(X, np.asarray(y), weights)

    def _computed(self, X, y, sample_weight, labels):
        """Futures of the columns, of each partition."""
        columns = delayed_parts(self.name, X, y, sample_weight, labels)
        n_parts = len(columns[0])
        futures = self.client.compute([part for parts in columns for part in parts])
        self.wait_for_data(futures)
        return [futures[i::n_parts] for i in range(n_parts)]

    def _scattered(self, X, y, sample_weight):
        """What is in memory here, as a part for each worker."""
        addresses = sorted(self.client.nthreads())
        parts = in_memory_parts(X, y, sample_weight, len(addresses))
        return [
            # In a list: of a tuple, each member would get a future.
            self.client.scatter([part], workers=[address], hash=False)[0]
            for part, address in zip(parts, addresses, strict=False)
        ]

    def mapped(self, function, parts, **arguments):
        """What a function returns for each partition; workers compute it."""
        return self.gathered(self.client.map(function, parts, pure=False, **arguments))

    def gathered(self, futures):
        """What tasks return, as soon as all are done."""
        self.wait_for_data(futures)
        return self.client.gather(futures)

    def wait_for_data(self, futures):
        """Wait until workers have all of it; raises what went wrong.

        Tasks may need partitions that no other worker has.
        """
        while True:
            self._check_workers()
            if lost := self.look_for(self.holders):
                raise RuntimeError(f"{self.name}: workers have lost data: {gone(lost)}")
            try:
                with self.client.as_current():
                    wait(futures, timeout=PATIENCE)
                break
            except CancelledError as error:
                raise RuntimeError(
                    f"{self.name}: workers have lost data: {error}"
                ) from error
            except TimeoutError:
                pass  # there is still something to wait for
        for future in futures:
            if future.status == "error":
                future.result()
