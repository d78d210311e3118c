"""The loop over epochs: schedules of the learning rate, and when to stop.

An epoch is one call into the network; this module only decides what the epoch's
learning rate is, in which order it visits the rows, and whether it was the last.
The rules are those of scikit-learn's MLP, under the same parameter names.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from numbers import Integral

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sparsenet._network import Optimizer
from sparsenet._rewiring import Rewiring

# How many rows of X are copied at a time when validation rows are predicted.
CHUNK = 1024


@dataclass
class TrainingSet:
    """What a network is trained on, and how its output is rated.

    Rows are named by their numbers, so that X is never copied. Rows with zero weight
    are left out from the start: they train as if they were not there.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_samples, n_features)
        float32 or float64.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        As `Network.train_epoch` takes it.
    sample_weight : ndarray of shape (n_samples,) or None
        float32.
    decide : callable
        ``decide(output)`` turns what the network puts out for some rows into what is
        predicted of y.
    score : callable
        ``score(y, decided, sample_weight)`` rates that; higher is better.
    classes : ndarray of shape (n_samples,) or None
        Classes whose shares the validation rows keep.
    """

    X: object
    y: np.ndarray
    sample_weight: np.ndarray | None
    decide: Callable
    score: Callable
    classes: np.ndarray | None = None
    rows: np.ndarray = field(init=False)

    def __post_init__(self):
        if self.sample_weight is None:
            self.rows = np.arange(len(self.y), dtype=np.int64)
        else:
            self.rows = np.flatnonzero(self.sample_weight).astype(np.int64)

    def split(self, validation_fraction, random_state):
        """Split the rows at random into those to train on and those to validate on.

        They are stratified by class unless a class has a single row, or there are
        more classes than rows on one side.
        """
        n_rows = len(self.rows)
        n_validation = math.ceil(validation_fraction * n_rows)
        n_training = n_rows - n_validation
        if n_validation < 2 or n_training < 1:
            raise ValueError(
                f"early_stopping with validation_fraction={validation_fraction} splits "
                f"{n_rows} rows into {n_training} to train and {n_validation} to "
                "validate on; allowed: at least 1 and 2"
            )
        classes = None
        if self.classes is not None:
            classes = self.classes[self.rows]
            counts = np.unique(classes, return_counts=True)[1]
            if counts.min() < 2 or len(counts) > min(n_training, n_validation):
                classes = None
        return train_test_split(
            self.rows,
            test_size=n_validation,
            stratify=classes,
            random_state=random_state,
        )

    def rate(self, network, rows, n_threads):
        """Score the network on some rows."""
        decided = []
        for start in range(0, len(rows), CHUNK):
            output = network.predict(self.X[rows[start : start + CHUNK]], n_threads)
            if not np.isfinite(output).all():
                raise _divergence("the predictions are")
            decided.append(self.decide(output))
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        return float(self.score(self.y[rows], np.concatenate(decided), weights))


@dataclass
class History:
    """How far training has come: scikit-learn's fitted attributes, and the counters."""

    solver: str
    n_iter: int = 0
    t: int = 0
    loss_curve: list = field(default_factory=list)
    best_loss: float | None = None
    validation_scores: list | None = None
    best_validation_score: float | None = None
    no_improvement_count: int = 0
    learning_rate_factor: float = 1.0
    rewiring: Rewiring = field(default_factory=Rewiring)
    #: Epochs before the last call of `fit`, with which the schedule of rewiring begins.
    first_epoch: int = 0

    @property
    def n_epochs(self):
        """Whole epochs in all calls."""
        return len(self.loss_curve)

    def resume(self, *, solver, early_stopping):
        """Return a copy to go on with; what is new about it starts afresh."""
        history = replace(self, solver=solver, n_iter=0, loss_curve=[*self.loss_curve])
        if early_stopping and self.validation_scores is not None:
            history.validation_scores = [*self.validation_scores]
        elif early_stopping:
            history.validation_scores, history.best_validation_score = [], -math.inf
            history.best_loss, history.no_improvement_count = None, 0
        elif self.best_loss is None:
            history.validation_scores = history.best_validation_score = None
            history.best_loss, history.no_improvement_count = math.inf, 0
        return history

    def add_epoch(self, loss, n_samples):
        """Record an epoch's loss over so many samples, all at once for Ctrl-C."""
        curve = [*self.loss_curve, loss]
        self.n_iter, self.t, self.loss_curve = (
            self.n_iter + 1,
            self.t + n_samples,
            curve,
        )

    def is_best(self, score):
        """Whether a validation score is better than those before.

        While connections are pruned, none is: the network is not yet what it will be.
        """
        return not self.rewiring.is_pruning and score > self.best_validation_score

    def add_score(self, score, tol):
        """Record a validation score."""
        self.validation_scores.append(score)
        if self.rewiring.is_pruning:
            return
        best = self.best_validation_score
        self.best_validation_score = max(score, best)
        self._count(score < best + tol)

    def compare_loss(self, tol):
        """Compare the last loss with the best so far, but not while pruning."""
        if self.rewiring.is_pruning:
            return
        loss, best = self.loss_curve[-1], self.best_loss
        self.best_loss = min(loss, best)
        self._count(loss > best - tol)

    def _count(self, no_improvement):
        self.no_improvement_count = (
            self.no_improvement_count + 1 if no_improvement else 0
        )


def train(
    network,
    data,
    parameters,
    history,
    random_state,
    *,
    fan_ins,
    n_threads,
    incremental=False,
):
    """Train a network until it converges, or for one epoch.

    Parameters
    ----------
    network : Network
        Trained in place, so nobody else's.
    data : TrainingSet
        The rows to train on, some of which early stopping sets aside.
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

    Returns
    -------
    history : History
        A new object.

    Raises
    ------
    ValueError
        Training diverged, or too few rows are left for validation.

    Warns
    -----
    ConvergenceWarning
        `max_iter` epochs were not enough.
    UserWarning
        Ctrl-C ended training, `batch_size` is larger than the number of rows, or the
        first call for a network changes none of its connections.

    Notes
    -----
    After an error the network is in no state to go on with. After Ctrl-C it is as
    trained so far; with early stopping, as it was at its best.
    """
    is_new = history is None
    if is_new:
        history = History(parameters.solver)
    if not incremental or history.solver != parameters.solver:
        network.reset_optimizer()
        history = replace(history, learning_rate_factor=1.0)
    early_stopping = parameters.early_stopping
    history = history.resume(solver=parameters.solver, early_stopping=early_stopping)
    if not incremental:
        history.first_epoch = history.n_epochs
    rows, validation_rows = data.rows, None
    if early_stopping:
        rows, validation_rows = data.split(parameters.validation_fraction, random_state)
    batch_size = _batch_size(parameters.batch_size, len(rows))
    steps_per_epoch = math.ceil(len(rows) / batch_size)
    history.rewiring = _rewiring(
        parameters, history, network.n_steps, steps_per_epoch, fan_ins
    )
    max_iter = 1 if incremental else parameters.max_iter
    if is_new and not network.is_rewired(history.rewiring):
        _warn_of_no_round(history.rewiring, max_iter * steps_per_epoch, incremental)
    best = None
    try:
        for _ in range(max_iter):
            order = random_state.permutation(rows) if parameters.shuffle else rows
            loss = network.train_epoch(
                data.X,
                data.y,
                data.sample_weight,
                order,
                batch_size=batch_size,
                alpha=float(parameters.alpha),
                optimizer=_optimizer(parameters, history),
                n_threads=n_threads,
                rewiring=history.rewiring,
            )
            if not math.isfinite(loss):
                raise _divergence(f"the loss of epoch {history.n_iter + 1} is")
            history.add_epoch(loss, len(rows))
            if parameters.verbose:
                print(f"Iteration {history.n_iter}, loss = {loss:.8f}")
            if not early_stopping:
                history.compare_loss(parameters.tol)
            else:
                score = data.rate(network, validation_rows, n_threads)
                if parameters.verbose:
                    print(f"Validation score: {score:f}")
                if history.is_best(score):
                    best = network.snapshot()
                history.add_score(score, parameters.tol)
            if _has_converged(parameters, history):
                break
        else:
            if not incremental:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached "
                    "and the optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    if best is not None:
        network.restore(best)
    if not network.is_finite():
        raise _divergence("a weight is")
    return history


def _batch_size(batch_size, n_rows):
    if isinstance(batch_size, str):
        return min(200, n_rows)
    if batch_size > n_rows:
        warnings.warn(
            f"batch_size={batch_size} is larger than the number of samples and is "
            f"clipped to {n_rows}",
            stacklevel=5,
        )
    return min(int(batch_size), n_rows)


def _optimizer(parameters, history):
    """Return what the steps of the next epoch do."""
    learning_rate = parameters.learning_rate_init
    if parameters.solver == "sgd" and parameters.learning_rate == "invscaling":
        learning_rate *= (history.t + 1.0) ** -parameters.power_t
    elif parameters.solver == "sgd" and parameters.learning_rate == "adaptive":
        learning_rate *= history.learning_rate_factor
    return Optimizer(
        solver=parameters.solver,
        learning_rate=float(learning_rate),
        beta_1=float(parameters.beta_1),
        beta_2=float(parameters.beta_2),
        epsilon=float(parameters.epsilon),
        momentum=float(parameters.momentum),
        nesterovs_momentum=bool(parameters.nesterovs_momentum),
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


def _warn_of_no_round(rewiring, n_steps, incremental):
    """Say so if a network's first call, of so many steps, has no round of rewiring."""
    steps = rewiring.steps_to_round(rewiring.start)
    if rewiring.method == "static" or rewiring.is_pruning:
        return
    if steps is not None and steps <= n_steps:
        return
    interval, end = rewiring.interval, rewiring.end
    where = f"this call has {n_steps:,} steps"
    if steps is not None:
        where += f", so that the first comes in call {-(-interval // n_steps)} like it"
    elif incremental:
        where += f", and all the calls that rewire_until allows have {end:,}"
    else:
        where += f", of which rewire_until allows {end:,}"
    warnings.warn(
        f"sparse_training={rewiring.method!r} leaves all connections as they were "
        f"drawn: rounds come every rewire_interval={interval} steps, and {where}. "
        "Lower rewire_interval, or choose sparse_training='static'",
        stacklevel=5,
    )


def _has_converged(parameters, history):
    """Decide whether to stop, or else to lower an adaptive learning rate."""
    if history.no_improvement_count <= parameters.n_iter_no_change:
        return False
    adaptive = parameters.solver == "sgd" and parameters.learning_rate == "adaptive"
    learning_rate = parameters.learning_rate_init * history.learning_rate_factor
    converged = not adaptive or learning_rate <= 1e-6
    if not converged:
        history.no_improvement_count = 0
        history.learning_rate_factor /= 5
        consequence = f"Setting learning rate to {learning_rate / 5:f}"
    else:
        consequence = "Learning rate too small. Stopping." if adaptive else "Stopping."
    if parameters.verbose:
        what = "Validation score" if parameters.early_stopping else "Training loss"
        print(
            f"{what} did not improve more than tol={parameters.tol:f} for "
            f"{parameters.n_iter_no_change} consecutive epochs. {consequence}"
        )
    return converged


def _divergence(what):
    return ValueError(
        f"Training diverged: {what} not finite. Try features of similar scale "
        "(StandardScaler) or a smaller learning_rate_init"
    )
