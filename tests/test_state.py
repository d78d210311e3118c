"""Pickles of networks: small, exact, portable, and checked before they are used."""

import pickle

import numpy as np
import pytest
import subprocesses
from problems import PRECISIONS, SIZES, random_data, random_network, state, train
from saved_networks import (
    ADAM,
    assert_refused,
    copied,
    damaged,
    each_kind,
    random_rows,
    trained,
    trained_on_rows,
)

from sparsenet import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._kernels import available_isas

pytestmark = pytest.mark.usefixtures("each_block_size")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)

# --- what a pickle holds -----------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "bytes_per_connection"),
    [("float32", (6.2, 4.7)), ("bfloat16", (4.2, 2.7)), ("float16", (4.2, 2.7)),
     ("int8", (3.2, 1.7))],
)  # fmt: skip
def test_bytes_of_a_pickle(precision, bytes_per_connection, each_block_size):
    sizes = (784, 1024, 1024, 10)
    network = random_network(sizes, 0.1, precision=precision)
    X, y = random_data(64, 784, 10)
    train(network, X, y, optimizer=ADAM)  # moments are not in it
    each = bytes_per_connection[each_block_size == 4]
    assert len(pickle.dumps(network)) <= each * network.n_connections + 4096


@pytest.mark.parametrize(
    ("precision", "bytes_per_connection"),
    [("float32", 6.2), ("bfloat16", 4.2), ("float16", 4.2), ("int8", 3.2)],
)
def test_bytes_of_a_pickle_of_a_layer_by_feature(precision, bytes_per_connection):
    sizes, density = (20_000, 100, 10), (0.1, 1.0)
    network = random_network(sizes, density, precision=precision, sparse_rows=True)
    train(network, *random_rows(64, 20_000, 10, density=0.001), optimizer=ADAM)
    fan_out = network.layers[0].fan_out
    assert fan_out == -(-10 // network.layers[0].height) * network.layers[0].height
    assert network.n_connections == 20_000 * fan_out + 100 * 10
    limit = bytes_per_connection * network.n_connections + 4096
    assert len(pickle.dumps(network)) <= limit


@each_precision
@each_kind
def test_predictions_survive_bit_by_bit(precision, kind):
    network = kind(precision)
    loaded = copied(network)
    assert loaded.sparse_rows == (kind is trained_on_rows)
    X, _ = random_data(130)
    np.testing.assert_array_equal(loaded.predict(X, 1), network.predict(X, 1))
    for ours, theirs in zip(loaded.coefs, network.coefs, strict=True):
        assert (ours != theirs).nnz == 0
    for ours, theirs in zip(loaded.intercepts, network.intercepts, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@each_precision
@each_kind
def test_training_goes_on_after_loading(precision, kind):
    """As in a network that forgot its optimizer's state."""
    network = kind(precision)
    loaded, again = copied(network), copied(network)
    X, y = random_data(130) if kind is trained else random_rows(130)
    before = loaded.predict(X, 1)
    first_loss = train(loaded, X, y, optimizer=ADAM)
    assert loaded.n_steps == network.n_steps + 1
    assert not np.array_equal(loaded.predict(X, 1), before)
    for _ in range(20):
        last_loss = train(loaded, X, y, optimizer=ADAM)
    assert last_loss < first_loss
    train(again, X, y, optimizer=ADAM)
    if precision == "float32":  # whose pickle holds the master weights
        network.reset_optimizer()
        train(network, X, y, optimizer=ADAM)
        np.testing.assert_array_equal(state(again), state(network))


@each_precision
def test_wide_indices_survive(precision):
    n_features = 2**16 + 10
    network = random_network((n_features, 12, 3), (1e-4, 1.0), precision=precision)
    assert network.__getstate__()["layers"][0]["indices"].dtype == np.uint32
    X, y = random_data(70, n_features, 3)
    network = copied(network)
    np.testing.assert_array_equal(copied(network).predict(X, 1), network.predict(X, 1))
    assert np.isfinite(train(network, X, y, optimizer=ADAM))


LOADED = """
import pickle, sys
import numpy as np
from problems import random_data

with open(sys.argv[1], "rb") as file:
    networks = pickle.load(file)
X, _ = random_data(100)
np.save(sys.argv[2], [network.predict(X, 1) for network in networks])
"""


@pytest.mark.parametrize("isa", available_isas())
def test_a_pickle_travels_between_instruction_sets(isa, tmp_path):
    networks = [
        kind(precision)
        for kind in (trained, trained_on_rows)
        for precision in PRECISIONS
    ]
    path, result = tmp_path / "networks.pickle", tmp_path / "predictions.npy"
    path.write_bytes(pickle.dumps(networks))
    subprocesses.run(LOADED, path, result, SPARSENET_ISA=isa)
    X, _ = random_data(100)
    # An activation may round to the next number of its format: 2^-8 of it or 1/127.
    atol = dict(zip(PRECISIONS, (1e-6, 2.0**-8, 2.0**-11, 1 / 127), strict=True))
    for network, there in zip(networks, np.load(result), strict=True):
        here = network.predict(X, 1)
        np.testing.assert_allclose(there, here, atol=atol[network.precision])


@pytest.mark.parametrize("order", ["<", ">"])
def test_labels_may_have_either_order_of_bytes(order):
    """NumPy's pickles are loaded in the processor's."""
    X, _ = random_data(30)
    for kind in ("i4", "f8", "U3"):
        labels = (np.arange(30) % 3).astype(order + kind)
        model = SparseMLPClassifier(max_iter=1).fit(X, labels)
        for copy in copied(model), copied(model.predictor()):
            np.testing.assert_array_equal(copy.predict(X), model.predict(X))


# --- damaged content ---------------------------------------------------------------


@each_precision
@each_kind
def test_each_field_must_be_there(precision, kind):
    network = kind(precision)
    saved = network.__getstate__()
    for field in saved:
        assert_refused(network, lambda s, _, field=field: s.pop(field), "")
    for number, layer in enumerate(saved["layers"]):
        for field in layer:

            def remove(s, _, number=number, field=field):
                del s["layers"][number][field]

            assert_refused(network, remove, f"layer {number}")


FIELDS = [
    ("n_steps", -1, "n_steps -1"),
    ("n_steps", 2**63, "n_steps"),
    ("n_steps", 2.0, "n_steps 2.0"),
    ("n_steps", None, "n_steps None"),
    ("version", 0, "version 0"),
    ("version", "1", "version '1'"),
    ("version", 999, "this sparsenet reads version"),
    ("layer_sizes", (20,), "layer sizes"),
    ("layer_sizes", (20, 18, 13, 0), "layer sizes"),
    ("layer_sizes", (20, 18, 13, 3.0), "layer sizes"),
    ("layer_sizes", (20, 18, 13, -3), "layer sizes"),
    ("layer_sizes", (20, 18, 13, 4), "layer 2"),
    ("layer_sizes", (21, 18, 13, 3), "layer 0"),
    ("layer_sizes", (20, 18, 13), "number of layers"),
    ("layer_sizes", 20, "layer sizes"),
    ("layer_sizes", None, "layer sizes"),
    ("activation", "softplus", "activation"),
    ("activation", 3, "activation"),
    ("loss", "hinge", "loss"),
    ("loss", None, "loss"),
    ("precision", "float64", "precision"),
    ("precision", "bfloat16", "precision"),
    ("seed", "0", "seed"),
    ("seed", -1, "seed"),
    ("seed", 2**64, "seed"),
    ("layers", [], "number of layers"),
    ("layers", None, "layers"),
    ("layers", [None, None, None], "layer 0"),
]


@pytest.mark.parametrize(("field", "value", "message"), FIELDS)
def test_wrong_fields(field, value, message):
    assert_refused(trained(), lambda s, _: s.update({field: value}), message)


STRANGERS = [np.zeros(2), np.array("relu"), np.array([{}]), None, "x", {}, [], 1.5]


def places(state, path=()):
    """The path to everything that a state holds, and what is there."""
    numbered = isinstance(state, (list, tuple))
    members = enumerate(state) if numbered else getattr(state, "items", tuple)()
    for key, value in members:
        yield (*path, key), value
        yield from places(value, (*path, key))


@each_kind
def test_strange_objects_anywhere(kind):
    network = kind("int8")
    network.pickles_training = True
    for path, value in places(network.__getstate__()):
        if value is None or path == ("checksum",):
            continue
        for stranger in STRANGERS:

            def put(state, _, path=path, stranger=stranger):
                *way, last = path
                for key in way:
                    if isinstance(state[key], tuple):
                        state[key] = list(state[key])
                    state = state[key]
                state[last] = stranger

            assert_refused(network, put, "")


@pytest.mark.parametrize("content", [None, [], {}, 3, b"", {"layers": []}])
def test_content_that_is_no_network(content):
    network = random_network()
    with pytest.raises(ValueError, match="damaged or foreign sparsenet model"):
        network.__setstate__(content)


ARRAYS = [
    (kind, precision, number, field)
    # A sparse layer and a dense one; a layer by feature.
    for kind, number in ((trained, 0), (trained, 2), (trained_on_rows, 0))
    for precision in PRECISIONS
    for field, value in kind(precision).__getstate__()["layers"][number].items()
    if isinstance(value, np.ndarray)
]


@pytest.mark.parametrize(("kind", "precision", "number", "field"), ARRAYS)
def test_wrong_arrays(kind, precision, number, field):
    network = kind(precision)
    array = network.__getstate__()["layers"][number][field]
    wrong = {
        "a list": array.tolist(),
        "nothing": None,
        "another type": array.astype(np.float64),
        "another byte order": array.astype(array.dtype.newbyteorder(">")),
        "short": array[:-1],
        "long": np.concatenate([array, array[:1]]),
        "of a column": array[..., np.newaxis],
        "empty": array[:0],
    }
    if array.itemsize == 1:
        del wrong["another byte order"]  # which one byte does not have
    if array.ndim == 2:
        wrong["narrow"] = array[:, :-1]
        wrong["wide"] = np.concatenate([array, array[:, :1]], axis=1)
        if number == 0:  # a layer by feature that is not dense
            wrong["without columns"] = array[:, :0]
    for value in wrong.values():

        def replace(s, _, value=value):
            s["layers"][number][field] = value

        assert_refused(network, replace, f"layer {number}")


def test_indices_must_be_in_range_and_ascend():
    network = trained()

    def last_out_of_range(_, layer):
        layer["indices"][-1, -1] = SIZES[0]

    def far_out_of_range(_, layer):
        layer["indices"][0, 9] = 2**16 - 1

    def repeated(_, layer):
        layer["indices"][1, 1] = layer["indices"][1, 0]

    def swapped(_, layer):
        layer["indices"][2, [3, 4]] = layer["indices"][2, [4, 3]]

    for change in (last_out_of_range, far_out_of_range):
        assert_refused(network, change, "out of range")
    for change in (repeated, swapped):
        assert_refused(network, change, "do not ascend")


def test_blocks_must_be_whole_and_of_a_known_size():
    network = trained()
    height = network.layers[0].height

    def of_height(other):
        def change(_, layer):
            n_blocks = -(-SIZES[1] // other)
            layer["indices"] = np.resize(layer["indices"], (n_blocks, 10))
            layer["stored"] = np.zeros((n_blocks, 10, other), np.float32)

        return change

    for other in (2, 3, 8):
        assert_refused(network, of_height(other), f"blocks of {other} units")

    def one_fewer(_, layer):
        layer["indices"] = layer["indices"][1:]

    def none_connected(_, layer):
        layer["indices"] = layer["indices"][:, :0]
        layer["stored"] = layer["stored"][:, :0]

    def weight_of_unit_20(_, layer):
        layer["stored"][-1, 3, -1] = 1

    assert_refused(network, one_fewer, f"has {-(-SIZES[1] // height) - 1} blocks")
    assert_refused(network, none_connected, "fan-in 0")
    if height == 4:  # 18 units leave two places of the last block
        assert_refused(network, weight_of_unit_20, "does not have")
    for size in (0, 2, 4.0, True, np.uint8(4), "4", None):

        def of_size(s, _, size=size):
            s["block_size"] = size

        assert_refused(network, of_size, f"block size {size!r}")


def test_connections_must_be_in_range_and_ascend():
    network = trained_on_rows()
    assert network.layers[0].fan_out == 9 and SIZES[1] == 18

    def last_out_of_range(_, layer):
        layer["connections"][-1, -1] = 18

    def far_out_of_range(_, layer):
        layer["connections"][3, 8] = 255

    def repeated(_, layer):
        layer["connections"][5, 1] = layer["connections"][5, 0]

    def swapped(_, layer):
        layer["connections"][2, [3, 4]] = layer["connections"][2, [4, 3]]

    for change in (last_out_of_range, far_out_of_range):
        assert_refused(network, change, "out of range")
    for change in (repeated, swapped):
        assert_refused(network, change, "do not ascend")


def test_connections_of_blocks():
    sizes, density = (20, 16, 3), (0.5, 1.0)
    network = random_network(sizes, density, sparse_rows=True)
    height = network.layers[0].height
    X, _ = random_rows(30)
    np.testing.assert_array_equal(copied(network).predict(X, 1), network.predict(X, 1))

    def last_out_of_range(_, layer):
        layer["connections"][-1, -1] = 16 // height

    def of_half_the_weights(_, layer):
        layer["connections"] = np.repeat(layer["connections"], height, axis=1)[:, ::2]

    def of_none(_, layer):
        layer["connections"] = layer["connections"][:, :0]

    def with_a_weight_more(_, layer):
        layer["by_feature"] = np.ones((20, 8 + height - 1), np.float32)

    def flat(_, layer):
        layer["connections"] = layer["connections"].ravel()

    assert_refused(network, last_out_of_range, "out of range")
    assert_refused(network, of_half_the_weights, "4 connections of 8 weights")
    assert_refused(network, of_none, "0 connections of 8 weights")
    assert_refused(network, flat, "2 dimensions")
    if height == 4:
        assert_refused(network, with_a_weight_more, "2 connections of 11 weights")


@each_precision
def test_a_feature_has_connections_and_no_more_than_units(precision):
    network = trained_on_rows(precision)

    def none_left(_, layer):
        for field in ("by_feature", "connections"):
            layer[field] = layer[field][:, :0]

    def more_than_units(_, layer):
        layer["by_feature"] = np.zeros((20, 19), layer["by_feature"].dtype)
        layer["connections"] = np.tile(np.arange(19, dtype=np.uint8), (20, 1))

    def fewer_than_all(_, layer):
        layer["connections"] = None

    assert_refused(network, none_left, "fan-out 0")
    assert_refused(network, more_than_units, "fan-out 19")
    assert_refused(network, fewer_than_all, "has shape (20, 9), not (20, 18)")


def test_connections_are_in_the_narrowest_type():
    wide = trained_on_rows().__getstate__()["layers"][0]["connections"]
    assert wide.dtype == np.uint8
    for dtype in (np.uint16, np.uint32, np.int8, np.int64):

        def widen(_, layer, dtype=dtype):
            layer["connections"] = layer["connections"].astype(dtype)

        assert_refused(trained_on_rows(), widen, f"not {np.dtype(np.uint8)}")


@each_precision
def test_only_the_first_layer_may_be_stored_by_feature(precision):
    network = trained(precision)
    sizes = (SIZES[1], SIZES[2], SIZES[2])
    other = random_network(sizes, (0.5, 1.0), precision=precision, sparse_rows=True)
    layer = other.__getstate__()["layers"][0]
    assert (layer["n_in"], layer["n_out"]) == SIZES[1:3]

    def second_by_feature(s, _):
        s["layers"][1] = layer

    assert_refused(network, second_by_feature, "layer 1 is stored by feature")


@each_kind
@pytest.mark.parametrize("field", ["n_in", "n_out", "precision"])
def test_a_layer_must_be_its_networks(kind, field):
    network = kind()
    assert_refused(network, lambda _, layer: layer.update({field: 5}), "layer 0")


@each_kind
def test_sizes_must_be_pythons_integers(kind):
    # -np.uint8(10) is 246.
    network = kind()

    def of_the_layer(_, layer):
        layer["n_out"] = np.uint8(layer["n_out"])

    def of_the_network(s, _):
        s["layer_sizes"] = [np.uint8(n) for n in s["layer_sizes"]]

    assert_refused(network, of_the_layer, "layer 0")
    assert_refused(network, of_the_network, "layer sizes")


@pytest.mark.parametrize(
    ("kind", "field"), [(trained, "indices"), (trained_on_rows, "connections")]
)
def test_masks_hide_nothing(kind, field):
    """A masked array's minimum, maximum and comparisons leave out what is masked."""

    def hide(_, layer):
        numbers, hidden = layer[field].copy(), np.zeros(layer[field].shape, bool)
        numbers[:, -1], hidden[:, -1] = np.iinfo(numbers.dtype).max, True
        layer[field] = np.ma.MaskedArray(numbers, hidden)

    assert_refused(kind(), hide, "not an array")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@each_kind
def test_weights_must_be_finite(kind, bad):
    network = kind()
    field = "stored" if kind is trained else "by_feature"

    def change(_, layer):
        layer[field].flat[3] = bad

    assert_refused(network, change, "not finite")


@each_precision
@each_kind
def test_pickles_of_version_3_are_read(precision, kind):
    network = kind(precision)
    saved = network.__getstate__() | {"version": 3}
    del saved["checksum"], saved["n_steps"]
    loaded = network.__class__.__new__(network.__class__)
    loaded.__setstate__(saved)
    X, _ = random_data(30) if kind is trained else random_rows(30)
    np.testing.assert_array_equal(loaded.predict(X, 1), network.predict(X, 1))


def test_a_failed_load_leaves_the_network_alone():
    network = trained()
    X, _ = random_data(10)
    before = network.predict(X, 1)
    saved = damaged(network, lambda _, layer: layer.pop("bias"))
    with pytest.raises(ValueError, match="damaged"):
        network.__setstate__(saved)
    np.testing.assert_array_equal(network.predict(X, 1), before)


@each_precision
@each_kind
def test_truncated_bytes(precision, kind):
    whole = pickle.dumps(kind(precision))
    for size in np.linspace(0, len(whole) - 1, 60).astype(int):
        with pytest.raises((pickle.UnpicklingError, EOFError, ValueError)):
            pickle.loads(whole[:size])


def test_flipped_bytes_never_crash():
    """In a process of its own: a bad index that got through could end it."""
    assert subprocesses.run(FLIPPED) == "alive\n"


FLIPPED = """
import pickle, warnings
import numpy as np
from problems import random_data, random_network, train
from scipy import sparse
from sparsenet._network import Network

warnings.simplefilter("ignore")
X, y = random_data(64)
rows = sparse.csr_array(np.where(X > 0.5, X, 0))
rng = np.random.default_rng(0)
for precision, by_feature in [(p, s) for p in ("float32", "int8") for s in (0, 1)]:
    whole = pickle.dumps(random_network(precision=precision, sparse_rows=by_feature))
    for _ in range(400):
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] = rng.integers(256)
        try:
            network = pickle.loads(bytes(changed))
        except Exception:
            continue
        if isinstance(network, Network):
            inputs = rows if by_feature else X
            network.predict(inputs, 1)
            train(network, inputs, y)
print("alive")
"""


@pytest.mark.parametrize("estimator", [SparseMLPClassifier, SparseMLPRegressor])
def test_parameters_that_a_pickle_does_not_know_have_their_defaults(estimator):
    model = estimator(hidden_layer_sizes=(5,), max_iter=1, n_threads=1, random_state=0)
    model.fit(np.eye(20), np.arange(20) % 2)
    del model.n_threads, model.tol  # as if they were newer than the pickle
    fitted = {n: v for n, v in vars(model).items() if not n.startswith("_checksum")}
    loaded = object.__new__(estimator)
    loaded.__setstate__(fitted)
    assert loaded.n_threads is None and loaded.tol == 1e-4
    np.testing.assert_array_equal(
        loaded.predict(np.eye(20)), loaded.set_params(n_threads=2).predict(np.eye(20))
    )
