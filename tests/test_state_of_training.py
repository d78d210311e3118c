"""Pickles of networks in training: whole, exact and checked before they are used."""

import pickle

import numpy as np
import pytest
from problems import PRECISIONS, random_data, random_network, state, train
from saved_networks import (
    assert_refused,
    copied,
    each_kind,
    random_rows,
    trained,
)

from sparsenet._kernels._dispatch import ADAM_SOLVERS, SOLVERS
from sparsenet._optimizer import Optimizer
from sparsenet._rewiring import Rewiring
from sparsenet._state import checksum

pytestmark = pytest.mark.usefixtures("each_block_size")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


def in_training(kind, precision="int8", solver="adam"):
    """A network with an optimizer's state, connections of two ages, and its pickles."""
    network = (random_network if kind is trained else rows_network)(precision=precision)
    X, y = random_data(100) if kind is trained else random_rows(100)
    train(
        network, X, y, optimizer=Optimizer(solver, 0.01), batch_size=25,
        rewiring=Rewiring("set", 2, 0.5, 10),
    )  # fmt: skip
    return network.with_pickles(True)


def rows_network(**options):
    return random_network(sparse_rows=True, **options)


@each_precision
@each_kind
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_network_in_training_goes_on_to_the_same_bits(precision, kind, solver):
    network = in_training(kind, precision, solver)
    assert (len(network.births) > 1) == (solver in ADAM_SOLVERS)
    loaded = copied(network)
    assert loaded.pickles_training
    assert loaded.n_steps == network.n_steps == 4
    X, y = random_data(130) if kind is trained else random_rows(130)
    for one in (network, loaded):
        train(
            one, X, y, optimizer=Optimizer(solver, 0.01), batch_size=25,
            rewiring=Rewiring("set", 2, 0.5, 10),
        )  # fmt: skip
    np.testing.assert_array_equal(state(loaded), state(network))
    np.testing.assert_array_equal(loaded.births, network.births)


@each_precision
@each_kind
def test_what_training_needs_must_be_whole(precision, kind):
    network = in_training(kind, precision)
    saved = network.__getstate__()
    assert_refused(network, lambda s, _: s.pop("births"), "no births")
    for number, layer in enumerate(saved["layers"]):
        for field in layer["training"].keys() - {"seen"}:  # older ones have not

            def remove(s, _, number=number, field=field):
                del s["layers"][number]["training"][field]

            assert_refused(network, remove, f"layer {number} training")
        for field, value in layer["training"].items():
            if isinstance(value, np.ndarray):
                for bad in (value[:-1], value.astype(np.float64), value.tolist()):

                    def replace(s, _, number=number, field=field, bad=bad):
                        s["layers"][number]["training"][field] = bad

                    assert_refused(network, replace, f"layer {number}")
        for place in range(len(layer["training"]["moments"])):
            for bad in (np.zeros(7, np.float32), None):

                def replace(s, _, number=number, place=place, bad=bad):
                    moments = list(s["layers"][number]["training"]["moments"])
                    moments[place] = bad
                    s["layers"][number]["training"]["moments"] = moments

                assert_refused(network, replace, f"layer {number}")

    def without_optimizer(_, layer):
        layer["training"]["moments"] = None

    assert_refused(network, without_optimizer, "")

    def without_state(_, layer):
        layer["training"] = None

    assert_refused(network, without_state, "differ")


@each_kind
def test_ages_must_be_in_range(kind):
    network = in_training(kind)

    def too_young(_, layer):
        layer["training"]["cohort"][-1, -1] = len(network.births)

    assert_refused(network, too_young, "cohort out of range")
    for births in ([0, 5], [2, 0], [-1, 2], [], [[0, 2]], None):
        births = None if births is None else np.array(births, np.int64)
        assert_refused(network, lambda s, _, b=births: s.update(births=b), "births")


@each_precision
@each_kind
def test_each_bit_of_each_array_counts(precision, kind):
    network = in_training(kind, precision)
    rng = np.random.default_rng(0)

    def arrays(value):
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, (dict, list, tuple)):
            for member in value.values() if isinstance(value, dict) else value:
                yield from arrays(member)

    n_arrays = len(list(arrays(network.__getstate__())))
    for number in range(n_arrays):
        saved = pickle.loads(pickle.dumps(network.__getstate__()))
        array = list(arrays(saved))[number]
        if array.size == 0:
            continue
        of_bytes = array.reshape(-1).view(np.uint8)
        of_bytes[rng.integers(len(of_bytes))] ^= 1 << rng.integers(8)
        with pytest.raises(ValueError, match="damaged or foreign sparsenet model"):
            network.__setstate__(saved)


@each_precision
@each_kind
def test_the_order_of_arrays_in_memory_does_not_count(precision, kind):
    """NumPy's files, and other programs, may have columns side by side."""
    network = in_training(kind, precision)
    X, _ = random_data(30) if kind is trained else random_rows(30)

    def by_columns(value):
        if isinstance(value, np.ndarray):
            return np.asfortranarray(value)
        if isinstance(value, dict):
            return {key: by_columns(member) for key, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [by_columns(member) for member in value]
        return value

    saved = by_columns(network.__getstate__()) | {
        "layer_sizes": network.layer_sizes,
    }
    saved["checksum"] = checksum(saved)
    assert saved["checksum"] == network.__getstate__()["checksum"]
    loaded = network.__class__.__new__(network.__class__)
    loaded.__setstate__(saved)
    np.testing.assert_array_equal(loaded.predict(X, 1), network.predict(X, 1))
    np.testing.assert_array_equal(state(loaded), state(network))
