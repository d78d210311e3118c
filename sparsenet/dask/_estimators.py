"""The estimators of `sparsenet`, trained on the workers of a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import sparsenet
from sparsenet._base import NO_SAMPLES
from sparsenet._docstrings import with_shared_sections
from sparsenet._validation import ValidationSamples, check_sample_weight
from sparsenet.dask._on_cluster import (
    OnCluster,
    ProbabilitiesOnCluster,
    with_cluster_parameters,
)
from sparsenet.dask._partitions import is_collection
from sparsenet.dask._training import ClusterTraining, released_after_errors

if TYPE_CHECKING:
    from typing import Self


def _as_arrays(local, X, y, sample_weight):
    """Samples that can be cut, as a local estimator understands them."""
    X, _, y = local._read(X, y, reset=False, sparse_rows=False)
    return X, y, check_sample_weight(local, sample_weight, len(y))


class DaskMLP(OnCluster):
    """What classifier and regressor share."""

    if TYPE_CHECKING:  # the local ones', but for the types of samples

        def fit(
            self,
            X: Any,
            y: Any,
            sample_weight: Any = None,
            *,
            X_val: Any = None,
            y_val: Any = None,
            sample_weight_val: Any = None,
        ) -> Self: ...

        def partial_fit(
            self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
        ) -> Self: ...

    def _fit(
        self,
        X,
        y,
        sample_weight,
        validation=NO_SAMPLES,
        *,
        incremental=False,
        classes=None,
    ):
        """Train on the cluster, aside of this object, which becomes the result."""
        self._check_call(validation, incremental)
        before, local, result = vars(self).copy(), self.to_local(), self._aside()
        goes_on = incremental and hasattr(self, "_network")
        if local.random_state is None and not goes_on:  # all workers draw the same
            local.random_state = int(np.random.randint(2**32, dtype=np.uint32))
        if not is_collection(X, y, sample_weight):
            # What a local estimator would refuse, before any work.
            aside, samples = local._aside(), (X, y, sample_weight)
            lies_there = is_collection(*validation)
            rated = NO_SAMPLES if lies_there else validation
            aside._prepare(*samples, rated, incremental, classes)
            X, y, sample_weight = _as_arrays(aside, *samples)
            if validation.X_val is not None and not lies_there:
                validation = ValidationSamples(*_as_arrays(aside, *validation))
        training = ClusterTraining(
            result, local, incremental=incremental, classes=classes
        )
        with released_after_errors():
            training.fit(X, y, sample_weight, validation)
        self._take_over(result, before)
        return self

    def _row_of(self, method, X):
        nameless = self.to_local()
        vars(nameless).pop("feature_names_in_", None)
        dtype = np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64
        row = getattr(nameless, method)(np.zeros((1, X.shape[1]), dtype))
        return row.dtype, row.shape[1:]


@with_shared_sections
@with_cluster_parameters
class SparseMLPClassifier(
    DaskMLP, ProbabilitiesOnCluster, sparsenet.SparseMLPClassifier
):
    """Multi-layer perceptron classifier that is trained on a Dask cluster.

    `sparsenet.SparseMLPClassifier`, trained by all workers that have partitions of the
    samples, which stay where they are. It is a local estimator in all else: attributes,
    displays, export and predictions of what is no Dask collection.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; the column numbers of a multi-label y.

    %(attributes)s

    See Also
    --------
    sparsenet.SparseMLPClassifier : The same on one machine.
    SparseMLPRegressor : The same for numbers as targets.

    Notes
    -----
    A step takes `batch_size` rows of each worker on average; one with more rows than
    others has larger batches, so that all have as many steps in an epoch. Validation
    samples are set aside on each worker, and scores are the mean of the workers', by
    their weights. Samples that are no Dask collections are cut into a part for each
    worker.

    With one worker the result is that of the local estimator, to the bit.

    %(notes)s

    References
    ----------
    %(references)s

    .. [19] Douillard, A., et al. (2023). "DiLoCo: Distributed low-communication
            training of language models." https://arxiv.org/abs/2311.08105

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sklearn.datasets import load_digits
    >>> from sparsenet.dask import SparseMLPClassifier
    >>> client = Client(n_workers=2, threads_per_worker=1)  # doctest: +SKIP
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(500, -1)), da.from_array(y, chunks=500)
    >>> classifier = SparseMLPClassifier((256, 256), density=0.2, client=client)
    ... # doctest: +SKIP
    >>> classifier.fit(X, y).predict(X).compute()  # doctest: +SKIP
    array([0, 1, 2, ..., 8, 9, 8])
    """

    _local_class = sparsenet.SparseMLPClassifier

    def decision_function(self, X: Any) -> Any:
        """Compute the logits, where the partitions of X are.

        Parameters
        ----------
        X : dask.array.Array, Dask data frame, or as for the local estimator
            The input data.

        Returns
        -------
        logits : dask.array.Array or ndarray
            Of the shape of the local estimator's.
        """
        return self._mapped("decision_function", X)


@with_shared_sections
@with_cluster_parameters
class SparseMLPRegressor(DaskMLP, sparsenet.SparseMLPRegressor):
    """Multi-layer perceptron regressor that is trained on a Dask cluster.

    `sparsenet.SparseMLPRegressor`, trained by all workers that have partitions of the
    samples, which stay where they are. It is a local estimator in all else: attributes,
    displays, export and predictions of what is no Dask collection.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    %(attributes)s

    See Also
    --------
    sparsenet.SparseMLPRegressor : The same on one machine.
    SparseMLPClassifier : The same for classes as targets.

    Notes
    -----
    A step takes `batch_size` rows of each worker on average; one with more rows than
    others has larger batches, so that all have as many steps in an epoch. Validation
    samples are set aside on each worker, and scores are the mean of the workers', by
    their weights. Samples that are no Dask collections are cut into a part for each
    worker.

    With one worker the result is that of the local estimator, to the bit.

    %(notes)s

    References
    ----------
    %(references)s

    .. [19] Douillard, A., et al. (2023). "DiLoCo: Distributed low-communication
            training of language models." https://arxiv.org/abs/2311.08105

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sparsenet.dask import SparseMLPRegressor
    >>> client = Client(n_workers=2, threads_per_worker=1)  # doctest: +SKIP
    >>> X = da.random.random((10_000, 10), chunks=(1000, -1))
    >>> regressor = SparseMLPRegressor((256, 256), density=0.2, client=client)
    ... # doctest: +SKIP
    >>> regressor.fit(X, X.sum(axis=1)).score(X, X.sum(axis=1)) > 0.9  # doctest: +SKIP
    True
    """

    _local_class = sparsenet.SparseMLPRegressor
