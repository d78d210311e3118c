"""scikit-learn's own checks, for the estimators of a cluster."""

import pytest

pytest.importorskip("distributed", reason="Dask is an extra")

from clusters import cluster_of
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_estimator_checks import LENIENT, expected_failures

from sparsenet.dask import SparseMLPClassifier, SparseMLPRegressor

ESTIMATORS = [SparseMLPClassifier(random_state=0), SparseMLPRegressor(random_state=0)]


@pytest.fixture(scope="module", autouse=True)
def client():
    """The default one: the estimators name none."""
    with cluster_of(1) as client:
        yield client


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=expected_failures, **LENIENT
)
def test_estimator_passes_the_check(estimator, check):
    check(estimator)
