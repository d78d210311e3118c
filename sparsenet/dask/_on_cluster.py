"""What all estimators of a cluster share: constructor, prediction, copies."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from sparsenet._parameters.cluster import PARAMETERS
from sparsenet.dask._partitions import is_collection, map_rows

if TYPE_CHECKING:
    from typing import Self


def with_cluster_parameters(cls):
    """Give a class the constructor of its local one, with the cluster's parameters."""
    own = list(inspect.signature(cls._local_class.__init__).parameters.values())
    further = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=entry.default)
        for name, entry in PARAMETERS.items()
    ]
    signature = inspect.Signature([*own, *further])

    def __init__(self, *args, **parameters):
        bound = signature.bind(self, *args, **parameters)
        bound.apply_defaults()
        for name, value in list(bound.arguments.items())[1:]:
            setattr(self, name, value)

    __init__.__signature__ = signature
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = __init__
    return cls


class OnCluster:
    """Before a local class in the bases of a class, whose `_local_class` it is.

    A class says by ``_row_of(method, X)`` which dtype and shape a method returns for a
    row of X.
    """

    _further_parameters = PARAMETERS

    if TYPE_CHECKING:
        # `with_cluster_parameters` makes it, which type checkers cannot follow.
        def __init__(self, *args: Any, **parameters: Any) -> None: ...

    def to_local(self) -> Any:
        """Return a local estimator with the parameters, and what was learned.

        Returns
        -------
        estimator : object
            Of the class of `sparsenet` with the same name; it needs no cluster.
        """
        local = object.__new__(self._local_class)
        attributes = vars(self).items()
        left_out = {*PARAMETERS, "_skl_callbacks"}
        vars(local).update({n: v for n, v in attributes if n not in left_out})
        return local

    def predict(self, X: Any) -> Any:
        """Predict, where the partitions of X are.

        Parameters
        ----------
        X : dask.array.Array, Dask data frame, or as for the local estimator
            The input data.

        Returns
        -------
        y : dask.array.Array or ndarray of shape (n_samples,) or (n_samples, n_outputs)
            A Dask array, not computed yet, for a Dask collection.
        """
        return self._mapped("predict", X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score predictions: accuracy of a classifier, R² of a regressor.

        Parameters
        ----------
        X : dask.array.Array, Dask data frame, or as for the local estimator
            The input data.

        y : dask.array.Array, Dask series, or array-like
            The targets.

        sample_weight : dask.array.Array or array-like, default=None
            Weights of the samples.

        Returns
        -------
        score : float
            Computed of all samples, whose predictions and targets come to the client.
        """
        local = self.to_local()
        if is_collection(X, y, sample_weight):
            # Apart: arrays and frames are computed in different ways.
            predicted = self._computed(self.predict(X))
            y, sample_weight = self._computed(y), self._computed(sample_weight)
            X, local.predict = predicted, lambda predicted: predicted
        return local.score(X, y, sample_weight)

    def _computed(self, value):
        """A collection as it is in memory, by this estimator's client if it has one."""
        if not is_collection(value):
            return value
        if self.client is None:
            return value.compute()
        return self.client.compute(value).result()

    def _mapped(self, method, X):
        """What a method of the local estimator returns, for each partition of X."""
        check_is_fitted(self)
        local = self.to_local()
        if not is_collection(X):
            return getattr(local, method)(X)
        if not hasattr(type(X), "to_delayed"):
            raise TypeError(
                f"{type(self).__name__}: X is of type {type(X).__name__}; allowed: a "
                "Dask array or data frame, or what a local estimator takes"
            )
        if getattr(X, "ndim", 2) != 2:  # in scikit-learn's words
            raise ValueError(f"Expected 2D array, got {X.ndim}D array instead")
        local.n_threads = 1  # a worker's other threads predict other partitions
        return map_rows(local, method, X, *self._row_of(method, X))

    def __sklearn_clone__(self) -> Self:
        other = self._aside()
        other.client = None  # which cannot be copied
        other = super(OnCluster, other).__sklearn_clone__()
        other.client = self.client
        return other

    def __copy__(self) -> Self:
        return self._aside()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        other = memo[id(self)] = self._aside()
        copied = {n: v for n, v in vars(self).items() if n != "client"}
        vars(other).update(copy.deepcopy(copied, memo))
        return other

    def __getstate__(self) -> dict[str, Any]:
        other = self._aside()
        other.client = None
        return super(OnCluster, other).__getstate__()


class ProbabilitiesOnCluster:
    """Of classifiers, after `OnCluster` in the bases."""

    def predict_proba(self, X: Any) -> Any:
        """Predict probabilities, where the partitions of X are.

        Parameters
        ----------
        X : dask.array.Array, Dask data frame, or as for the local estimator
            The input data.

        Returns
        -------
        probabilities : dask.array.Array or ndarray of shape (n_samples, n_classes)
            Probability of each class, in the order of `classes_`, never 0.
        """
        return self._mapped("predict_proba", X)

    def predict_log_proba(self, X: Any) -> Any:
        """Predict logarithms of probabilities, where the partitions of X are.

        Parameters
        ----------
        X : dask.array.Array, Dask data frame, or as for the local estimator
            The input data.

        Returns
        -------
        log_probabilities : dask.array.Array or ndarray of shape (n_samples, n_classes)
            Logarithm of `predict_proba`, never infinite.
        """
        return self._mapped("predict_log_proba", X)
