"""The summary of a network's connections."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from sparsenet import SparseMLPClassifier
from sparsenet._connectivity import LayerTopology

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_digits(return_X_y=True)


def fitted(X=X, **options):
    settings = {
        "hidden_layer_sizes": (90, 80),
        "density": 0.25,
        "max_iter": 5,
        "rewire_interval": 10,
        "random_state": 0,
    }
    return SparseMLPClassifier(**settings | options).fit(X, y)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_topology_counts_connections(convert):
    model = fitted(convert(X))
    layers = model.topology_.layers
    for layer, weights in zip(layers, model.coefs_, strict=True):
        pattern = weights.toarray() != 0
        assert (layer.n_inputs, layer.n_outputs) == pattern.shape
        assert layer.fan_in.sum() == layer.fan_out.sum() == layer.n_connections
        assert layer.n_connections == weights.nnz
        assert layer.density == weights.nnz / pattern.size
        assert (layer.fan_in >= pattern.sum(axis=0)).all()
        assert (layer.fan_out >= pattern.sum(axis=1)).all()


def test_topology_tells_the_rounds():
    model = fitted()
    steps, counts = zip(*model.topology_.rounds, strict=True)
    assert steps == (10, 20, 30)  # three quarters of 5 epochs of 9 steps
    n_connections = [layer.n_connections for layer in model.topology_.layers]
    for n_changed in counts:
        assert 0 < n_changed[0] < n_connections[0] and n_changed[2] == 0
    assert fitted(sparse_training="static").topology_.rounds == []


def test_topology_prints_a_table():
    lines = str(fitted().topology_).splitlines()
    assert lines[0].split()[:4] == ["layer", "inputs", "outputs", "connections"]
    assert lines[1].split()[:3] == ["0", "64", "90"]
    assert "0.25" in lines[1] or "0.2" in lines[1]
    assert lines[-1] == "rounds of rewiring: 3"
    assert len({len(line) for line in lines[:-1]}) == 1
    assert str(fitted(sparse_training="static").topology_).endswith("rewiring: 0")


def test_a_matrix_may_have_empty_rows_and_columns():
    layer = LayerTopology.of(sparse.csc_array((3, 5)))
    assert layer.n_connections == layer.density == 0
    np.testing.assert_array_equal(layer.fan_in, np.zeros(5))
    np.testing.assert_array_equal(layer.fan_out, np.zeros(3))


def test_an_unfitted_estimator_has_no_topology():
    with pytest.raises(NotFittedError):
        _ = SparseMLPClassifier().topology_
