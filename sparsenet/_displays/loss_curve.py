"""A plot of how training has gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sparsenet._base import BaseSparseMLP
from sparsenet._constraints import shown
from sparsenet._displays.pyplot import import_pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor


class LossCurveDisplay:
    """Plot of the losses, and of the scores if there are any, after each epoch.

    Make one with `from_estimator`. Curves that are shorter than `loss_curve` are those
    of the last epochs.

    Parameters
    ----------
    loss_curve : list of float
        Training loss of each epoch.

    validation_loss_curve : list of float, default=None
        Loss of the validation samples.

    train_scores : list of float, default=None
        Scores of the training samples.

    validation_scores : list of float, default=None
        Scores of the validation samples.

    score_name : str, default=None
        What the scores are; None names them "score".

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the losses.

    score_ax_ : matplotlib.axes.Axes or None
        Axes of the scores, which share the epochs with `ax_`; None without scores.

    figure_ : matplotlib.figure.Figure
        The figure.

    lines_ : list of matplotlib.lines.Line2D
        The curves, in the order of the parameters.

    See Also
    --------
    SparseMLPClassifier : Its attributes `loss_curve_`, `validation_loss_curve_`,
        `train_scores_` and `validation_scores_` have the numbers.
    TopologyDisplay : Plot of a network's connections.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sparsenet import LossCurveDisplay, SparseMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = SparseMLPClassifier((256,), early_stopping=True, train_scores=True)
    >>> display = LossCurveDisplay.from_estimator(
    ...     classifier.fit(X, y)
    ... )  # doctest: +SKIP
    """

    loss_curve: Sequence[float]
    validation_loss_curve: Sequence[float] | None
    train_scores: Sequence[float] | None
    validation_scores: Sequence[float] | None
    score_name: str | None
    ax_: Axes
    score_ax_: Axes | None
    figure_: Figure
    lines_: list[Line2D]

    def __init__(
        self,
        loss_curve: Sequence[float],
        *,
        validation_loss_curve: Sequence[float] | None = None,
        train_scores: Sequence[float] | None = None,
        validation_scores: Sequence[float] | None = None,
        score_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.train_scores = train_scores
        self.validation_scores = validation_scores
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: SparseMLPClassifier | SparseMLPRegressor,
        *,
        ax: Axes | None = None,
        score_name: str | None = None,
    ) -> Self:
        """Plot the curves of a fitted estimator.

        Parameters
        ----------
        estimator : SparseMLPClassifier or SparseMLPRegressor
            A fitted estimator.

        ax : matplotlib.axes.Axes, default=None
            Where to draw the losses; None makes a figure.

        score_name : str, default=None
            What the scores are; None is the `scoring` that it was fitted with or,
            without one, what its `score` is.

        Returns
        -------
        display : LossCurveDisplay
            The plot.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            It is another estimator.
        ValueError
            The estimator has no epochs: ``solver='lbfgs'`` has trained it.
        """
        if not isinstance(estimator, BaseSparseMLP):
            raise TypeError(
                f"estimator={shown(estimator)}; allowed: a SparseMLPClassifier or "
                "SparseMLPRegressor"
            )
        check_is_fitted(estimator)
        if not hasattr(estimator, "loss_curve_"):
            raise ValueError(
                f"{type(estimator).__name__} has no loss_curve_; allowed: estimators "
                "that were fitted in epochs, which solver='lbfgs' does not have"
            )
        # Minus the loss would be drawn twice.
        has_scores = estimator._history.scoring != "loss"
        display = cls(
            estimator.loss_curve_,
            validation_loss_curve=estimator.validation_loss_curve_,
            train_scores=estimator.train_scores_ if has_scores else None,
            validation_scores=estimator.validation_scores_ if has_scores else None,
            score_name=score_name or _name_of(estimator),
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw the losses; None makes a figure.

        Returns
        -------
        display : LossCurveDisplay
            Itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        pyplot = import_pyplot(self)
        if ax is None:
            _, ax = pyplot.subplots(layout="constrained")
        self.ax_, self.figure_, self.score_ax_ = ax, ax.figure, None
        self.lines_ = self._draw(
            ax, "loss", "-", self.loss_curve, self.validation_loss_curve
        )
        ax.set(xlabel="epoch", ylabel="loss")
        if self.train_scores or self.validation_scores:
            self.score_ax_ = ax.twinx()
            name = self.score_name or "score"
            self.lines_ += self._draw(
                self.score_ax_, name, "--", self.train_scores, self.validation_scores
            )
            self.score_ax_.set(ylabel=name)
        labels = [line.get_label() for line in self.lines_]
        (self.score_ax_ or ax).legend(self.lines_, labels, frameon=False)
        return self

    def _draw(self, axes, name, style, training, validation):
        """Draw what there is of the two curves; returns their lines."""
        n_epochs, lines = len(self.loss_curve), []
        curves = {"training": training, "validation": validation}
        for number, (samples, curve) in enumerate(curves.items()):
            if curve:
                epochs = np.arange(n_epochs - len(curve), n_epochs) + 1
                lines += axes.plot(
                    epochs, curve, style, label=f"{samples} {name}", color=f"C{number}"
                )
        return lines


def _name_of(estimator):
    """What an estimator's scores are."""
    scoring = estimator._history.scoring
    if scoring is not None:
        return scoring if isinstance(scoring, str) else "score"
    if hasattr(estimator, "classes_"):
        return "accuracy"
    return "R²" if estimator._levels() is None else "D² of the pinball loss"
