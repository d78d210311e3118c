"""Layers: their connections, the two copies of their weights, and what users see."""

import numpy as np
import pytest
import reference
from compute_copies import product_weights, rows_of, transposed_weights
from problems import PRECISIONS, dense

from sparsenet._layer import Layer

each_precision = pytest.mark.parametrize("precision", PRECISIONS)
#: (n_in, n_out, fan_in, block size): sparse, dense, and dense with every remainder of 4
#: and 16.
SHAPES = [
    (40, 30, 8, 1), (40, 30, 1, 1), (33, 7, 32, 1), (40, 30, 8, 4), (40, 32, 1, 4),
    (33, 7, 32, 4), (70, 1, 9, 4), (8, 4, 8, 1), (9, 5, 9, 1), (21, 18, 21, 4),
]  # fmt: skip
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def random_layer(shape, precision="float32", activation="relu", seed=0, first=False):
    n_in, n_out, fan_in, block_size = shape
    settings = precision, activation, np.random.default_rng(seed)
    return Layer.random(
        n_in, n_out, fan_in, *settings, block_size=block_size, first=first
    )


# --- connections and initial weights -----------------------------------------------


@each_shape
def test_connections(shape):
    n_in, n_out, fan_in, block_size = shape
    layer = random_layer(shape)
    assert layer.n_connections == n_out * fan_in
    assert layer.is_sparse == (fan_in < n_in)
    assert layer.height == (block_size if layer.is_sparse else 4)
    assert len(rows_of(layer)) == layer.n_blocks == -(-n_out // layer.height)
    for row in rows_of(layer):
        assert len(row) == fan_in and row[-1] < n_in
        assert (np.diff(row.astype(int)) > 0).all()  # distinct and ascending
    if layer.is_sparse:
        # No input is used more often than another by more than the permutations.
        uses = np.bincount(layer.indices, minlength=n_in)
        assert np.ptp(uses) <= -(-layer.n_blocks // (n_in // fan_in))


@pytest.mark.parametrize(("activation", "factor"), [("relu", 6), ("logistic", 2)])
@pytest.mark.parametrize("block_size", [1, 4])
def test_initial_weights_follow_the_actual_fan_in(activation, factor, block_size):
    layer = random_layer((1000, 500, 20, block_size), activation=activation)
    bound = np.sqrt(factor / (20 + 20 * 500 / 1000))
    for array in (layer.weights, layer.bias):
        assert np.abs(array).max() <= bound
        # Uniform: the standard deviation is bound / sqrt(3), known to 1 / sqrt(n).
        np.testing.assert_allclose(array.std(), bound / np.sqrt(3), rtol=0.1)


@each_shape
def test_the_rows_that_complete_a_block_are_zero(shape):
    layer = random_layer(shape)
    by_row = layer.weights.reshape(layer.n_blocks, -1, layer.height)
    by_row = by_row.transpose(0, 2, 1).reshape(layer.n_blocks * layer.height, -1)
    assert not by_row[layer.n_out :].any()
    assert by_row[: layer.n_out].all()


@pytest.mark.parametrize(
    ("n_in", "n_out", "block_size", "dtype", "transpose_dtype"),
    [
        (2**16, 9, 1, np.uint16, np.uint16),
        (2**16 + 1, 9, 1, np.uint32, np.uint16),
        (9, 2**16 + 1, 1, np.uint16, np.uint32),
        (9, 2**16 + 1, 4, np.uint16, np.uint16),
    ],
)
def test_indices_are_as_narrow_as_they_can_be(
    n_in, n_out, block_size, dtype, transpose_dtype
):
    layer = random_layer((n_in, n_out, 8, block_size))
    assert layer.indices.dtype == dtype
    assert layer.transpose_indices.dtype == transpose_dtype


# --- the copies --------------------------------------------------------------------


@each_precision
@each_shape
def test_both_copies_hold_the_rounded_weights(precision, shape):
    layer = random_layer(shape, precision)
    master = dense(layer, layer.weights)
    expected = master.copy()
    if precision == "int8":
        stored, row_scale = reference.encode_weights(master.T, precision)
        np.testing.assert_array_equal(layer.row_scale[: layer.n_out], row_scale)
        expected = (stored.astype(np.float32) * row_scale).T
    elif precision != "float32":
        expected = reference.from_bits(reference.to_bits(master, precision), precision)
    np.testing.assert_array_equal(product_weights(layer), expected)
    np.testing.assert_array_equal(transposed_weights(layer), expected)
    np.testing.assert_array_equal(layer.to_csc().toarray().T, expected)


@each_precision
@each_shape
def test_a_first_layer_has_no_transpose(precision, shape):
    layer = random_layer(shape, precision, first=True)
    other = random_layer(shape, precision)
    assert layer.transpose is None
    np.testing.assert_array_equal(layer.forward, other.forward)
    loaded = Layer.from_state(layer.to_state(), first=True)
    assert loaded.transpose is None
    np.testing.assert_array_equal(loaded.forward, layer.forward)


@each_shape
def test_the_transpose_has_the_same_connections(shape):
    layer = random_layer(shape)
    if not layer.is_sparse:
        assert layer.indices is layer.transpose_indices is None  # no index is stored
        assert layer.transpose_position is None
        return
    forward = {
        (output, int(i)) for output, row in enumerate(rows_of(layer)) for i in row
    }
    columns = np.split(layer.transpose_indices, layer.transpose_indptr[1:-1])
    assert len(columns) == layer.n_in
    assert forward == {(int(o), i) for i, column in enumerate(columns) for o in column}
    for column in columns:
        assert (np.diff(column.astype(int)) > 0).all()


# --- what users see ----------------------------------------------------------------


@each_precision
@each_shape
def test_to_csc(precision, shape):
    n_in, n_out, fan_in, _ = shape
    coef = random_layer(shape, precision).to_csc()
    assert coef.shape == (n_in, n_out) and coef.dtype == np.float32
    assert coef.indices.dtype == coef.indptr.dtype == np.int32
    assert coef.nnz == n_out * fan_in  # zeros of a format are connections, too
    assert coef.has_canonical_format
    np.testing.assert_array_equal(np.diff(coef.indptr), fan_in)


@each_precision
def test_to_csc_is_a_copy(precision):
    layer = random_layer(SHAPES[0], precision)
    before = layer.to_csc().toarray()
    coef = layer.to_csc()
    coef.data[:] = coef.indices[:] = 0
    np.testing.assert_array_equal(layer.to_csc().toarray(), before)


@each_precision
@each_shape
def test_state_round_trip(precision, shape):
    layer = random_layer(shape, precision)
    loaded = Layer.from_state(layer.to_state())
    for name in ("indptr", "indices", "bias", "row_scale", "forward", "transpose"):
        actual, expected = getattr(loaded, name), getattr(layer, name)
        if name == "indices" and not layer.is_sparse:
            assert actual is expected is None
            continue
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
    # The master weights of a low format start again from what the pickle holds.
    np.testing.assert_array_equal(
        dense(loaded, loaded.weights), layer.to_csc().toarray().T
    )
    assert not np.shares_memory(loaded.bias, layer.bias)
