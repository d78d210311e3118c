"""What the client does: brings the workers together, and waits for what they learn."""

import copy
import queue
import secrets
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from itertools import compress
from traceback import walk_tb

import numpy as np
from distributed import CancelledError, Semaphore

from sparsenet._class_weight import balanced_weights
from sparsenet._constraints import shown
from sparsenet.dask import _worker
from sparsenet.dask._cluster import PATIENCE, Cluster, gone
from sparsenet.dask._partitions import OF_VALIDATION, by_worker, n_weighted
from sparsenet.dask._reports import Reports

#: Seconds to wait for a function on workers whose result nobody needs.
CALL = 5.0


@contextmanager
def one_training_at_a_time(client):
    """While entered, no other client trains on the cluster.

    A lease, which ends with the client that has it: a lock would outlive it.
    """
    lease = Semaphore(
        max_leases=1,
        name="sparsenet-training",
        scheduler_rpc=client.scheduler,
        loop=client.loop,
    )
    try:
        # In short turns: one that Ctrl-C ends in vain would get the lease, and keep it
        # until that ends by itself.
        while not lease.acquire(timeout=PATIENCE):
            pass
        yield
    finally:
        with suppress(RuntimeError):  # interrupted before it had one
            lease.release()
        if hasattr(lease, "refresh_callback"):  # unless leases do not end
            # It would go on, every few seconds, as long as the client lives.
            client.loop.add_callback(lease.refresh_callback.stop)


@contextmanager
def released_after_errors():
    """While entered, errors keep no partitions on the workers.

    The client keeps the errors of tasks, with the frames they have come through, and
    so the futures that these frames know.
    """
    try:
        yield
    except BaseException as error:
        for frame, _ in walk_tb(error.__traceback__):
            # Not those of users' callbacks, for debuggers.
            package = frame.f_globals.get("__name__", "").partition(".")[0]
            if package in ("sparsenet", "distributed"):
                with suppress(RuntimeError):  # it is still running
                    frame.clear()
        raise


def _fetch(future, fetched):
    """Put the result of a task into a queue, or its error as the second of a pair."""
    try:
        outcome = future.result(), None
    except BaseException as error:
        outcome = None, error
    del future  # which would live as long as the error, of which this frame is a part
    fetched.put(outcome)


class ClusterTraining(Cluster):
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
    stacklevel : int
        Of warnings, so that they point to the user's call of `fit`.
    survivors : dict
        After the loss of a worker: `Outcome` of the others, by address.
    checkpoint : object or None
        Then, the local estimator after the last whole epoch.
    call : dict or None
        Arguments of the local estimator's `_fit`, the same on all workers and after a
        loss.
    few : set of str
        Keys of the partitions that have too few rows for a worker to validate on.
    goes_on : bool
        Whether workers go on from such an estimator, `local`, amid a call.
    events : queue
        Wakes up the client: whether there are reports, or else a future is done.
    """

    def __init__(self, estimator, local, *, incremental=False, classes=None):
        super().__init__(estimator)
        self.addresses, self.survivors, self.few = [], {}, set()
        self.stacklevel = 6
        self.checkpoint = self.call = None
        self.incremental, self.classes = incremental, classes
        self.token = secrets.token_bytes(16)
        self.events = queue.SimpleQueue()
        self.interrupted = self.goes_on = False
        self.parameters = {} if local is None else local.get_params(deep=False)
        self.local = local if local is None else copy.copy(local)

    def fit(self, X, y, sample_weight=None, validation=(None, None, None)):
        """Train; returns the fitted local estimator."""
        self.check_versions()
        parts = self.partitions(X, y, sample_weight)
        validation = self.validation_partitions(*validation)
        weighted = self.mapped(
            n_weighted, validation, name=self.name, labels=OF_VALIDATION
        )
        self.few = {f.key for f, n in zip(validation, weighted, strict=True) if n < 2}
        return self.fit_partitions(parts, validation, given=(X, y, sample_weight))

    def fit_partitions(self, parts, validation=(), given=(None, None, None)):
        """Train on partitions that workers have; futures of `Rows`."""
        reports = Reports(self)
        with one_training_at_a_time(self.client), reports.heard(given):
            begin = time.monotonic()
            members = by_worker(self.name, self.client, parts)
            everyone = sorted(members)
            try:
                while True:
                    outcome = self._attempt(members, validation, reports)
                    if outcome.estimator is not None:
                        return self._finished(outcome)
                    seconds = time.monotonic() - begin
                    members = self._after_loss(members, outcome, seconds)
                    validation = self._still_there(validation)
            finally:
                self.on_workers(_worker.end, addresses=everyone)

    def _still_there(self, validation):
        """Partitions to validate on that no lost worker has taken with it."""
        left = [future for future in validation if future.status == "finished"]
        if validation and not left:
            raise RuntimeError(
                f"{self.name}: training has lost a worker with all of X_val"
            )
        return left

    # Up to the loss of a worker -------------------------------------------------------

    def _attempt(self, members, validation, reports):
        """Let the workers that have data train; returns the `Outcome` that counts."""
        self.addresses, lost = sorted(members), []
        described = self._results(self._describe(members), lost)
        if lost:
            return self._lost(lost)
        described = list(described.values())
        if self.call is None:
            self.call = self._call_of(described)
        counted = [description.counts_any for description in described]
        if any(counted):  # the others stand aside, as those without data do
            self.addresses = list(compress(self.addresses, counted))
            described = list(compress(described, counted))
        self._check_names([description.names for description in described])
        try:
            futures = self._submit(members, validation, described, reports.wanted)
        except (KeyError, OSError):  # of Dask, where a worker has just gone
            time.sleep(PATIENCE)  # until the scheduler knows, too
            if lost := self.look_for(self.addresses):
                return self._lost(lost)
            raise
        return self._outcome(futures, reports)

    def _lost(self, lost):
        """The `Outcome` where workers are lost before training."""
        left = [address for address in self.addresses if address not in lost]
        self.survivors = dict.fromkeys(left, _worker.Outcome())
        return _worker.Outcome(lost=gone(lost))

    def _check_names(self, names):
        """Refuse partitions with different columns."""
        for address, other in zip(self.addresses, names, strict=True):
            if other != names[0]:
                raise ValueError(
                    f"{self.name}: X has the columns {shown(other)} on the worker at "
                    f"{address}, and {shown(names[0])} at {self.addresses[0]}; "
                    "allowed: the same, in the same order"
                )

    def on_workers(self, function, *arguments, addresses=None, seconds=CALL):
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

    def fetched(self, function, address):
        """What a function returns there, which may be a network: it has its time."""
        seconds = float(self.estimator.timeout)
        return self.on_workers(function, addresses=[address], seconds=seconds)

    def _describe(self, members):
        """Tasks in which each worker tells of its partitions."""
        has_classes = hasattr(self.estimator, "class_weight")
        ports = self.estimator.ports
        ports = None if ports is None else tuple(map(int, ports))
        return [
            self.task(
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

    def _shares_of(self, validation):
        """The partitions that each worker validates on, by its rank."""
        n_members = len(self.addresses)
        many = [future for future in validation if future.key not in self.few]
        shares = [many[rank::n_members] for rank in range(n_members)]
        shares[0] += [future for future in validation if future.key in self.few]
        return shares

    def _submit(self, members, validation, described, reports):
        """A task on each worker, which trains with the others."""
        estimator, shares = self.estimator, self._shares_of(validation)
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
        # Not broadcast: that waits for ever for a worker that is lost meanwhile.
        local = self.client.scatter(local, workers=self.addresses[:1], hash=False)
        hosts = [description.address for description in described]
        return [
            self.task(
                address,
                _worker.train,
                self.token,
                rank,
                hosts,
                local,
                members[address],
                shares[rank],
                self.call,
                options,
            )
            for rank, address in enumerate(self.addresses)
        ]

    def _unfinished(self, futures, lost):
        """Tasks of workers that are not lost, by address."""
        return {
            address: future
            for address, future in zip(self.addresses, futures, strict=True)
            if address not in lost and not future.done()
        }

    def _wake_by(self, futures):
        for future in futures:
            future.add_done_callback(lambda _: self.events.put(False))

    def _has_reports(self):
        """Wait for an event, or a while; returns whether it is that there are some."""
        try:
            return self.events.get(timeout=PATIENCE)
        except queue.Empty:
            return False

    def _results(self, futures, lost):
        """Wait for tasks, one on each worker; returns what they return, by address.

        Those of workers that are lost are left out, and their addresses added to the
        list of them.
        """
        self._wake_by(futures)
        while unfinished := self._unfinished(futures, lost):
            self._has_reports()
            lost += self.look_for(unfinished)
        results, cancelled = {}, []
        for address, future in zip(self.addresses, futures, strict=True):
            if address in lost:
                future.cancel()
            elif self._fetch(future, address, results, lost):
                cancelled.append(address)
        if cancelled and not lost:
            raise RuntimeError(f"{self.name}: the training was cancelled")
        for address in cancelled:  # with what it needed of a worker that is lost
            results[address] = _worker.Outcome(lost=gone(lost))
        return results

    def _fetch(self, future, address, results, lost):
        """Add the result of a task that is done, or the worker that dies meanwhile.

        Returns whether the task was cancelled though its worker is there.
        """
        fetched = queue.SimpleQueue()
        threading.Thread(target=_fetch, args=(future, fetched), daemon=True).start()
        while address not in lost:
            with suppress(queue.Empty):
                result, error = fetched.get(timeout=PATIENCE)
                if error is None:
                    results[address] = result
                    return False
                if not isinstance(error, CancelledError):
                    raise error
                lost += self.look_for([address])  # with data nobody can compute anew
                return address not in lost
            lost += self.look_for([address])
        future.cancel()
        return False

    def _outcome(self, futures, reports):
        """Wait for all workers that are there; returns the `Outcome` that counts."""
        self._wake_by(futures)
        lost = []
        while True:
            try:
                self._wait(futures, lost, reports)
                return self._choose(self._results(futures, lost), lost)
            except KeyboardInterrupt:
                if self.interrupted:
                    raise
                self.interrupted = True
                self.on_workers(_worker.interrupt)

    def _wait(self, futures, lost, reports):
        """Tell of reports until all workers that are there have ended."""
        looked, ends = time.monotonic(), False
        while unfinished := self._unfinished(futures, lost):
            has_reports = self._has_reports()
            if has_reports:
                reports.take()
            if not has_reports or time.monotonic() > looked + PATIENCE:
                looked = time.monotonic()
                lost += self.look_for(unfinished)
            failed = lost or any(future.status == "error" for future in futures)
            if failed and not ends:  # the others may wait for it to come
                ends = True
                self.on_workers(_worker.abort)
        reports.take()

    def _choose(self, outcomes, lost):
        """The `Outcome` that counts.

        Where a worker is lost, what the others can go on from is kept.
        """
        for outcome in outcomes.values():
            if outcome.estimator is not None:
                return outcome
        self.survivors, self.checkpoint = outcomes, None
        if outcomes and self.estimator.on_worker_loss == "continue":
            address = max(outcomes, key=lambda a: outcomes[a].n_epochs)
            if outcomes[address].n_epochs > 0:
                kept = self.fetched(_worker.checkpoint_of, address)
                self.checkpoint = kept.get(address)
        if self.interrupted:
            if self.checkpoint is None:  # there is nothing to keep
                raise KeyboardInterrupt
            return _worker.Outcome(estimator=self.checkpoint, interrupted=True)
        # What the others have noticed of it would say the same in other words.
        words = [outcome.lost for outcome in outcomes.values() if outcome.lost]
        return _worker.Outcome(lost=gone(lost) if lost else "; ".join(words))

    def _after_loss(self, members, outcome, seconds):
        """The members that training goes on with, after so many seconds of it.

        Raises
        ------
        RuntimeError
            It is not to go on, or nobody is left, or nobody is lost.
        """
        lost_since = self.look_for(self.survivors)
        left = {a: members[a] for a in self.survivors if a not in lost_since}
        if self.checkpoint is None and left.keys() == set(self.addresses):
            raise RuntimeError(
                f"{self.name}: workers that are all there have lost each other "
                f"({outcome.lost}); they cannot reach each other's ports, or need more "
                f"than timeout={self.estimator.timeout} s for an answer"
            )
        if self.estimator.on_worker_loss == "raise" or not left:
            remedy = "with on_worker_loss='continue' it would go on without it"
            raise RuntimeError(
                f"{self.name}: training has lost a worker ({outcome.lost}); "
                + (remedy if left else "no other one is left")
            )
        if self.checkpoint is not None:
            self.local, self.goes_on = self.checkpoint, True
        if (limit := self.estimator.time_limit) is not None:
            self.local.time_limit = max(limit - seconds, 1e-3)
        n_epochs = self.local.n_iter_ if self.goes_on else 0
        warnings.warn(
            f"{self.name}: training has lost a worker ({outcome.lost}) and goes on "
            f"with {len(left)} of {len(members)}, after epoch {n_epochs}",
            RuntimeWarning,
            stacklevel=self.stacklevel,
        )
        return left

    def _finished(self, outcome):
        """The fitted local estimator, whose attributes the Dask estimator gets, too."""
        for category, message in outcome.messages:
            warnings.warn(message, category, stacklevel=self.stacklevel)
        fitted = outcome.estimator
        fitted._history.interrupted = outcome.interrupted
        vars(fitted).update(self.parameters)  # some were others on the workers
        vars(self.estimator).update(self.learned(fitted))
        return fitted

    def learned(self, fitted):
        """The attributes of a local estimator that are no parameters."""
        parameters = self.estimator.get_params(deep=False)
        return {n: v for n, v in vars(fitted).items() if n not in parameters}
