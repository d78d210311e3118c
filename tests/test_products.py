"""The two products of every instruction set and layout against their NumPy twins.

Integers must agree bit by bit. A float32 sum of n products, in whatever order and with
or without fused multiply-add, is within (n + 2) * 2^-24 * sum |products| of the exact
one (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
"""

import itertools
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import reference
from kernel_cases import (
    FAN_INS,
    bits_of,
    each_format,
    each_height,
    each_index,
    each_isa,
    each_precision,
    offset_of,
    random_stored,
    values,
)
from reference import LANES, UNIT_ROUNDOFF

from sparsenet._kernels.testing.kernels import Kernels

N_FEATURES = 333
# Panels so tall that the last features need all bits of their index.
N_ROWS = {np.uint16: 2**16, np.uint32: 2**16 + 1000}

each_layout = pytest.mark.parametrize(
    "layout", ["rows", "blocks", "block_columns", "dense"]
)


@dataclass
class Matrix:
    """A random matrix, in the kernels' arrays and dense."""

    layout: str
    height: int  # rows of a block
    span: int  # columns that an index names
    columns: list  # indices of each block
    stored: list  # of each block, (n, height)
    precision: str

    @classmethod
    def random(cls, layout, precision, rng):
        height = 4 if layout in ("blocks", "dense") else 1
        span = 4 if layout == "block_columns" else 1
        columns, stored = [], []
        for fan_in in FAN_INS:
            # Neighbouring blocks share columns; the last feature is nearly always in.
            most = -(-N_FEATURES // span)
            n = N_FEATURES if layout == "dense" else min(fan_in, most)
            chosen = rng.choice(most - 1, max(n - 1, 0), replace=False)
            columns.append(np.sort(np.append(chosen, most - 1))[:n])
            if precision == "int8":
                block = rng.integers(-127, 128, (n * span, height))
                extreme = rng.random(block.shape) < 0.1
                block = np.where(extreme, 127 * np.sign(block), block).astype(np.int8)
            else:
                block = random_stored((n * span, height), precision, rng)
            stored.append(block)
        return cls(layout, height, span, columns, stored, precision)

    @property
    def indptr(self):
        fan_ins = [len(columns) for columns in self.columns]
        return np.concatenate([[0], np.cumsum(fan_ins)]).astype(np.int64)

    def indices(self, index):
        if self.layout == "dense":
            return None
        n_columns = -(-N_FEATURES // self.span)
        first = N_ROWS[index] - n_columns
        return (np.concatenate(self.columns) + first).astype(index)

    def panel(self, x, index, packed=False):
        """The samples x as this matrix reads them, those of most indices far away."""
        n_columns = -(-len(x) // self.span) * self.span
        n_rows = n_columns if self.layout == "dense" else N_ROWS[index] * self.span
        # What completes the last block of columns meets weights that are not zero.
        panel = np.zeros((n_rows, LANES), x.dtype)
        panel[n_rows - n_columns :][: len(x)] = x
        if packed:
            blocks = panel.reshape(-1, self.span, LANES).transpose(0, 2, 1)
            panel = np.ascontiguousarray(blocks).reshape(panel.shape)
        return panel

    def weights(self, kernels):
        """A compute copy, with garbage in the room behind it."""
        group = kernels.weight_group
        if self.layout == "dense":
            rows = np.concatenate([block.T for block in self.stored])
            copies = [reference.lay_out_dense(rows, group, kernels.weight_tile)]
        else:
            copies = [reference.lay_out(block, group) for block in self.stored]
        room = np.full(64, 127, copies[0].dtype)
        if self.precision != "int8":
            room = reference.to_bits(np.full(64, np.nan), self.precision)
        return np.concatenate([*copies, room])

    def dense(self):
        rows = []
        for columns, block in zip(self.columns, self.stored, strict=True):
            row = values(block, self.precision)
            n_columns = -(-N_FEATURES // self.span) * self.span
            rows.append(np.zeros((self.height, n_columns), row.dtype))
            numbers = columns[:, np.newaxis] * self.span + np.arange(self.span)
            rows[-1][:, numbers.ravel()] = row.T
        return np.concatenate(rows)

    @property
    def fan_in(self):
        fan_ins = np.diff(self.indptr) * self.span
        return np.repeat(fan_ins, self.height)[:, np.newaxis]


def samples_of(matrix, kernels, is_signed, rng):
    """Stored samples, and their values for all columns that the matrix has."""
    offset = offset_of(kernels, is_signed)
    shape = N_FEATURES, LANES
    stored = random_stored(shape, matrix.precision, rng, is_signed, offset)
    nothing = np.zeros((-N_FEATURES % matrix.span, LANES), stored.dtype)
    return stored, values(np.concatenate([stored, nothing]), matrix.precision, offset)


def ways_of_spmm(isa, precision, layout):
    """With vectors, or tiles for a dense layer; with tiles where there are any."""
    # As the deltas of blocks of int8 lie, tiles could not read them.
    interleaved = precision == "int8" and layout == "block_columns"
    tiles = (
        Kernels(isa, precision).weight_tile and layout != "dense" and not interleaved
    )
    return [False, True] if tiles else [False]


def run_spmm(
    kernels, matrix, index, x, is_signed, tile_columns=0, lanes=LANES, by_strips=False
):
    # Where four bytes are multiplied at once, a block's samples lie interleaved.
    packed = matrix.layout == "block_columns" and kernels.weight_group == 4
    out = np.full((len(FAN_INS) * matrix.height, LANES), np.nan, np.float32)
    if matrix.layout == "blocks":
        tile_columns = 0  # there are none of them
    elif matrix.layout == "block_columns":
        tile_columns += -tile_columns % matrix.span
    kernels.spmm(
        matrix.layout,
        matrix.indptr,
        matrix.indices(index),
        matrix.weights(kernels),
        matrix.panel(x, index, packed),
        is_signed,
        out,
        tile_columns,
        lanes,
        by_strips=by_strips,
    )
    return out


@each_isa
@each_format
@each_layout
@each_index
@pytest.mark.parametrize("tile_columns", [N_FEATURES, 100])
def test_spmm(isa, precision, is_signed, layout, index, tile_columns):
    rng = np.random.default_rng(len(layout))
    matrix = Matrix.random(layout, precision, rng)
    kernels = Kernels(isa, precision)
    stored, x = samples_of(matrix, kernels, is_signed, rng)
    w = matrix.dense()
    expected = reference.spmm(w, x)
    n_sums = matrix.fan_in + 5  # five tiles' sums are added, too
    bound = (n_sums + 2) * UNIT_ROUNDOFF * reference.spmm(abs(w), abs(x))
    for by_strips in ways_of_spmm(isa, precision, layout):
        out = run_spmm(
            kernels, matrix, index, stored, is_signed, tile_columns, by_strips=by_strips
        )
        if precision == "int8":
            np.testing.assert_array_equal(out, expected.astype(np.float32))
        else:
            assert np.all(np.abs(out - expected) <= bound)


@each_isa
@each_precision
@each_layout
def test_spmm_treats_all_lanes_alike(isa, precision, layout):
    rng = np.random.default_rng(0)
    matrix = Matrix.random(layout, precision, rng)
    kernels = Kernels(isa, precision)
    stored, _ = samples_of(matrix, kernels, True, rng)
    out = run_spmm(kernels, matrix, np.uint16, stored, True)
    place = rng.permutation(LANES)
    moved = run_spmm(kernels, matrix, np.uint16, stored[:, place], True)
    np.testing.assert_array_equal(bits_of(moved), bits_of(out[:, place]))
    # And whatever the other 63 lanes hold, infinities too.
    if precision != "int8":
        stored[:, 1:] = reference.to_bits(np.float32(np.inf), precision)
    else:
        stored[:, 1:] = 127
    alone = run_spmm(kernels, matrix, np.uint16, stored, True)
    np.testing.assert_array_equal(bits_of(alone[:, 0]), bits_of(out[:, 0]))


@each_isa
@each_format
@each_layout
@pytest.mark.parametrize("tile_columns", [N_FEATURES, 100])
def test_spmm_of_few_lanes_is_that_of_all(
    isa, precision, is_signed, layout, tile_columns
):
    rng = np.random.default_rng(0)
    matrix = Matrix.random(layout, precision, rng)
    kernels = Kernels(isa, precision)
    ways = ways_of_spmm(isa, precision, layout)
    for lanes, by_strips in itertools.product((1, 16, 31, 32, 33, 63), ways):
        stored, _ = samples_of(matrix, kernels, is_signed, rng)
        stored[:, lanes:] = offset_of(kernels, is_signed)  # idle lanes hold zeros
        whole, part = (
            run_spmm(
                kernels,
                matrix,
                np.uint16,
                stored,
                is_signed,
                tile_columns,
                n,
                by_strips,
            )
            for n in (LANES, lanes)
        )
        np.testing.assert_array_equal(
            bits_of(part[:, :lanes]), bits_of(whole[:, :lanes])
        )
        assert np.isfinite(part).all()


@each_isa
@each_precision
@pytest.mark.parametrize("layout", ["rows", "blocks", "block_columns"])
@pytest.mark.parametrize("n_columns", [1023, 1025, 4101])
def test_spmm_of_many_columns(isa, precision, layout, n_columns):
    """Weights are written out 1024 or 2048 columns at a time, where by strips."""
    rng = np.random.default_rng(n_columns)
    span, height = (4 if layout == kind else 1 for kind in ("block_columns", "blocks"))
    fan_ins = [3, 0, n_columns // span, *rng.integers(1, n_columns // span, 14)]
    columns = [np.sort(rng.permutation(n_columns // span)[:n]) for n in fan_ins]
    shapes = [(n * span, height) for n in fan_ins]
    # Small integers, whose sums are exact in every order.
    stored = [rng.integers(-3, 4, shape).astype(np.int8) for shape in shapes]
    x = rng.integers(0, 8, (n_columns, LANES)).astype(np.uint8)
    if precision != "int8":
        stored = [reference.to_bits(block, precision) for block in stored]
        x = reference.to_bits(x, precision)
    matrix = Matrix(layout, height, span, columns, stored, precision)
    kernels = Kernels(isa, precision)
    expected = []
    for places, block in zip(columns, stored, strict=True):
        inputs = (places[:, np.newaxis] * span + np.arange(span)).ravel()
        expected.append(values(block, precision).T @ values(x[inputs], precision))
    for by_strips in ways_of_spmm(isa, precision, layout):
        out = np.full((len(fan_ins) * height, LANES), np.nan, np.float32)
        blocks = np.zeros((-(-n_columns // span) * span, LANES), x.dtype)
        blocks[:n_columns] = x
        if layout == "block_columns" and kernels.weight_group == 4:
            blocks = blocks.reshape(-1, span, LANES).transpose(0, 2, 1).copy()
            blocks = blocks.reshape(-1, LANES)
        kernels.spmm(
            layout,
            matrix.indptr,
            np.concatenate(columns).astype(np.uint16),
            matrix.weights(kernels),
            blocks,
            False,
            out,
            by_strips=by_strips,
        )
        np.testing.assert_array_equal(out, np.concatenate(expected))


@each_isa
@each_layout
@pytest.mark.parametrize(
    ("is_signed", "sample"), [(False, 127), (True, -127), (True, 127)]
)
@pytest.mark.parametrize("weight", [-127, 127])
def test_spmm_int8_holds_65536_extreme_products(isa, layout, is_signed, sample, weight):
    n, height = 2**16, 4 if layout in ("blocks", "dense") else 1
    kernels = Kernels(isa, "int8")
    out = np.empty((height, LANES), np.float32)
    n_indices = n // 4 if layout == "block_columns" else n
    n_rows = kernels.weight_tile[0] if kernels.weight_tile else height
    kernels.spmm(
        layout,
        np.array([0, n_indices]),
        None if layout == "dense" else np.arange(n_indices, dtype=np.uint16),
        np.full(n * n_rows + 64, weight, np.int8),
        np.full((n, LANES), sample + offset_of(kernels, is_signed)).astype(np.uint8),
        is_signed,
        out,
    )
    np.testing.assert_array_equal(out, np.float32(n * weight * sample))


# --- one sample --------------------------------------------------------------------


def sample_of(matrix, stored, index):
    """The first sample side by side, with room behind it."""
    panel = matrix.panel(stored, index)
    return np.append(panel[:, 0], np.full(64, 77, panel.dtype))[: len(panel)]


@each_isa
@each_format
@pytest.mark.parametrize("layout", ["rows", "blocks", "dense"])
@each_index
def test_spmv_is_the_first_lane_of_spmm(isa, precision, is_signed, layout, index):
    rng = np.random.default_rng(1)
    kernels = Kernels(isa, precision)
    if layout == "dense" and kernels.weight_tile:
        pytest.skip("AMX multiplies panels")
    matrix = Matrix.random(layout, precision, rng)
    stored, _ = samples_of(matrix, kernels, is_signed, rng)
    # As the engine cuts 333 columns.
    tile_columns = 128 if layout == "dense" and kernels.tile_columns else 0
    whole = run_spmm(kernels, matrix, index, stored, is_signed, tile_columns)
    out = np.full(len(whole), np.nan, np.float32)
    weights = matrix.weights(kernels)
    arrays = matrix.indptr, matrix.indices(index), weights
    sample = sample_of(matrix, stored, index)
    kernels.spmv(layout, *arrays, sample, is_signed, out)
    np.testing.assert_array_equal(bits_of(out), bits_of(whole[:, 0]))


def kernels_with_windows(isa):
    kernels = Kernels(isa, "int8")
    if not kernels.window_rows:
        pytest.skip("no windows")
    return kernels


@each_isa
@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("layout", ["rows", "blocks", "dense"])
@each_index
@pytest.mark.parametrize("left_out", [0, 1, 3])
def test_spmv_by_windows(isa, is_signed, layout, index, left_out):
    rng = np.random.default_rng(left_out)
    kernels = kernels_with_windows(isa)
    matrix = Matrix.random(layout, "int8", rng)
    stored, x = samples_of(matrix, kernels, is_signed, rng)
    expected = reference.spmm(matrix.dense(), x)[: -left_out or None, 0]
    n_rows = len(expected)
    at_columns = matrix.indptr, matrix.indices(index)
    sample = sample_of(matrix, stored, index)
    windows = kernels.cut_windows(
        layout, *at_columns, np.concatenate(matrix.stored), len(sample), n_rows
    )
    columns = matrix.columns
    if layout != "dense":
        columns = np.split(at_columns[1], matrix.indptr[1:-1])
    rows = [of for of in columns for _ in range(matrix.height)][:n_rows]
    starts = [
        reference.window_starts(rows[first : first + kernels.window_rows])
        for first in range(0, n_rows, kernels.window_rows)
    ]
    np.testing.assert_array_equal(np.diff(windows[0]), [len(s) for s in starts])
    np.testing.assert_array_equal(windows[1], np.concatenate(starts))
    out = np.full(n_rows + 64, np.nan, np.float32)
    kernels.spmv("windows", *windows, sample, is_signed, out)
    np.testing.assert_array_equal(out[:n_rows], expected.astype(np.float32))


@each_isa
@pytest.mark.parametrize(
    ("is_signed", "sample"), [(False, 127), (True, -127), (True, 127)]
)
@pytest.mark.parametrize("weight", [-127, 127])
def test_windows_hold_65536_extreme_products(isa, is_signed, sample, weight):
    n = 2**16
    kernels = kernels_with_windows(isa)
    x = np.full(n + 64, sample + offset_of(kernels, is_signed)).astype(np.uint8)[:n]
    weights = np.full((n, 4), weight, np.int8)
    windows = kernels.cut_windows("dense", np.array([0, n]), None, weights, n, 4)
    out = np.empty(64, np.float32)
    kernels.spmv("windows", *windows, x, is_signed, out)
    np.testing.assert_array_equal(out[:4], np.float32(n * weight * sample))


# --- the gradient ------------------------------------------------------------------


def random_operand(shape, kernels, precision, rng):
    """Prepared deltas [rows][n_panels][64], and their values."""
    if precision == "int8":
        deltas = rng.integers(-127, 128, shape).astype(np.int8)
        return deltas, deltas.astype(np.int64)
    # The order of the lanes is the kernels' own affair, so they prepare the operand.
    kept = random_stored(shape, precision, rng)
    operand = np.zeros(shape, f"u{kernels.operand_size}")
    ones = np.ones(shape[1:], np.float32)
    for row in range(len(kept)):
        kernels.prepare(kept[row], ones, ones, 0, 0, operand[row])
    return operand, values(kept, precision)


def weight_gradients(
    kernels, matrix, index, deltas, panels, factor, correction, **more
):
    """By blocks, and by strips where the instruction set has them."""
    at_columns = matrix.indptr, matrix.indices(index)
    operands = deltas, panels, factor, correction
    by_blocks = np.full((matrix.indptr[-1] + 1, matrix.height), np.nan, np.float32)
    kernels.sddmm(*at_columns, matrix.height, *operands, by_blocks, **more)
    gradients = [by_blocks]
    if kernels.weight_tile:
        gradients.append(np.full_like(by_blocks, np.nan))
        layout = matrix.layout
        more.pop("is_signed", None)  # strips tell by the correction
        kernels.sddmm_strips(layout, *at_columns, *operands, gradients[-1], **more)
    for gradient in gradients:
        assert np.isnan(gradient[-1]).all()  # nothing written behind the last column
    return [gradient[:-1] for gradient in gradients]


@each_isa
@each_precision
def test_turn(isa, precision):
    n = 70  # more than a tile of columns
    stored = random_stored((n, LANES), precision, np.random.default_rng(0))
    kernels = Kernels(isa, precision)
    turned = kernels.turn(stored)
    n_groups = len(turned) // (128 * 4)
    together = LANES // n_groups  # samples in 32 bits
    expected = stored
    if together > 1:
        turned = turned.view(stored.dtype)
    elif precision == "int8":
        turned, expected = turned.view(np.int32), values(stored, precision)
    else:
        turned, expected = turned.view(np.float32), values(stored, precision)
    turned = turned.reshape(-1, n_groups, 64, together).transpose(0, 2, 1, 3)
    turned = turned.reshape(-1, LANES)[:n]
    if precision == "bfloat16" and together == 1:
        # In the order of the deltas, which only the kernels know.
        turned, expected = np.sort(turned), np.sort(expected)
    np.testing.assert_array_equal(turned, expected)


@each_isa
@each_format
@pytest.mark.parametrize("layout", ["rows", "blocks", "dense"])
@each_index
@pytest.mark.parametrize("n_panels", [1, 2, 3])
def test_sddmm(isa, precision, is_signed, layout, index, n_panels):
    rng = np.random.default_rng(n_panels)
    kernels = Kernels(isa, precision)
    matrix = Matrix.random(layout, precision, rng)
    n_blocks, height = len(FAN_INS), matrix.height
    offset = offset_of(kernels, is_signed)
    panels = [samples_of(matrix, kernels, is_signed, rng)[0] for _ in range(n_panels)]
    operand, deltas = random_operand(
        (n_blocks * height, n_panels, LANES), kernels, precision, rng
    )
    factor = rng.uniform(0.5, 2, (n_blocks, height)).astype(np.float32)
    correction = np.zeros((n_blocks, height), np.int32)
    if precision == "int8":
        correction.flat = offset * deltas.sum(axis=(1, 2))
    gradients = weight_gradients(
        kernels,
        matrix,
        index,
        operand,
        [matrix.panel(panel, index) for panel in panels],
        factor,
        correction,
        is_signed=is_signed,
    )
    xs = [values(panel, precision, offset) for panel in panels]
    by_panel = deltas.transpose(1, 0, 2)
    expected = reference.sddmm(by_panel, xs)
    magnitude = reference.sddmm(np.abs(by_panel), np.abs(xs))
    for gradient, (block, columns) in itertools.product(
        gradients, enumerate(matrix.columns)
    ):
        rows = slice(block * height, (block + 1) * height)
        actual = gradient[matrix.indptr[block] : matrix.indptr[block + 1]].T
        exact, scale = expected[rows][:, columns], factor[block][:, np.newaxis]
        if precision == "int8":
            np.testing.assert_array_equal(actual, exact.astype(np.float32) * scale)
        else:
            bound = (LANES * n_panels + 3) * UNIT_ROUNDOFF * magnitude[rows][:, columns]
            assert np.all(np.abs(actual - exact * scale) <= bound * scale)


@each_isa
@each_format
@each_index
def test_sddmm_of_a_panel_is_that_of_its_rows(isa, precision, is_signed, index):
    rng = np.random.default_rng(0)
    kernels = Kernels(isa, precision)
    matrix = Matrix.random("rows", precision, rng)
    n_rows, seed = len(FAN_INS), 2**63 + 7
    panel = matrix.panel(samples_of(matrix, kernels, is_signed, rng)[0], index)
    columns = matrix.indptr, matrix.indices(index)
    kept = random_stored((n_rows, LANES), precision, rng)
    if precision == "int8":
        kept = rng.standard_normal((n_rows, LANES), np.float32)
    delta_scale = np.full(LANES, 0.5 if precision == "float16" else 1, np.float32)
    x_scale = rng.uniform(0.5, 2, LANES).astype(np.float32)
    operand = np.zeros((n_rows, 1, LANES), f"u{kernels.operand_size}")
    rows = []
    for row in range(n_rows):
        of_row = (seed + row * 0x9E3779B97F4A7C15) % 2**64
        rows.append(
            kernels.prepare(
                kept[row : row + 1],
                delta_scale[np.newaxis],
                x_scale[np.newaxis],
                is_signed,
                of_row,
                operand[row],
            )
        )
    factor, correction, of_biases = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    factor, correction = factor.astype(np.float32), correction.astype(np.int32)
    expected = np.full(matrix.indptr[-1] + 1, np.nan, np.float32)
    gradient, bias_gradient = expected.copy(), np.zeros(n_rows, np.float32)
    kernels.sddmm(
        *columns, 1, operand, [panel], factor, correction, expected, is_signed=is_signed
    )
    kernels.sddmm_panel(
        *columns, kept, delta_scale, panel, x_scale, is_signed, seed, gradient,
        bias_gradient,
    )  # fmt: skip
    np.testing.assert_array_equal(gradient, expected)
    np.testing.assert_array_equal(bias_gradient, of_biases)


@each_isa
@each_precision
@pytest.mark.parametrize("layout", ["rows", "blocks", "dense"])
@pytest.mark.parametrize("n_samples", [1, 16, 31, 32, 33, 63, 64, 65, 97])
def test_sddmm_of_some_samples_is_that_of_full_panels(
    isa, precision, layout, n_samples
):
    rng = np.random.default_rng(0)
    kernels = Kernels(isa, precision)
    matrix = Matrix.random(layout, precision, rng)
    n_panels, height = -(-n_samples // LANES), matrix.height
    panels = [samples_of(matrix, kernels, True, rng)[0] for _ in range(n_panels)]
    shape = len(FAN_INS) * height, n_panels, LANES
    kept = random_stored(shape, precision, rng)
    kept.reshape(len(kept), -1)[:, n_samples:] = 0
    operand, ones = kept.view(np.int8), np.ones((n_panels, LANES), np.float32)
    if precision != "int8":
        operand = np.zeros(shape, f"u{kernels.operand_size}")
        for row in range(len(kept)):
            kernels.prepare(kept[row], ones, ones, 0, 0, operand[row])
    results = []
    for n in (n_samples, n_panels * LANES):
        gradients = weight_gradients(
            kernels,
            matrix,
            np.uint16,
            operand,
            [matrix.panel(panel, np.uint16) for panel in panels],
            np.ones((len(FAN_INS), height), np.float32),
            np.zeros((len(FAN_INS), height), np.int32),
            n_samples=n,
        )
        results.append(np.concatenate(gradients))
    np.testing.assert_array_equal(*results)


@each_isa
@each_height
@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize(("sample", "delta"), [(127, 127), (-127, 127), (127, -127)])
def test_sddmm_int8_holds_65536_extreme_samples(isa, height, is_signed, sample, delta):
    n_panels, n = 1024, 5
    kernels = Kernels(isa, "int8")
    if not is_signed:
        sample = abs(sample)
    offset = offset_of(kernels, is_signed)
    panel = np.full((n, LANES), sample + offset).astype(np.uint8)
    gradients = weight_gradients(
        kernels,
        SimpleNamespace(
            layout="rows" if height == 1 else "blocks",
            height=height,
            indptr=np.array([0, n]),
            indices=np.arange(n).astype,
        ),
        np.uint16,
        np.full((height, n_panels, LANES), delta, np.int8),
        [panel] * n_panels,
        np.ones(height, np.float32),
        np.full(height, offset * delta * LANES * n_panels, np.int32),
        is_signed=is_signed,
    )
    expected = np.float32(delta * sample * LANES * n_panels)
    np.testing.assert_array_equal(gradients, np.full_like(gradients, expected))
