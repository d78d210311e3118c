"""Arrays and CSR matrices as bytes, read without trusting who sent them."""

import io

import numpy as np
from scipy.sparse import csr_array, issparse, vstack


def pack(*values):
    """Bytes of arrays, CSR matrices and None."""
    arrays = {}
    for number, value in enumerate(values):
        if issparse(value):
            parts = {
                "data": value.data,
                "indices": value.indices,
                "indptr": value.indptr,
            }
            parts["shape"] = np.array(value.shape)
        elif value is None:
            parts = {}
        else:
            parts = {"array": value}
        arrays |= {f"{number}.{name}": part for name, part in parts.items()}
    file = io.BytesIO()
    np.savez(file, n=len(values), **arrays)
    return file.getvalue()


def unpack(message):
    """The values that `pack` was given."""
    with np.load(io.BytesIO(message), allow_pickle=False) as arrays:
        return [_value(arrays, number) for number in range(int(arrays["n"]))]


def _value(arrays, number):
    if f"{number}.array" in arrays:
        return arrays[f"{number}.array"]
    if f"{number}.shape" not in arrays:
        return None
    parts = [arrays[f"{number}.{name}"] for name in ("data", "indices", "indptr")]
    return csr_array(tuple(parts), shape=tuple(arrays[f"{number}.shape"].tolist()))


def stacked(parts):
    """Rows of several matrices, CSR or not, as one matrix."""
    if len(parts) == 1:
        return parts[0]
    if issparse(parts[0]):
        return csr_array(vstack(parts, format="csr"))
    return np.concatenate(parts)
