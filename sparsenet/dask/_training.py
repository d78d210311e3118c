"""What the client does: brings the workers together, and waits for what they learn."""

import copy
import pickle
import queue
import secrets
import threading
import time
import warnings
from contextlib import contextmanager
from itertools import compress
from types import SimpleNamespace

import numpy as np
from distributed import CancelledError, Semaphore, default_client, wait

import sparsenet
from sparsenet import _parameters
from sparsenet._callbacks import callbacks_told
from sparsenet._class_weight import balanced_weights
from sparsenet._watchers import Printer
from sparsenet.dask import _worker
from sparsenet.dask._partitions import (
    by_worker,
    delayed_parts,
    in_memory_parts,
    is_collection,
    n_weighted,
)

#: Seconds between two looks at whether all workers are there.
PATIENCE = 1.0
#: Seconds to wait for a function on workers whose result nobody needs.
CALL = 5.0


def client_of(estimator):
    """The client of an estimator, or the one that was made last.

    Raises
    ------
    ValueError
        There is none, or it is closed.
    """
    name = type(estimator).__name__
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
    return client


@contextmanager
def one_training_at_a_time(client):
    """While entered, no other client trains on the cluster.

    A lease, which ends with the client that has it: a lock would outlive it.
    """
    with client.as_current():
        lease = Semaphore(max_leases=1, name="sparsenet-training")
    lease.acquire()
    try:
        yield
    finally:
        lease.release()


class ClusterTraining:
    """One call of `fit` or `partial_fit` on a cluster.

    Parameters
    ----------
    estimator : object
        The Dask estimator: says how, has the callbacks, and gets what is learned.
    local : object
        The local estimator to start with.
    incremental : bool
        Whether this is a call of `partial_fit`.
    classes : array-like or None
        As of `partial_fit`.

    Attributes
    ----------
    addresses : list of str
        The workers that train, in the order of their ranks.
    survivors : dict
        After the loss of a worker: `Outcome` of the others, by address.
    checkpoint : object or None
        Then, the local estimator after the last whole epoch.
    goes_on : bool
        Whether workers go on from such an estimator, `local`, amid a call.
    told : object
        What watchers in the client get as the training.
    """

    def __init__(self, estimator, local, *, incremental=False, classes=None):
        self.estimator = estimator
        self.addresses, self.survivors = [], {}
        self.checkpoint = self.told = None
        self.incremental, self.classes = incremental, classes
        self.name, self.client = type(estimator).__name__, client_of(estimator)
        self.token = secrets.token_bytes(16)
        self.events = queue.SimpleQueue()
        self.interrupted = self.goes_on = False
        self.parameters = {} if local is None else local.get_params(deep=False)
        self.local = local if local is None else copy.copy(local)

    def fit(self, X, y, sample_weight=None, validation=(None, None, None)):
        """Train; returns the fitted local estimator."""
        self.check_versions()
        parts = self.partitions(X, y, sample_weight)
        labels = "X_val", "y_val", "sample_weight_val"
        validation = (
            [] if validation[0] is None else self.partitions(*validation, labels)
        )
        # A worker validates on two samples at least.
        weighted = self.client.gather(self.client.map(n_weighted, validation))
        enough = [n >= 2 for n in weighted]
        validation = list(compress(validation, enough)) or validation
        return self.fit_partitions(parts, validation, given=(X, y, sample_weight))

    def fit_partitions(self, parts, validation=(), given=(None, None, None)):
        """Train on partitions that workers have; futures of `Rows`."""
        members = by_worker(self.client, parts)
        everyone = sorted(members)
        with one_training_at_a_time(self.client), self._told(given) as watchers:
            try:
                while True:
                    outcome = self._attempt(members, validation, watchers)
                    if outcome.estimator is not None:
                        return self._finished(outcome)
                    members = self._after_loss(members, outcome)
                    validation = [f for f in validation if f.status == "finished"]
            finally:
                self._on_workers(_worker.end, addresses=everyone)

    def partitions(self, X, y, sample_weight, labels=("X", "y", "sample_weight")):
        """Futures of `Rows`, which workers have."""
        if is_collection(X, y, sample_weight):
            parts = delayed_parts(self.name, X, y, sample_weight, labels)
            futures = self.client.compute(parts)
        else:
            addresses = sorted(self.client.nthreads())
            parts = in_memory_parts(X, y, sample_weight, len(addresses))
            futures = [
                # In a list: of a tuple, each member would get a future.
                self.client.scatter([part], workers=[address], hash=False)[0]
                for part, address in zip(parts, addresses, strict=False)
            ]
        self.wait_for_data(futures)
        return futures

    def wait_for_data(self, futures):
        """Wait until workers have all partitions; raises what went wrong."""
        while True:
            if not self.client.nthreads():
                raise RuntimeError(f"{self.name}: the cluster has no workers")
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

    # Up to the loss of a worker -------------------------------------------------------

    def _attempt(self, members, validation, watchers):
        """Let the workers that have data train; returns the `Outcome` that counts."""
        self.addresses = sorted(members)
        described = self._describe(members)
        call = self._call_of(described)
        counted = [description.counts_any for description in described]
        if any(counted):  # the others stand aside, as those without data do
            self.addresses = list(compress(self.addresses, counted))
            described = list(compress(described, counted))
        futures = self._submit(members, validation, described, call)
        return self._outcome(futures, watchers)

    def _on_workers(self, function, *arguments, addresses=None, seconds=CALL):
        """Call a function of `_worker` on workers that are there, aside of tasks.

        Returns what it returns, by address, as far as it comes in time: workers that
        have just gone are called, in vain, for half a minute.
        """
        returned = {}

        def call():
            try:
                there = self.client.nthreads()
                called = [a for a in addresses or self.addresses if a in there]
                if called:
                    results = self.client.run(
                        function,
                        self.token,
                        *arguments,
                        workers=called,
                        on_error="ignore",
                    )
                    returned.update(results)
            except (OSError, ValueError, RuntimeError):
                pass  # the cluster is gone: there is nobody to be told

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(seconds)
        return dict(returned)

    def _fetched(self, function, address):
        """What a function returns there, which may be a network: it has its time."""
        seconds = float(self.estimator.timeout)
        return self._on_workers(function, addresses=[address], seconds=seconds)

    def _task(self, address, function, *arguments):
        return self.client.submit(
            function,
            *arguments,
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )

    def _describe(self, members):
        """What each worker tells of its partitions."""
        has_classes = hasattr(self.estimator, "class_weight")
        ports = self.estimator.ports
        ports = None if ports is None else tuple(map(int, ports))
        futures = [
            self._task(
                address,
                _worker.describe,
                self.token,
                self.name,
                members[address],
                ports,
                has_classes,
            )
            for address in self.addresses
        ]
        return self._results(futures)

    def _call_of(self, described):
        """Arguments of the local estimator's `_fit`, the same on all workers."""
        if not hasattr(self.estimator, "class_weight"):
            return {"incremental": self.incremental}
        labels = [description.classes for description in described]
        counts = [description.counts for description in described]
        if labels[0] is None:
            classes, counts = None, sum(counts)
        else:
            classes, code = np.unique(np.concatenate(labels), return_inverse=True)
            counts = np.bincount(code, np.concatenate(counts))
        weight = self.estimator.class_weight
        if isinstance(weight, str) and not self.incremental:
            self.local.class_weight = balanced_weights(classes, counts)
        if self.incremental or classes is None:
            classes = self.classes
        return {"incremental": self.incremental, "classes": classes}

    def _submit(self, members, validation, described, call):
        """A task on each worker, which trains with the others."""
        estimator, n_members = self.estimator, len(self.addresses)
        reports = "yes" if estimator.verbose else "no"
        if self._has_callbacks():
            reports = "answer"
        options = {
            "interval": int(estimator.sync_interval),
            "learning_rate": float(estimator.outer_learning_rate),
            "momentum": float(estimator.outer_momentum),
            "compression": estimator.compression,
            "timeout": float(estimator.timeout),
            "goes_on": self.goes_on,
            "validates": bool(validation),
            "reports": reports,
            "keeps_epochs": estimator.on_worker_loss == "continue",
        }
        # The local estimator goes once, as data: not in the graph, for each worker.
        local = _worker.with_training_state(self.local)
        local.verbose = False  # the client prints
        local = self.client.scatter(
            local,
            broadcast=True,
            workers=self.addresses,
            hash=False,
        )
        hosts = [description.address for description in described]
        return [
            self._task(
                address,
                _worker.train,
                self.token,
                rank,
                hosts,
                local,
                members[address],
                validation[rank::n_members],
                call,
                options,
            )
            for rank, address in enumerate(self.addresses)
        ]

    def _results(self, futures):
        """Of short tasks, one on each worker; RuntimeError where one is lost."""
        for future in futures:
            future.add_done_callback(self.events.put)
        pending = set(futures)
        while pending:
            self._next_event(pending)
            if lost := self._lost(pending, futures):
                raise RuntimeError(f"{self.name}: lost the workers at {lost}")
        return [future.result() for future in futures]

    def _next_event(self, pending):
        """Wait for one, or a while; returns whether it is that there are reports."""
        try:
            future = self.events.get(timeout=PATIENCE)
        except queue.Empty:
            return False
        pending.discard(future)
        return future is None

    def _lost(self, pending, futures):
        """Addresses of workers that are gone before their tasks were done."""
        if self.client.status != "running":
            raise RuntimeError(f"{self.name}: the client was closed during training")
        there = self.client.nthreads()
        return [
            address
            for address, future in zip(self.addresses, futures, strict=True)
            if future in pending and address not in there
        ]

    def _outcome(self, futures, watchers):
        """Wait for all workers that are there; returns the `Outcome` that counts."""
        for future in futures:
            future.add_done_callback(self.events.put)
        pending, lost = set(futures), []
        looked = time.monotonic()
        while pending:
            try:
                has_reports = self._next_event(pending)
                if watchers and (has_reports or not pending):
                    self._take_reports(watchers)
                if not has_reports or time.monotonic() > looked + PATIENCE:
                    looked = time.monotonic()
                    lost = self._lost(pending, futures)
                    pending -= {
                        future
                        for address, future in zip(self.addresses, futures, strict=True)
                        if address in lost
                    }
            except KeyboardInterrupt:
                if self.interrupted:
                    raise
                self.interrupted = True
                self._on_workers(_worker.interrupt)
        return self._choose(futures, lost)

    def _choose(self, futures, lost):
        """The `Outcome` that counts, of tasks that are done; raises their errors.

        Where a worker is lost, what the others can go on from is kept.
        """
        outcomes, there = {}, self.client.nthreads()
        for address, future in zip(self.addresses, futures, strict=True):
            if future.status == "cancelled" and address not in there:
                lost = [*lost, address]  # with data that cannot be computed anew
            elif address in lost:
                future.cancel()
            elif future.status == "cancelled":
                raise RuntimeError(f"{self.name}: the training was cancelled")
            else:
                outcomes[address] = future.result()
        for outcome in outcomes.values():
            if outcome.estimator is not None:
                return outcome
        self.survivors = outcomes
        words = [outcome.lost for outcome in outcomes.values() if outcome.lost]
        words += [f"the worker at {address} is gone" for address in lost]
        self.checkpoint = None
        if outcomes and self.estimator.on_worker_loss == "continue":
            address = max(outcomes, key=lambda a: outcomes[a].n_epochs)
            if outcomes[address].n_epochs > 0:
                kept = self._fetched(_worker.checkpoint_of, address)
                self.checkpoint = kept.get(address)
        if self.interrupted and self.checkpoint is not None:
            return _worker.Outcome(estimator=self.checkpoint, interrupted=True)
        return _worker.Outcome(lost="; ".join(words))

    def _after_loss(self, members, outcome):
        """The members that training goes on with.

        Raises
        ------
        RuntimeError
            It is not to go on, or nobody is left.
        """
        there = self.client.nthreads()
        left = {a: members[a] for a in self.survivors if a in there}
        if self.estimator.on_worker_loss == "raise" or not left:
            remedy = "with on_worker_loss='continue' it would go on without it"
            raise RuntimeError(
                f"{self.name}: training has lost a worker ({outcome.lost}); "
                + (remedy if left else "no other one is left")
            )
        if self.checkpoint is not None:
            self.local, self.goes_on = self.checkpoint, True
        n_epochs = self.local.n_iter_ if self.goes_on else 0
        warnings.warn(
            f"{self.name}: training has lost a worker ({outcome.lost}) and goes on "
            f"with {len(left)} of {len(members)}, after epoch {n_epochs}",
            RuntimeWarning,
            stacklevel=7,
        )
        return left

    def _finished(self, outcome):
        """The fitted local estimator, whose attributes the Dask estimator gets, too."""
        for category, message in outcome.messages:
            warnings.warn(message, category, stacklevel=6)
        fitted = outcome.estimator
        fitted._history.interrupted = outcome.interrupted
        vars(fitted).update(self.parameters)  # some were others on the workers
        vars(self.estimator).update(self._learned(fitted))
        return fitted

    # What the client is told ----------------------------------------------------------

    @contextmanager
    def _told(self, given):
        """While entered, reports come; yields the watchers to tell."""
        estimator = self.estimator
        parameters = _parameters.snapshot(estimator)
        n_epochs = 1 if self.incremental else parameters.max_iter
        n_epochs = 0 if parameters.solver == "lbfgs" else n_epochs
        self.told = SimpleNamespace(
            parameters=parameters,
            rows=None,
            stop=False,
            started=False,
            begun=-1,
            ended=-1,
        )
        wants_reports = parameters.verbose or self._has_callbacks()
        if wants_reports:
            self.client.subscribe_topic(_worker.TOPIC, self._hear)
        try:
            with callbacks_told(
                estimator, Given(*given), n_epochs, self._with_network
            ) as watchers:
                watchers = watchers if self._has_callbacks() else []
                yield watchers + ([Printer()] if parameters.verbose else [])
        finally:
            if wants_reports:
                self.client.unsubscribe_topic(_worker.TOPIC)

    def _hear(self, event):
        """Called for each event of the topic, of whichever training."""
        if event[1] == self.token.hex():
            self.events.put(None)

    def _take_reports(self, watchers):
        """Tell the watchers what the first worker has reported."""
        first = self.addresses[0]
        for reports in self._fetched(_worker.take_reports, first).values():
            for report in reports:
                self._tell(pickle.loads(report), watchers)

    def _has_callbacks(self):
        return bool(getattr(self.estimator, "_skl_callbacks", None))

    def _with_network(self, network, history):
        """The Dask estimator as a worker has reported it, with a network."""
        model = self.estimator._aside()
        vars(model).update(self._learned(self.told.estimator))
        model._network = network
        model._set_history(history)
        return model

    def _learned(self, fitted):
        """The attributes of a local estimator that are no parameters."""
        parameters = self.estimator.get_params(deep=False)
        return {n: v for n, v in vars(fitted).items() if n not in parameters}

    def _tell(self, report, watchers):
        """Tell the watchers what a worker has reported, and answer it."""
        told = self.told
        told.max_iter, told.history = report.max_iter, report.history
        if report.estimator is not None:
            told.estimator = report.estimator
            told.network = told.rated_network = report.estimator._network
        before = told.parameters
        if self._is_news(report):
            for watcher in watchers:
                getattr(watcher, report.event)(told, *report.arguments)
        if told.parameters is not before:
            raise ValueError(
                f"{self.name}: a callback has changed a parameter, which workers that "
                "train already cannot take"
            )
        if report.estimator is not None:
            self._on_workers(_worker.answer, told.stop, addresses=self.addresses[:1])

    def _is_news(self, report):
        """Not of an epoch that is trained again, after the loss of a worker."""
        told, n_epochs = self.told, report.history.n_epochs
        if report.event == "started":
            is_news, told.started = not told.started, True
        elif report.event == "epoch_started":
            is_news = n_epochs > told.begun
            told.begun = max(told.begun, n_epochs)
        else:
            is_news = n_epochs > told.ended or report.event == "stalled"
            told.ended = max(told.ended, n_epochs)
        return is_news


class Given:
    """Samples as callbacks get them: Dask collections, or whatever was passed."""

    def __init__(self, X, y, sample_weight):
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.rows = None

    def as_given(self, rows):
        return self.X, self.y, self.sample_weight

    def weights_of(self, rows):
        return self.sample_weight
