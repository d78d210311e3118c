"""Fitted estimators of random structure, for tests of what is made of them."""

import numpy as np
from scipy.sparse import csr_array

from sparsenet import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._formats import PRECISIONS
from sparsenet._kernels._dispatch import ACTIVATIONS, REGRESSOR_LOSSES

#: Largest difference that rounding of activations makes, relative to the outputs.
ROUNDING = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2, "int8": 5e-2}


def random_estimator(seed, precision=None, activations=tuple(ACTIVATIONS), **given):
    """Return a fitted estimator and rows to predict, float32.

    `given` are parameters that are not drawn.
    """
    rng = np.random.default_rng(seed)
    n_features, n_hidden = rng.integers(1, 70), rng.integers(4)
    X = rng.normal(size=(80, n_features)).astype(np.float32)
    X[rng.random(X.shape) < 0.3] = 0
    each = tuple(rng.choice(activations, n_hidden).tolist())
    parameters = {
        "hidden_layer_sizes": tuple(rng.integers(1, 80, n_hidden).tolist()),
        "activation": each if rng.random() < 0.5 else str(rng.choice(activations)),
        "density": "auto" if rng.random() < 0.3 else float(rng.uniform(0.1, 1)),
        "block_size": int(rng.choice([1, 4])),
        "precision": precision or str(rng.choice(PRECISIONS)),
        "learning_rate_init": 0.01,
        "max_iter": 2,
        "random_state": int(seed),
    }
    if given.get("loss", "log_loss") in REGRESSOR_LOSSES or (
        not given and rng.random() < 0.5
    ):
        loss = given.get("loss", str(rng.choice(REGRESSOR_LOSSES)))
        parameters["loss"] = loss
        y = rng.normal(size=(80, rng.integers(1, 5)))
        y = np.exp(y) if loss in ("poisson", "gamma") else y
        if y.shape[1] == 1:
            y = y[:, 0]
        elif loss == "quantile":
            y, parameters["quantile"] = y[:, 0], (0.1, 0.5, 0.8)
        estimator = SparseMLPRegressor(**parameters | given)
    else:
        parameters["loss"] = str(rng.choice(["log_loss", "focal"]))
        names = np.array(["ape", "bee", "cat", "dog", "elk"])
        y = [
            rng.integers(2, size=80),
            rng.integers(5, size=80) + 3,
            names[rng.integers(5, size=80)],
            rng.integers(2, size=(80, 3)),
        ][rng.integers(4)]
        estimator = SparseMLPClassifier(**parameters | given)
    rows = csr_array(X) if rng.random() < 0.25 else X
    return estimator.fit(rows, y), X


def assert_close(actual, expected, precision):
    """Whether outputs are equal but for the rounding of activations to a format."""
    np.testing.assert_allclose(
        actual,
        expected,
        rtol=ROUNDING[precision],
        atol=ROUNDING[precision] * max(1, np.abs(expected).max()),
    )
