"""Who is connected with whom: a summary, and a plot of it."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis
from sklearn.utils.validation import check_is_fitted

from sparsenet._input import read_X
from sparsenet._plotting import import_pyplot


@dataclass(frozen=True)
class LayerTopology:
    """Connections of one layer.

    Attributes
    ----------
    n_inputs, n_outputs : int
        Units that the layer reads and writes.
    n_connections : int
        Weights, biases not counted.
    fan_in : ndarray of shape (n_outputs,)
        Connections of each output.
    fan_out : ndarray of shape (n_inputs,)
        Connections of each input.
    """

    n_inputs: int
    n_outputs: int
    n_connections: int
    fan_in: np.ndarray
    fan_out: np.ndarray

    @classmethod
    def of(cls, coefficients):
        """Count the connections of a sparse matrix of shape (n_inputs, n_outputs)."""
        fan_out = np.bincount(coefficients.indices, minlength=coefficients.shape[0])
        fan_in = np.diff(coefficients.indptr)
        return cls(*coefficients.shape, coefficients.nnz, fan_in, fan_out)

    @property
    def density(self):
        """Share of the possible connections that exist."""
        return self.n_connections / (self.n_inputs * self.n_outputs)


@dataclass(frozen=True)
class Topology:
    """Connections of a network, and how they have changed.

    Attributes
    ----------
    layers : list of LayerTopology
        The layers, from the input to the output.
    rounds : list of (int, tuple of int)
        The rounds of rewiring: the step (mini-batch) after which each one came, and how
        many connections it replaced in each layer; with ``sparse_training='gradual'``,
        how many it removed.
    """

    layers: list
    rounds: list

    def __str__(self):
        header = (
            "layer", "inputs", "outputs", "connections", "density",
            "fan-in min/mean/max", "fan-out min/mean/max", "rewired",
        )  # fmt: skip
        rewired = np.sum([n for _, n in self.rounds], axis=0, dtype=int)
        rewired = np.broadcast_to(rewired, len(self.layers))
        rows = [header]
        for number, (layer, n) in enumerate(zip(self.layers, rewired, strict=True)):
            fans = (
                f"{fan.min()}/{fan.mean():.1f}/{fan.max()}"
                for fan in (layer.fan_in, layer.fan_out)
            )
            sizes = layer.n_inputs, layer.n_outputs, layer.n_connections
            rows.append((number, *sizes, f"{layer.density:.4g}", *fans, n))
        rows = [tuple(map(str, row)) for row in rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(map(str.rjust, row, widths))  # all columns are numbers
            for row in rows
        )
        return "\n".join([*lines, f"rounds of rewiring: {len(self.rounds)}"])


class TopologyDisplay:
    """Plot of a network's connections.

    Make one with `from_estimator`.

    Parameters
    ----------
    topology : Topology
        What to plot.

    importance : ndarray of shape (n_features,)
        Sum of the magnitudes of each feature's weights, times the standard deviation of
        the feature where `from_estimator` was given samples.

    image_shape : tuple of (int, int), default=None
        Rows and columns of the images that the features are the pixels of; None if they
        are no images.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.

    axes_ : ndarray of matplotlib.axes.Axes
        Importance of the features, fan-out by layer, and rewired connections by round.

    See Also
    --------
    SparseMLPClassifier : Its attribute `topology_` has the numbers.

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

    def __init__(self, topology, importance, image_shape=None):
        self.topology = topology
        self.importance = importance
        self.image_shape = image_shape

    @classmethod
    def from_estimator(cls, estimator, X=None, *, image_shape=None):
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
        ValueError
            `image_shape` has another number of pixels than there are features, or `X`
            another number of columns.
        """
        check_is_fitted(estimator)
        weights = estimator.coefs_[0]
        if image_shape is not None and not (
            np.shape(image_shape) == (2,)
            and min(image_shape) > 0
            and np.prod(image_shape) == weights.shape[0]
        ):
            raise ValueError(
                f"image_shape={image_shape!r}; allowed: (rows, columns) with as many "
                f"pixels as there are features, {weights.shape[0]}"
            )
        importance = np.asarray(abs(weights).sum(axis=1)).ravel()
        if X is not None:
            X = read_X(estimator, X, estimator._network.precision)
            if issparse(X):
                importance *= np.sqrt(mean_variance_axis(X, axis=0)[1])
            else:
                importance *= X.std(axis=0)
        return cls(estimator.topology_, importance, image_shape).plot()

    def plot(self):
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
        self.figure_, self.axes_ = pyplot.subplots(
            1, 3, figsize=(13, 3.6), layout="constrained"
        )
        importance, fan_out, rounds = self.axes_
        self._plot_importance(importance)
        self._plot_fan_out(fan_out)
        self._plot_rounds(rounds)
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
                label=f"{layer.n_inputs} to {layer.n_outputs}",
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
        if self.topology.rounds:
            steps, counts = zip(*self.topology.rounds, strict=True)
            for number, changed in enumerate(zip(*counts, strict=True)):
                if any(changed):
                    layer = self.topology.layers[number]
                    axes.plot(
                        steps,
                        changed,
                        ".-",
                        label=f"{layer.n_inputs} to {layer.n_outputs}",
                        color=f"C{number}",
                    )
            if axes.lines:
                axes.legend(frameon=False)
        axes.set(
            title="Connections changed, by round",
            xlabel="training step",
            ylabel="connections",
            ylim=(0, None),
        )
