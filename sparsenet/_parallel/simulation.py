"""Data-parallel training by threads of one process, which does the same arithmetic."""

import copy
from concurrent.futures import ThreadPoolExecutor

from sparsenet._parallel.communicator import ThreadCommunicator, WorkerLost
from sparsenet._parallel.group import DataParallel


def fit_in_threads(estimator, parts, *, classes=None, incremental=False, **options):
    """Fit copies of an estimator, one for each of some parts of the samples.

    Parameters
    ----------
    estimator : SparseMLPClassifier or SparseMLPRegressor
    parts : sequence of tuple
        (X, y), or (X, y, sample_weight), of each member.
    classes : array-like, default=None
        As of `partial_fit`.
    incremental : bool, default=False
        Whether this is a call of `partial_fit`.
    **options
        Those of `DataParallel`.

    Returns
    -------
    list of (estimator, DataParallel)
        Of all members, in the order of the parts.
    """
    members = ThreadCommunicator.group(len(parts))
    groups = [DataParallel(member, **options) for member in members]

    def fit(part, group):
        X, y, sample_weight = (*part, None)[:3]
        model = copy.deepcopy(estimator)
        try:
            model._fit(
                X,
                y,
                sample_weight,
                incremental=incremental,
                classes=classes,
                group=group,
            )
        except BaseException:
            group.communicator.close()
            raise
        return model

    with ThreadPoolExecutor(len(parts)) as pool:
        futures = [pool.submit(fit, *pair) for pair in zip(parts, groups, strict=True)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    # Others only tell that the first to fail was lost.
    for error in sorted(errors, key=lambda error: isinstance(error, WorkerLost)):
        raise error
    return [
        (future.result(), group) for future, group in zip(futures, groups, strict=True)
    ]
