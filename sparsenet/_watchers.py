"""What happens beside training: the loop over epochs tells its watchers how it goes.

Validation, the rule that ends training, verbose output and scikit-learn's callbacks are
watchers; a new one is a class here and an entry in `watchers_of`.
"""

import math
import statistics
import time
from collections import deque
from dataclasses import dataclass
from types import SimpleNamespace

from sparsenet._constraints import plain
from sparsenet._parameters import OF_STEPS, check_parameters
from sparsenet._training_set import divergence


@dataclass
class Epoch:
    """What watchers are told at the end of an epoch.

    Attributes
    ----------
    number : int
        From 1, of this call.
    loss : float
        Mean over the epoch.
    n_samples : int
        Samples that the epoch has visited.
    seconds : float
        Its time, without that of watchers.
    density : float
        Connections of the network over those of the dense one.
    score : float or None
        Of the validation samples; set by `Validation`.
    """

    number: int
    loss: float
    n_samples: int
    seconds: float
    density: float
    score: float | None = None

    @property
    def samples_per_second(self):
        return self.n_samples / self.seconds if self.seconds > 0 else float("inf")


class Watcher:
    """Is told of all that happens in one call of `fit` or `partial_fit`.

    Each method gets the `Training`, whose attribute `stop` ends it if set.
    """

    def started(self, training):
        """Before the first epoch."""

    def epoch_started(self, training):
        """An epoch begins."""

    def rewired(self, training, n_steps, n_changed):
        """Connections have changed, `n_changed` of each layer, after so many steps."""

    def epoch_ended(self, training, epoch):
        """An epoch has gone well."""

    def stalled(self, training, consequence):
        """There was no progress for `n_iter_no_change` epochs."""

    def ended(self, training):
        """After the last epoch, also where Ctrl-C has ended it."""


class Validation(Watcher):
    """Rates the network after each epoch; the best one may be what is left."""

    best = None

    def started(self, training):
        parameters, history = training.parameters, training.history
        self.keeps_best = parameters.early_stopping or parameters.restore_best
        if not self.keeps_best or history.best_validation_score == -math.inf:
            return
        # The best one of the calls before, on what may be other samples.
        network = training.network
        rating = training.validation.rate(network, training.n_threads)
        history.best_validation_score = rating.score
        if not history.rewiring.is_pruning:
            self.best = network.snapshot()

    def epoch_ended(self, training, epoch):
        history = training.history
        network = training.rated_network
        epoch.score, loss = training.validation.rate(network, training.n_threads)
        if self.keeps_best and history.is_best(epoch.score):
            self.best = network.snapshot()
        history.add_score(epoch.score, loss, training.parameters.tol)

    def ended(self, training):
        if self.best is not None:
            training.network.restore(self.best)


class TrainScores(Watcher):
    """Rates the network on the training samples after each epoch."""

    def epoch_ended(self, training, epoch):
        rating = training.samples.rate(training.rated_network, training.n_threads)
        training.history.add_train_score(rating.score)


class Convergence(Watcher):
    """Stops training that makes no progress, or lowers an adaptive learning rate."""

    def epoch_ended(self, training, epoch):
        history, parameters = training.history, training.parameters
        if not parameters.early_stopping:
            history.compare_loss(parameters.tol)
        if history.no_improvement_count <= parameters.n_iter_no_change:
            return
        adaptive = parameters.solver == "sgd" and parameters.learning_rate == "adaptive"
        learning_rate = parameters.learning_rate_init * history.learning_rate_factor
        if adaptive and learning_rate > 1e-6:
            history.no_improvement_count = 0
            history.learning_rate_factor /= 5
            consequence = f"Setting learning rate to {learning_rate / 5:f}"
        else:
            training.stop = True
            consequence = "Learning rate too small. " if adaptive else ""
            consequence += "Stopping."
        training.tell("stalled", consequence)


class TimeLimit(Watcher):
    """Lets training, and its schedules, end with the last epoch there is time for.

    An epoch is expected to take the median time of the last ones: one that the machine
    has slowed down says nothing of the others.
    """

    def started(self, training):
        self.begin = self.last = time.perf_counter()
        self.seconds = deque(maxlen=15)

    def epoch_ended(self, training, epoch):
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.last = now
        left = training.parameters.time_limit - (now - self.begin)
        n_left = max(left, 0.0) / max(statistics.median(self.seconds), 1e-9)
        most = training.parameters.max_iter - epoch.number
        n_epochs = epoch.number + int(min(n_left, most))
        training.end_with(int(training.group.of_first(n_epochs)))


class Divergence(Watcher):
    """Refuses a network that has weights which its number format does not hold."""

    def ended(self, training):
        if not training.network.is_finite():
            raise divergence("a weight is")


class Printer(Watcher):
    """Verbose output."""

    def started(self, training):
        self.begin = time.perf_counter()

    def epoch_ended(self, training, epoch):
        words = [
            f"Iteration {epoch.number}, loss = {epoch.loss:.8f}",
            f"{epoch.samples_per_second:,.0f} samples/s",
            f"density {epoch.density:.4g}",
        ]
        n_left = training.max_iter - epoch.number
        if n_left > 0:
            seconds = time.perf_counter() - self.begin
            words.append(f"at most {_duration(seconds / epoch.number * n_left)} left")
        print(", ".join(words))
        if epoch.score is not None:
            print(f"Validation score: {epoch.score:f}")

    def stalled(self, training, consequence):
        parameters = training.parameters
        what = "Validation score" if parameters.early_stopping else "Training loss"
        print(
            f"{what} did not improve more than tol={parameters.tol:f} for "
            f"{parameters.n_iter_no_change} consecutive epochs. {consequence}"
        )


def _duration(seconds):
    """Hours, minutes and seconds, as people write them."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Callbacks(Watcher):
    """Tells scikit-learn's callbacks of each epoch, a task; they may end training.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Of the whole call.
    estimator : object
        Whose callbacks they are.
    content : callable
        ``content(rows)`` is X, y and metadata of those rows, as keyword arguments.
    with_network : callable
        ``with_network(network, history)`` is a fitted estimator that predicts with it.
    """

    def __init__(self, context, estimator, content, with_network):
        self.context, self.estimator = context, estimator
        self.content, self.with_network = content, with_network

    def started(self, training):
        def attributes():
            # Of a copy: an estimator may be kept, and training goes on.
            network = training.rated_network.copy()
            return vars(self.with_network(network, training.history))

        self.told = self.content(training.rows)
        self.told |= {"estimator": self.estimator}
        self.told |= {"reconstruction_attributes": attributes}

    def epoch_started(self, training):
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.told)
        self._take_changes(training)

    def epoch_ended(self, training, epoch):
        training.stop |= self.epoch.call_on_fit_task_end(**self.told)

    def _take_changes(self, training):
        """Go on with what a callback has set on its estimator, if it is allowed."""
        before = vars(training.parameters)
        now = {name: plain(getattr(self.estimator, name)) for name in OF_STEPS}
        if any(before[name] is not value for name, value in now.items()):
            changed = SimpleNamespace(**before | now)
            check_parameters(self.estimator, changed)
            training.parameters = changed


def watchers_of(training):
    """Those that a training asks for, in the order they are told."""
    parameters = training.parameters
    watchers = [Validation()] if training.validation is not None else []
    watchers += [TrainScores()] if parameters.train_scores else []
    watchers += [Printer()] if parameters.verbose else []
    watchers += [TimeLimit()] if parameters.time_limit is not None else []
    return [*watchers, Convergence(), Divergence()]
