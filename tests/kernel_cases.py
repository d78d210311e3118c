"""What the tests of single kernels run over, and random arrays for them."""

import numpy as np
import pytest
import reference

from sparsenet._formats import PRECISIONS
from sparsenet._kernels import available_isas

FLOATS = tuple(name for name in PRECISIONS if name != "int8")
# Whether samples may be negative, which the float formats ignore.
FORMATS = [(precision, True) for precision in PRECISIONS] + [("int8", False)]

# Around the steps of the vectors (16, 17), of grouped columns (1..5) and of the chunks
# in which weights are widened (256 / height).
FAN_INS = (0, 1, 2, 3, 5, 0, 16, 17, 64, 300, 0)
SEEDS = (0, 1, 2**32 - 1, 2**32, 0x9E3779B97F4A7C15, 2**64 - 1)

each_isa = pytest.mark.parametrize("isa", available_isas())
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_format = pytest.mark.parametrize(("precision", "is_signed"), FORMATS)
each_index = pytest.mark.parametrize("index", [np.uint16, np.uint32])
each_height = pytest.mark.parametrize("height", [1, 4])


def random_floats(shape, rng):
    """Values whose magnitudes span a few powers of two."""
    return (rng.standard_normal(shape) * 2.0 ** rng.integers(-4, 4, shape)).astype(
        np.float32
    )


def offset_of(kernels, is_signed=True):
    """What is added to stored samples; 0 but for some instruction sets' int8."""
    return kernels.signed_offset if is_signed else 0


def random_stored(shape, precision, rng, is_signed=True, offset=0):
    """Random activations as stored; for int8 all values, the extremes often."""
    if precision != "int8":
        return reference.to_bits(random_floats(shape, rng), precision)
    least = -127 if is_signed else 0
    numbers, extreme = rng.integers(least, 128, shape), rng.choice([least, 127], shape)
    numbers = np.where(rng.random(shape) < 0.1, extreme, numbers)
    return (numbers + offset).astype(np.uint8)


def values(stored, precision, offset=0):
    """Numbers that stored activations mean, to be summed exactly."""
    if precision == "int8":
        return (stored.astype(np.int64) - offset).astype(np.int8).astype(np.int64)
    return reference.from_bits(stored, precision).astype(np.float64)


def bits_of(array):
    return np.ascontiguousarray(array).view(f"u{array.itemsize}")
