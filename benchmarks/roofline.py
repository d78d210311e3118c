"""How far a figure is from what a core can do, measured on the spot.

    python benchmarks/roofline.py                       the instruction set in use
    SPARSENET_ISA=avx2 python benchmarks/roofline.py

A core is limited by its float32 multiply-adds, and by what it can load from L2. NumPy's
BLAS measures both: a matrix product of 512 x 512 x 512, and dot products of two vectors
that fill 192 KiB together, which L2 holds and L1 does not. OpenBLAS is told to use the
instruction set that is measured; other libraries choose for themselves.

The operations of a network are two for each connection and sample of each product. A
product of a connection reads a sample's value, in the number format, once for the rows
that share it: four in blocks and in dense layers. Optimizer, loss and all else count
nothing, so the shares of a whole step are a little low. int8 and bfloat16 instructions
may do more than a float32 one: their share can be above 100 %.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
from scipy.sparse import issparse
from threadpoolctl import threadpool_info

from sparsenet._formats import STORED_DTYPE
from sparsenet._kernels import current_isa
from sparsenet._kernels._dispatch import BLOCK_HEIGHT

#: What OpenBLAS calls processors with these instruction sets, and nothing newer.
CORE_TYPES = {"portable": "Nehalem", "avx2": "Haswell", "avx_vnni": "Haswell"}
SIZE = 512
VECTOR_BYTES = 96 * 1024
N_DOTS = 200
ROUNDS = 20
HEADER = ("% of FMA", "% of L2")


@dataclass(frozen=True)
class Work:
    """What a product does, or several."""

    flops: float
    n_bytes: float


@dataclass(frozen=True)
class Limits:
    """Operations and bytes a second of one core, and the library that found them."""

    flops: float
    n_bytes: float
    library: str

    def shares(self, work, seconds, n_threads=1):
        """Percentages of both, as text; empty for what `work` does not count."""
        done = (work.flops, self.flops), (work.n_bytes, self.n_bytes)
        return tuple(
            f"{100 * n / (seconds * n_threads * limit):.0f}" if n else ""
            for n, limit in done
        )

    def __str__(self):
        return (
            f"{self.flops / 1e9:.0f} GFLOP/s of float32, {self.n_bytes / 1e9:.0f} GB/s "
            f"from L2 ({self.library})"
        )


@cache
def limits(isa=None):
    """Those of a core with an instruction set, by default the one in use."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment.pop("OPENBLAS_CORETYPE", None)
    if core_type := CORE_TYPES.get(isa or current_isa()):
        environment["OPENBLAS_CORETYPE"] = core_type
    measured = subprocess.run(
        [sys.executable, "-c", "import roofline; roofline.measure()"],
        cwd=os.path.dirname(__file__),
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return Limits(**json.loads(measured.stdout))


def measure():
    """Print this process's limits as JSON."""
    a = np.ones((SIZE, SIZE), np.float32)
    product = np.empty_like(a)
    x = np.ones(VECTOR_BYTES // 4, np.float32)
    # The same row again and again, without a call from Python for each.
    rows = np.broadcast_to(x[np.newaxis], (N_DOTS, 1, len(x)))
    y = x.copy()
    flops = 2 * SIZE**3 / _shortest(lambda: np.matmul(a, a, out=product))
    n_bytes = 2 * N_DOTS * x.nbytes / _shortest(lambda: np.matmul(rows, y))
    print(json.dumps(asdict(Limits(flops, n_bytes, blas_libraries()))))


def blas_libraries():
    """The BLAS libraries of this process, and what processor they take it for."""
    return ", ".join(
        sorted(
            {
                f"{blas['internal_api']} {blas.get('architecture', '')}".strip()
                for blas in threadpool_info()
                if blas["user_api"] == "blas"
            }
        )
    )


def _shortest(call):
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def product_work(n_terms, itemsize, shared_by):
    """Of so many products, whose samples `shared_by` rows of weights share."""
    return Work(2 * n_terms, n_terms * itemsize / shared_by)


def prediction_work(model, X):
    """Of a fitted network, sparsenet's or scikit-learn's, that predicts rows of X."""
    return _network_work(model, X, n_products=lambda layer: 1)


def training_work(model, X):
    """Of an epoch of training with X; the first layer has no input gradient."""
    return _network_work(model, X, n_products=lambda layer: 3 if layer else 2)


def _network_work(model, X, n_products):
    # scikit-learn's network has no number format: what it loads is not known.
    itemsize = (
        STORED_DTYPE[model.precision].itemsize if hasattr(model, "precision") else 0
    )
    flops = n_bytes = 0
    for layer, weights in enumerate(model.coefs_):
        n_in = weights.shape[0]
        n_values = X.nnz if layer == 0 and issparse(X) else X.shape[0] * n_in
        n_connections = weights.nnz if issparse(weights) else weights.size
        is_dense = n_connections == np.prod(weights.shape)
        shared_by = BLOCK_HEIGHT if is_dense else model.block_size
        n_terms = n_products(layer) * n_values * n_connections / n_in
        work = product_work(n_terms, itemsize, shared_by)
        flops, n_bytes = flops + work.flops, n_bytes + work.n_bytes
    return Work(flops, n_bytes)


if __name__ == "__main__":
    print(f"a core, {current_isa()}: {limits()}")
