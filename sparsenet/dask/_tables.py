"""The estimators of tables, trained on the workers of a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, validate_data

import sparsenet
from sparsenet._input import refuse_masked
from sparsenet._tables.columns import check_table, take_rows
from sparsenet._tables.estimators import with_parameters
from sparsenet._validation import check_sample_weight
from sparsenet.dask import _estimators
from sparsenet.dask._cluster import Cluster
from sparsenet.dask._on_cluster import (
    OnCluster,
    ProbabilitiesOnCluster,
    with_cluster_parameters,
)
from sparsenet.dask._partitions import (
    Rows,
    by_worker,
    check_rows,
    is_collection,
    joined,
)
from sparsenet.dask._training import ClusterTraining, released_after_errors

if TYPE_CHECKING:
    from typing import Self

#: Rows of which encoders learn; quantiles and categories of more differ little.
SAMPLE = 100_000
#: Parameters of a training on a cluster.
OF_TRAINING = tuple(OnCluster._further_parameters)


def _targets(rows, name):
    """Targets and weights of a partition, which the client looks at."""
    check_rows(name, rows)
    weight = rows.sample_weight
    return np.asarray(rows.y), None if weight is None else np.asarray(weight)


def _some(rows, numbers):
    """Some rows of a partition."""
    return Rows(take_rows(rows.X, numbers), numbers)


def _encoded(model, rows, target):
    """A partition as the networks take it."""
    X = check_table(model, rows.X, reset=False)
    X = model._checked_encoding(model.encoder_.transform(X))
    return Rows(X, target, rows.sample_weight)


class DaskTabularMLP(OnCluster):
    """What classifier and regressor share."""

    members_: list[Any]

    if TYPE_CHECKING:  # the local ones', but for the types of samples

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self: ...

    def _fit(self, X, y, sample_weight, begin):
        """See `BaseTabularMLP`. The encoder learns of a sample of the rows.

        Targets and weights come to the client; tables stay where they are.
        """
        with released_after_errors():
            self._fit_parts(X, y, sample_weight, begin)

    def _fit_parts(self, X, y, sample_weight, begin):
        if y is None:  # in scikit-learn's words
            validate_data(self, y=None)
        if not is_collection(X, y, sample_weight):
            X = check_table(self, X, reset=True)
            refuse_masked(type(self).__name__, "y", y)
            y = self._checked_target(y)
            check_consistent_length(X, y)
            sample_weight = check_sample_weight(self, sample_weight, len(y))
        cluster = Cluster(self)
        cluster.check_versions()
        parts = cluster.partitions(X, y, sample_weight)
        lengths, y, sample_weight = self._gathered_targets(cluster, parts)
        self._learn_encoder(cluster, parts, lengths, y, sample_weight)
        y, n_outputs = self._read_target(y, sample_weight)
        encoded = self._encoded_parts(cluster, parts, lengths, y)
        self.members_ = self._train(encoded, y, n_outputs, sample_weight, begin)
        self._take_attributes()

    def _gathered_targets(self, cluster, parts):
        """Rows of each partition, and targets and weights of all."""
        targets = cluster.mapped(_targets, parts, name=cluster.name)
        whole = joined([Rows(None, *target) for target in targets])
        y = self._checked_target(whole.y)
        sample_weight = check_sample_weight(self, whole.sample_weight, len(y))
        return [len(target) for target, _ in targets], y, sample_weight

    def _learn_encoder(self, cluster, parts, lengths, y, sample_weight):
        """Fit the encoder on some rows of all partitions."""
        rows = self._sample(lengths, sample_weight)
        ends = np.cumsum(lengths)
        chosen = np.split(rows, np.searchsorted(rows, ends[:-1]))
        some = [
            cluster.client.submit(_some, part, numbers - (end - n), pure=False)
            for part, numbers, end, n in zip(parts, chosen, ends, lengths, strict=True)
            if len(numbers)
        ]
        sample = check_table(self, joined(cluster.gathered(some)).X, reset=True)
        self._encode(sample, y[rows], None)

    def _encoded_parts(self, cluster, parts, lengths, y):
        """Futures of `Rows` as the networks take them, where the partitions are."""
        client = cluster.client
        # Not broadcast: that waits for ever for a worker that is lost meanwhile.
        model = client.scatter(self._aside_without_client(), hash=False)
        targets = client.scatter(np.split(y, np.cumsum(lengths)[:-1]), hash=False)
        places = {
            part.key: address
            for address, futures in by_worker(cluster.name, client, parts).items()
            for part in futures
        }
        encoded = [
            client.submit(
                _encoded, model, part, target, workers=[places[part.key]], pure=False
            )
            for part, target, n in zip(parts, targets, lengths, strict=True)
            if n > 0
        ]
        cluster.wait_for_data(encoded)
        return encoded

    def _sample(self, lengths, sample_weight):
        """Numbers of the rows of which the encoder learns, ascending."""
        rows = np.arange(sum(lengths))
        if sample_weight is not None:
            rows = np.flatnonzero(sample_weight)
        if len(rows) > SAMPLE:
            steps = np.arange(SAMPLE) * (len(rows) / SAMPLE)
            rows = rows[steps.astype(np.int64)]
        return rows

    def _member(self, **parameters):
        """A network that is trained on this estimator's cluster."""
        of_training = {name: getattr(self, name) for name in OF_TRAINING}
        return self._cluster_class(**parameters, **of_training)

    def _fitted_member(self, member, X, y, sample_weight):
        on_cluster = self._member(**member.get_params(deep=False))
        training = ClusterTraining(on_cluster, member)
        training.name, training.stacklevel = type(self).__name__, 8
        if self.on_worker_loss == "continue":  # and has done so with another network
            X = [part for part in X if part.status == "finished"] or X
        return training.fit_partitions(X)

    def _aside_without_client(self):
        other = self._aside()
        other.client = None
        return other


@with_parameters
@with_cluster_parameters
class TabularMLPClassifier(
    DaskTabularMLP, ProbabilitiesOnCluster, sparsenet.TabularMLPClassifier
):
    """Classifier for tables as they are, trained on a Dask cluster.

    `sparsenet.TabularMLPClassifier`, trained by all workers that have partitions of
    the table.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; the column numbers of a multi-label y.

    encoder_ : TableEncoder
        What turns X into numbers, or the fitted copy of `encoder`.

    members_ : list of sparsenet.SparseMLPClassifier
        The networks.

    n_iter_ : int
        Number of epochs of the network that has most.

    n_features_in_ : int
        Number of columns.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had names and all of them are strings.

    See Also
    --------
    sparsenet.TabularMLPClassifier : The same on one machine.
    TabularMLPRegressor : The same for numbers as targets.

    Notes
    -----
    The encoder learns of at most 100,000 rows, evenly spaced, which come to the client,
    as do all targets. The table stays where it is, and so does what it is encoded to.
    With k workers a step takes the batches of all, and an epoch k times fewer.

    Examples
    --------
    >>> import dask.dataframe as dd
    >>> from dask.distributed import Client
    >>> from sparsenet.dask import TabularMLPClassifier
    >>> client = Client(n_workers=2, threads_per_worker=1)  # doctest: +SKIP
    >>> table = dd.read_parquet("table/*.parquet")  # doctest: +SKIP
    >>> classifier = TabularMLPClassifier(client=client)  # doctest: +SKIP
    >>> classifier.fit(table.drop(columns="y"), table["y"])  # doctest: +SKIP
    """

    _local_class = sparsenet.TabularMLPClassifier
    _cluster_class = _estimators.SparseMLPClassifier

    def _row_of(self, method, X):
        if method != "predict":
            return np.dtype(np.float32), (len(self.classes_),)
        if self.members_[0]._is_multilabel():
            return np.dtype(np.int64), (len(self.classes_),)
        return self.classes_.dtype, ()


@with_parameters
@with_cluster_parameters
class TabularMLPRegressor(DaskTabularMLP, sparsenet.TabularMLPRegressor):
    """Regressor for tables as they are, trained on a Dask cluster.

    `sparsenet.TabularMLPRegressor`, trained by all workers that have partitions of the
    table.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    encoder_ : TableEncoder
        What turns X into numbers, or the fitted copy of `encoder`.

    members_ : list of sparsenet.SparseMLPRegressor
        The networks, which predict standardized targets.

    n_iter_ : int
        Number of epochs of the network that has most.

    n_features_in_ : int
        Number of columns.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had names and all of them are strings.

    See Also
    --------
    sparsenet.TabularMLPRegressor : The same on one machine.
    TabularMLPClassifier : The same for classes as targets.

    Notes
    -----
    The encoder learns of at most 100,000 rows, evenly spaced, which come to the client,
    as do all targets. The table stays where it is, and so does what it is encoded to.
    With k workers a step takes the batches of all, and an epoch k times fewer.

    Examples
    --------
    >>> import dask.dataframe as dd
    >>> from dask.distributed import Client
    >>> from sparsenet.dask import TabularMLPRegressor
    >>> client = Client(n_workers=2, threads_per_worker=1)  # doctest: +SKIP
    >>> table = dd.read_parquet("table/*.parquet")  # doctest: +SKIP
    >>> regressor = TabularMLPRegressor(client=client)  # doctest: +SKIP
    >>> regressor.fit(table.drop(columns="y"), table["y"])  # doctest: +SKIP
    """

    _local_class = sparsenet.TabularMLPRegressor
    _cluster_class = _estimators.SparseMLPRegressor

    def _row_of(self, method, X):
        n_outputs = self.members_[0].n_outputs_
        return np.dtype(np.float64), (n_outputs,) if n_outputs > 1 else ()
