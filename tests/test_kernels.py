"""Products and number formats of every instruction set against their NumPy twins.

Integers and roundings must agree bit by bit, which makes them the same for all
instruction sets. A float32 sum of n products, in whatever order and with or without
fused multiply-add, is within (n + 2) * 2^-24 * sum |products| of the exact one
(Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
"""

from dataclasses import dataclass

import numpy as np
import pytest
import reference
from reference import LANES, UNIT_ROUNDOFF

from sparsenet._kernels import available_isas
from sparsenet._kernels._single import Kernels

FLOATS = ("float32", "float16", "bfloat16")
PRECISIONS = (*FLOATS, "int8")
# What is added to stored bytes to make them unsigned; the float formats ignore it.
FORMATS = [*((precision, 0) for precision in FLOATS), ("int8", 0), ("int8", 128)]

# Around the steps of the vectors (16, 17), of grouped columns (1..5) and of the chunks
# in which weights are widened (256 / height).
FAN_INS = (0, 1, 2, 3, 5, 0, 16, 17, 64, 300, 0)
N_FEATURES = 333
# Panels so tall that the last features need all bits of their index.
N_ROWS = {np.uint16: 2**16, np.uint32: 2**16 + 1000}

each_isa = pytest.mark.parametrize("isa", available_isas())
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_format = pytest.mark.parametrize(("precision", "offset"), FORMATS)
each_height = pytest.mark.parametrize("height", [1, 4])
each_layout = pytest.mark.parametrize(
    "layout", ["rows", "blocks", "block_columns", "dense"]
)
each_index = pytest.mark.parametrize("index", [np.uint16, np.uint32])


def random_floats(shape, rng):
    """Values whose magnitudes span a few powers of two."""
    return (rng.standard_normal(shape) * 2.0 ** rng.integers(-4, 4, shape)).astype(
        np.float32
    )


def random_stored(shape, precision, rng):
    """Random activations as stored; for int8 all bytes, the extremes often."""
    if precision != "int8":
        return reference.to_bits(random_floats(shape, rng), precision)
    stored, extreme = rng.integers(0, 256, shape), rng.choice([0, 255], shape)
    return np.where(rng.random(shape) < 0.1, extreme, stored).astype(np.uint8)


def values(stored, precision, offset=0):
    """Numbers that stored activations mean, to be summed exactly."""
    if precision == "int8":
        return stored.astype(np.int64) - offset
    return reference.from_bits(stored, precision).astype(np.float64)


def bits_of(array):
    return np.ascontiguousarray(array).view(f"u{array.itemsize}")


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

    def weights(self, group):
        """A compute copy, with garbage in the room behind it."""
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


def samples_of(matrix, precision, offset, rng):
    """Stored samples, and their values for all columns that the matrix has."""
    stored = random_stored((N_FEATURES, LANES), precision, rng)
    x = values(stored, precision, offset)
    n_more = -N_FEATURES % matrix.span
    nothing = -offset if precision == "int8" else 0  # bytes of zero
    return stored, np.concatenate([x, np.full((n_more, LANES), nothing, x.dtype)])


def run_spmm(kernels, matrix, index, x, offset, tile_columns=0, lanes=LANES):
    # Where four bytes are multiplied at once, a block's samples lie interleaved.
    packed = matrix.layout == "block_columns" and kernels.weight_group == 4
    out = np.full((len(FAN_INS) * matrix.height, LANES), np.nan, np.float32)
    kernels.spmm(
        matrix.layout,
        matrix.indptr,
        matrix.indices(index),
        matrix.weights(kernels.weight_group),
        matrix.panel(x, index, packed),
        offset,
        out,
        tile_columns,
        lanes,
    )
    return out


# --- the two products --------------------------------------------------------------


@each_isa
@each_format
@each_layout
@each_index
@pytest.mark.parametrize("tile_columns", [0, 100])
def test_spmm(isa, precision, offset, layout, index, tile_columns):
    rng = np.random.default_rng(len(layout))
    matrix = Matrix.random(layout, precision, rng)
    stored, x = samples_of(matrix, precision, offset, rng)
    kernels = Kernels(isa, precision)
    out = run_spmm(kernels, matrix, index, stored, offset, tile_columns)
    w = matrix.dense()
    expected = reference.spmm(w, x)
    if precision == "int8":
        np.testing.assert_array_equal(out, expected.astype(np.float32))
    else:
        n_sums = matrix.fan_in + 5  # five tiles' sums are added, too
        bound = (n_sums + 2) * UNIT_ROUNDOFF * reference.spmm(abs(w), abs(x))
        assert np.all(np.abs(out - expected) <= bound)


@each_isa
@each_precision
@each_layout
def test_spmm_treats_all_lanes_alike(isa, precision, layout):
    rng = np.random.default_rng(0)
    matrix = Matrix.random(layout, precision, rng)
    stored = random_stored((N_FEATURES, LANES), precision, rng)
    kernels = Kernels(isa, precision)
    out = run_spmm(kernels, matrix, np.uint16, stored, 0)
    place = rng.permutation(LANES)
    moved = run_spmm(kernels, matrix, np.uint16, stored[:, place], 0)
    np.testing.assert_array_equal(bits_of(moved), bits_of(out[:, place]))
    # And whatever the other 63 lanes hold, infinities too.
    if precision != "int8":
        stored[:, 1:] = reference.to_bits(np.float32(np.inf), precision)
    else:
        stored[:, 1:] = 255
    alone = run_spmm(kernels, matrix, np.uint16, stored, 0)
    np.testing.assert_array_equal(bits_of(alone[:, 0]), bits_of(out[:, 0]))


@each_isa
@each_format
@each_layout
@pytest.mark.parametrize("tile_columns", [0, 100])
def test_spmm_of_few_lanes_is_that_of_all(isa, precision, offset, layout, tile_columns):
    rng = np.random.default_rng(0)
    matrix = Matrix.random(layout, precision, rng)
    kernels = Kernels(isa, precision)
    for lanes in (1, 16, 31, 32, 33, 63):
        stored = random_stored((N_FEATURES, LANES), precision, rng)
        stored[:, lanes:] = offset  # idle lanes hold zeros
        whole, part = (
            run_spmm(kernels, matrix, np.uint16, stored, offset, tile_columns, n)
            for n in (LANES, lanes)
        )
        np.testing.assert_array_equal(
            bits_of(part[:, :lanes]), bits_of(whole[:, :lanes])
        )
        assert np.isfinite(part).all()


@each_isa
@each_layout
@pytest.mark.parametrize("offset", [0, 128])
@pytest.mark.parametrize("byte", [0, 255])
def test_spmm_int8_holds_65536_extreme_products(isa, layout, offset, byte):
    n, height = 2**16, 4 if layout in ("blocks", "dense") else 1
    kernels = Kernels(isa, "int8")
    out = np.empty((height, LANES), np.float32)
    n_indices = n // 4 if layout == "block_columns" else n
    kernels.spmm(
        layout,
        np.array([0, n_indices]),
        None if layout == "dense" else np.arange(n_indices, dtype=np.uint16),
        np.full(n * height + 64, 127, np.int8),
        np.full((n, LANES), byte, np.uint8),
        offset,
        out,
    )
    np.testing.assert_array_equal(out, np.float32(n * 127 * (byte - offset)))


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


@each_isa
@each_format
@pytest.mark.parametrize("layout", ["rows", "blocks", "dense"])
@each_index
@pytest.mark.parametrize("n_panels", [1, 2, 3])
def test_sddmm(isa, precision, offset, layout, index, n_panels):
    rng = np.random.default_rng(n_panels)
    kernels = Kernels(isa, precision)
    matrix = Matrix.random(layout, precision, rng)
    n_blocks, height = len(FAN_INS), matrix.height
    panels = [
        random_stored((N_FEATURES, LANES), precision, rng) for _ in range(n_panels)
    ]
    operand, deltas = random_operand(
        (n_blocks * height, n_panels, LANES), kernels, precision, rng
    )
    factor = rng.uniform(0.5, 2, (n_blocks, height)).astype(np.float32)
    correction = np.zeros((n_blocks, height), np.int32)
    if precision == "int8":
        correction.flat = offset * deltas.sum(axis=(1, 2))
    gradient = np.full((matrix.indptr[-1] + 1, height), np.nan, np.float32)
    kernels.sddmm(
        matrix.indptr,
        matrix.indices(index),
        height,
        operand,
        [matrix.panel(panel, index) for panel in panels],
        factor,
        correction,
        gradient,
    )
    assert np.isnan(gradient[-1]).all()  # nothing written behind the last column

    xs = [values(panel, precision, offset) for panel in panels]
    by_panel = deltas.transpose(1, 0, 2)
    expected = reference.sddmm(by_panel, xs)
    magnitude = reference.sddmm(np.abs(by_panel), np.abs(xs))
    for block, columns in enumerate(matrix.columns):
        rows = slice(block * height, (block + 1) * height)
        actual = gradient[matrix.indptr[block] : matrix.indptr[block + 1]].T
        exact, scale = expected[rows][:, columns], factor[block][:, np.newaxis]
        if precision == "int8":
            np.testing.assert_array_equal(actual, exact.astype(np.float32) * scale)
        else:
            bound = (LANES * n_panels + 3) * UNIT_ROUNDOFF * magnitude[rows][:, columns]
            assert np.all(np.abs(actual - exact * scale) <= bound * scale)


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
    panels = [
        random_stored((N_FEATURES, LANES), precision, rng) for _ in range(n_panels)
    ]
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
        gradient = np.zeros((matrix.indptr[-1], height), np.float32)
        kernels.sddmm(
            matrix.indptr,
            matrix.indices(np.uint16),
            height,
            operand,
            [matrix.panel(panel, np.uint16) for panel in panels],
            np.ones((len(FAN_INS), height), np.float32),
            np.zeros((len(FAN_INS), height), np.int32),
            gradient,
            n_samples=n,
        )
        results.append(gradient)
    np.testing.assert_array_equal(*results)


@each_isa
@each_height
@pytest.mark.parametrize("offset", [0, 128])
def test_sddmm_int8_holds_65536_extreme_samples(isa, height, offset):
    n_panels, n = 1024, 5
    panel = np.full((n, LANES), 255, np.uint8)
    correction = np.full(height, offset * 127 * LANES * n_panels, np.int32)
    gradient = np.zeros((n, height), np.float32)
    Kernels(isa, "int8").sddmm(
        np.array([0, n]),
        np.arange(n, dtype=np.uint16),
        height,
        np.full((height, n_panels, LANES), 127, np.int8),
        [panel] * n_panels,
        np.ones(height, np.float32),
        correction,
        gradient,
    )
    expected = np.float32(127 * (255 - offset) * LANES * n_panels)
    np.testing.assert_array_equal(gradient, expected)


# --- activations -------------------------------------------------------------------


def encode(kernels, precision, z, offset=0):
    x = np.zeros(z.shape, reference.STORED[precision])
    scale = np.full(LANES, np.nan, np.float32)
    kernels.encode(np.ascontiguousarray(z), offset, x, scale)
    return x, scale


def decode(kernels, x, offset=0, scale=None):
    z = np.full(x.shape, np.nan, np.float32)
    kernels.decode(x, offset, np.ones(LANES, np.float32) if scale is None else scale, z)
    return z


@each_isa
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_decode_of_all_bit_patterns(isa, precision):
    stored = np.arange(2**16, dtype=np.uint16).reshape(-1, LANES)
    z = decode(Kernels(isa, precision), stored)
    expected = reference.from_bits(stored, precision)
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(z), nan)
    np.testing.assert_array_equal(bits_of(z)[~nan], bits_of(expected)[~nan])


def hard_to_round(precision):
    """All 16-bit values, the ties between them, the neighbours of both, and noise."""
    stored = np.arange(2**16, dtype=np.uint16)
    exact = reference.from_bits(stored, precision)
    exact = np.sort(exact[np.isfinite(exact)]).astype(np.float64)
    centers = np.concatenate([exact, (exact[:-1] + exact[1:]) / 2]).astype(np.float32)
    noise = np.random.default_rng(0).integers(0, 2**32, 2**16, dtype=np.uint32)
    limits = [np.inf, -np.inf, np.nan, 65504, 65519.99, 65520, -65520, 3.4e38, 1e-45]
    z = np.concatenate(
        [
            centers,
            np.nextafter(centers, np.float32(np.inf)),
            np.nextafter(centers, np.float32(-np.inf)),
            noise.view(np.float32),
            np.array(limits, np.float32),
        ]
    )
    return np.resize(z, (-(-len(z) // LANES), LANES))


@each_isa
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_encode_rounds_to_nearest_even(isa, precision):
    z = hard_to_round(precision)
    x, _ = encode(Kernels(isa, precision), precision, z)
    nan = np.isnan(z)
    expected = reference.to_bits(z, precision)
    np.testing.assert_array_equal(x[~nan], expected[~nan])
    assert np.isnan(reference.from_bits(x, precision)[nan]).all()


@each_isa
@pytest.mark.parametrize("offset", [0, 128])
def test_encode_and_decode_int8(isa, offset):
    rng = np.random.default_rng(0)
    z = random_floats((50, LANES), rng)
    z[:, 0] = 0  # an idle lane
    z[:, 1] = 127 * rng.integers(-1, 2, 50)  # scale 1: no rounding at all
    z[:, 2] = np.append(127, rng.integers(-100, 100, 49) + 0.5)  # ties
    z[:, 3] *= 1e30
    if offset == 0:
        z = np.abs(z)  # bytes without an offset hold relu's outputs
    kernels = Kernels(isa, "int8")
    x, scale = encode(kernels, "int8", z, offset)
    expected, expected_scale = reference.encode(z, "int8", offset)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(scale, expected_scale)
    back = decode(kernels, x, offset, scale)
    np.testing.assert_array_equal(back, reference.decode(x, "int8", offset, scale))
    # Half a step is the most that rounding loses, and float32's share of 127 steps.
    assert np.all(np.abs(back - z) <= (0.5 + 254 * UNIT_ROUNDOFF) * scale)


# --- deltas ------------------------------------------------------------------------

SEEDS = (0, 1, 2**32 - 1, 2**32, 0x9E3779B97F4A7C15, 2**64 - 1)


def encode_deltas(kernels, precision, z, row_scale, seed, packed=False):
    """As the engine calls it: one array for both results unless they differ."""
    kept = np.zeros(z.shape, np.float32 if precision == "int8" else np.uint16)
    if precision == "float32":
        kept = np.zeros(z.shape, np.float32)
    operand = kept
    if precision == "int8":  # with room for whole blocks
        operand = np.zeros((-(-len(z) // 4) * 4, LANES), np.uint8)
    scale = np.full(LANES, np.nan, np.float32)
    kernels.encode_deltas(z, row_scale, seed, kept, operand, scale, packed)
    if packed and kernels.weight_group == 4:
        operand = operand.reshape(-1, LANES, 4).transpose(0, 2, 1).reshape(-1, LANES)
    return kept, operand[: len(z)], scale


@each_isa
@each_precision
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("packed", [False, True])
def test_encode_deltas(isa, precision, seed, packed):
    rng = np.random.default_rng(seed % 1000)
    z = random_floats((37, LANES), rng) * np.float32(1e-3)
    z[:, 5] = z[7] = 0
    row_scale = rng.uniform(0.01, 0.1, 37).astype(np.float32)
    actual = encode_deltas(
        Kernels(isa, precision), precision, z, row_scale, seed, packed
    )
    expected = reference.encode_deltas(z, precision, row_scale, seed)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e)


@each_isa
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_deltas_that_are_kept_in_float32_may_stay_where_they_are(isa, precision):
    kernels = Kernels(isa, precision)
    z = random_floats((10, LANES), np.random.default_rng(0))
    ones, scale = np.ones(10, np.float32), np.full(LANES, np.nan, np.float32)
    kept, operand = z.copy(), np.zeros(z.shape, np.uint8)
    kernels.encode_deltas(
        kept, ones, 0, kept, operand if precision == "int8" else kept, scale
    )
    expected = reference.encode_deltas(z, precision, ones, 0)
    np.testing.assert_array_equal(kept, expected[0])
    np.testing.assert_array_equal(scale, expected[2])
    if precision == "int8":
        np.testing.assert_array_equal(operand, expected[1])


@each_isa
@pytest.mark.parametrize("largest", [0, 1e-38, 6e-8, 1, 65504, 1e30])
def test_float16_deltas_fill_the_range_without_overflow(isa, largest):
    z = np.linspace(-largest, largest, 4 * LANES).reshape(4, LANES).astype(np.float32)
    kernels = Kernels(isa, "float16")
    kept, _, scale = encode_deltas(kernels, "float16", z, np.ones(4, np.float32), 0)
    values = reference.from_bits(kept, "float16")
    if largest == 0:
        assert not kept.any()
    else:
        # Scaling by more than 2^126 would make the inverse a denormal.
        assert min(2**12, largest * 2.0**125) <= np.abs(values).max() <= 2**13
    # 11 significant bits; what is 2^26 times smaller than the largest may vanish.
    np.testing.assert_allclose(
        values * scale, z, rtol=2.0**-11, atol=largest * 2.0**-36
    )
    assert (np.frexp(scale)[0] == 0.5).all()  # powers of two: scaling is exact


@each_isa
def test_stochastic_rounding_is_right_on_average(isa):
    n = 4096
    z = np.repeat(np.linspace(-126.9, 126.9, LANES, dtype=np.float32)[None], n, axis=0)
    z[0] = 127  # fixes the scale at one
    kernels = Kernels(isa, "int8")
    _, operand, scale = encode_deltas(kernels, "int8", z, np.ones(n, np.float32), 3)
    np.testing.assert_allclose(scale, 1, rtol=2 * UNIT_ROUNDOFF)
    rounded = operand[1:].astype(np.int64) - 128
    assert np.all(np.abs(rounded - z[1:]) < 1 + 1e-5)
    # The mean's standard deviation is at most 0.5 / sqrt(n).
    np.testing.assert_allclose(rounded.mean(axis=0), z[1], atol=5 * 0.5 / np.sqrt(n))


@each_isa
@pytest.mark.parametrize("sign", [1, -1])
def test_stochastic_rounding_never_passes_127(isa, sign):
    n = 2**13  # so many draws that the smallest and the largest number are among them
    z = np.full((n, LANES), sign * 127, np.float32)
    kernels = Kernels(isa, "int8")
    kept, operand, scale = encode_deltas(kernels, "int8", z, np.ones(n, np.float32), 9)
    bits = np.array([reference.random_bits(9, row) for row in range(n)])
    assert bits.max() == 2**16 - 1 and bits.min() == 0
    np.testing.assert_array_equal(operand, 128 + sign * 127)

    ones, deltas = np.ones((n, LANES), np.float32), np.zeros((n, LANES), np.int8)
    kernels.prepare(kept, [scale] * n, ones, 0, 9, deltas)
    np.testing.assert_array_equal(deltas, sign * 127)


@each_isa
@each_format
@pytest.mark.parametrize("n_panels", [1, 2, 3])
@pytest.mark.parametrize("zero", [False, True])
def test_prepare(isa, precision, offset, n_panels, zero):
    rng = np.random.default_rng(n_panels)
    kernels = Kernels(isa, precision)
    z = np.zeros((n_panels, LANES)) if zero else random_floats((n_panels, LANES), rng)
    kept = z.astype(np.float32)
    if precision != "int8":
        kept = reference.to_bits(z, precision)
    # A float16 panel's scale is a power of two and the same for all of its lanes.
    exponents = rng.integers(-12, 1, (n_panels, 1)) * (precision == "float16")
    delta_scale = np.broadcast_to(np.float32(2) ** exponents, (n_panels, LANES))
    delta_scale = np.ascontiguousarray(delta_scale, np.float32)
    x_scale = rng.uniform(0, 0.1, (n_panels, LANES)).astype(np.float32)
    x_scale[:, -1] = 0  # an idle lane
    size = {"int8": np.int8, "bfloat16": f"u{kernels.operand_size}"}
    operand = np.zeros((n_panels, LANES), size.get(precision, np.float32))
    factor, correction, total = kernels.prepare(
        kept, delta_scale, x_scale, offset, 11, operand
    )
    expected = reference.prepare(kept, precision, delta_scale, x_scale, offset, 11)
    deltas = operand
    if precision == "bfloat16":
        as_float32 = kernels.operand_size == 4
        deltas = reference.from_bits(operand, "float32" if as_float32 else precision)
        # In an order that only the kernels know; test_sddmm shows that it fits.
        deltas, expected = np.sort(deltas), (np.sort(expected[0]), *expected[1:])
    np.testing.assert_array_equal(deltas, expected[0])
    assert (factor, correction) == expected[1:3]
    magnitude = np.abs(values(kept, precision) if precision != "int8" else kept)
    bound = (LANES * n_panels + 2) * UNIT_ROUNDOFF * (magnitude * delta_scale).sum()
    assert abs(total - expected[3]) <= bound


# --- weights -----------------------------------------------------------------------


@each_isa
@each_precision
@each_height
@pytest.mark.parametrize("n", sorted(set(FAN_INS)))
def test_encode_weights(isa, precision, height, n):
    rng = np.random.default_rng(n)
    kernels = Kernels(isa, precision)
    master = np.zeros(n * height + 64, np.float32)[: n * height].reshape(n, height)
    master[:] = random_floats((n, height), rng)
    if height == 4:
        master[:, 2] = 0  # a row that completes a block
    dtype = np.int8 if precision == "int8" else reference.STORED[precision]
    guard = np.array(77, dtype)
    forward = np.full(n * height + 64, guard)
    transpose = np.full((2 * n + 1, height), guard)
    position = np.zeros(n + 64, np.uint32)[:n]
    position[:] = rng.permutation(2 * n)[:n]
    row_scale = np.zeros(height, np.float32)
    kernels.encode_weights(master, position, forward, transpose, row_scale)
    stored, expected_scale = reference.encode_weights(master, precision)
    np.testing.assert_array_equal(row_scale, expected_scale)
    np.testing.assert_array_equal(transpose[position], stored)
    others = np.delete(transpose, position, axis=0)
    np.testing.assert_array_equal(others, guard)
    check_forward_copy(forward, stored, kernels, precision, guard)


def check_forward_copy(forward, stored, kernels, precision, guard):
    if precision != "float32":  # whose products read the master weights
        laid_out = reference.lay_out(stored, kernels.weight_group)
        np.testing.assert_array_equal(forward[: stored.size], laid_out)
        np.testing.assert_array_equal(forward[stored.size :], guard)


@each_isa
@each_precision
@pytest.mark.parametrize("n_in", [1, 3, 4, 5, 16, 34])
@pytest.mark.parametrize("n_out", [1, 3, 4, 6, 9])
def test_encode_weights_of_a_dense_layer(isa, precision, n_in, n_out):
    rng = np.random.default_rng(n_in)
    kernels = Kernels(isa, precision)
    dtype = np.int8 if precision == "int8" else reference.STORED[precision]
    guard = np.array(77, dtype)
    n_blocks, n_input_blocks = -(-n_out // 4), -(-n_in // 4)
    transpose = np.full(n_input_blocks * 4 * n_out + 1, guard)
    expected = np.full((n_input_blocks * 4, n_out), guard)
    for block in range(n_blocks):
        master = np.zeros(n_in * 4 + 64, np.float32)[: n_in * 4].reshape(n_in, 4)
        n_rows = min(4, n_out - 4 * block)
        master[:, :n_rows] = random_floats((n_in, n_rows), rng)
        forward = np.full(n_in * 4 + 64, guard)
        row_scale = np.zeros(4, np.float32)
        kernels.encode_weights(
            master, None, forward, transpose, row_scale, block, n_out
        )
        stored, expected_scale = reference.encode_weights(master, precision)
        np.testing.assert_array_equal(row_scale, expected_scale)
        expected[:n_in, 4 * block : 4 * block + n_rows] = stored[:, :n_rows]
        check_forward_copy(forward, stored, kernels, precision, guard)
    blocks = expected.reshape(n_input_blocks, 4, n_out)
    laid_out = [reference.lay_out(b.T, kernels.weight_group) for b in blocks]
    np.testing.assert_array_equal(transpose[:-1], np.concatenate(laid_out))
    assert transpose[-1] == guard


def test_unknown_instruction_set():
    with pytest.raises(ValueError, match="'mmx'; allowed on this machine: portable"):
        Kernels("mmx", "float32")
