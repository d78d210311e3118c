"""What the benchmarks share: data, threads, timing, the machine's description.

Run the benchmarks as ``python benchmarks/NAME.py``, with sparsenet installed: the
directory on the import path is then this one, not the source tree.
"""

from __future__ import annotations

import datetime
import gzip
import importlib
import os
import platform
import statistics
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import joblib
import numpy as np
import roofline
from scipy.sparse import csr_array, issparse, load_npz
from sklearn.datasets import fetch_openml, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import sparsenet
from sparsenet._kernels import current_isa
from sparsenet._kernels._dispatch import FORMATS

PRECISIONS = tuple(FORMATS)

# Debian's package dataset-fashion-mnist
FASHION_MNIST_PATH = Path("/usr/share/datasets/fashion-mnist")

# Benchmarks train for a given number of epochs: not having converged is intended.
warnings.simplefilter("ignore", ConvergenceWarning)


# Data ---------------------------------------------------------------------------------


def digits():
    """scikit-learn's digits: 1,347 training and 450 test images of 8 x 8."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    return train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)


def fashion_mnist(path=None):
    """Fashion-MNIST's own split: 60,000 training and 10,000 test images of 28 x 28.

    The four IDX files (``train-images-idx3-ubyte.gz`` and so on, or unpacked) are read
    from `path`, else from Debian's directory; without either, scikit-learn downloads
    the data from OpenML.
    """
    if path is None and FASHION_MNIST_PATH.is_dir():
        path = FASHION_MNIST_PATH
    if path is None:
        try:
            X, y = fetch_openml(
                data_id=40996,
                as_frame=False,
                return_X_y=True,
                # the parser "pandas" is faster, where pandas is installed
                parser="pandas" if importlib.util.find_spec("pandas") else "liac-arff",
            )
        except OSError as error:
            raise SystemExit(
                f"Fashion-MNIST could not be downloaded ({error}). Give the directory "
                "of its four IDX files with --path."
            ) from error
        X_train, X_test, y_train, y_test = (
            X[:60_000],
            X[60_000:],
            y[:60_000],
            y[60_000:],
        )
    else:
        X_train = _read_idx(path, "train-images-idx3-ubyte")
        y_train = _read_idx(path, "train-labels-idx1-ubyte")
        X_test = _read_idx(path, "t10k-images-idx3-ubyte")
        y_test = _read_idx(path, "t10k-labels-idx1-ubyte")
    return (
        _pixels(X_train),
        _pixels(X_test),
        y_train.astype(np.int64),
        y_test.astype(np.int64),
    )


def _pixels(images):
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _read_idx(directory, name):
    """An array in the IDX format: magic number, sizes, then unsigned bytes."""
    packed = Path(directory) / f"{name}.gz"
    if packed.is_file():
        content = gzip.decompress(packed.read_bytes())
    elif (plain := Path(directory) / name).is_file():
        content = plain.read_bytes()
    else:
        raise SystemExit(f"{directory} holds neither {name}.gz nor {name}")
    n_dimensions = content[3]
    shape = struct.unpack_from(f">{n_dimensions}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_dimensions).reshape(shape)


def synthetic_images(n_samples, n_features=784, n_classes=10, random_state=0):
    """Random pixels in [0, 1], half of them 0, and random labels, for timings only."""
    rng = np.random.default_rng(random_state)
    X = rng.random((n_samples, n_features), dtype=np.float32)
    X[rng.random(X.shape, dtype=np.float32) < 0.5] = 0
    return X, rng.integers(n_classes, size=n_samples)


# Threads ------------------------------------------------------------------------------


def n_cores():
    """Physical cores that this process may use (affinity, container quota)."""
    return joblib.cpu_count(only_physical_cores=True)


def limit_threads(n_threads):
    """Give every library the same number of threads.

    The one place for it: threadpoolctl reaches the BLAS and OpenMP libraries that are
    loaded, the environment those loaded later, torch has a setting of its own. Call it
    after the imports. onnxruntime takes the number in its session's options,
    sparsenet's estimators as ``n_threads``.
    """
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(n_threads)
    threadpool_limits(n_threads)
    if "torch" in sys.modules:  # and its numbers are flushed to zero as sparsenet's
        sys.modules["torch"].set_num_threads(n_threads)
        sys.modules["torch"].set_flush_denormal(True)


def load_rows(rows, labels):
    """Rows and labels from files, shuffled; a fifth of them is kept for testing.

    `rows` is a file of numpy.save or, of sparse rows, of scipy.sparse.save_npz,
    `labels` one of numpy.save. Returns X_train, X_test, y_train, y_test.
    """
    X, y = np.load(rows) if rows.endswith(".npy") else load_npz(rows), np.load(labels)
    if issparse(X):
        X = csr_array(X)
        X.sum_duplicates()
    order = np.random.default_rng(0).permutation(len(y))
    train, test = np.split(order, [len(y) * 4 // 5])
    return X[train], X[test], y[train], y[test]


# Timing -------------------------------------------------------------------------------


class Timing:
    """Seconds per unit of work, one value for each round."""

    def __init__(self, seconds):
        self.seconds = seconds

    @property
    def median(self):
        return statistics.median(self.seconds)

    def times_faster_than(self, other):
        """Median over the rounds of other / self: both saw the same machine."""
        return statistics.median(
            theirs / ours
            for ours, theirs in zip(self.seconds, other.seconds, strict=True)
        )

    def format(self, scale, digits=2):
        low, high = min(self.seconds), max(self.seconds)
        return (
            f"{self.median * scale:.{digits}f}",
            f"{low * scale:.{digits}f} - {high * scale:.{digits}f}",
        )


def interleave(jobs: dict[str, Callable[[], object]], n_units, n_rounds):
    """Time each of `jobs` once a round, in turn, after one run that is not timed.

    A machine's clock and its other users change over seconds: in alternation, each
    peer gets its share of the good and of the bad moments.

    Returns a dict of `Timing`, in seconds per unit, where a job does `n_units`.
    """
    for job in jobs.values():
        job()
    seconds = {name: [] for name in jobs}
    for _ in range(n_rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append((time.perf_counter() - start) / n_units)
    return {name: Timing(values) for name, values in seconds.items()}


def fastest(timings):
    """The item of `timings` with the lowest median, as (name, Timing)."""
    return min(timings.items(), key=lambda item: item[1].median)


# Peers, machine, tables ---------------------------------------------------------------


def optional_import(name):
    """The module, or None (and a line that says so) where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed: skipped")
        return None


def machine(n_threads, packages=()):
    """Day, processor, cores, threads and versions of what is compared, as a dict."""
    facts = {
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
        "processor": f"{_processor()}, {n_cores()} physical cores to use",
        "threads": str(n_threads),
        "python": f"{platform.python_version()}, {platform.platform()}",
        "sparsenet": f"{sparsenet.__version__}, {current_isa()}",
    }
    for package in ("scikit-learn", "numpy", *packages):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    facts["BLAS"] = roofline.blas_libraries()
    if setting := os.environ.get("OPENBLAS_CORETYPE"):
        facts["BLAS"] += f" (OPENBLAS_CORETYPE={setting} may hold peers back)"
    facts["a core can"] = str(roofline.limits())
    return facts


def describe_machine(n_threads, packages=()):
    """Print what `machine` finds."""
    for name, fact in machine(n_threads, packages).items():
        print(f"{name:13} {fact}")
    print()


def format_layers(n_features, hidden, n_outputs=10):
    return "-".join(map(str, (n_features, *hidden, n_outputs)))


def _commit():
    """That of the folder with the benchmarks, and whether files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        described = subprocess.check_output(
            [*git, "describe", "--always", "--dirty"], text=True, stderr=subprocess.PIPE
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.strip()


def _processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def print_table(header, rows):
    """Columns as wide as needed, the first to the left, the rest to the right."""
    cells = [tuple(map(str, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *rest = row
        print(
            "  ".join(
                (
                    first.ljust(widths[0]),
                    *(
                        cell.rjust(width)
                        for cell, width in zip(rest, widths[1:], strict=True)
                    ),
                )
            ),
            flush=True,
        )
