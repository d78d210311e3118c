"""A plot of scores against seconds of training."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring

from sparsenet._displays.pyplot import import_pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike

    from sparsenet._typing import MatrixLike, Scoring


class TrainingTimeDisplay:
    """Scores of estimators against the seconds that training took.

    Make one with `from_estimators`.

    Parameters
    ----------
    curves : dict of str to list of (int, float, float)
        Of each estimator the points: epochs, seconds and score.

    score_name : str, default=None
        What the scores are; None names them "score".

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes.

    figure_ : matplotlib.figure.Figure
        The figure.

    lines_ : list of matplotlib.lines.Line2D
        A line for each estimator.

    See Also
    --------
    LossCurveDisplay : Losses and scores of one training, epoch by epoch.
    sklearn.model_selection.LearningCurveDisplay : Scores against numbers of samples.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sparsenet import SparseMLPClassifier, TrainingTimeDisplay
    >>> X, X_val, y, y_val = train_test_split(*load_digits(return_X_y=True))
    >>> estimators = {
    ...     "sparsenet": SparseMLPClassifier((256,), precision="bfloat16"),
    ...     "scikit-learn": MLPClassifier((256,)),
    ... }
    >>> display = TrainingTimeDisplay.from_estimators(
    ...     estimators, X, y, X_val, y_val
    ... )  # doctest: +SKIP
    """

    curves: dict[str, list[tuple[int, float, float]]]
    score_name: str | None
    ax_: Axes
    figure_: Figure
    lines_: list[Line2D]

    def __init__(
        self,
        curves: dict[str, list[tuple[int, float, float]]],
        *,
        score_name: str | None = None,
    ) -> None:
        self.curves = curves
        self.score_name = score_name

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: MatrixLike,
        y: ArrayLike,
        X_val: MatrixLike,
        y_val: ArrayLike,
        *,
        epochs: Sequence[int] = (1, 2, 5, 10, 20),
        scoring: Scoring = None,
        score_name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Train clones of estimators, for more and more epochs, and plot their scores.

        Each point is a training from the start, as `fit` does it with so many epochs at
        most: a schedule of the learning rate, or of rewiring, ends with it.

        Parameters
        ----------
        estimators : dict of str to estimator
            Names and estimators, scikit-learn's and pipelines, too: those with one
            parameter `max_iter`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training samples.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.

        X_val : {array-like, sparse matrix} of shape (n_samples_val, n_features)
            Samples to rate the estimators on.

        y_val : array-like of shape (n_samples_val,) or (n_samples_val, n_outputs)
            Their targets.

        epochs : sequence of int, default=(1, 2, 5, 10, 20)
            Values of `max_iter`.

        scoring : str or callable, default=None
            Scorer, as in `sklearn.model_selection.cross_validate`; None is the
            estimators' own `score`.

        score_name : str, default=None
            What the scores are; None is `scoring` if that is a string, else "score".

        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : TrainingTimeDisplay
            The plot.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            `estimators` is no dict.
        ValueError
            An estimator has no parameter `max_iter` or several, or `epochs` has other
            values than integers from 1.
        """
        if not isinstance(estimators, Mapping):
            raise TypeError(
                f"{cls.__name__}: estimators is of {type(estimators)}; allowed: a dict "
                "of names and estimators"
            )
        epochs = list(epochs)
        if not epochs or not all(isinstance(n, Integral) and n >= 1 for n in epochs):
            raise ValueError(
                f"{cls.__name__}: epochs={epochs!r}; allowed: integers >= 1"
            )
        parameters = {name: _of_epochs(cls, name, e) for name, e in estimators.items()}
        if score_name is None and isinstance(scoring, str):
            score_name = scoring
        display = cls({}, score_name=score_name)
        import_pyplot(display)  # or say at once that it is lacking
        data = (X, y), (X_val, y_val)
        for name, estimator in estimators.items():
            display.curves[name] = [
                (n, *_time(estimator, {parameters[name]: n}, data, scoring))
                for n in epochs
            ]
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : TrainingTimeDisplay
            Itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        pyplot = import_pyplot(self)
        if ax is None:
            _, ax = pyplot.subplots(layout="constrained")
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        for name, points in self.curves.items():
            _, seconds, scores = zip(*points, strict=True)
            self.lines_ += ax.semilogx(seconds, scores, ".-", label=name)
        ax.set(xlabel="seconds of training", ylabel=self.score_name or "score")
        ax.legend(frameon=False)
        return self


def _of_epochs(display, name, estimator):
    """The name of the parameter that says how many epochs an estimator trains."""
    names = [
        parameter
        for parameter in estimator.get_params()
        if parameter.rpartition("__")[2] == "max_iter"
    ]
    if len(names) != 1:
        raise ValueError(
            f"{display.__name__}: estimator {name!r} has {len(names)} parameters "
            "max_iter; allowed: estimators and pipelines with one"
        )
    return names[0]


def _time(estimator, parameters, data, scoring):
    """Seconds and score of one training."""
    training, validation = data
    model = clone(estimator).set_params(**parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        begin = time.perf_counter()
        model.fit(*training)
        seconds = time.perf_counter() - begin
    score = check_scoring(model, scoring)(model, *validation)
    return seconds, float(score)
