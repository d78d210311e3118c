"""How many threads a call may use."""

import joblib
import pytest
import subprocesses
from threadpoolctl import threadpool_info, threadpool_limits

from sparsenet._kernels import HAS_OPENMP, max_threads
from sparsenet._threads import effective_n_threads

needs_openmp = pytest.mark.skipif(not HAS_OPENMP, reason="built without OpenMP")

ASK = """
from sparsenet._threads import effective_n_threads
print(effective_n_threads())
"""


@pytest.mark.parametrize("n_threads", [1, 2, 1000])
def test_a_number_is_taken_as_it_is(n_threads):
    assert effective_n_threads(n_threads) == n_threads


def test_none_is_no_more_than_the_cores_and_openmps_limit(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    n_threads = effective_n_threads()
    assert 1 <= n_threads <= min(max_threads(), joblib.cpu_count())


@needs_openmp
@pytest.mark.parametrize("n_threads", [1, 3, 64])
def test_omp_num_threads_is_followed_beyond_the_cores(n_threads):
    assert int(subprocesses.run(ASK, OMP_NUM_THREADS=str(n_threads))) == n_threads


def test_loky_max_cpu_count_is_followed():
    """joblib's workers share the cores among them by this variable."""
    printed = subprocesses.run(ASK, OMP_NUM_THREADS="", LOKY_MAX_CPU_COUNT="1")
    assert int(printed) == 1


@needs_openmp
def test_threadpoolctl_is_followed():
    assert any(pool["user_api"] == "openmp" for pool in threadpool_info())
    with threadpool_limits(1, user_api="openmp"):
        assert max_threads() == effective_n_threads() == 1


@needs_openmp
def test_joblibs_workers_share_the_cores(monkeypatch):
    """Two processes on however many cores: none takes them all, and none takes 0."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # joblib would keep it
    with joblib.parallel_config("loky", n_jobs=2):
        counts = joblib.Parallel()(joblib.delayed(effective_n_threads)() for _ in "ab")
    assert all(1 <= n <= max(1, joblib.cpu_count() // 2) for n in counts)
