"""Probabilities of classes from what a network puts out."""

import numpy as np
import pytest

from sparsenet._kernels.train.probabilities import probabilities

TINY, NEARLY_ONE = np.finfo(np.float32).tiny, 1 - np.finfo(np.float32).epsneg
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@each_dtype
@pytest.mark.parametrize("n_classes", [1, 2, 3, 10, 1000])
def test_those_of_softmax_add_up_to_one(dtype, n_classes):
    output = np.random.default_rng(0).random((7, n_classes)).astype(np.float32)
    output[0] = 0
    output[1:] /= output[1:].sum(axis=1, keepdims=True)
    result = probabilities(output, np.dtype(dtype), True)
    assert result.dtype == dtype
    p = np.clip(output.astype(float), TINY, NEARLY_ONE)
    expected = p / p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result, expected, rtol=2 * np.finfo(dtype).eps)
    assert (result > 0).all()


@each_dtype
def test_those_of_sigmoids_are_never_certain(dtype):
    output = np.array([[0], [1], [0.3], [1e-40]], np.float32)
    second = np.clip(output.astype(dtype), TINY, NEARLY_ONE)
    both = probabilities(output, np.dtype(dtype), False)
    np.testing.assert_array_equal(both, np.hstack([1 - second, second]))
    labels = probabilities(output.reshape(2, 2), np.dtype(dtype), False)
    np.testing.assert_array_equal(labels, second.reshape(2, 2))
    assert both.dtype == labels.dtype == dtype


def test_no_rows():
    assert probabilities(np.empty((0, 3), np.float32), np.dtype("f8"), True).size == 0
