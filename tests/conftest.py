"""What the tests of several modules run over."""

import problems
import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def one_thread_of_blas():
    """scikit-learn's networks, refitted in many tests, are too small for more."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(params=problems.BLOCK_SIZES)
def each_block_size(request, monkeypatch):
    """Make the networks of `problems.random_network` of single units, and of blocks."""
    monkeypatch.setattr(problems, "block_size", request.param)
    return request.param
