"""Small estimators, and digits for them."""

import inspect

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor

from sparsenet import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._kernels._dispatch import FORMATS

PRECISIONS = tuple(FORMATS)

needs_loss = pytest.mark.skipif(
    "loss" not in inspect.signature(MLPRegressor).parameters,
    reason="MLPRegressor has a loss since scikit-learn 1.7",
)


def split_digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, random_state=0, stratify=y)


X_TRAIN, X_TEST, Y_TRAIN, Y_TEST = split_digits()
X, LABELS = X_TRAIN[:300], Y_TRAIN[:300]
TARGET = np.sin(X.sum(axis=1))
#: Samples to validate on.
X_VAL, Y_VAL = X_TEST[:150], Y_TEST[:150]
NUMBERS_VAL = np.sin(X_VAL.sum(axis=1))
BOTH = [(SparseMLPClassifier, LABELS), (SparseMLPRegressor, TARGET)]


def small(estimator, **parameters):
    defaults = {"hidden_layer_sizes": (32,), "max_iter": 5, "random_state": 0}
    return estimator(**defaults | parameters)


def share_inputs(coef):
    """Whether neighbouring units, four at a time, have the same inputs."""
    by_unit = np.split(coef.indices, coef.indptr[1:-1])
    return all(
        np.array_equal(inputs, by_unit[unit // 4 * 4])
        for unit, inputs in enumerate(by_unit)
    )


def others(estimator):
    """X_val and y_val."""
    y_val = Y_VAL if estimator is SparseMLPClassifier else NUMBERS_VAL
    return {"X_val": X_VAL, "y_val": y_val}


def same(first, second):
    """Whether two estimators have the same weights."""
    return all(
        np.array_equal(a.toarray(), b.toarray())
        for a, b in zip(first._network.coefs, second._network.coefs, strict=True)
    )
