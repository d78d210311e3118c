"""How far the training of a network has come, over all calls."""

import math
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar

from sparsenet._rewiring import Rewiring

RATINGS = ("validation_scores", "validation_losses", "train_scores")


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
    #: At the end of a training on all rows at once, which has no curve.
    loss: float | None = None
    #: Of the validation samples, after each epoch that has `validation_scores`.
    validation_losses: list | None = None
    #: Of the training samples, likewise.
    train_scores: list | None = None
    #: By what all these scores are; None is the estimator's `score`.
    scoring: object = None
    #: How many entries each of these lists had before the last call.
    n_rated_before: dict | None = None
    #: Whether Ctrl-C ended the last call; not kept in pickles, nor by `resume`.
    interrupted: ClassVar[bool] = False

    def to_state(self):
        """A dict of plain objects, but for `scoring`, which is the user's."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return kept | {"rewiring": vars(self.rewiring)}

    @classmethod
    def from_state(cls, state):
        """The history that `to_state` has described.

        Raises
        ------
        TypeError, KeyError
            It is of something else.
        """
        return cls(**state | {"rewiring": Rewiring(**state["rewiring"])})

    @property
    def n_epochs(self):
        """Whole epochs in all calls."""
        return len(self.loss_curve)

    def resume(
        self,
        *,
        solver,
        early_stopping=False,
        validates=False,
        train_scores=False,
        scoring=None,
        n_iter=0,
    ):
        """Return a copy to go on with; what is new about it starts afresh.

        `n_iter` epochs of this call are done already.
        """
        history = replace(
            self,
            solver=solver,
            scoring=scoring,
            n_iter=n_iter,
            loss_curve=[*self.loss_curve],
        )
        # Other scores are no continuation of these.
        same = scoring is self.scoring or (
            isinstance(scoring, str) and scoring == self.scoring
        )
        before = self if same else History(solver)
        history.train_scores = _continued(before.train_scores, train_scores)
        scores = _continued(before.validation_scores, validates)
        losses = _continued(before.validation_losses, validates)
        history.validation_scores, history.validation_losses = scores, losses
        history.n_rated_before = {
            name: len(getattr(history, name) or ()) - n_iter for name in RATINGS
        }
        if not validates:
            history.best_validation_score = None
        elif before.validation_scores is None:
            history.best_validation_score = -math.inf
        stopped_early = self.best_loss is None
        if early_stopping and (not stopped_early or before.validation_scores is None):
            history.best_loss, history.no_improvement_count = None, 0
        elif not early_stopping and stopped_early:
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

    def complete_epoch(self):
        """Record nan for what Ctrl-C has kept from being rated in the last epoch."""
        for name in RATINGS:
            values, n_due = getattr(self, name), self.n_rated_before[name] + self.n_iter
            if values is not None and len(values) < n_due:
                setattr(self, name, [*values, math.nan])

    def is_best(self, score):
        """Whether a validation score is better than those before.

        While connections are pruned, none is: the network is not yet what it will be.
        """
        return not self.rewiring.is_pruning and score > self.best_validation_score

    def add_score(self, score, loss, tol):
        """Record a validation score, by which training may stop, and the loss."""
        self.validation_scores, self.validation_losses = (
            [*self.validation_scores, score],
            [*self.validation_losses, loss],
        )
        if self.rewiring.is_pruning:
            return
        best = self.best_validation_score
        self.best_validation_score = max(score, best)
        if self.best_loss is None:
            self._count(score < best + tol)

    def add_train_score(self, score):
        """Record the score of the training samples."""
        self.train_scores = [*self.train_scores, score]

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


def _continued(values, wanted):
    """A copy of a list to go on with, a new one, or None."""
    return [*(values or [])] if wanted else None
