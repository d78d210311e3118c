"""Number formats of every instruction set against their NumPy twins.

Integers and roundings must agree bit by bit, which makes them the same for all
instruction sets.
"""

import numpy as np
import pytest
import reference
from kernel_cases import (
    FAN_INS,
    SEEDS,
    bits_of,
    each_format,
    each_height,
    each_isa,
    each_precision,
    offset_of,
    random_floats,
    random_stored,
    values,
)
from reference import LANES, UNIT_ROUNDOFF

from sparsenet._kernels.testing.kernels import Kernels

# --- activations -------------------------------------------------------------------


def encode(kernels, precision, z, is_signed=False, lanes=LANES):
    x = np.zeros(z.shape, reference.STORED[precision])
    scale = np.full(LANES, np.nan, np.float32)
    kernels.encode(np.ascontiguousarray(z), is_signed, x, scale, lanes)
    return x, scale


def decode(kernels, x, is_signed=False, scale=None):
    z = np.full(x.shape, np.nan, np.float32)
    scale = np.ones(LANES, np.float32) if scale is None else scale
    kernels.decode(x, is_signed, scale, z)
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
    kernels = Kernels(isa, precision)
    x, _ = encode(kernels, precision, z)
    nan = np.isnan(z)
    if kernels.weight_group == 2:
        z = reference.without_denormals(z)
    expected = reference.to_bits(z, precision)
    np.testing.assert_array_equal(x[~nan], expected[~nan])
    assert np.isnan(reference.from_bits(x, precision)[nan]).all()


@each_isa
@pytest.mark.parametrize("is_signed", [False, True])
def test_encode_and_decode_int8(isa, is_signed):
    rng = np.random.default_rng(0)
    z = random_floats((50, LANES), rng)
    z[:, 0] = 0  # an idle lane
    z[:, 1] = 127 * rng.integers(-1, 2, 50)  # scale 1: no rounding at all
    z[:, 2] = np.append(127, rng.integers(-100, 100, 49) + 0.5)  # ties
    z[:, 3] *= 1e30
    if not is_signed:
        z = np.abs(z)  # as relu's outputs are
    kernels = Kernels(isa, "int8")
    offset = offset_of(kernels, is_signed)
    x, scale = encode(kernels, "int8", z, is_signed)
    expected, expected_scale = reference.encode(z, "int8", offset)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(scale, expected_scale)
    back = decode(kernels, x, is_signed, scale)
    np.testing.assert_array_equal(back, reference.decode(x, "int8", offset, scale))
    # Half a step is the most that rounding loses, and float32's share of 127 steps.
    assert np.all(np.abs(back - z) <= (0.5 + 254 * UNIT_ROUNDOFF) * scale)


@each_isa
@each_format
def test_encode_says_whether_values_may_be_negative(isa, precision, is_signed):
    """Bytes without an offset only where some are, which takes longer to multiply."""
    kernels = Kernels(isa, precision)
    z = np.abs(random_floats((7, LANES), np.random.default_rng(0)))
    x, scale = np.zeros(z.shape, np.uint32), np.zeros(LANES, np.float32)
    looks = precision == "int8" and offset_of(kernels) == 0
    assert kernels.encode(z, is_signed, x, scale) == (is_signed and not looks)
    if is_signed:
        z[5, 40] *= -1
        assert kernels.encode(z, True, x, scale)


@each_isa
@each_format
@pytest.mark.parametrize("lanes", [1, 31, 32, 33, 63])
def test_encode_few_lanes(isa, precision, is_signed, lanes):
    z = np.abs(random_floats((7, LANES), np.random.default_rng(0)))
    kernels = Kernels(isa, precision)
    few, all_lanes = (
        encode(kernels, precision, z, is_signed, n) for n in (lanes, LANES)
    )
    np.testing.assert_array_equal(few[0][:, :lanes], all_lanes[0][:, :lanes])
    np.testing.assert_array_equal(few[1][:lanes], all_lanes[1][:lanes])


@each_isa
@each_format
@pytest.mark.parametrize("n", [1, 16, 70])
def test_encode_sample_is_a_lane_of_encode(isa, precision, is_signed, n):
    z = random_floats((n, LANES), np.random.default_rng(n))
    z = z if is_signed else np.abs(z)
    kernels = Kernels(isa, precision)
    x, scale = encode(kernels, precision, z, is_signed)
    sample = np.append(z[:, 3], np.full(LANES, np.nan, np.float32))[:n]
    stored = np.zeros(n + LANES, x.dtype)
    of_sample = kernels.encode_sample(sample, is_signed, stored[:n])
    np.testing.assert_array_equal(stored[:n], x[:, 3])
    if precision == "int8":
        assert of_sample == scale[3]


@each_isa
@each_format
def test_first_lane(isa, precision, is_signed):
    """Of a sample: float32, or bits of bfloat16, or 16 bits without an offset."""
    kernels = Kernels(isa, precision)
    offset = offset_of(kernels, is_signed)
    rng = np.random.default_rng(0)
    stored = random_stored((9, LANES), precision, rng, is_signed, offset)
    lane = kernels.first_lane(stored, is_signed)
    side_by_side = stored[:, 0].copy()
    np.testing.assert_array_equal(lane, kernels.first_lane(side_by_side, is_signed))
    expected = values(stored, precision, offset)[:, 0]
    if precision == "int8":
        lane = lane.astype(np.uint16).view(np.int16)
    elif kernels.weight_group == 2:
        lane = (lane << 16).view(np.float32)
    else:
        lane = lane.view(np.float32)
    np.testing.assert_array_equal(lane, expected)


# --- deltas ------------------------------------------------------------------------


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
    operand = operand[: len(z)]
    if precision == "int8":
        operand = values(operand, precision, offset_of(kernels))
    return kept, operand, scale


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
        operand = values(operand, "int8", offset_of(kernels))
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
    rounded = operand[1:].astype(np.int64)
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
    ones, deltas = np.ones((n, LANES), np.float32), np.zeros((n, LANES), np.int8)
    kernels.prepare(kept, [scale] * n, ones, 0, 9, deltas)
    for rounded in (operand.astype(np.int64), deltas.astype(np.int64)):
        # Shrunk by 2**-20 before, a few are rounded the other way.
        assert set(np.unique(sign * rounded)) <= {126, 127}
        assert (sign * rounded == 126).mean() < 3 * 127 * 2.0**-20


@each_isa
@each_format
@pytest.mark.parametrize("n_panels", [1, 2, 3])
@pytest.mark.parametrize("zero", [False, True])
def test_prepare(isa, precision, is_signed, n_panels, zero):
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
        kept, delta_scale, x_scale, is_signed, 11, operand
    )
    offset = offset_of(kernels, is_signed)
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
@pytest.mark.parametrize("far", [False, True])
def test_encode_weights(isa, precision, height, n, far):
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
    kernels.encode_weights(master, position, forward, transpose, row_scale, far=far)
    stored, expected_scale = reference.encode_weights(master, precision)
    np.testing.assert_array_equal(row_scale, expected_scale)
    np.testing.assert_array_equal(transpose[position], stored)
    others = np.delete(transpose, position, axis=0)
    np.testing.assert_array_equal(others, guard)
    if precision != "float32":  # whose products read the master weights
        laid_out = reference.lay_out(stored, kernels.weight_group)
        np.testing.assert_array_equal(forward[: stored.size], laid_out)
        np.testing.assert_array_equal(forward[stored.size :], guard)


@each_isa
@each_precision
@pytest.mark.parametrize("n_in", [1, 3, 4, 5, 16, 34, 66])
@pytest.mark.parametrize("n_out", [1, 3, 4, 6, 9, 33])
def test_encode_weights_of_a_dense_layer(isa, precision, n_in, n_out):
    rng = np.random.default_rng(n_in)
    kernels = Kernels(isa, precision)
    dtype = np.int8 if precision == "int8" else reference.STORED[precision]
    guard = np.array(77, dtype)
    n_blocks = -(-n_out // 4)
    masters, expected = [], np.zeros((n_blocks * 4, n_in), dtype)
    for block in range(n_blocks):
        n_rows = min(4, n_out - 4 * block)
        masters.append(np.zeros(n_in * 4 + 64, np.float32)[: n_in * 4].reshape(n_in, 4))
        masters[-1][:, :n_rows] = random_floats((n_in, n_rows), rng)
        stored, _ = reference.encode_weights(masters[-1], precision)
        expected[4 * block : 4 * block + 4] = stored.T
    layout = kernels.weight_group, kernels.weight_tile, guard
    expected_forward = reference.lay_out_dense(expected, *layout)
    expected_transpose = reference.lay_out_dense(expected[:n_out].T, *layout)
    forward = np.full(expected_forward.size + 64, guard)
    transpose = np.full(expected_transpose.size + 1, guard)
    for block, master in enumerate(masters):
        row_scale = np.zeros(4, np.float32)
        kernels.encode_weights(
            master, None, forward, transpose, row_scale, block, n_out
        )
        _, expected_scale = reference.encode_weights(master, precision)
        np.testing.assert_array_equal(row_scale, expected_scale)
    np.testing.assert_array_equal(transpose[:-1], expected_transpose)
    assert transpose[-1] == guard
    if precision != "float32":  # whose products read the master weights
        np.testing.assert_array_equal(forward[:-64], expected_forward)
        np.testing.assert_array_equal(forward[-64:], guard)


def test_unknown_instruction_set():
    with pytest.raises(ValueError, match="'mmx'; allowed on this machine: portable"):
        Kernels("mmx", "float32")
