"""What the training of a network asks of the processes that train it together."""

import math
import warnings
from typing import NamedTuple

import numpy as np

from sparsenet._parallel.local_steps import LocalSteps, check_same
from sparsenet._training_set import Rating, batch_size_of


class Plan(NamedTuple):
    """How the rows of an epoch become steps."""

    n_steps: int
    batch_size: int


class Alone:
    """A process that trains by itself.

    Attributes
    ----------
    local_steps : LocalSteps or None
        What the network is told to do between steps.
    goes_on : bool
        Whether this is the rest of a call that was broken off after an epoch.
    n_threads : int or None
        Threads of this process, where the estimator says nothing.
    share : float
        This process's part of the weight of all training samples.
    validates : bool
        Whether there are samples to validate on, perhaps of other processes only.
    """

    local_steps = n_threads = None
    goes_on = validates = False
    share = 1.0

    def watchers(self, estimator):
        """Who else is told of the training of an estimator."""
        return []

    def begin(self, training):
        """Training begins, with its rows chosen; returns its `Plan`."""
        n_rows, parameters = len(training.rows), training.parameters
        batch_size = batch_size_of(parameters.batch_size, n_rows)
        return Plan(math.ceil(n_rows / batch_size), batch_size)

    def begin_all_rows(self, network, data):
        """Training begins, all rows of which are looked at in each step."""

    def generator(self, random_state, network):
        """The generator of random numbers that only one process uses."""
        return random_state

    def n_rows(self, n_rows):
        """Rows that all train on."""
        return n_rows

    def rows_of_each(self, n_rows):
        """Rows that a process trains on, on average."""
        return n_rows

    def fill(self, order, plan):
        """The rows of an epoch, enough for all of its steps."""
        return order

    def mean(self, values):
        """The mean over all training samples, from that over those of each process."""
        return values

    def shared(self, samples):
        """Samples that are rated by all; each process has some of them."""
        return samples

    def of_first(self, number):
        """The number that the first process has."""
        return number

    def any(self, flag):
        """Whether any process says so."""
        return flag

    def check(self):
        """Raise KeyboardInterrupt where one of the processes was asked to end."""

    def split(self, data, validation_fraction, random_state):
        """Rows to train on, and to validate on: `TrainingSet.split`."""
        return data.split(validation_fraction, random_state)

    def warn(self, message, category=UserWarning, stacklevel=1):
        """Warn the user; `stacklevel` is as if the caller did."""
        warnings.warn(message, category, stacklevel=stacklevel + 1)


class DataParallel(Alone):
    """A process that trains a network with others, on its own part of the samples.

    Parameters
    ----------
    communicator : Communicator
    interval, learning_rate, momentum, compression
        Those of `LocalSteps`.
    goes_on, validates, n_threads
        See `Alone`.
    watchers : sequence of callable
        Called with the estimator, they return a watcher.

    Attributes
    ----------
    kept_split : tuple or None
        Rows to train on and to validate on, of the call of which this is the rest.
    messages : list
        Of what the user is to be warned: category and text.
    """

    def __init__(
        self,
        communicator,
        *,
        interval,
        learning_rate,
        momentum,
        compression,
        goes_on=False,
        validates=False,
        n_threads=None,
        watchers=(),
    ):
        self.kept_split, self.messages = None, []
        self.communicator = communicator
        self.options = interval, learning_rate, momentum, compression
        self.goes_on, self.validates = goes_on, validates
        self.n_threads = n_threads
        self._watchers = watchers

    def watchers(self, estimator):
        return [watcher(estimator) for watcher in self._watchers]

    def begin(self, training):
        """See `Alone`.

        A step takes `batch_size` rows of each process on average: a process with more
        rows than others has larger batches, so that all have as many steps.
        """
        self._learn_share(training.data, training.rows)
        n_rows = len(training.rows)
        mean_rows = self.rows_of_each(n_rows)
        batch_size = batch_size_of(training.parameters.batch_size, mean_rows)
        n_steps = math.ceil(mean_rows / batch_size)
        if math.ceil(n_rows / batch_size) != n_steps:
            batch_size = math.ceil(n_rows / n_steps)
        if self.communicator.size > 1:
            self._check_start(training.network)
            self.local_steps = LocalSteps(self.communicator, self.share, *self.options)
            self.local_steps.begin(training.network)
        return Plan(n_steps, batch_size)

    def begin_all_rows(self, network, data):
        self._check_start(network)
        self._learn_share(data, data.rows)

    def _check_start(self, network):
        check_same(self.communicator, network, "start with different networks")

    def _learn_share(self, data, rows):
        own = data.weight_of(rows)
        weight, self._n_rows = self.communicator.sum_of([own, len(rows)])
        self.share = own / weight

    def generator(self, random_state, network):
        rank = self.communicator.rank
        if rank == 0:
            return random_state
        return np.random.RandomState([network.seed, network.n_steps % 2**32, rank])

    def n_rows(self, n_rows):
        return int(self._n_rows)

    def rows_of_each(self, n_rows):
        return math.ceil(self._n_rows / self.communicator.size)

    def fill(self, order, plan):
        """See `Alone`. Too few rows come again, from the first one on."""
        missing = (plan.n_steps - 1) * plan.batch_size + 1 - len(order)
        return np.resize(order, len(order) + missing) if missing > 0 else order

    def mean(self, values):
        return self.communicator.sum_of(np.multiply(values, self.share))

    def shared(self, samples):
        return SharedSamples(samples, self)

    def of_first(self, number):
        message = np.array(number, "<f8").tobytes()
        return float(np.frombuffer(self.communicator.broadcast(message), "<f8")[0])

    def any(self, flag):
        return bool(self.communicator.sum_of([flag])[0] > 0)

    def check(self):
        if self.communicator.interrupted:
            raise KeyboardInterrupt

    def split(self, data, validation_fraction, random_state):
        if self.kept_split is None:
            self.kept_split = data.split(validation_fraction, random_state)
        return self.kept_split

    def warn(self, message, category=UserWarning, stacklevel=1):
        self.messages.append((category, message))


class SharedSamples:
    """Samples of which each process has some, or none."""

    def __init__(self, samples, group):
        self.samples, self.group = samples, group

    def rate(self, network, n_threads):
        """The mean of what the processes' samples are rated, by their weights."""
        score = loss = weight = 0.0
        if self.samples is not None:
            score, loss = self.samples.rate(network, n_threads)
            weight = self.samples.data.rated_weight_of(self.samples.rows)
        sums = self.group.communicator.sum_of([weight * score, weight * loss, weight])
        return Rating(float(sums[0] / sums[2]), float(sums[1] / sums[2]))
