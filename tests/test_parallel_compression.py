"""Formats in which numbers travel, and error feedback."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from reference_parallel import ARRIVED, group_of_threads, in_threads

from sparsenet._parallel.compression import BLOCK, CODECS, Residual, Residuals

FLOAT = np.finfo(np.float32)
SIZES = (0, 1, 63, 64, 65, 1000)
each_codec = pytest.mark.parametrize("compression", CODECS)
each_lossy = pytest.mark.parametrize("compression", ["bfloat16", "int8"])
finite = arrays(
    np.float32,
    st.sampled_from(SIZES[:-1]),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


def through(compression, values):
    codec = CODECS[compression]
    return codec.decode(codec.encode(values), len(values))


def steps_of(values):
    """int8's step for each value."""
    steps = [
        np.abs(values[begin : begin + BLOCK]).max() / np.float32(127)
        for begin in range(0, len(values), BLOCK)
    ]
    return np.repeat(np.array(steps, np.float64), BLOCK)[: len(values)]


@each_codec
@pytest.mark.parametrize("n", SIZES)
def test_values_arrive_with_the_bits_of_the_twin(compression, n):
    values = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    arrived = through(compression, values)
    assert arrived.dtype == np.float32
    np.testing.assert_array_equal(arrived, ARRIVED[compression](values))


@pytest.mark.parametrize(
    ("compression", "per_value", "per_block"),
    [(None, 4, 0), ("bfloat16", 2, 0), ("int8", 1, 4)],
)
@pytest.mark.parametrize("n", SIZES)
def test_lengths_of_codes(compression, per_value, per_block, n):
    code = CODECS[compression].encode(np.ones(n, np.float32))
    assert len(code) == per_value * n + per_block * -(-n // BLOCK)


@given(
    arrays(np.float32, st.sampled_from(SIZES[:-1]), elements=st.floats(width=32)),
)
@settings(deadline=None, max_examples=50)
def test_float32_keeps_all_bits(values):
    arrived = through(None, values)
    np.testing.assert_array_equal(arrived.view(np.uint32), values.view(np.uint32))


@given(finite)
@settings(deadline=None, max_examples=100)
def test_bfloat16_has_eight_significant_bits(values):
    error = np.abs(through("bfloat16", values).astype(np.float64) - values)
    bound = 2.0**-8 * np.abs(values.astype(np.float64))
    # Of denormals, half the smallest one.
    assert (error <= np.maximum(bound, 2.0**-134)).all()


@given(finite)
@settings(deadline=None, max_examples=100)
def test_int8_is_off_by_half_a_step_of_the_blocks_largest(values):
    arrived, steps = through("int8", values), steps_of(values)
    error = np.abs(arrived.astype(np.float64) - values)
    # Blocks of numbers that are too small for a step of normal numbers become 0.
    bound = np.where(steps < FLOAT.tiny, np.abs(values), (0.5 + 1e-4) * steps)
    assert (error <= bound).all()


@each_lossy
@given(values=finite)
@settings(deadline=None, max_examples=50)
def test_what_has_arrived_arrives_unchanged(compression, values):
    once = through(compression, values)
    twice = through(compression, once)
    if compression == "bfloat16":
        np.testing.assert_array_equal(twice, once)
    else:  # the step itself is rounded
        np.testing.assert_allclose(twice, once, rtol=1e-6, atol=127 * FLOAT.tiny)


@each_lossy
@given(values=finite)
@settings(deadline=None, max_examples=50)
def test_signs_do_not_matter(compression, values):
    np.testing.assert_array_equal(
        through(compression, -values), -through(compression, values)
    )


@each_codec
@pytest.mark.parametrize("n", SIZES)
def test_zeros_stay_zeros(compression, n):
    np.testing.assert_array_equal(through(compression, np.zeros(n, np.float32)), 0)


@each_codec
def test_denormals_become_no_more_than_they_are(compression):
    values = np.full(70, FLOAT.smallest_subnormal, np.float32)
    values[3] = -1e-40
    arrived = through(compression, values)
    assert np.isfinite(arrived).all()
    assert (np.abs(arrived) <= 2 * np.abs(values)).all()


@pytest.mark.parametrize("compression", [None, "bfloat16"])
def test_what_is_not_finite_stays_what_it_is(compression):
    values = np.float32([1, np.nan, np.inf, -np.inf, -np.nan, 2])
    arrived = through(compression, values)
    np.testing.assert_array_equal(arrived, values)


def test_nans_of_all_bits_stay_nans_in_bfloat16():
    bits = np.uint32([0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000])
    assert np.isnan(through("bfloat16", bits.view(np.float32))).all()


def test_numbers_that_round_past_the_largest_become_infinite_in_bfloat16():
    values = np.float32([FLOAT.max, -FLOAT.max])
    np.testing.assert_array_equal(through("bfloat16", values), [np.inf, -np.inf])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_int8_spoils_the_whole_block_of_what_is_not_finite(value):
    values = np.ones(130, np.float32)
    values[70] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arrived = through("int8", values)
    assert np.isnan(arrived[64:128]).all()
    np.testing.assert_allclose(arrived[:64], 1, rtol=1e-6)
    np.testing.assert_allclose(arrived[128:], 1, rtol=1e-6)


def test_a_residual_is_what_rounding_has_left_out():
    residual = Residual()
    values = np.float32([1, 2])
    np.testing.assert_array_equal(residual.add_to(values), values)
    residual.keep(np.float32([1, 2]), np.float32([0.75, 2.5]))
    np.testing.assert_array_equal(residual.add_to(values), np.float32([1.25, 1.5]))


def errors_of_the_mean(compression, n_rounds, feedback, size=3, n=200):
    """How far the mean of what a group got in many rounds is from what was meant."""
    values = np.random.default_rng(0).standard_normal((size, n)).astype(np.float32)

    def received(member):
        residuals = Residuals() if feedback else None
        return [
            member.all_reduce(values[member.rank], CODECS[compression], residuals)
            for _ in range(n_rounds)
        ]

    sums = in_threads(received, group_of_threads(size))[0]
    return np.abs(np.mean(sums, axis=0, dtype=np.float64) - values.sum(axis=0)).max()


@each_lossy
def test_with_error_feedback_the_mean_error_falls_with_the_rounds(compression):
    few = errors_of_the_mean(compression, 10, feedback=True)
    many = errors_of_the_mean(compression, 100, feedback=True)
    assert many < few / 4
    assert many < errors_of_the_mean(compression, 100, feedback=False) / 10


@each_lossy
def test_error_feedback_leaves_out_no_more_than_the_last_rounding(compression):
    rounds = np.random.default_rng(0).standard_normal((50, 100)).astype(np.float32)
    residual, sent = Residual(), np.zeros(100)
    for values in rounds:
        exact = residual.add_to(values)
        rounded = through(compression, exact)
        residual.keep(exact, rounded)
        sent += rounded
    meant = rounds.sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(sent + residual.values, meant, atol=1e-4)
    assert np.abs(residual.values).max() < 0.05
