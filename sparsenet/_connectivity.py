"""Who is connected with whom, and how much each feature counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from sparsenet._input import read_X

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from sparsenet._untyped import csc_array


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
    fan_in: NDArray[np.integer[Any]]
    fan_out: NDArray[np.integer[Any]]

    @classmethod
    def of(cls, coefficients: csc_array) -> Self:
        """Count the connections of a sparse matrix of shape (n_inputs, n_outputs)."""
        fan_out = np.bincount(coefficients.indices, minlength=coefficients.shape[0])
        fan_in = np.diff(coefficients.indptr)
        return cls(*coefficients.shape, coefficients.nnz, fan_in, fan_out)

    @property
    def density(self) -> float:
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

    layers: list[LayerTopology]
    rounds: list[tuple[int, tuple[int, ...]]]

    def __str__(self) -> str:
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


def feature_importances(estimator, X=None):
    """Share of each feature in the magnitudes of all weights of the first layer.

    With `X`, weights count times the standard deviation of their feature in it.

    Raises
    ------
    ValueError
        The estimator does not take X, or no float64 holds the variances.
    """
    weights = estimator._network.layers[0].to_csc().astype(np.float64)
    magnitudes = np.asarray(abs(weights).sum(axis=1)).ravel()
    if X is not None:
        magnitudes *= _deviations(estimator, X)
    total = magnitudes.sum()
    return magnitudes / total if total > 0 else magnitudes


def _deviations(estimator, X):
    """Standard deviation of each feature."""
    X = read_X(estimator, X, estimator._network.precision)
    if issparse(X):
        deviations = np.sqrt(mean_variance_axis(X.astype(np.float64), axis=0)[1])
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            deviations = X.std(axis=0, dtype=np.float64)
    if not np.isfinite(deviations).all():
        raise ValueError(
            f"{type(estimator).__name__}: X has values up to {abs(X).max():.6g}; "
            "allowed: those whose variance float64 holds"
        )
    return deviations
