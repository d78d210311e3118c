"""What runs on the workers of a cluster: each trains on the partitions that it has."""

import copy
import hashlib
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlparse

import numpy as np
from distributed import get_worker, secede
from distributed.protocol import pickle

import sparsenet
from sparsenet._class_weight import class_counts
from sparsenet._parallel.communicator import Communicator, WorkerLost
from sparsenet._parallel.group import DataParallel
from sparsenet._parallel.sockets import Listener
from sparsenet._validation import ValidationSamples
from sparsenet._watchers import Watcher
from sparsenet.dask._partitions import check_rows, joined, names_of

# By the token of a training, and the address of the worker: tests may have several
# workers in one process.
_members = {}
#: Under which the client hears that there are reports.
TOPIC = "sparsenet"


@dataclass
class Member:
    """A worker's part in one training."""

    listener: Listener
    communicator: Communicator | None = None
    checkpoint: "Checkpoint | None" = None
    split: tuple | None = None  # rows to train on, and to validate on
    reports: deque = field(default_factory=deque)  # pickles
    answer: bool = False
    answered: threading.Event = field(default_factory=threading.Event)
    key: str | None = None  # of the task that trains
    interrupt: bool = False
    ended: bool = False


class Description(NamedTuple):
    """What a worker tells of its partitions, before training.

    Attributes
    ----------
    address : (str, int)
        Where it listens.
    counts_any : bool
        Whether a row has a weight.
    classes, counts : ndarray or None
        As from `class_counts`; None of a regressor.
    names : tuple of str or None
        Of the columns of X, if it is a frame.
    """

    address: tuple
    counts_any: bool
    classes: np.ndarray | None
    counts: np.ndarray | None
    names: tuple | None


class Outcome(NamedTuple):
    """What training has come to on a worker.

    Attributes
    ----------
    estimator : object or None
        The fitted one, of the first worker.
    lost : str or None
        Which other worker was lost, in words.
    n_epochs : int
        Of the checkpoint; 0 where there is none.
    messages : list
        Warnings: category and text.
    interrupted : bool
        Whether the client has ended it. Without an estimator of any worker, there was
        nothing to keep.
    """

    estimator: object = None
    lost: str | None = None
    n_epochs: int = 0
    messages: list = ()
    interrupted: bool = False


def version():
    """Of this package."""
    return sparsenet.__version__


def public_name(token):
    """The name of a training that everyone may know, unlike its token."""
    return hashlib.sha256(token).hexdigest()


def _key(token):
    return token, get_worker().address


def _forget_others(token):
    """Close what trainings have left here whose clients have died."""
    here = get_worker().address
    for key, member in list(_members.items()):
        if key[1] == here and key[0] != token:
            if member.key is None or is_unwanted(member):
                _close(_members.pop(key, None))


def describe(token, name, parts, ports, has_classes):
    """Open a port for the other workers, and look at the targets."""
    _forget_others(token)
    for rows in parts:
        check_rows(name, rows)
    names = names_of(name, parts)
    rows = joined(parts)
    classes = counts = None
    if has_classes:
        classes, counts = class_counts(np.asarray(rows.y), rows.sample_weight)
    weight = rows.sample_weight
    counts_any = len(rows.y) > 0 if weight is None else bool(np.any(weight))
    host = urlparse(get_worker().address).hostname
    before, split = _members.get(_key(token)), None
    if before is not None:  # of what a loss has ended
        before.listener.close()
        split = before.split
    listener = Listener(host, token, ports)
    _members[_key(token)] = Member(listener, split=split)
    return Description(listener.address, counts_any, classes, counts, names)


def train(token, rank, addresses, estimator, parts, validation, call, options):
    """Train on this worker's partitions; returns an `Outcome`.

    `call` are the keyword arguments of the estimator's `_fit`, `options` those of
    `DataParallel`, with a "timeout", whether this worker "keeps_epochs" to go on from,
    and "reports" that the client wants of epochs: "no", "yes" or "answer".
    """
    member = _members.get(_key(token))
    if member is None:
        address = get_worker().address
        return Outcome(lost=f"the worker at {address}, which has restarted")
    member.key = get_worker().get_current_task()
    options, timeout = dict(options), options["timeout"]
    reports, keeps_epochs = options.pop("reports"), options.pop("keeps_epochs")
    del options["timeout"]
    checkpoint = member.checkpoint = Checkpoint()
    watchers = [lambda model: Unwanted(member)]
    if keeps_epochs:
        watchers.append(checkpoint.of)
    if reports != "no" and rank == 0:
        watchers.append(lambda model: Reporter(model, token, member, reports, timeout))
    group = None
    try:
        if reports == "answer":
            secede()  # callbacks may predict on this cluster, which takes threads
        rows = joined(parts)
        if validation:
            call = {**call, "validation": ValidationSamples(*joined(validation))}
        member.communicator = member.listener.connect(rank, addresses, timeout)
        if member.ended:
            raise WorkerLost("the client has ended the training")
        member.communicator.interrupt |= member.interrupt
        group = DataParallel(
            member.communicator,
            n_threads=get_worker().state.nthreads,
            watchers=watchers,
            **options,
        )
        group.kept_split = member.split
        estimator._fit(rows.X, rows.y, rows.sample_weight, group=group, **call)
    except WorkerLost as error:
        return Outcome(lost=str(error), n_epochs=checkpoint.n_epochs)
    except Exception as error:
        error.add_note(f"on the worker at {get_worker().address}")
        raise
    except KeyboardInterrupt:  # with which Dask would end this process
        return Outcome(interrupted=True)
    finally:
        member.listener.close()
        if member.communicator is not None:
            member.communicator.close()
        if group is not None:
            member.split = group.kept_split
        if is_unwanted(member):
            _members.pop(_key(token), None)
    return Outcome(
        estimator=with_training_state(estimator) if rank == 0 else None,
        n_epochs=checkpoint.n_epochs,
        messages=group.messages if rank == 0 else [],
        interrupted=getattr(estimator._history, "interrupted", False),
    )


def with_training_state(estimator):
    """A copy whose pickle holds what training would go on from."""
    estimator = copy.copy(estimator)
    if hasattr(estimator, "_network"):
        estimator._network = estimator._network.with_pickles(True)
    return estimator


def interrupt(token, dask_worker):
    """Ask the members of a training to end; it goes on to the next outer step."""
    member = _members.get((token, dask_worker.address))
    if member is not None:
        member.interrupt = True
        if member.communicator is not None:
            member.communicator.interrupt = True
        member.answered.set()  # no answer will come


def answer(token, stop, dask_worker):
    """Let the first worker go on after its report."""
    member = _members.get((token, dask_worker.address))
    if member is not None:
        member.answer = stop
        member.answered.set()


def take_reports(token, dask_worker):
    """Those that have not been taken yet; others may be added meanwhile."""
    reports = _members[token, dask_worker.address].reports
    return [reports.popleft() for _ in range(len(reports))]


def checkpoint_of(token, dask_worker):
    """The estimator after the last whole epoch."""
    member = _members[token, dask_worker.address]
    return with_training_state(member.checkpoint.estimator)


def abort(token, dask_worker):
    """Let a training that still runs end with an error, and keep its checkpoint."""
    _abort(_members.get((token, dask_worker.address)))


def end(token, dask_worker):
    """Close what a training has opened; one that still runs ends with an error."""
    _close(_members.pop((token, dask_worker.address), None))


def _abort(member):
    if member is None:
        return
    member.listener.abort()
    if member.communicator is not None:
        member.communicator.abort()


def _close(member):
    if member is None:
        return
    member.ended = True
    member.answered.set()
    _abort(member)
    if member.key is None:  # nobody else would close it
        member.listener.close()


def is_unwanted(member):
    """Whether nobody waits for the task of a training."""
    task = get_worker().state.tasks.get(member.key)
    return member.ended or task is None or task.state in ("cancelled", "resumed")


class Unwanted(Watcher):
    """Ends a training that nobody waits for: its client has cancelled it, or gone."""

    def __init__(self, member):
        self.member = member

    def epoch_ended(self, training, epoch):
        if is_unwanted(self.member):
            self.member.communicator.interrupt = True


class Checkpoint(Watcher):
    """Keeps the estimator as it is after each epoch.

    Attributes
    ----------
    estimator : object or None
    n_epochs : int
        Of all calls.
    """

    estimator, n_epochs = None, 0

    def of(self, model):
        """This watcher, of the training of a model."""
        self.model = model
        return self

    def epoch_ended(self, training, epoch):
        history = copy.deepcopy(training.history)
        model = self.model._with_network(training.network.copy(), history)
        model._random_state = copy.deepcopy(self.model._random_state)
        self.estimator, self.n_epochs = model, history.n_epochs


class Report(NamedTuple):
    """What the client is told of an epoch, before it (no `epoch`) and after it."""

    event: str
    arguments: tuple
    max_iter: int
    history: object
    estimator: object


class Reporter(Watcher):
    """Tells the client, and waits for its answer where it wants to be asked."""

    def __init__(self, model, token, member, reports, timeout):
        self.model, self.token, self.member = model, token, member
        self.asks, self.timeout = reports == "answer", timeout
        self.consequence = None

    def _tell(self, training, event, *arguments):
        history, estimator = training.history, None
        if self.asks:  # for callbacks
            estimator = self.model._with_network(training.rated_network, history)
        report = Report(event, arguments, training.max_iter, history, estimator)
        self.member.answered.clear()
        self.member.reports.append(pickle.dumps(report))
        # The scheduler keeps what it passes on: that there is a report, and no more.
        get_worker().log_event(TOPIC, public_name(self.token))
        if self.member.ended:
            raise WorkerLost("the client has ended the training")
        if not self.asks or self.member.interrupt:
            return
        if not self.member.answered.wait(self.timeout) or self.member.ended:
            raise WorkerLost("the client has not answered")
        training.stop |= self.member.answer

    def started(self, training):
        self._tell(training, "started")

    def epoch_started(self, training):
        if self.asks:
            self._tell(training, "epoch_started")

    def epoch_ended(self, training, epoch):
        self._tell(training, "epoch_ended", epoch)
        if self.consequence is not None:
            self._tell(training, "stalled", self.consequence)
            self.consequence = None

    def stalled(self, training, consequence):
        # It comes before this watcher, the last of all, is told that the epoch ends.
        self.consequence = consequence
