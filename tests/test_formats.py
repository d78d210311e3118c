"""Number formats in NumPy: what users see of weights that kernels have rounded."""

import numpy as np
import pytest
import reference

from sparsenet._formats import PRECISIONS, STORED_DTYPE, are_finite, from_stored
from sparsenet._kernels._dispatch import FORMATS, LARGEST

SIXTEEN_BITS = ("float16", "bfloat16")


def test_the_order_is_that_of_the_kernels_codes():
    assert list(PRECISIONS) == sorted(FORMATS, key=FORMATS.get)
    assert list(STORED_DTYPE) == list(PRECISIONS)


@pytest.mark.parametrize("precision", SIXTEEN_BITS)
def test_all_bit_patterns_survive_a_round_trip(precision):
    stored = np.arange(2**16, dtype=STORED_DTYPE[precision])
    values = from_stored(stored, precision)
    expected = reference.from_bits(stored, precision)
    np.testing.assert_array_equal(values.view(np.uint32), expected.view(np.uint32))
    finite = np.isfinite(values)  # float16 has no use for infinities
    rounded = reference.to_bits(values[finite], precision)
    np.testing.assert_array_equal(rounded, stored[finite])


def test_int8_is_within_half_a_step_of_the_weight():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((300, 4)).astype(np.float32)
    stored, scale = reference.encode_weights(weights, "int8")
    back = from_stored(stored.astype(np.int8), "int8", scale)
    assert back.dtype == np.float32
    assert np.all(np.abs(back - weights) <= 0.5001 * scale)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_finite_is_what_the_format_holds(precision):
    largest = np.float32(LARGEST[precision])
    values = np.array([0, -largest, largest, 1e-45], np.float32)
    assert are_finite(values, precision)
    for bad in (np.nan, np.inf, -np.inf):
        assert not are_finite(np.append(values, np.float32(bad)), precision)
    if precision == "float16":
        assert not are_finite(np.array([65520], np.float32), precision)
