"""The loop over epochs: which rows, in which order, at which learning rate.

An epoch is one call into the network. The rules are those of scikit-learn's MLP, under
the same parameter names; what else happens at the end of an epoch is a matter of the
loop's watchers.
"""

import math
import time
from dataclasses import replace
from numbers import Integral

from sklearn.exceptions import ConvergenceWarning

from sparsenet._history import History
from sparsenet._optimizer import Optimizer
from sparsenet._parallel.group import Alone
from sparsenet._parameters import dropout
from sparsenet._rewiring import Rewiring
from sparsenet._schedules import factors, is_schedule
from sparsenet._training_set import Samples, divergence
from sparsenet._watchers import Epoch, watchers_of


def train(  # noqa: PLR0913 - two callers, who know all of it
    network,
    data,
    parameters,
    history,
    random_state,
    *,
    fan_ins,
    n_threads,
    incremental=False,
    watchers=(),
    group=None,
):
    """Train a network until it converges, or for one epoch.

    Parameters
    ----------
    network : Network
        Trained in place, so nobody else's.
    data : TrainingSet
        The rows to train on, some of which are set aside where training stops early or
        keeps the best epoch, and there are no others to validate on.
    parameters : object
        Has scikit-learn's parameters of training as attributes, checked already.
    history : History or None
        Where the network has come to; None for a new network.
    random_state : RandomState
        Splits off the validation rows and shuffles the others.
    fan_ins : dict
        `initial` and `final` of `Rewiring`.
    n_threads : int
        Number of OpenMP threads.
    incremental : bool, default=False
        Whether to train for a single epoch and keep the optimizer's state from the
        call before, as in `partial_fit`.
    watchers : sequence of Watcher, default=()
        Those that no parameter asks for.
    group : Alone, default=None
        Of the processes that train the network together; each calls this function with
        samples of its own. None: there are no others.

    Returns
    -------
    history : History
        A new object.

    Raises
    ------
    ValueError
        Training diverged, too few rows are left for validation, or a scorer returns
        what is no score.

    Warns
    -----
    ConvergenceWarning
        `max_iter` epochs were not enough, but not where a schedule of the learning
        rate ends with them.
    UserWarning
        Ctrl-C ended training, `batch_size` is larger than the number of rows, or the
        first call for a network changes none of its connections.

    Notes
    -----
    After an error the network is in no state to go on with. After Ctrl-C it is as
    trained so far; with early stopping or `restore_best`, as it was at its best.
    """
    group = Alone() if group is None else group
    training = Training(network, data, parameters, random_state, n_threads, group)
    training.begin(history, fan_ins, incremental)
    training.watchers += watchers
    try:
        training.tell("started")
        while not training.stop and training.history.n_iter < training.max_iter:
            training.run_epoch()
        ended = training.stop or is_schedule(parameters.learning_rate)
        if not ended and not incremental and parameters.time_limit is None:
            group.warn(
                f"Stochastic Optimizer: Maximum iterations ({training.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )
    except KeyboardInterrupt:
        training.history.complete_epoch()
        training.history.interrupted = True
        group.warn("Training interrupted by user.", stacklevel=5)
    if network.has_averages:
        network.restore(network.averaged().layers)
    training.tell("ended")
    return training.history


class Training:
    """One call of `fit` or `partial_fit`.

    Attributes
    ----------
    network, data, parameters, n_threads, group
        Those of `train`.
    history : History
        How far training has come; this call's own.
    rows : int64 array
        Numbers of the rows to train on.
    validation : Samples or None
        What to validate on, if anything.
    samples : Samples
        Those to train on.
    max_iter : int
        Number of epochs, unless something ends training before. `end_with` changes it.
    plan : Plan
        Steps of an epoch, and rows of a step.
    watchers : list of Watcher
        Are told what happens, in this order.
    stop : bool
        Whether the epoch is the last one; watchers may set it.
    """

    def __init__(self, network, data, parameters, random_state, n_threads, group):
        self.network, self.data, self.parameters = network, data, parameters
        self.random_state = group.generator(random_state, network)
        self.n_threads, self.group = n_threads, group
        self.stop = False

    def begin(self, history, fan_ins, incremental):
        """Go on from the history of the calls before, or from none."""
        network, parameters = self.network, self.parameters
        is_new, goes_on = history is None, self.group.goes_on and history is not None
        n_iter = history.n_iter if goes_on else 0
        if is_new:
            history = History(parameters.solver)
        if not (incremental or goes_on) or history.solver != parameters.solver:
            network.reset_optimizer()
            history = replace(history, learning_rate_factor=1.0)
        self.incremental = incremental
        self.max_iter = 1 if incremental else parameters.max_iter
        self.rows, self.validation = self._split()
        self.samples = self.group.shared(Samples(self.data, self.rows))
        self.history = history = history.resume(
            solver=parameters.solver,
            early_stopping=parameters.early_stopping,
            validates=self.validation is not None,
            train_scores=parameters.train_scores,
            scoring=parameters.scoring,
            n_iter=n_iter,
        )
        if not (incremental or goes_on):
            history.first_epoch = history.n_epochs
        self.plan = self.group.begin(self)
        n_rows = self.group.rows_of_each(len(self.rows))
        if parameters.batch_size != "auto" and parameters.batch_size > n_rows:
            self.group.warn(
                f"batch_size={parameters.batch_size} is larger than the number of "
                f"samples and is clipped to {self.plan.batch_size}",
                stacklevel=6,
            )
        n_steps = self.plan.n_steps
        history.rewiring = _rewiring(
            parameters, history, network.n_steps, n_steps, fan_ins
        )
        if is_new and not network.is_rewired(history.rewiring):
            n_steps *= self.max_iter
            self._warn_of_no_round(n_steps)
        self.watchers = watchers_of(self)

    def _warn_of_no_round(self, n_steps):
        """Say so if a network's first call, of so many steps, has no round."""
        rewiring = self.history.rewiring
        steps = rewiring.steps_to_round(rewiring.start)
        if rewiring.method == "static" or rewiring.is_pruning:
            return
        if steps is not None and steps <= n_steps:
            return
        interval, end = rewiring.interval, rewiring.end
        where = f"this call has {n_steps:,} steps"
        if steps is not None:
            where += (
                f", so that the first comes in call {-(-interval // n_steps)} like it"
            )
        elif self.incremental:
            where += f", and all the calls that rewire_until allows have {end:,}"
        else:
            where += f", of which rewire_until allows {end:,}"
        self.group.warn(
            f"sparse_training={rewiring.method!r} leaves all connections as they were "
            f"drawn: rounds come every rewire_interval={interval} steps, and {where}. "
            "Lower rewire_interval, or choose sparse_training='static'",
            stacklevel=7,
        )

    def _split(self):
        """Return the rows to train on, and what to validate on or None."""
        data, parameters = self.data, self.parameters
        if data.validation is not None or self.group.validates:
            return data.rows, self.group.shared(data.validation)
        if not (parameters.early_stopping or parameters.restore_best):
            return data.rows, None
        fraction = parameters.validation_fraction
        rows, others = self.group.split(data, fraction, self.random_state)
        return rows, self.group.shared(Samples(data, others))

    @property
    def rated_network(self):
        """The network that predicts: that is validated, kept, and shown to others."""
        return self.network.averaged()

    def tell(self, event, *arguments):
        """Call that method of all watchers."""
        for watcher in self.watchers:
            getattr(watcher, event)(self, *arguments)

    def end_with(self, max_iter):
        """Let training, and its schedules, end after so many epochs of this call."""
        self.max_iter = max_iter
        until = self.parameters.rewire_until
        if not isinstance(until, Integral):  # a share of training
            n_steps = max_iter * self.plan.n_steps
            self.history.rewiring.end = max(1, int(until * n_steps))

    def run_epoch(self):
        """Train on all rows once."""
        self.tell("epoch_started")
        history, parameters, group = self.history, self.parameters, self.group
        rows, n_steps = self.rows, self.plan.n_steps
        order = self.random_state.permutation(rows) if parameters.shuffle else rows
        rounds = len(history.rewiring.rounds)
        begin = time.perf_counter()
        loss = self.network.train_epoch(
            self.data,
            group.fill(order, self.plan),
            batch_size=self.plan.batch_size,
            optimizer=optimizer_of(
                parameters,
                history,
                n_steps,
                mean_weight=self.data.mean_weight,
                max_iter=parameters.max_iter if self.incremental else self.max_iter,
            ),
            n_threads=self.n_threads,
            rewiring=history.rewiring,
            local_steps=group.local_steps,
        )
        loss = float(group.mean(loss))
        seconds = time.perf_counter() - begin
        n_rows = group.n_rows(len(rows))
        if not math.isfinite(loss):
            raise divergence(f"the loss of epoch {history.n_iter + 1} is")
        history.add_epoch(loss, n_rows)
        for n_steps, n_changed in history.rewiring.rounds[rounds:]:
            self.tell("rewired", n_steps, n_changed)
        density = self.network.density
        epoch = Epoch(history.n_iter, loss, n_rows, seconds, density)
        self.tell("epoch_ended", epoch)
        self.stop = group.any(self.stop)
        group.check()


def optimizer_of(parameters, history, n_steps, *, max_iter, mean_weight=1.0):
    """Return what the steps of the next epoch, so many, do.

    Schedules end with `max_iter` epochs. Weights of samples are divided by
    `mean_weight`: the sums of their losses, to which the L2 term is added.
    """
    learning_rate = float(parameters.learning_rate_init)
    if parameters.solver == "sgd" and parameters.learning_rate == "invscaling":
        learning_rate *= (history.t + 1.0) ** -parameters.power_t
    elif parameters.solver == "sgd" and parameters.learning_rate == "adaptive":
        learning_rate *= history.learning_rate_factor
    if is_schedule(parameters.learning_rate) or parameters.warmup > 0:
        learning_rate *= factors(
            parameters.learning_rate,
            float(parameters.warmup),
            (history.n_epochs - history.first_epoch) * n_steps,
            n_steps,
            max_iter * n_steps,
        )
    decoupled = parameters.solver == "adamw"
    return Optimizer(
        solver=parameters.solver,
        learning_rate=learning_rate,
        alpha=0.0 if decoupled else float(parameters.alpha) / mean_weight,
        weight_decay=float(parameters.weight_decay) if decoupled else 0.0,
        beta_1=float(parameters.beta_1),
        beta_2=float(parameters.beta_2),
        epsilon=float(parameters.epsilon),
        momentum=float(parameters.momentum),
        nesterovs_momentum=bool(parameters.nesterovs_momentum),
        max_grad_norm=parameters.max_grad_norm,
        ema_decay=float(parameters.ema_decay),
        dropout=dropout(parameters),
    )


def _rewiring(parameters, history, n_steps, steps_per_epoch, fan_ins):
    """The schedule of rewiring over a call, of which each epoch has so many steps.

    A share of training counts from the last call of `fit` on, which is to take
    `max_iter` epochs; a number of epochs counts from the first call on. A call of
    `partial_fit` is an epoch, of whatever length: the position is told in steps of its
    own.
    """
    until, first_epoch = parameters.rewire_until, history.first_epoch
    if isinstance(until, Integral):
        first_epoch, end = 0, int(until) * steps_per_epoch
    else:
        end = int(until * (parameters.max_iter * steps_per_epoch))
    return Rewiring(
        method=parameters.sparse_training,
        interval=int(parameters.rewire_interval),
        fraction=float(parameters.rewire_fraction),
        end=end,
        position=(history.n_epochs - first_epoch) * steps_per_epoch,
        start=n_steps,
        rounds=[*history.rewiring.rounds],
        **fan_ins,
    )
