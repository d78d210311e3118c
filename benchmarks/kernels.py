"""GFLOP/s of each product alone, against the dense float32 product of torch.

    python benchmarks/kernels.py                 the instruction set in use
    python benchmarks/kernels.py --isa avx2      another one that the machine has
    python benchmarks/kernels.py --density 0.3   sparse layers of another density

One thread, one panel of 64 samples (the weight gradient: two), a 1024 x 1024 layer: a
tenth of all connections, 102 at random a row, or what --density says ("rows"), the same
for blocks of 4 rows ("blocks"), and a dense layer ("dense"). Two operations are counted
for each non-zero and sample. The input gradient is the forward kernel on the transpose:
where it has a row of its own, the transpose is stored in another way. The weight
gradient of a dense layer reads turned panels; turning (1 to 6 us) is timed once for 40
products. Beside each figure: its share of torch's 1024 x 1024 x 1024 float32 product,
timed in the same rounds. Strips are AMX's: they multiply sparse layers as if they were
dense, and the engine takes them from a certain density on.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import (
    PRECISIONS,
    describe_machine,
    interleave,
    limit_threads,
    optional_import,
    print_table,
)

from sparsenet._formats import STORED_DTYPE
from sparsenet._kernels import current_isa
from sparsenet._kernels._dispatch import BLOCK_HEIGHT, LANES
from sparsenet._kernels.testing.kernels import Kernels
from sparsenet._kernels.train.engine import PADDING
from sparsenet._topology import random_connections

SIZE = 1024
REPEAT = 40


def aligned(shape, dtype):
    """Zeros from the start of a cache line, as the engine's panels are.

    They are written: what was never written is one page of memory, which L1 holds.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = np.empty(size + 64, np.uint8)
    buffer[:] = 0
    start = -buffer.ctypes.data % 64
    return buffer[start : start + size].view(dtype).reshape(shape)


def product_jobs(isa, precision, layout, fan_in):
    """The products of one format, over zeros: their time depends on no value."""
    kernels = Kernels(isa, precision)
    height = 1 if layout == "rows" else BLOCK_HEIGHT
    n_blocks = SIZE // height
    rng = np.random.default_rng(0)
    indices = random_connections(SIZE, n_blocks, fan_in, rng)
    indptr = np.arange(n_blocks + 1, dtype=np.int64) * fan_in
    columns = np.argsort(indices.ravel(), kind="stable") // fan_in  # by input
    columns = columns.astype(indices.dtype)
    column_starts = np.searchsorted(np.sort(indices.ravel()), np.arange(SIZE + 1))
    indices = None if layout == "dense" else indices.ravel()
    dtype = STORED_DTYPE[precision]
    stored = np.uint8 if precision == "int8" else dtype
    weights = np.zeros(n_blocks * fan_in * height + PADDING, dtype)
    panels = [aligned((SIZE, LANES), stored) for _ in range(2)]
    out = aligned((SIZE, LANES), np.float32)
    deltas = aligned(SIZE * 2 * LANES * kernels.operand_size, np.uint8)
    factor, correction = np.ones(SIZE, np.float32), np.zeros(SIZE, np.int32)
    gradient = np.zeros(n_blocks * fan_in * height, np.float32)
    jobs = {
        "forward": lambda: kernels.spmm(
            layout,
            indptr,
            indices,
            weights,
            panels[0],
            0,
            out,
            repeat=2 * REPEAT,
        ),
        "weight gradient": lambda: kernels.sddmm(
            indptr,
            indices,
            height,
            deltas,
            panels,
            factor,
            correction,
            gradient,
            repeat=REPEAT,
        ),
    }
    if kernels.weight_tile:
        of_operands = np.float32 if kernels.operand_size == 4 else np.int8
        jobs["weight gradient, strips"] = lambda: kernels.sddmm_strips(
            layout,
            indptr,
            indices,
            deltas.view(of_operands),
            panels,
            factor,
            correction,
            gradient,
            repeat=REPEAT,
        )
        if layout != "dense":
            jobs["forward, strips"] = lambda: kernels.spmm(
                layout,
                indptr,
                indices,
                weights,
                panels[0],
                0,
                out,
                repeat=2 * REPEAT,
                by_strips=True,
            )
    if layout != "blocks":
        return jobs

    def input_gradient(by_strips):
        offset = 0 if precision != "int8" else 128
        transpose = "block_columns", column_starts, columns, weights
        kernels.spmm(
            *transpose,
            panels[0],
            offset,
            out,
            repeat=2 * REPEAT,
            by_strips=by_strips,
        )

    jobs["input gradient"] = lambda: input_gradient(False)
    if kernels.weight_tile and precision != "int8":  # whose deltas lie interleaved
        jobs["input gradient, strips"] = lambda: input_gradient(True)
    return jobs


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--isa", default=current_isa())
    parser.add_argument("--density", type=float, default=0.1, help="of sparse layers")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    describe_machine(1, packages=("torch",))
    torch = optional_import("torch")
    limit_threads(1)

    jobs, operations = {}, {}
    for layout in ("rows", "blocks", "dense"):
        fan_in = SIZE if layout == "dense" else int(args.density * SIZE)
        for precision in PRECISIONS:
            products = product_jobs(args.isa, precision, layout, fan_in)
            for product, job in products.items():
                jobs[layout, product, precision] = job
                operations[layout, product, precision] = (
                    4 * REPEAT * LANES * SIZE * fan_in
                )
    if torch:
        a, b = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
        jobs["torch"] = lambda: a @ b
        operations["torch"] = 2 * SIZE**3
    timings = interleave(jobs, 1, args.rounds)
    rates = {name: operations[name] / t.median / 1e9 for name, t in timings.items()}

    print(f"{args.isa}, GFLOP/s" + (" and share of torch's product" if torch else ""))
    rows = []
    kinds = dict.fromkeys(job[:2] for job in jobs if job != "torch")
    for kind in kinds:
        cells = []
        for precision in PRECISIONS:
            rate = rates.get((*kind, precision))
            share = f"  {rate / rates['torch']:.2f}" if torch and rate else ""
            cells.append(f"{rate:.0f}{share}" if rate else "")
        rows.append((" ".join(kind), *cells))
    if torch:
        rows.append(("torch float32, dense", f"{rates['torch']:.0f}  1.00", "", "", ""))
    print_table(("", *PRECISIONS), rows)


if __name__ == "__main__":
    main()
