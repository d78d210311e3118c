"""Number formats in NumPy: how weights are stored in a pickle and seen in `coefs_`.

Only the kernels round to a format.
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
