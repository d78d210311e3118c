"""What happens beside training: the loop over epochs tells its watchers how it goes.

Validation, the rule that ends training and verbose output are watchers; a new one is a
class here and an entry in `watchers_of`.
"""

from dataclasses import dataclass

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

    def rewired(self, training, n_steps, n_changed):
        """Connections have changed, `n_changed` of each layer, after so many steps."""

    def epoch_ended(self, training, epoch):
        """An epoch has gone well."""

    def stalled(self, training, consequence):
        """There was no progress for `n_iter_no_change` epochs."""

    def ended(self, training):
        """After the last epoch, also where Ctrl-C has ended it."""


class Validation(Watcher):
    """Rates the network after each epoch; in the end the best one is what is left."""

    best = None

    def epoch_ended(self, training, epoch):
        history, network = training.history, training.network.averaged()
        epoch.score = training.data.rate(
            network, training.validation_rows, training.n_threads
        )
        if history.is_best(epoch.score):
            self.best = network.snapshot()
        history.add_score(epoch.score, training.parameters.tol)

    def ended(self, training):
        if self.best is not None:
            training.network.restore(self.best)


class Convergence(Watcher):
    """Stops training that makes no progress, or lowers an adaptive learning rate."""

    def epoch_ended(self, training, epoch):
        history, parameters = training.history, training.parameters
        if epoch.score is None:
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


class Divergence(Watcher):
    """Refuses a network that has weights which its number format does not hold."""

    def ended(self, training):
        if not training.network.is_finite():
            raise divergence("a weight is")


class Printer(Watcher):
    """Verbose output."""

    def epoch_ended(self, training, epoch):
        print(f"Iteration {epoch.number}, loss = {epoch.loss:.8f}")
        if epoch.score is not None:
            print(f"Validation score: {epoch.score:f}")

    def stalled(self, training, consequence):
        parameters = training.parameters
        what = "Validation score" if parameters.early_stopping else "Training loss"
        print(
            f"{what} did not improve more than tol={parameters.tol:f} for "
            f"{parameters.n_iter_no_change} consecutive epochs. {consequence}"
        )


def watchers_of(parameters):
    """Those that an estimator's parameters ask for, in the order they are told."""
    watchers = [Validation()] if parameters.early_stopping else []
    watchers += [Printer()] if parameters.verbose else []
    return [*watchers, Convergence(), Divergence()]
