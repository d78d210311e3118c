"""The time of each kernel alone, and the products' share of torch's dense ones.

    python benchmarks/kernels.py                    all, the instruction set in use
    python benchmarks/kernels.py --op spmm sddmm    some; --help lists them
    python benchmarks/kernels.py --op spmm --layout blocks --format int8 --isa avx2
    python benchmarks/kernels.py --density 0.3      sparse layers of another density

One thread, a panel of 64 samples (the weight gradient: two), a layer of 1024 x 1024: a
tenth of all connections, 102 at random a row, or what --density says ("rows"), the same
for blocks of 4 rows ("blocks"), and a dense layer ("dense"). Sparse rows of X have as
many non-zeros. What works on one row or one block works on the same one all the time:
its data stay in L1.

A time is that of one call, the median over the rounds. Calls are repeated, in C, until
they take 20 ms. A product counts two operations for each non-zero and sample; beside it
is its share of torch's 1024 x 1024 x 1024 float32 product (spmv: 1024 x 1024 x 1),
timed in the same rounds. Sums of rows count so, too; all else, the bytes that it reads
and writes, once each. Further shares are of what a core can do with that instruction
set: of its float32 multiply-adds, or of the bytes that it loads from L2 (roofline.py).
What spmm and spmv make of their samples before (tile_samples, first_lane), and sddmm of
a dense layer (turn), is done once for all repeated calls, and is an op of its own.

Samples of spmm and sddmm are at least 0, as relu's outputs are. Some instruction sets
have another int8 kernel for others: spmm_signed and sddmm_signed.

The input gradient is the forward product on the transpose (int8: spmm_signed); that of
blocks is stored in another way, and is spmm_transposed. Strips are AMX's: they multiply
sparse layers as if they were dense; the engine takes them from a certain density on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import roofline
from common import (
    describe_machine,
    interleave,
    limit_threads,
    optional_import,
    print_table,
)

from sparsenet._formats import PRECISIONS, STORED_DTYPE
from sparsenet._kernels import available_isas, current_isa
from sparsenet._kernels._dispatch import (
    ACTIVATIONS,
    BLOCK_HEIGHT,
    CODE_LOSSES,
    KEEP_DERIVATIVE,
    LANES,
    LOSSES,
    N_MOMENTS,
    OUT_ACTIVATIONS,
)
from sparsenet._kernels.testing.kernels import Kernels
from sparsenet._kernels.train.layouts import padded
from sparsenet._optimizer import Optimizer
from sparsenet._topology import random_connections

LAYOUTS = ("rows", "blocks", "dense")
SPARSE = ("rows", "blocks")
PANEL_PAIR = 2
#: Steps that a feature has missed, of the lazy update.
N_STEPS = 8
#: Repeated calls of a kernel, or of a peer, take so long.
SECONDS = 0.02


def filled(shape, dtype=np.float32, value=0):
    """An array as the engine's are, and written to: else it is one page, held by L1.

    Values do not matter to a kernel's time, unless they are denormal numbers. Kernels
    that work in place get such as never become that.
    """
    array = padded(shape, dtype)
    array[...] = value
    return array


def uint(size):
    """The type of stored bits."""
    return np.dtype(f"u{size}")


@dataclass(frozen=True)
class Problem:
    """What a kernel works on."""

    isa: str
    precision: str
    kind: str  # a layout, or the name of a function
    size: int  # features and units
    density: float

    @cached_property
    def kernels(self):
        return Kernels(self.isa, self.precision)

    @property
    def n_few(self):
        """Connections of a row of a sparse layer, or non-zeros of a sparse row."""
        return max(int(self.density * self.size), 1)

    @property
    def fan_in(self):
        return self.size if self.kind == "dense" else self.n_few

    @property
    def fan_out(self):
        """Of a layer that is stored by feature."""
        return max(self.n_few // self.height, 1) * self.height

    @property
    def height(self):
        return 1 if self.kind == "rows" else BLOCK_HEIGHT

    @property
    def activation(self):
        """dtype of a stored activation."""
        return uint(STORED_DTYPE[self.precision].itemsize)

    @property
    def delta(self):
        """dtype of a delta that is kept."""
        return uint(2 if self.precision in ("float16", "bfloat16") else 4)

    def panel(self, dtype=np.float32, value=0):
        return filled((self.size, LANES), dtype, value)

    def connections(self):
        """(indptr, indices) of the layer."""
        n_blocks = self.size // self.height
        indptr = np.arange(n_blocks + 1, dtype=np.int64) * self.fan_in
        if self.kind == "dense":
            return indptr, None
        rng = np.random.default_rng(0)
        return indptr, random_connections(self.size, n_blocks, self.fan_in, rng).ravel()

    def weights(self):
        return filled(self.size * self.fan_in, STORED_DTYPE[self.precision])


# Each of the following functions gets a problem. It returns what calls the kernel, with
# an argument `repeat`, and how many operations or bytes a call counts; or None where
# there is no such kernel.


def spmm(p, by_strips=False, signed=False):
    if by_strips and not p.kernels.weight_tile:
        return None
    if signed and p.precision != "int8":
        return None
    matrix = p.kind, *p.connections(), p.weights()
    x = p.panel(p.activation)
    call = partial(p.kernels.spmm, *matrix, x, signed, p.panel())
    return partial(call, by_strips=by_strips), 2 * LANES * p.size * p.fan_in


def spmv(p):
    if p.kind == "dense" and p.kernels.weight_tile:
        return None
    matrix = p.kind, *p.connections(), p.weights()
    x, out = filled(p.size, p.activation), filled(p.size)
    return partial(p.kernels.spmv, *matrix, x, False, out), 2 * p.size * p.fan_in


def cut_windows(p):
    if p.precision != "int8" or not p.kernels.window_rows:
        return None
    matrix = p.kind, *p.connections(), p.weights()
    call = partial(p.kernels.cut_windows, *matrix, p.size, p.size)
    return call, sum(array.nbytes for array in call()) + matrix[-1].nbytes


def spmv_windows(p):
    if p.precision != "int8" or not p.kernels.window_rows:
        return None
    matrix = p.kind, *p.connections(), p.weights()
    windows = p.kernels.cut_windows(*matrix, p.size, p.size)
    x, out = filled(p.size, p.activation), filled(p.size)
    call = partial(p.kernels.spmv, "windows", *windows, x, False, out)
    return call, 2 * p.size * p.fan_in


def spmm_transposed(p, by_strips=False):
    interleaved = p.precision == "int8"  # deltas, which tiles could not read
    if by_strips and (interleaved or not p.kernels.weight_tile):
        return None
    _, indices = p.connections()
    order = np.argsort(indices, kind="stable")
    rows = (order // p.fan_in).astype(indices.dtype)
    starts = np.searchsorted(indices[order], np.arange(p.size + 1))
    matrix = "block_columns", starts, rows, p.weights()
    call = partial(p.kernels.spmm, *matrix, p.panel(p.activation), True, p.panel())
    return partial(call, by_strips=by_strips), 2 * LANES * p.size * p.fan_in


def sddmm(p, by_strips=False, signed=False):
    if by_strips and not p.kernels.weight_tile:
        return None
    if signed and p.precision != "int8":
        return None
    connections = p.connections()
    deltas = filled((p.size, PANEL_PAIR, LANES), uint(p.kernels.operand_size))
    panels = [p.panel(p.activation) for _ in range(PANEL_PAIR)]
    of_rows = filled(p.size, value=1), filled(p.size, np.int32)
    arrays = *connections, deltas, panels, *of_rows, filled(p.size * p.fan_in)
    if by_strips:
        call = partial(p.kernels.sddmm_strips, p.kind, *arrays)
    else:
        call = partial(p.kernels.sddmm, *connections, p.height, *arrays[2:])
        call = partial(call, is_signed=signed)
    return call, 2 * PANEL_PAIR * LANES * p.size * p.fan_in


def sddmm_panel(p):
    ones = filled(LANES, value=1)
    call = partial(
        p.kernels.sddmm_panel,
        *p.connections(),
        p.panel(p.delta),
        ones,
        p.panel(p.activation),
        ones,
        False,
        0,
        filled(p.size * p.fan_in),
        filled(p.size),
    )
    return call, 2 * LANES * p.size * p.fan_in


def tile_samples(p):
    x = p.panel(p.activation)
    if p.kernels.tile_samples(x, 0) is x:
        return None
    samples = x.nbytes if p.kernels.weight_tile else x.size * 4
    return partial(p.kernels.tile_samples, x, 0), x.nbytes + samples


def first_lane(p):
    x = p.panel(p.activation)
    return partial(p.kernels.first_lane, x, 0), len(x) * (x.itemsize + 4)


def encode_sample(p):
    z, x = filled(p.size, value=1), filled(p.size, p.activation)
    return partial(p.kernels.encode_sample, z, 0, x), z.nbytes + x.nbytes


def turn(p):
    x = p.panel(p.activation)
    return partial(p.kernels.turn, x), x.nbytes + p.kernels.turn(x).nbytes


def encode(p):
    z, x = p.panel(value=1), p.panel(p.activation)
    return partial(p.kernels.encode, z, 0, x, filled(LANES)), z.nbytes + x.nbytes


def decode(p):
    x, z = p.panel(p.activation), p.panel()
    scale = filled(LANES, value=1)
    return partial(p.kernels.decode, x, 0, scale, z), x.nbytes + z.nbytes


def encode_deltas(p):
    """As the engine calls it: in place where deltas stay in float32."""
    if p.precision == "float32":
        return None  # there is nothing to do
    z = p.panel(value=1)
    operand = p.panel(p.activation)
    kept = z if p.delta.itemsize == 4 else operand
    arrays = kept, operand, filled(LANES)
    call = partial(p.kernels.encode_deltas, z, filled(p.size, value=1), 0, *arrays)
    return call, z.nbytes + operand.nbytes


def prepare(p):
    kept = filled((PANEL_PAIR, LANES), p.delta)
    scales = filled((PANEL_PAIR, LANES), value=1)
    deltas = filled((PANEL_PAIR, LANES), uint(p.kernels.operand_size))
    call = partial(p.kernels.prepare, kept, scales, scales, 0, 0, deltas)
    return call, kept.nbytes + deltas.nbytes


def encode_weights(p):
    master = filled((p.fan_in, p.height), value=1)
    position, block = None, 0
    if p.kind != "dense":
        block = -1
        places = np.random.default_rng(0).permutation(p.size * p.fan_in // p.height)
        position = filled(p.fan_in, np.uint32, places[: p.fan_in])
    arrays = master, position, p.weights(), p.weights(), filled(p.height)
    n_copies = 1 if p.precision == "float32" else 2  # its products read the master
    n_bytes = 4 + n_copies * STORED_DTYPE[p.precision].itemsize
    call = partial(p.kernels.encode_weights, *arrays, block, p.size)
    return call, master.size * n_bytes


def encode_terms(p):
    x = filled(p.n_few, value=1)
    terms = filled(p.n_few, uint(p.kernels.term_size))
    call = partial(p.kernels.encode_terms, x, p.n_few, 0, 0, terms)
    return call, x.nbytes + terms.nbytes


def encode_row(p):
    values = filled(p.size, value=1)
    row = filled(p.size, uint(p.kernels.row_size))
    call = partial(p.kernels.encode_row, values, p.size, 1, 0, row)
    return call, values.nbytes + row.nbytes


def terms_of_table(p, n_columns, dtype):
    """A sparse row's indices and terms, a table of `size` rows and the bytes of one."""
    indices = np.random.default_rng(0).permutation(p.size)[: p.n_few].astype(np.uint32)
    table = filled((p.size, n_columns), dtype)
    terms = filled(p.n_few, uint(p.kernels.term_size))
    return indices, terms, table, table.strides[0]


def sum_rows(p, encoded=False):
    dtype = uint(p.kernels.row_size) if encoded else p.activation
    terms = terms_of_table(p, p.size, dtype)
    call = partial(p.kernels.sum_rows, *terms, encoded, p.size, filled(p.size))
    return call, 2 * p.n_few * p.size


def sum_sparse_rows(p):
    terms = terms_of_table(p, p.fan_out, p.activation)
    shape = p.size // p.height, p.size, p.fan_out // p.height
    blocks = random_connections(*shape, np.random.default_rng(0))
    more = blocks, p.height, p.size, filled(p.size)
    call = partial(p.kernels.sum_sparse_rows, *terms, *more)
    return call, 2 * p.n_few * p.fan_out


def sum_at_connections(p):
    terms = terms_of_table(p, p.size, uint(p.kernels.row_size))
    shape = p.size // p.height, 1, p.fan_out // p.height
    blocks = random_connections(*shape, np.random.default_rng(0)).ravel()
    more = blocks, p.height, filled(p.fan_out)
    call = partial(p.kernels.sum_at_connections, *terms, *more)
    return call, 2 * p.n_few * p.fan_out


def pack(p):
    X, z = filled((LANES, p.size), p.kind), p.panel()
    return partial(p.kernels.pack, X, np.arange(LANES), z), X.nbytes + z.nbytes


def activate(p):
    z, ones, half = p.panel(), filled(p.size, value=1), filled(p.size, value=0.5)
    derivative = p.panel() if p.kind in KEEP_DERIVATIVE else None
    scales = half, filled(LANES, value=1)
    call = partial(p.kernels.activate, ACTIVATIONS[p.kind], z, ones, *scales)
    n_panels = 2 if derivative is None else 3
    return partial(call, derivative=derivative), n_panels * z.nbytes


def activate_sample(p):
    z, ones = filled(p.size), filled(p.size, value=1)
    call = partial(p.kernels.activate_sample, ACTIVATIONS[p.kind], z, ones, ones)
    return partial(call, 1), 4 * z.nbytes


def chain(p):
    z, a = p.panel(), p.panel(value=1)
    arrays = z, a, filled(LANES, value=1)
    n_panels = 2 if p.kind == "identity" else 3  # which does not read `a`
    call = partial(p.kernels.chain, ACTIVATIONS[p.kind], *arrays)
    return call, n_panels * z.nbytes


def output(p):
    if OUT_ACTIVATIONS[p.kind] == "identity":
        return None  # there is nothing to do
    z = p.panel()
    return partial(p.kernels.output, LOSSES[p.kind], z), 2 * z.nbytes


def loss(p):
    z, weight = p.panel(), filled(LANES, value=1)
    codes = p.kind in CODE_LOSSES
    target = filled(LANES, np.int32) if codes else p.panel(value=1)
    parameters = filled(len(z), value=0.5)
    call = partial(p.kernels.loss, LOSSES[p.kind], z, target, weight, parameters)
    return call, 2 * z.nbytes + target.nbytes


def drop(p):
    z = p.panel(value=1)
    return partial(p.kernels.drop, z, 0, 1 << 13, 1), 2 * z.nbytes


def sum_of_squares(p):
    x = filled(p.size * p.n_few, value=1)
    return partial(p.kernels.sum_of_squares, x), x.nbytes


def optimizer(p):
    """And how many arrays of the size of the parameters a step reads and writes."""
    return Optimizer(p.kind, 1e-3), 3 + 2 * N_MOMENTS[p.kind]


def update(p):
    o, n_arrays = optimizer(p)
    n = p.size * p.n_few
    w, m, v = (filled(n) for _ in range(3))
    call = partial(p.kernels.update, o, 1e-4, 1, w, filled(n, value=1), m, v)
    return call, n_arrays * w.nbytes


def advance(p):
    """Each feature has a gradient, and steps before that it missed."""
    o, n_arrays = optimizer(p)
    stride = -(-p.n_few // 16) * 16
    state = filled((p.size, 1 + N_MOMENTS[p.kind], stride))
    gradient = filled((p.size, stride), value=1)
    gradient[:, p.n_few :] = 0
    steps = filled(N_STEPS, value=o.learning_rate), filled(N_STEPS, value=1)
    features = np.arange(p.size, dtype=np.uint32)
    ranges = filled(p.size, np.uint32), filled(p.size, np.uint32, N_STEPS)
    arrays = *steps, state, p.n_few, features, *ranges, gradient
    call = partial(p.kernels.advance, o, 1e-4, *arrays)
    return call, n_arrays * 4 * p.size * p.n_few


# A peer gets torch and the size, and returns the same.


def dense_product(torch, size, n_columns=None):
    n_columns = n_columns or size
    a, b = torch.randn(size, size), torch.randn(size, n_columns)

    def call(repeat):
        for _ in range(repeat):
            a @ b

    return call, 2 * size * size * n_columns


PEERS = {"torch": dense_product, "torch, 1 column": partial(dense_product, n_columns=1)}


@dataclass(frozen=True)
class Case:
    op: str
    make: Callable
    kinds: tuple[str, ...] = ("",)  # layouts, or names of functions
    kernel: str = ""  # in kernels.h, where it is not called `op`
    unit: str = "GB"  # a billion of what `make` counts
    by_format: bool = True  # else it works on float32 values, whatever the format
    peer: str | None = None

    def label(self, kind):
        return f"{self.op} {kind}" if kind and kind not in LAYOUTS else self.op


product = partial(Case, unit="GFLOP", peer="torch")
row_sum = partial(Case, unit="GFLOP")
of_float32 = partial(Case, by_format=False)

#: Each kernel of kernels.h that can be timed; all else in this program follows.
CASES = (
    product("spmm", spmm, LAYOUTS),
    product("spmm_signed", partial(spmm, signed=True), LAYOUTS, "spmm"),
    product("spmm_transposed", spmm_transposed, ("blocks",), "spmm"),
    product("spmv", spmv, LAYOUTS, peer="torch, 1 column"),
    product("spmv_windows", spmv_windows, LAYOUTS, "spmv", peer="torch, 1 column"),
    Case("cut_windows", cut_windows, LAYOUTS),
    product("sddmm", sddmm, LAYOUTS),
    product("spmm_strips", partial(spmm, by_strips=True), SPARSE, "spmm"),
    product(
        "spmm_transposed_strips",
        partial(spmm_transposed, by_strips=True),
        ("blocks",),
        "spmm",
    ),
    product("sddmm_signed", partial(sddmm, signed=True), LAYOUTS, "sddmm"),
    product("sddmm_strips", partial(sddmm, by_strips=True), LAYOUTS),
    product("sddmm_panel", sddmm_panel, ("rows",)),
    Case("tile_samples", tile_samples),
    Case("first_lane", first_lane),
    Case("turn", turn),
    Case("encode", encode),
    Case("encode_sample", encode_sample),
    Case("decode", decode),
    Case("encode_deltas", encode_deltas),
    Case("prepare", prepare),
    Case("encode_weights", encode_weights, LAYOUTS),
    Case("encode_terms", encode_terms),
    Case("encode_row", encode_row),
    row_sum("sum_rows", sum_rows, ("dense",)),
    row_sum(
        "sum_encoded_rows", partial(sum_rows, encoded=True), ("dense",), "sum_rows"
    ),
    row_sum("sum_sparse_rows", sum_sparse_rows, SPARSE),
    row_sum("sum_at_connections", sum_at_connections, SPARSE),
    of_float32("pack", pack, ("float32", "float64")),
    of_float32("activate", activate, tuple(ACTIVATIONS)),
    of_float32("activate_sample", activate_sample, tuple(ACTIVATIONS)),
    of_float32("chain", chain, tuple(ACTIVATIONS)),
    of_float32("output", output, tuple(LOSSES)),
    of_float32("loss", loss, tuple(LOSSES)),
    of_float32("drop", drop),
    of_float32("sum_of_squares", sum_of_squares),
    of_float32("update", update, tuple(N_MOMENTS)),
    of_float32("advance", advance, tuple(N_MOMENTS)),
)


def parse(argv=None):
    epilog = ["ops, and what each is timed for:"]
    epilog += [f"  {case.op:23} {', '.join(case.kinds)}".rstrip() for case in CASES]
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="\n".join(epilog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def names(option, allowed, default, what):
        parser.add_argument(
            option,
            nargs="+",
            choices=allowed,
            default=default,
            metavar=option.strip("-").upper(),
            help=what,
        )

    ops = [case.op for case in CASES]
    names("--op", ops, ops, "all by default")
    names("--layout", LAYOUTS, None, f"{', '.join(LAYOUTS)}; only ops that have one")
    names("--format", PRECISIONS, PRECISIONS, f"of numbers: {', '.join(PRECISIONS)}")
    isas = available_isas()
    names("--isa", isas, [current_isa()], f"instruction set: {', '.join(isas)}")
    parser.add_argument("--density", type=density, default=0.1, help="of sparse layers")
    parser.add_argument("--size", type=size, default=1024, help="features and units")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args(argv)
    args.problems = problems(args)
    if not args.problems:
        parser.error("none of these ops has this layout")
    return args


def density(text):
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text}; allowed: above 0, up to 1")
    return value


def size(text):
    value = int(text)
    if value < 64 or value % 64:
        raise argparse.ArgumentTypeError(f"{text}; allowed: multiples of 64")
    return value


def problems(args):
    """(case, problem) of everything that was asked for."""
    return [
        (case, Problem(isa, precision, kind, args.size, args.density))
        for case in CASES
        if case.op in args.op
        for kind in case.kinds
        if not args.layout or kind in args.layout
        for precision in (args.format if case.by_format else ("float32",))
        for isa in args.isa
    ]


def repeats(call):
    """How many calls take SECONDS, a power of two."""
    n = 1
    while True:
        start = time.perf_counter()
        call(repeat=n)
        if time.perf_counter() - start >= SECONDS:
            return n
        n *= 2


def work_of(name, case, counted):
    """What `counted` operations or bytes are among the limits of a core."""
    _, layout, precision, _ = name
    if case.unit == "GB":
        return roofline.Work(0, counted)
    # Sums of rows read each weight once; peers' products, we do not know what.
    itemsize = STORED_DTYPE[precision].itemsize if case.make else 0
    shared_by = BLOCK_HEIGHT if case.peer and layout != "rows" else 1
    return roofline.product_work(counted / 2, itemsize, shared_by)


def measure(args, torch=None):
    """Rows of the table: op, layout, format, isa, time, rate and share of the peer."""
    work, cases = {}, {}
    for case, p in args.problems:
        if (made := case.make(p)) is None:
            continue
        layout = p.kind if p.kind in LAYOUTS else ""
        precision = p.precision if case.by_format else "any"
        name = case.label(p.kind), layout, precision, p.isa
        work[name], cases[name] = made, case
    peers = {
        peer: (peer, "dense", "float32", "")
        for peer in PEERS
        if torch and any(case.peer == peer for case in cases.values())
    }
    for peer, name in peers.items():
        work[name] = PEERS[peer](torch, args.size)
        cases[name] = product(peer, None, peer=peer)

    n_calls = {name: repeats(call) for name, (call, _) in work.items()}
    jobs = {name: partial(work[name][0], repeat=n) for name, n in n_calls.items()}
    timings = interleave(jobs, 1, args.rounds)
    rows = []
    for name, timing in timings.items():
        counted = n_calls[name] * work[name][1]
        share = ""
        if of_peer := peers.get(cases[name].peer):
            ratio = timing.times_faster_than(timings[of_peer])
            share = ratio * counted / (n_calls[of_peer] * work[of_peer][1])
            share = f"{share:.2f}"
        microseconds = f"{timing.median / n_calls[name] * 1e6:.3f}"
        rate = f"{counted / timing.median / 1e9:.1f} {cases[name].unit}/s"
        done = work_of(name, cases[name], counted)
        shares = roofline.limits(name[-1]).shares(done, timing.median)
        rows.append((*name, microseconds, rate, *shares, share))
    return rows


def main(argv=None):
    args = parse(argv)
    describe_machine(1, packages=("torch",))
    torch = optional_import("torch")
    limit_threads(1)
    rows = measure(args, torch)
    if not rows:
        raise SystemExit("no such kernel for these formats and instruction sets")
    header = ("op", "layout", "format", "isa", "us", "rate", *roofline.HEADER)
    print_table((*header, "share of torch"), rows)


if __name__ == "__main__":
    main()
