"""Shares of what a core can do: what is counted, not what was measured."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier
from sparsenet._kernels import available_isas

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
roofline = importlib.import_module("roofline")

N_ROWS, N_FEATURES, N_UNITS, N_CLASSES = 30, 12, 8, 3
SIZES = {"hidden_layer_sizes": (N_UNITS,), "max_iter": 1, "random_state": 0}


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return rng.random((N_ROWS, N_FEATURES), np.float32), np.arange(N_ROWS) % N_CLASSES


def fitted(X, y, **parameters):
    parameters = {"sparse_training": "static"} | parameters
    return SparseMLPClassifier(**SIZES, **parameters).fit(X, y)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_dense_networks_count_each_connection(samples):
    X, y = samples
    for model in fitted(X, y, density=1.0), MLPClassifier(**SIZES).fit(X, y):
        work = roofline.prediction_work(model, X)
        hidden, output = N_ROWS * N_FEATURES * N_UNITS, N_ROWS * N_UNITS * N_CLASSES
        assert work.flops == 2 * (hidden + output)
        assert roofline.training_work(model, X).flops == 4 * hidden + 6 * output
        # Four rows share a sample; what scikit-learn loads is not known.
        loaded = hidden + output if hasattr(model, "precision") else 0
        assert work.n_bytes == loaded


@pytest.mark.parametrize(("block_size", "shared_by"), [(1, 1), (4, 4)])
def test_sparse_layers_count_what_they_have(samples, block_size, shared_by):
    X, y = samples
    model = fitted(X, y, density=0.5, block_size=block_size, precision="int8")
    work = roofline.prediction_work(model, X)
    hidden, output = N_ROWS * model.coefs_[0].nnz, N_ROWS * N_UNITS * N_CLASSES
    assert 0 < hidden < N_ROWS * N_FEATURES * N_UNITS
    assert work.flops == 2 * (hidden + output)
    assert work.n_bytes == hidden / shared_by + output / 4


def test_sparse_rows_count_their_non_zeros(samples):
    X, y = samples
    X = sp.csr_array(X * (X > 0.7))
    work = roofline.prediction_work(fitted(X, y, density=1.0), X)
    assert work.flops == 2 * N_UNITS * (X.nnz + N_ROWS * N_CLASSES)


def test_shares_are_percentages_of_all_threads():
    limits = roofline.Limits(flops=1e9, n_bytes=4e9, library="")
    assert limits.shares(roofline.Work(1e9, 1e9), 2) == ("50", "12")
    assert limits.shares(roofline.Work(1e9, 0), 2, n_threads=2) == ("25", "")


@pytest.mark.parametrize("isa", available_isas())
def test_limits_are_measured_for_each_instruction_set(isa):
    limits = roofline.limits(isa)
    assert limits.flops > 1e8 and limits.n_bytes > 1e8
    assert str(limits).endswith(f"({limits.library})")
