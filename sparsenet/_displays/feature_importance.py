"""A plot of the features that count most."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sparsenet._base import BaseSparseMLP
from sparsenet._connectivity import feature_importances
from sparsenet._constraints import shown
from sparsenet._displays.pyplot import import_pyplot

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor
    from sparsenet._typing import MatrixLike


class FeatureImportanceDisplay:
    """Bars of the features that count most, the most important one on top.

    Make one with `from_estimator`.

    Parameters
    ----------
    importances : ndarray of shape (n_features,)
        Importance of each feature.

    feature_names : array-like of shape (n_features,), default=None
        What they are called; None numbers them.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes.

    figure_ : matplotlib.figure.Figure
        The figure.

    bars_ : matplotlib.container.BarContainer
        The bars, from the most important feature on.

    See Also
    --------
    SparseMLPClassifier : Its attribute `feature_importances_` has the numbers.
    TopologyDisplay : The importance of all features, as an image where they are pixels.
    sklearn.inspection.permutation_importance : What the score loses without a feature:
        slower, and closer to what one wants to know.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sparsenet import FeatureImportanceDisplay, SparseMLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> X = StandardScaler().set_output(transform="pandas").fit_transform(X)
    >>> classifier = SparseMLPClassifier((64,), max_iter=20).fit(X, y)
    >>> display = FeatureImportanceDisplay.from_estimator(
    ...     classifier, max_features=10
    ... )  # doctest: +SKIP
    """

    importances: ArrayLike
    feature_names: ArrayLike | None
    ax_: Axes
    figure_: Figure
    bars_: BarContainer

    def __init__(
        self, importances: ArrayLike, feature_names: ArrayLike | None = None
    ) -> None:
        self.importances = importances
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: SparseMLPClassifier | SparseMLPRegressor,
        X: MatrixLike | None = None,
        *,
        feature_names: ArrayLike | None = None,
        max_features: int = 20,
        ax: Axes | None = None,
    ) -> Self:
        """Plot the importance of the features of a fitted estimator.

        Parameters
        ----------
        estimator : SparseMLPClassifier or SparseMLPRegressor
            A fitted estimator.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Samples that tell how much each feature varies: weights count times the
            standard deviation of their feature. None takes them as they are, which is
            right where features were scaled to the same deviation.

        feature_names : array-like of shape (n_features,), default=None
            What the features are called, such as
            ``pipeline[:-1].get_feature_names_out()``; None takes the names of the data
            frame that the estimator was fitted on, or numbers.

        max_features : int, default=20
            How many bars at most, from 1.

        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : FeatureImportanceDisplay
            The plot.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            It is another estimator.
        ValueError
            `max_features` is none of these numbers, there is not a name for each
            feature, or the estimator does not take `X`.
        """
        if not isinstance(estimator, BaseSparseMLP):
            raise TypeError(
                f"{cls.__name__}: estimator={shown(estimator)}; allowed: a "
                "SparseMLPClassifier or SparseMLPRegressor"
            )
        check_is_fitted(estimator)
        if feature_names is None:
            feature_names = getattr(estimator, "feature_names_in_", None)
        display = cls(feature_importances(estimator, X), feature_names)
        return display.plot(max_features=max_features, ax=ax)

    def plot(self, *, max_features: int = 20, ax: Axes | None = None) -> Self:
        """Draw the bars.

        Parameters
        ----------
        max_features : int, default=20
            How many bars at most, from 1.

        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : FeatureImportanceDisplay
            Itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            `max_features` is none of these numbers, or there is not a name for each
            feature.
        """
        if not (isinstance(max_features, Integral) and max_features >= 1):
            raise ValueError(
                f"{type(self).__name__}: max_features={max_features!r}; allowed: "
                "integers >= 1"
            )
        importances = np.asarray(self.importances)
        names = np.arange(len(importances))
        if self.feature_names is not None:
            names = np.asarray(self.feature_names)
        if names.shape != importances.shape:
            raise ValueError(
                f"{type(self).__name__}: feature_names has shape {names.shape}; "
                f"allowed: {importances.shape}, a name for each feature"
            )
        pyplot = import_pyplot(self)
        order = np.argsort(-importances, kind="stable")[:max_features]
        if ax is None:
            _, ax = pyplot.subplots(
                figsize=(6, 1 + 0.25 * len(order)), layout="constrained"
            )
        places = np.arange(len(order))
        self.ax_, self.figure_ = ax, ax.figure
        self.bars_ = ax.barh(places, importances[order])
        ax.set_yticks(places, names[order])
        ax.invert_yaxis()
        ax.set(xlabel="share of the magnitudes of weights", ylabel="feature")
        return self
