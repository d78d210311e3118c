"""Networks for sparse rows: what they learn is what a network for dense rows learns."""

import numpy as np
import pytest
from problems import random_network, train
from reference import DenseNetwork, reference_step
from scipy import sparse

from sparsenet._network import Optimizer

SOLVERS = [
    Optimizer("adam", 0.01),
    Optimizer("sgd", 0.03),
    Optimizer("sgd", 0.03, nesterovs_momentum=False),
]
SIZES = (50, 18, 13, 3)


def sparse_rows(n, n_features=SIZES[0], density=0.06, seed=0):
    """CSR X whose features are about as rare as one batch in four, and targets."""
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n, n_features), density=density, format="csr", rng=rng)
    return X.astype(np.float32), rng.integers(0, SIZES[-1], n).astype(np.int32)


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@pytest.mark.parametrize("alpha", [0.0, 0.01])
@pytest.mark.parametrize("density", [(1.0, 1.0, 1.0), (0.3, 0.5, 1.0)], ids=str)
def test_absent_features_end_where_the_eager_update_takes_them(solver, alpha, density):
    X, y = sparse_rows(400)
    network = random_network(
        SIZES, density, activation="tanh", precision="float32", sparse_rows=True
    )
    twin, rows = DenseNetwork(network), X.toarray()
    for _ in range(2):  # epochs
        train(network, X, y, optimizer=solver, batch_size=13, alpha=alpha)
        for begin in range(0, 400, 13):
            batch = slice(begin, begin + 13)
            reference_step(twin, rows[batch], y[batch], None, solver, alpha)
    for coef, expected in zip(network.coefs, twin.weights, strict=True):
        # 62 steps of float32, whose rounding the next steps amplify.
        np.testing.assert_allclose(coef.toarray().T, expected, atol=3e-5)
