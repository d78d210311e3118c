"""A plot of a network's connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sparsenet._connectivity import feature_importances
from sparsenet._displays.pyplot import import_pyplot

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from sparsenet._connectivity import Topology
    from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor
    from sparsenet._typing import Floats, MatrixLike


class TopologyDisplay:
    """Plot of a network's connections.

    Make one with `from_estimator`.

    Parameters
    ----------
    topology : Topology
        What to plot.

    importance : ndarray of shape (n_features,)
        Share of each feature in the magnitudes of the first layer's weights, which
        count times the standard deviation of the feature where `from_estimator` was
        given samples.

    image_shape : tuple of (int, int), default=None
        Rows and columns of the images that the features are the pixels of; None if they
        are no images.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.

    axes_ : ndarray of matplotlib.axes.Axes
        Importance of the features, fan-out by layer, and, where connections changed,
        how many did by round.

    See Also
    --------
    SparseMLPClassifier : Its attributes `topology_` and `feature_importances_` have the
        numbers.
    FeatureImportanceDisplay : Plot of the most important features with their names.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sparsenet import SparseMLPClassifier, TopologyDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = SparseMLPClassifier((256, 256), density=0.2, max_iter=20)
    >>> display = TopologyDisplay.from_estimator(
    ...     classifier.fit(X, y), X, image_shape=(8, 8)
    ... )  # doctest: +SKIP
    """

    topology: Topology
    importance: Floats
    image_shape: tuple[int, int] | None
    figure_: Figure
    axes_: NDArray[Any]

    def __init__(
        self,
        topology: Topology,
        importance: Floats,
        image_shape: tuple[int, int] | None = None,
    ) -> None:
        self.topology = topology
        self.importance = importance
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: SparseMLPClassifier | SparseMLPRegressor,
        X: MatrixLike | None = None,
        *,
        image_shape: tuple[int, int] | None = None,
    ) -> Self:
        """Plot the connections of a fitted estimator.

        Parameters
        ----------
        estimator : SparseMLPClassifier or SparseMLPRegressor
            A fitted estimator.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Samples that tell how much each feature varies: a feature that is nearly
            always the same may have large weights without being important.

        image_shape : tuple of (int, int), default=None
            Rows and columns of the images that the features are the pixels of.

        Returns
        -------
        display : TopologyDisplay
            The plot.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            `estimator` is none of this package.
        ValueError
            `image_shape` has another number of pixels than there are features, or `X`
            another number of columns, or numbers whose variance no float64 holds.
        """
        if not hasattr(type(estimator), "topology_"):
            raise TypeError(
                f"{cls.__name__}: estimator is of {type(estimator)}; allowed: "
                "SparseMLPClassifier and SparseMLPRegressor"
            )
        check_is_fitted(estimator)
        n_features = estimator.n_features_in_
        if image_shape is not None and not (
            np.shape(image_shape) == (2,)
            and min(image_shape) > 0
            and np.prod(image_shape) == n_features
        ):
            raise ValueError(
                f"image_shape={image_shape!r}; allowed: (rows, columns) with as many "
                f"pixels as there are features, {n_features}"
            )
        importance = feature_importances(estimator, X)
        return cls(estimator.topology_, importance, image_shape).plot()

    def plot(self) -> Self:
        """Draw the figure.

        Returns
        -------
        display : TopologyDisplay
            Itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        pyplot = import_pyplot(self)
        panels = [self._plot_importance, self._plot_fan_out]
        if any(any(counts) for _, counts in self.topology.rounds):
            panels.append(self._plot_rounds)
        self.figure_, self.axes_ = pyplot.subplots(
            1, len(panels), figsize=(4.3 * len(panels), 3.6), layout="constrained"
        )
        for plot, axes in zip(panels, self.axes_, strict=True):
            plot(axes)
        return self

    def _plot_importance(self, axes):
        title = "Input importance"
        if self.image_shape is not None:
            image = axes.imshow(self.importance.reshape(self.image_shape), cmap="magma")
            self.figure_.colorbar(image, ax=axes)
            axes.set(title=title, xticks=[], yticks=[])
            return
        axes.plot(np.sort(self.importance)[::-1])
        axes.set(
            title=title,
            xlabel="features, the most important first",
            ylabel="importance",
            ylim=(0, None),
        )

    def _plot_fan_out(self, axes):
        sparse = [layer.density < 1 for layer in self.topology.layers]
        for number, layer in enumerate(self.topology.layers):
            if any(sparse) and not sparse[number]:
                continue  # a line at 1, far above the others
            share = np.sort(layer.fan_out)[::-1] / layer.n_outputs
            axes.plot(
                np.linspace(0, 1, len(share)),
                share,
                label=self._label(number),
                drawstyle="steps-mid",
                color=f"C{number}",
            )
        axes.set(
            title="Connections of inputs, by sparse layer",
            xlabel="inputs, those with most connections first",
            ylabel="share of outputs connected",
            xlim=(0, 1),
            ylim=(0, None),
        )
        axes.set_xticks([])
        axes.legend(frameon=False)

    def _plot_rounds(self, axes):
        steps, counts = zip(*self.topology.rounds, strict=True)
        for number, changed in enumerate(zip(*counts, strict=True)):
            if any(changed):
                label, color = self._label(number), f"C{number}"
                axes.plot(steps, changed, ".-", label=label, color=color)
        axes.legend(frameon=False)
        axes.set(
            title="Connections changed, by round",
            xlabel="training step",
            ylabel="connections",
            ylim=(0, None),
        )

    def _label(self, number):
        layer = self.topology.layers[number]
        return f"layer {number}: {layer.n_inputs} to {layer.n_outputs}"
