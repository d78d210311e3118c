"""Number formats in NumPy: how weights are stored in a pickle and seen in `coefs_`.

The kernels convert by themselves while they train; these functions give the same
bits and are used where speed does not matter.
"""

import numpy as np

from sparsenet._kernels._dispatch import FORMATS, LARGEST

PRECISIONS = tuple(FORMATS)

#: dtype of a stored weight; NumPy has no bfloat16, whose bits travel as uint16.
STORED_DTYPE = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.uint16),
    "bfloat16": np.dtype(np.uint16),
    "int8": np.dtype(np.int8),
}

#: int8 products are summed in 32 bits: so many times 255 * 127 fit.
INT8_MAX_TERMS = 1 << 16


def quantization_scale(largest):
    """Scale that maps magnitudes up to `largest` to -127..127; 0 where it is 0."""
    return (largest / np.float32(127)).astype(np.float32)


def to_stored(values, precision, scale=None):
    """Round float32 `values` to the format, to nearest even.

    What float16 does not hold becomes NaN. `scale` (int8 only) broadcasts against
    `values`.
    """
    values = np.asarray(values, np.float32)
    if precision == "float32":
        return values
    if precision == "float16":
        held = np.where(np.abs(values) < 65520, values, np.float32(np.nan))
        return held.astype(np.float16).view(np.uint16)
    if precision == "bfloat16":
        bits = values.view(np.uint32)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        quiet = (bits >> 16) | 0x40
        return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale > 0)
    return np.clip(np.rint(values * inverse), -127, 127).astype(np.int8)


def from_stored(stored, precision, scale=None):
    """Return stored values as float32."""
    if precision == "float32":
        return stored
    if precision == "float16":
        return stored.view(np.float16).astype(np.float32)
    if precision == "bfloat16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float32) * scale


def are_finite(values, precision="float32"):
    """Whether all float32 `values` are finite numbers that the format holds."""
    # A sum has infinities and NaN in any case, and takes a pass and no memory.
    if precision != "float16" and np.isfinite(values.sum()):
        return True
    return bool(np.max(np.abs(values)) <= LARGEST[precision])
