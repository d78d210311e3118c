"""How much memory training takes, and how much there is."""

import pytest
import subprocesses

from sparsenet._formats import PRECISIONS
from sparsenet._memory import _container_limits, available_memory

MEASURE = """
import resource, sys, warnings
from pathlib import Path
import numpy as np
from sparsenet import SparseMLPClassifier
from sparsenet._memory import training_memory

warnings.simplefilter("ignore")
def peak():
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss starts from the peak of the tests' own process
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

n_units, batch_size, precision = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
X, y = np.zeros((batch_size, 8)), np.arange(batch_size) % 2
options = {"batch_size": batch_size, "precision": precision, "max_iter": 1}
options |= {"density": 1.0, "n_threads": 1}
SparseMLPClassifier((10,), **options).fit(X, y)
before = peak()
SparseMLPClassifier((n_units,), **options).fit(X, y)
sizes = 8, n_units, 1
expected = training_memory(9 * n_units, sizes, batch_size, precision, 1)
print((peak() - before) / expected)
"""


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("n_units", "batch_size"), [(60_000, 1000), (20_000, 4000)])
def test_what_is_estimated_is_about_what_is_taken(n_units, batch_size, precision):
    ratio = float(subprocesses.run(MEASURE, n_units, batch_size, precision))
    # Less where imports have taken, and given back, more than the first fit.
    assert 0.2 < ratio < 2


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_there_is_some_memory():
    assert 2**20 < available_memory() <= 2**63


def test_limits_of_containers_version_2(tmp_path):
    write(tmp_path, "proc/self/cgroup", "0::/a/b\n")
    write(tmp_path, "sys/fs/cgroup/a/b/memory.max", "max\n")
    write(tmp_path, "sys/fs/cgroup/a/memory.max", "3000\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", "5000\n")
    assert [*_container_limits(tmp_path)] == [3000, 5000]


def test_limits_of_containers_version_1(tmp_path):
    write(tmp_path, "proc/self/cgroup", "5:cpu:/a\n4:hugetlb,memory:/a\n0::/\n")
    directory = "sys/fs/cgroup/memory"
    write(tmp_path, f"{directory}/memory.limit_in_bytes", "7000\n")  # seen as the root
    assert [*_container_limits(tmp_path)] == [7000]


def test_other_systems_have_none(tmp_path):
    assert [*_container_limits(tmp_path)] == []
