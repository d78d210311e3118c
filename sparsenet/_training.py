"""The loop over epochs: schedules of the learning rate, and when to stop.

An epoch is one call into the network; this module only decides what the epoch's
learning rate is, in which order it visits the rows, and whether it was the last.
The rules are those of scikit-learn's MLP, under the same parameter names.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

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
        """Record an epoch's loss over so many samples."""
        self.n_iter += 1
        self.t += n_samples
        self.loss_curve.append(loss)

    def add_score(self, score, tol):
        """Record a validation score; return whether it is the best so far.

        While connections are pruned, none is: the network is not yet what it will be.
        """
        self.validation_scores.append(score)
        best = self.best_validation_score
        if self.rewiring.is_pruning:
            return False
        self.best_validation_score = max(score, best)
        self._count(score < best + tol)
        return score > best

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
        Trained in place.
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
        Ctrl-C ended training, or `batch_size` is larger than the number of rows.

    Notes
    -----
    After an error the network is as it was before, except that a network that had
    been trained has forgotten its optimizer's state. After Ctrl-C it is as trained so
    far; with early stopping, as it was at its best.
    """
    before = best = None if history is None else network.snapshot()
    if history is None:
        history = History(parameters.solver)
    if not incremental or history.solver != parameters.solver:
        network.reset_optimizer()
        history = replace(history, learning_rate_factor=1.0)
    early_stopping = parameters.early_stopping
    history = history.resume(solver=parameters.solver, early_stopping=early_stopping)
    try:
        rows = data.rows
        if early_stopping:
            rows, validation_rows = data.split(
                parameters.validation_fraction, random_state
            )
        batch_size = _batch_size(parameters.batch_size, len(rows))
        history.rewiring = _rewiring(
            parameters,
            history.rewiring,
            parameters.max_iter * math.ceil(len(rows) / batch_size),
            incremental,
            fan_ins,
        )
        try:
            for _ in range(1 if incremental else parameters.max_iter):
                loss = network.train_epoch(
                    data.X,
                    data.y,
                    data.sample_weight,
                    random_state.permutation(rows) if parameters.shuffle else rows,
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
                    if history.add_score(score, parameters.tol):
                        best = network.snapshot()
                if _has_converged(parameters, history):
                    break
            else:
                if not incremental:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations "
                        f"({parameters.max_iter}) reached and the optimization hasn't "
                        "converged yet.",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if early_stopping and best is not None:
            network.restore(best)
        if not network.is_finite():
            raise _divergence("a weight is")
    except BaseException:
        if before is not None:
            network.restore(before)
            network.reset_optimizer()
        raise
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


def _rewiring(parameters, before, n_steps, incremental, fan_ins):
    """Plan the rounds of a training of so many steps, `before` continued.

    `partial_fit` is taken for an epoch out of `max_iter`, a warm start for more epochs
    after those before.
    """
    if not incremental:
        n_steps += before.n_steps
    return Rewiring(
        method=parameters.sparse_training,
        interval=int(parameters.rewire_interval),
        fraction=float(parameters.rewire_fraction),
        end=int(parameters.rewire_until * n_steps),
        n_steps=before.n_steps,
        rounds=[*before.rounds],
        **fan_ins,
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
