"""Number formats in NumPy: the same bits as the kernels and as their twins."""

import numpy as np
import pytest
import reference
from reference import LANES

from sparsenet._formats import (
    PRECISIONS,
    STORED_DTYPE,
    from_stored,
    quantization_scale,
    to_stored,
)
from sparsenet._kernels import available_isas
from sparsenet._kernels._dispatch import FORMATS
from sparsenet._kernels.testing.kernels import Kernels

SIXTEEN_BITS = ("float16", "bfloat16")


def numbers(n=2**14):
    """float32 numbers of all magnitudes, ties of the 16-bit formats among them."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, n, dtype=np.uint32)
    ties = (bits & 0xFFFF0000) | 0x8000
    halves = (bits & 0xFFFFE000) | 0x1000
    limits = np.array([0, -0.0, 65504, 65520, 1e-45, np.inf, -np.inf], np.float32)
    values = [array.view(np.float32) for array in (bits, ties, halves)]
    values = np.concatenate([*values, limits])
    return values[~np.isnan(values)]


def test_the_order_is_that_of_the_kernels_codes():
    assert list(PRECISIONS) == sorted(FORMATS, key=FORMATS.get)
    assert list(STORED_DTYPE) == list(PRECISIONS)


@pytest.mark.parametrize("precision", ["float32", *SIXTEEN_BITS])
def test_to_stored_rounds_as_the_twin_and_the_kernels_do(precision):
    values = numbers()
    stored = to_stored(values, precision)
    assert stored.dtype == STORED_DTYPE[precision]
    np.testing.assert_array_equal(stored, reference.to_bits(values, precision))
    for isa in available_isas():
        z = np.resize(values, (len(values) // LANES, LANES))
        x = np.empty(z.shape, stored.dtype)
        kernels = Kernels(isa, precision)
        kernels.encode(z, 0, x, np.zeros(LANES, np.float32))
        if kernels.weight_group == 2:
            z = reference.without_denormals(z)
        np.testing.assert_array_equal(x, to_stored(z, precision))


@pytest.mark.parametrize("precision", SIXTEEN_BITS)
def test_all_bit_patterns_survive_a_round_trip(precision):
    stored = np.arange(2**16, dtype=np.uint16)
    values = from_stored(stored, precision)
    finite = np.isfinite(values)  # float16 has no use for infinities
    np.testing.assert_array_equal(to_stored(values[finite], precision), stored[finite])
    nan = np.isnan(values)
    assert np.isnan(from_stored(to_stored(values[nan], precision), precision)).all()


def test_what_float16_does_not_hold_is_nan_and_bfloat16_overflows():
    values = np.array([65519.99, -65519.99, 65520, -1e5, np.inf, 3.4e38], np.float32)
    held = from_stored(to_stored(values, "float16"), "float16")
    np.testing.assert_array_equal(held, [65504, -65504, *[np.nan] * 4])
    overflown = from_stored(to_stored(values[4:], "bfloat16"), "bfloat16")
    np.testing.assert_array_equal(overflown, np.inf)


@pytest.mark.parametrize("isa", available_isas())
def test_int8_rounds_as_the_twin_and_the_kernels_do(isa):
    rng = np.random.default_rng(0)
    for n in (1, 15, 16, 17, 300):
        weights = np.zeros(n + 64, np.float32)[:n].reshape(n, 1)
        weights[:, 0] = rng.standard_normal(n)
        weights[1::3] = 0
        scale = quantization_scale(np.abs(weights).max(axis=0))
        stored = to_stored(weights, "int8", scale)
        expected, expected_scale = reference.encode_weights(weights, "int8")
        np.testing.assert_array_equal(stored, expected)
        np.testing.assert_array_equal(scale, expected_scale)
        assert stored.dtype == np.int8 and np.abs(stored.astype(int)).max() == 127
        # Within half a step of the weight, to float32's rounding.
        back = from_stored(stored, "int8", scale)
        assert np.all(np.abs(back - weights) <= 0.5001 * scale)

        kernels = Kernels(isa, "int8")
        forward, transpose = np.zeros((2, n + 64), np.int8)
        row_scale = np.zeros(1, np.float32)
        position = np.arange(n + 64, dtype=np.uint32)[:n].reshape(n, 1)
        kernels.encode_weights(weights, position, forward, transpose, row_scale)
        np.testing.assert_array_equal(transpose[:n], stored[:, 0])
        np.testing.assert_array_equal(row_scale, scale)


def test_int8_of_zeros_is_zero():
    zeros = np.zeros(5, np.float32)
    scale = quantization_scale(np.zeros(1, np.float32))
    assert scale == 0
    np.testing.assert_array_equal(to_stored(zeros, "int8", scale), 0)
    np.testing.assert_array_equal(from_stored(np.zeros(5, np.int8), "int8", scale), 0)
