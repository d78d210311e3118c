"""How many threads a call may use."""

import os
import sys

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


@needs_openmp
@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_workers_that_nobody_limits_take_one_thread(backend, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with joblib.parallel_config(backend, n_jobs=2):
        counts = joblib.Parallel()(joblib.delayed(effective_n_threads)() for _ in "ab")
        given = joblib.Parallel()(joblib.delayed(effective_n_threads)(2) for _ in "ab")
    assert counts == [1, 1] and given == [2, 2]


FORK = """
import os, signal, sys, warnings
import numpy as np
from scipy.sparse import csr_array
from sparsenet import SparseMLPClassifier

warnings.simplefilter("ignore")
before, after, container = sys.argv[1:]
X = np.random.default_rng(0).random((2000, 200)) > 0.8
X = csr_array(X, dtype=np.float32) if container == "csr" else X.astype(np.float32)
y = np.arange(2000) % 10
options = {"n_threads": 2, "max_iter": 1, "batch_size": 256, "random_state": 0}
model = SparseMLPClassifier((64, 64), **options | {"n_threads": 1}).fit(X, y)
model.set_params(n_threads=2)
work = {
    "nothing": lambda: None,
    "fit": lambda: SparseMLPClassifier((64, 64), **options).fit(X, y).predict_proba(X),
    "predict": lambda: model.predict_proba(X),
}
work[before]()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(60)
    os.write(writer, work[after]().sum(axis=0).tobytes())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0, "the child hangs or fails"
in_child = np.frombuffer(os.read(reader, 1000), np.float32)
np.testing.assert_array_equal(in_child, work[after]().sum(axis=0))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.parametrize("before", ["nothing", "fit", "predict"])
@pytest.mark.parametrize("after", ["fit", "predict"])
@pytest.mark.parametrize("container", ["dense", "csr"])
def test_processes_may_be_forked_between_calls(before, after, container):
    """A child has no threads but its own, and starts others when it needs them."""
    subprocesses.run(FORK, before, after, container)


WITHOUT_THREADS = """
import resource, sys, warnings
import numpy as np
from problems import random_data, random_network, train

warnings.simplefilter("error")
network = random_network((64, 512, 512, 3), (1.0, 1.0, 1.0))
X, y = random_data(4096, 64)
expected = network.predict(X, 1)
with open("/proc/self/status") as file:
    used = next(int(line.split()[1]) for line in file if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (1024 * used + (int(sys.argv[1]) << 20),) * 2)
for n_threads in (2, 16, 300):
    try:
        assert (network.predict(X, n_threads) == expected).all()
        train(network.copy(), X, y, batch_size=1024, n_threads=n_threads)
    except MemoryError:
        pass
    except UserWarning as warning:
        print(warning)
print("alive")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("megabytes", "stack"), [(12, ""), (1000, ""), (900, "64M")])
def test_threads_that_cannot_be_started_are_done_without(megabytes, stack):
    """OpenMP's library would end the process."""
    *told, alive = subprocesses.run(
        WITHOUT_THREADS, megabytes, OPENBLAS_NUM_THREADS="1", OMP_STACKSIZE=stack
    ).splitlines()
    assert alive == "alive" and told
    assert all("threads could not be started: this call takes" in line for line in told)
