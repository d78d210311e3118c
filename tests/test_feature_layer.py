"""A first layer stored by feature: its connections, its weights, what users see."""

import numpy as np
import pytest
import reference
from problems import PRECISIONS, dense

from sparsenet._feature_layer import FeatureLayer
from sparsenet._kernels.train.layouts import TABLE_OFFSET
from sparsenet._layer import Layer

each_precision = pytest.mark.parametrize("precision", PRECISIONS)
#: (n_in, n_out, fan_in, block size): sparse, one unit a feature, as many as fill a
#: cache line or almost, blocks, blocks that would not be whole; dense with every
#: remainder of 4 and 16, and one unit.
SHAPES = [
    (40, 30, 8, 1), (300, 20, 8, 1), (40, 30, 21, 1), (40, 30, 23, 1), (40, 32, 8, 4),
    (300, 20, 8, 4), (40, 30, 8, 4), (33, 7, 32, 1), (8, 4, 8, 4), (9, 5, 9, 1),
    (21, 18, 21, 1), (12, 1, 12, 1),
]  # fmt: skip
N_SPARSE = 7
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def random_layer(shape, precision="float32", activation="relu", seed=0):
    n_in, n_out, fan_in, block_size = shape
    settings = precision, activation, np.random.default_rng(seed)
    return FeatureLayer.random(n_in, n_out, fan_in, *settings, block_size=block_size)


def rounded(layer):
    """The weights (n_in, fan_out) in the number format, and the scale of a feature."""
    weights, precision = layer.weights, layer.precision
    if precision == "int8":
        scale = reference.scale_of(np.abs(weights), axis=1)
        stored = reference.quantize(weights, scale[:, np.newaxis])
        return stored.astype(np.float32) * scale[:, np.newaxis], scale
    return reference.from_bits(reference.to_bits(weights, precision), precision), None


def product_weights(layer):
    """(n_in, fan_out) as the forward product reads `layer.table`."""
    if layer.precision == "float32":
        return layer.table[:, 0, : layer.fan_out]
    table = layer.table[:, : layer.fan_out]
    if layer.precision == "int8":
        stored = (table.astype(np.int64) - TABLE_OFFSET).astype(np.int8)
        return stored.astype(np.float32) * layer.scale[:, np.newaxis]
    return reference.from_bits(np.ascontiguousarray(table), layer.precision)


# --- connections and initial weights -----------------------------------------------


@each_shape
def test_connections(shape):
    n_in, n_out, fan_in, block_size = shape
    layer = random_layer(shape)
    height = layer.height
    assert layer.weights.shape == (n_in, layer.fan_out)
    assert layer.n_connections == n_in * layer.fan_out
    # The average fan-in is what was asked for, to half a block a feature, or the least
    # with which no unit is without inputs.
    too_many = layer.n_connections - fan_in * n_out
    least = layer.fan_out - height < n_out / n_in
    assert -n_in * height <= 2 * too_many
    assert 2 * too_many <= n_in * height or least
    if layer.fan_out == n_out:
        assert layer.connections is None
        return
    assert height == (block_size if n_out % 4 == 0 else 1)
    assert layer.connections.shape == (n_in, layer.fan_out // height)
    assert layer.connections.max() < n_out // height
    ascending = np.diff(layer.connections.astype(int), axis=1) > 0
    assert ascending.all()  # and so distinct
    # No unit is used more often than another by more than the permutations.
    uses = np.bincount(layer.connections.ravel(), minlength=n_out // height)
    assert np.ptp(uses) <= -(-n_in // (n_out // layer.fan_out))


def test_the_shapes_are_sparse_and_dense():
    sparse = [random_layer(shape).connections is not None for shape in SHAPES]
    assert sparse == [True] * N_SPARSE + [False] * (len(SHAPES) - N_SPARSE)


@each_precision
@pytest.mark.parametrize("shape", SHAPES[-4:-1], ids=str)
def test_a_dense_layer_has_the_weights_of_one_for_dense_rows(precision, shape):
    n_in, n_out, fan_in, _ = shape
    layer = random_layer(shape, precision, seed=3)
    rng = np.random.default_rng(3)
    other = Layer.random(n_in, n_out, fan_in, precision, "relu", rng)
    np.testing.assert_array_equal(
        dense(layer, layer.weights), dense(other, other.weights)
    )
    np.testing.assert_array_equal(layer.bias, other.bias)


@pytest.mark.parametrize(("activation", "factor"), [("relu", 6), ("logistic", 2)])
@pytest.mark.parametrize(
    ("fan_in", "fan_out"), [(20, 10), (21, 11), (1000, 500)], ids=str
)
def test_initial_weights_follow_the_actual_fan_in(activation, factor, fan_in, fan_out):
    layer = random_layer((1000, 500, fan_in, 1), activation=activation)
    assert layer.fan_out == fan_out
    bound = np.sqrt(factor / (fan_out * 1000 / 500 + fan_out))
    for array in (layer.weights, layer.bias):
        # The largest of 500 or more comes close to the bound; float32 may round up.
        assert 0.98 * bound < np.abs(array).max() <= np.float32(bound)
        np.testing.assert_allclose(array.std(), bound / np.sqrt(3), rtol=0.1)


def test_weights_and_connections_follow_from_the_seed():
    first, again, other = (random_layer(SHAPES[0], seed=seed) for seed in (0, 0, 1))
    for name in ("connections", "weights", "bias"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


@pytest.mark.parametrize(
    ("n_out", "block_size", "dtype", "pickled"),
    [
        (2**8, 1, np.uint16, np.uint8),
        (2**8 + 1, 1, np.uint16, np.uint16),
        (300, 1, np.uint16, np.uint16),
        (300, 4, np.uint16, np.uint8),
        (2**16, 1, np.uint16, np.uint16),
        (2**16 + 1, 1, np.uint32, np.uint32),
        (2**16 + 4, 4, np.uint16, np.uint16),
    ],
)
def test_connections_are_as_narrow_as_they_can_be(n_out, block_size, dtype, pickled):
    # Eight connections a unit: the last unit has some, too.
    layer = random_layer((50, n_out, 8, block_size))
    assert layer.connections.dtype == dtype
    assert layer.connections.max() == n_out // block_size - 1
    saved = layer.to_state()["connections"]
    assert saved.dtype == pickled
    np.testing.assert_array_equal(saved, layer.connections)
    loaded = FeatureLayer.from_state(layer.to_state()).connections
    assert loaded.dtype == dtype
    np.testing.assert_array_equal(loaded, layer.connections)


def test_a_layer_that_pruning_would_leave_dense_is_not_pruned():
    rng = np.random.default_rng(0)
    weights, bias = rng.standard_normal((100, 8), np.float32), np.zeros(8, np.float32)
    layer = FeatureLayer.dense(weights, bias, "float32")
    # 80 inputs a unit are six units a feature: two blocks, which are all.
    assert layer.exceeds(80, 1) and not layer.exceeds(80, 4)
    assert layer.exceeds(50, 4) and layer.pruned(50, 4).fan_out == 4
    assert not layer.pruned(50, 4).exceeds(50, 4)


# --- what products read ------------------------------------------------------------


@each_precision
@each_shape
def test_the_table_holds_the_rounded_weights(precision, shape):
    layer = random_layer(shape, precision)
    expected, scale = rounded(layer)
    np.testing.assert_array_equal(product_weights(layer), expected)
    np.testing.assert_array_equal(
        layer.to_csc().toarray().T, dense(layer, np.ascontiguousarray(expected))
    )
    if precision == "int8":
        np.testing.assert_array_equal(layer.scale, scale)
    else:
        assert layer.scale is None
    if precision == "float32":
        assert layer.table is layer.state
    elif layer.fan_out > 1:  # int8 has the largest weight of a feature exactly
        assert not np.array_equal(expected, layer.weights)


@each_precision
def test_a_feature_whose_weights_are_zero(precision):
    weights = np.zeros((3, 4), np.float32)
    weights[1] = 0.5, -1, 0.25, 0
    bias = np.zeros(4, np.float32)
    layer = FeatureLayer(3, 4, precision, None, weights, bias)
    for feature in (0, 2):
        assert not product_weights(layer)[feature].any()
    # int8 has 127 steps up to the largest.
    np.testing.assert_allclose(layer.to_csc().toarray(), weights, atol=0.5 / 127)


@each_shape
def test_rows_are_whole_cache_lines_or_short(shape):
    layer = random_layer(shape)
    assert layer.state.ctypes.data % 64 == 0
    assert layer.stride >= layer.fan_out
    assert layer.stride % 16 == 0 or 16 % layer.stride == 0
    assert layer.state.shape == (shape[0], 1, layer.stride)


# --- the optimizer's state ---------------------------------------------------------


@each_precision
@each_shape
@pytest.mark.parametrize("n_moments", [1, 2])
def test_starting_the_optimizer_keeps_the_weights(precision, shape, n_moments):
    layer, other = random_layer(shape, precision), random_layer(shape, precision)
    for _ in range(2):  # anew, too: what was there is forgotten
        layer = layer.with_optimizer(n_moments)
        assert layer.n_moments == n_moments
        assert layer.state.shape == (shape[0], 1 + n_moments, layer.stride)
        assert layer.state.ctypes.data % 64 == 0
        np.testing.assert_array_equal(layer.weights, other.weights)
        np.testing.assert_array_equal(product_weights(layer), product_weights(other))
        assert not layer.state[:, 1:].any()
        sizes = [moment.size for moment in layer.moments]
        assert sizes == [shape[1], shape[1] if n_moments == 2 else 0]
        assert not any(moment.any() for moment in layer.moments)
        layer.state[:, 1:] = 7
        layer.moments[0][:] = 7
    if precision == "float32":
        assert layer.table is layer.state
    before = layer
    layer = layer.without_optimizer()
    assert layer.moments is None and layer.n_moments == 0
    assert before.moments is not None and before.state.shape[1] == 1 + n_moments
    np.testing.assert_array_equal(layer.weights, other.weights)


@each_shape
def test_sum_of_squares(shape):
    layer = random_layer(shape).with_optimizer(2)
    layer.state[:, 1:] = np.nan  # moments are no weights,
    layer.state[:, :, layer.fan_out :] = np.nan  # and padding is nothing
    expected = (layer.weights.astype(np.float64) ** 2).sum()
    np.testing.assert_allclose(layer.sum_of_squares(), expected, rtol=1e-6)


# --- what users see ----------------------------------------------------------------


@each_precision
@each_shape
def test_to_csc(precision, shape):
    n_in, n_out, *_ = shape
    layer = random_layer(shape, precision)
    coef = layer.to_csc()
    assert coef.format == "csc"
    assert coef.shape == (n_in, n_out) and coef.dtype == np.float32
    assert coef.indices.dtype == coef.indptr.dtype == np.int32
    assert coef.nnz == layer.n_connections  # zeros of a format are connections, too
    assert coef.has_canonical_format
    np.testing.assert_array_equal(np.diff(coef.tocsr().indptr), layer.fan_out)


@each_precision
@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[4], SHAPES[-2]], ids=str)
def test_to_csc_is_a_copy(precision, shape):
    layer = random_layer(shape, precision)
    before = layer.to_csc().toarray()
    coef = layer.to_csc()
    coef.data[:] = coef.indices[:] = 0
    np.testing.assert_array_equal(layer.to_csc().toarray(), before)


@each_precision
@each_shape
def test_state_round_trip(precision, shape):
    layer = random_layer(shape, precision).with_optimizer(2)
    loaded = FeatureLayer.from_state(layer.to_state())
    assert loaded.moments is None
    for name in ("connections", "bias", "scale"):
        actual, expected = getattr(loaded, name), getattr(layer, name)
        if expected is None:
            assert actual is None
            continue
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(product_weights(loaded), product_weights(layer))
    # The master weights of a low format start again from what the pickle holds.
    np.testing.assert_array_equal(loaded.weights, product_weights(layer))
    for name in ("bias", "state", "table"):
        assert not np.shares_memory(getattr(loaded, name), getattr(layer, name))
    again = loaded.to_state()
    for name, value in layer.to_state().items():
        np.testing.assert_array_equal(again[name], value)
