"""The kernels of sparse inputs, of every instruction set, against their NumPy twins.

Bits and bounds as in test_kernels.py and test_products.py.
"""

import numpy as np
import pytest
import reference
from kernel_cases import (
    SEEDS,
    bits_of,
    each_index,
    each_isa,
    each_precision,
    offset_of,
    random_floats,
    random_stored,
    values,
)
from reference import LANES, UNIT_ROUNDOFF

from sparsenet._kernels.testing.kernels import Kernels

# Around the vectors (16), their tiles (64, 128) and what two tiles leave over; and 7
# vectors of 4, 8 and 16.
N_UNITS = (1, 7, 16, 28, 52, 63, 64, 65, 100, 129, 200)
#: With the height of the blocks of units.
FAN_OUTS = [*((n, 1) for n in N_UNITS), (4, 4), (12, 4), (16, 4), (36, 4), (100, 4)]
# Around the groups in which terms are summed (2, 4) and the rows fetched early (16).
N_TERMS = (0, 1, 2, 3, 4, 5, 17)
N_ROWS = 20
# So many units that the last ones need all bits of their index.
MANY = {np.uint16: 2**16, np.uint32: 2**16 + 1000}
GUARD = np.float32(-12345)

each_size = pytest.mark.parametrize("n_units", N_UNITS)


def units_of(blocks, height):
    units = blocks[..., np.newaxis].astype(np.int64) * height + np.arange(height)
    return units.reshape(*blocks.shape[:-1], -1)


def dtype_of(size, precision, signed=True):
    """Of terms or encoded rows."""
    if precision == "int8":
        return np.dtype(f"{'i' if signed else 'u'}{size}")
    return np.dtype(np.float32 if size == 4 else np.uint16)


def meaning(stored, precision, offset=0):
    """Values of terms or rows, whatever they are stored in."""
    if precision != "int8" and stored.dtype == np.float32:
        precision = "float32"
    return values(stored, precision, offset)


def random_terms(n, kernels, precision, rng):
    """Terms of random rows of a table, some of them more than once."""
    indices = rng.integers(0, N_ROWS, n).astype(np.uint32)
    indices[-1:] = N_ROWS - 1
    indices[n // 2 : n // 2 + 1] = indices[-1:]
    dtype = dtype_of(kernels.term_size, precision)
    if precision == "int8":
        terms = np.where(rng.random(n) < 0.1, 127, rng.integers(-127, 128, n))
    else:
        terms = random_stored(n, precision, rng)
        if dtype != terms.dtype:
            terms = reference.from_bits(terms, precision)
    room = np.zeros(n + LANES, dtype)  # whole vectors are read
    room[:n] = terms
    return indices, room[:n]


def random_table(width, kernels, precision, rng, encoded=False):
    """N_ROWS random rows, and garbage between them and behind the last."""
    offset = offset_of(kernels)
    rows = random_stored((N_ROWS, width), precision, rng, offset=offset)
    if encoded and rows.itemsize != kernels.row_size:
        rows = reference.from_bits(rows, precision)
    garbage = 127 if precision == "int8" else np.nan
    if rows.dtype == np.uint16:
        garbage = reference.to_bits(np.nan, precision)
    stride = width + 3
    table = np.full(N_ROWS * stride + LANES, garbage, rows.dtype)
    table[: N_ROWS * stride].reshape(N_ROWS, stride)[:, :width] = rows
    return table, stride * rows.itemsize, rows


def assert_sums(actual, expected, magnitude, n_terms, precision):
    if precision == "int8":
        np.testing.assert_array_equal(actual, expected.astype(np.float32))
    else:
        bound = (n_terms + 2) * UNIT_ROUNDOFF * magnitude
        assert np.all(np.abs(actual - expected) <= bound)


# --- sums --------------------------------------------------------------------------


@each_isa
@each_precision
@each_size
@pytest.mark.parametrize("encoded", [False, True])
def test_sum_rows(isa, precision, n_units, encoded):
    rng = np.random.default_rng(n_units)
    kernels = Kernels(isa, precision)
    table, row_bytes, rows = random_table(n_units, kernels, precision, rng, encoded)
    x = meaning(rows, precision, offset_of(kernels))
    for n in N_TERMS:
        indices, terms = random_terms(n, kernels, precision, rng)
        out = np.full(n_units + 2 * LANES, GUARD)
        kernels.sum_rows(indices, terms, table, row_bytes, encoded, n_units, out)
        np.testing.assert_array_equal(out[n_units + LANES - 1 :], GUARD)
        w, named = meaning(terms, precision), x[indices]
        expected = reference.sum_rows(w, named)
        magnitude = reference.sum_rows(abs(w), abs(named))
        assert_sums(out[:n_units], expected, magnitude, n, precision)


@each_isa
@each_precision
@each_index
@pytest.mark.parametrize(("fan_out", "height"), FAN_OUTS)
def test_sum_sparse_rows(isa, precision, index, fan_out, height):
    rng = np.random.default_rng(fan_out)
    kernels = Kernels(isa, precision)
    table, row_bytes, rows = random_table(fan_out, kernels, precision, rng)
    x, n_units = meaning(rows, precision, offset_of(kernels)), MANY[index]
    # Features share most of their units, the very last of all among them.
    n_blocks = fan_out // height
    blocks = [rng.permutation(n_blocks + 5)[:n_blocks] for _ in range(N_ROWS)]
    connections = (n_units // height - 1 - np.array(blocks)).astype(index)
    units = units_of(connections, height)
    for n in N_TERMS:
        indices, terms = random_terms(n, kernels, precision, rng)
        out = np.full(n_units + LANES, GUARD)
        kernels.sum_sparse_rows(
            indices, terms, table, row_bytes, connections, height, n_units, out
        )
        np.testing.assert_array_equal(out[n_units:], GUARD)
        w, named, reached = meaning(terms, precision), x[indices], units[indices]
        expected = reference.sum_sparse_rows(w, named, reached, n_units)
        magnitude = reference.sum_sparse_rows(abs(w), abs(named), reached, n_units)
        assert_sums(out[:n_units], expected, magnitude, n, precision)


@each_isa
@each_precision
@each_index
@pytest.mark.parametrize(("fan_out", "height"), FAN_OUTS)
def test_sum_at_connections(isa, precision, index, fan_out, height):
    rng = np.random.default_rng(fan_out)
    kernels = Kernels(isa, precision)
    tail, _, rows = random_table(
        fan_out + 5 * height, kernels, precision, rng, encoded=True
    )
    # Rows so long that only their ends can be filled.
    n_units = MANY[index]
    table = np.zeros((N_ROWS, n_units), tail.dtype)
    table[:, -rows.shape[1] :] = rows
    n_blocks = rows.shape[1] // height
    blocks = rng.permutation(n_blocks)[: fan_out // height]
    connections = (n_units // height - n_blocks + blocks).astype(index)
    units = units_of(blocks, height)
    x = meaning(rows, precision, offset_of(kernels))
    for n in N_TERMS:
        indices, terms = random_terms(n, kernels, precision, rng)
        out = np.full(fan_out + LANES, GUARD)
        kernels.sum_at_connections(
            indices, terms, table, table.strides[0], connections, height, out
        )
        np.testing.assert_array_equal(out[fan_out:], GUARD)
        w, named = meaning(terms, precision), x[indices]
        expected = reference.sum_at_connections(w, named, units)
        magnitude = reference.sum_at_connections(abs(w), abs(named), units)
        assert_sums(out[:fan_out], expected, magnitude, n, precision)


@each_isa
@pytest.mark.parametrize("term", [-127, 127])
@pytest.mark.parametrize("weight", [-127, 127])
def test_int8_sums_hold_65536_extreme_products(isa, term, weight):
    n, n_units = 2**16, 65
    kernels = Kernels(isa, "int8")
    indices = np.zeros(n, np.uint32)
    terms = np.full(n, term, dtype_of(kernels.term_size, "int8"))
    table = np.full(n_units + LANES, weight + offset_of(kernels)).astype(np.uint8)
    units = np.arange(n_units, dtype=np.uint16)
    outs = np.zeros((4, n_units + LANES), np.float32)
    for encoded in (0, 1):
        kernels.sum_rows(indices, terms, table, 0, encoded, n_units, outs[encoded])
    kernels.sum_sparse_rows(indices, terms, table, 0, units[None], 1, n_units, outs[2])
    kernels.sum_at_connections(indices, terms, table, 0, units, 1, outs[3])
    np.testing.assert_array_equal(outs[:, :n_units], np.float32(n * term * weight))


# --- encoding ----------------------------------------------------------------------


def run_encode(kernels, precision, what, x, stochastic=0, seed=0):
    """Values that "terms" or a "row" of x mean, and the scale."""
    n, row = len(x), what == "row"
    size = kernels.row_size if row else kernels.term_size
    padded = np.append(x, np.full(LANES, np.nan, np.float32))
    stored = np.full(n + 2 * LANES, 77, dtype_of(size, precision, signed=not row))
    kernel = kernels.encode_row if row else kernels.encode_terms
    scale = kernel(padded, n, stochastic, seed, stored)
    np.testing.assert_array_equal(stored[n + LANES - 1 :], 77)
    if precision == "int8":
        return values(stored[:n], precision, row * offset_of(kernels)), scale
    if size == 2:
        return reference.from_bits(stored[:n], precision), scale
    return stored[:n], scale


each_kind = pytest.mark.parametrize("what", ["terms", "row"])


@each_isa
@each_precision
@each_kind
@pytest.mark.parametrize("seed", [None, *SEEDS])
def test_encode_terms_and_rows(isa, precision, what, seed):
    kernels = Kernels(isa, precision)
    twin = reference.encode_row if what == "row" else reference.encode_terms
    rng = np.random.default_rng(0)
    for n in (0, *N_UNITS):
        x = random_floats(n, rng)
        x[n // 2 :: 7] = 0
        for factor in (0, 1, 1e-7, -1e-30, 1e5):
            scaled = x * np.float32(factor)
            stochastic = seed is not None
            actual = run_encode(kernels, precision, what, scaled, stochastic, seed or 0)
            expected = twin(scaled, precision, seed)
            np.testing.assert_array_equal(bits_of(actual[0]), bits_of(expected[0]))
            assert actual[1] == expected[1]


@each_isa
@each_precision
@each_kind
def test_encode_rounds_at_random_only_when_told(isa, precision, what):
    kernels = Kernels(isa, precision)
    x = random_floats(200, np.random.default_rng(0))
    plain = [run_encode(kernels, precision, what, x, 0, seed)[0] for seed in SEEDS]
    drawn = [run_encode(kernels, precision, what, x, 1, seed)[0] for seed in SEEDS]
    assert (np.array(plain) == plain[0]).all()
    others = [*plain[:1], *drawn]
    distinct = {encoded.tobytes() for encoded in others}
    assert len(distinct) == (len(others) if precision == "int8" else 1)


@each_isa
@each_kind
def test_stochastic_rounding_depends_on_seed_and_element_alone(isa, what):
    """And on none of the other values, nor on how many there are."""
    kernels = Kernels(isa, "int8")
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 200).astype(np.float32)
    x[0] = 1  # the scale of all
    whole, scale = run_encode(kernels, "int8", what, x, 1, 5)
    for n in N_UNITS:
        part, of_part = run_encode(kernels, "int8", what, x[:n], 1, 5)
        np.testing.assert_array_equal(part, whole[:n])
        assert of_part == scale
    other = x.copy()
    changed = rng.random(200) < 0.5
    changed[0] = False
    other[changed] *= -0.5
    mixed, _ = run_encode(kernels, "int8", what, other, 1, 5)
    np.testing.assert_array_equal(mixed[~changed], whole[~changed])
    assert (mixed[changed] != whole[changed]).any()
    # Equal values fall to both sides, as each element draws for itself.
    halves, _ = run_encode(kernels, "int8", what, np.append(x[:1], x[1:] * 0 + 0.5), 1)
    assert set(halves[1:]) == {63, 64}
    np.testing.assert_allclose(halves[1:].mean(), 63.5, atol=5 * 0.5 / np.sqrt(199))


@each_isa
@pytest.mark.parametrize("largest", [1e-30, 1e-12, 6e-8, 1, 65504, 1e30])
def test_float16_rows_keep_tiny_and_huge_deltas(isa, largest):
    x = np.linspace(-largest, largest, 100).astype(np.float32)
    kernels = Kernels(isa, "float16")
    row, scale = run_encode(kernels, "float16", "row", x)
    assert scale == 1
    np.testing.assert_allclose(row, x, rtol=2.0**-11, atol=0)
