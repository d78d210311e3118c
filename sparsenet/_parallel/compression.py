"""In which format numbers travel between processes.

A codec has ``encode(values)``, which returns bytes-like, and ``decode(code, n)``, a
float32 array; a new format is a class here and an entry in `CODECS`. Lossy ones are
used with error feedback (Seide et al. 2014, "1-bit stochastic gradient descent";
Karimireddy et al. 2019, arXiv:1901.09847, algorithm 2): what rounding leaves out is
sent the next time.
"""

from dataclasses import dataclass, field

import numpy as np

#: Values that share a scale in int8; parts of an array begin at multiples of it.
BLOCK = 64


class Float32:
    """As they are: 4 bytes a number."""

    is_lossy = False

    @staticmethod
    def encode(values):
        return memoryview(np.ascontiguousarray(values, "<f4")).cast("B")

    @staticmethod
    def decode(code, n):
        return np.frombuffer(code, "<f4", n)


class BFloat16:
    """The upper half of float32, rounded to nearest even: 2 bytes a number."""

    is_lossy = True

    @staticmethod
    def encode(values):
        bits = np.ascontiguousarray(values, "<f4").view("<u4")
        rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
        # A NaN must not be rounded to infinity: the loss tells of it, not this.
        rounded = np.where(np.isnan(values), 0x7FC0, rounded)
        return rounded.astype("<u2").tobytes()

    @staticmethod
    def decode(code, n):
        bits = np.frombuffer(code, "<u2", n).astype("<u4") << 16
        return bits.view("<f4")


class Int8:
    """Multiples of a 127th of the largest of 64 neighbours: 1.0625 bytes a number."""

    is_lossy = True

    @staticmethod
    def encode(values):
        n_blocks = -(-len(values) // BLOCK)
        blocks = np.zeros((n_blocks, BLOCK), np.float32)
        blocks.reshape(-1)[: len(values)] = values
        largest = np.maximum(blocks.max(axis=1), -blocks.min(axis=1))
        scales = largest / np.float32(127)
        # Where all are 0, or too small to be divided by; NaN stays NaN by its scale.
        divisors = np.where(scales < np.finfo(np.float32).tiny, np.inf, scales)
        with np.errstate(invalid="ignore"):
            blocks /= divisors[:, np.newaxis]
            stored = np.rint(blocks, out=blocks).astype(np.int8)
        return (
            scales.astype("<f4").tobytes() + stored.reshape(-1)[: len(values)].tobytes()
        )

    @staticmethod
    def decode(code, n):
        n_blocks = -(-n // BLOCK)
        scales = np.frombuffer(code, "<f4", n_blocks)
        decoded = np.zeros((n_blocks, BLOCK), np.float32)
        decoded.reshape(-1)[:n] = np.frombuffer(code, np.int8, n, offset=4 * n_blocks)
        with np.errstate(invalid="ignore"):  # 0 times an infinite scale
            decoded *= scales[:, np.newaxis]
        return decoded.reshape(-1)[:n]


CODECS = {None: Float32, "bfloat16": BFloat16, "int8": Int8}


@dataclass
class Residual:
    """What rounding has left out of an array; float32, or None for nothing."""

    values: np.ndarray | None = None

    def add_to(self, values):
        return values if self.values is None else values + self.values

    def keep(self, exact, rounded):
        self.values = exact - rounded


@dataclass
class Residuals:
    """Those of a member's arrays, and of the sums that it takes for all."""

    of_values: Residual = field(default_factory=Residual)
    of_sums: Residual = field(default_factory=Residual)
