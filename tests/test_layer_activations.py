"""Hidden layers that differ in their activation functions."""

import copy
import pickle

import numpy as np
import pytest
from problems import PRECISIONS, gradient, random_data, random_network, state, train
from reference_network import DenseNetwork
from saved_networks import assert_refused, random_rows
from scipy import sparse
from small_estimators import BOTH, LABELS, X, small

from sparsenet import SparseMLPClassifier, prune
from sparsenet._base_layer import glorot_bound
from sparsenet._optimizer import Optimizer

pytestmark = pytest.mark.filterwarnings("ignore")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])

#: Of the two hidden layers of a random network: with and without an offset in int8, and
#: with a derivative that is kept.
MIXTURES = [("relu", "tanh"), ("tanh", "relu"), ("gelu", "logistic"), ("elu", "mish")]
each_mixture = pytest.mark.parametrize("activation", MIXTURES, ids="-".join)
ADAM = Optimizer("adam", 0.01)


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


# --- networks ----------------------------------------------------------------------


@each_mixture
@each_precision
@pytest.mark.parametrize("sparse_rows", [False, True])
def test_gradients_are_those_of_the_twin(activation, precision, sparse_rows):
    options = {"precision": precision, "sparse_rows": sparse_rows}
    network = random_network(activation=activation, **options)
    inputs, y = random_rows(70)
    inputs = inputs if sparse_rows else inputs.toarray()
    twin = DenseNetwork(network)
    dense = inputs.toarray() if sparse_rows else inputs
    tolerance = {"float32": 1e-5, "float16": 0.01, "bfloat16": 0.03, "int8": 0.1}
    for actual, expected in zip(
        gradient(network, inputs, y), twin.gradients(dense, y), strict=True
    ):
        for a, e in zip(actual, expected, strict=True):
            assert relative_error(a, e / len(y)) < tolerance[precision]


@each_mixture
@each_precision
def test_predictions_are_those_of_the_twin(activation, precision):
    network = random_network(activation=activation, precision=precision)
    inputs, _ = random_data(100)
    expected = DenseNetwork(network).predict(inputs)
    tolerance = {"float32": 1e-5, "float16": 0.005, "bfloat16": 0.02, "int8": 0.05}
    np.testing.assert_allclose(
        network.predict(inputs, 2), expected, rtol=0, atol=tolerance[precision]
    )


@each_precision
@pytest.mark.parametrize("sparse_rows", [False, True])
def test_the_same_one_for_each_is_one_for_all(precision, sparse_rows):
    inputs, y = random_rows(100)
    inputs = inputs if sparse_rows else inputs.toarray()
    states = []
    for activation in ("tanh", ("tanh", "tanh")):
        network = random_network(
            activation=activation, precision=precision, sparse_rows=sparse_rows
        )
        train(network, inputs, y, optimizer=ADAM, batch_size=50)
        states.append(state(network))
    np.testing.assert_array_equal(*states)


def test_initial_weights_are_bounded_by_the_layers_own_activation():
    network = random_network(activation=("logistic", "relu"))
    kinds = "logistic", "relu", "relu"
    for layer, kind in zip(network.layers, kinds, strict=True):
        fan_out = layer.fan_in * layer.n_out / layer.n_in
        bound = glorot_bound(layer.fan_in, fan_out, kind)
        largest = max(np.abs(layer.weights).max(), np.abs(layer.bias).max())
        assert 0.8 * bound < largest <= bound


@each_precision
def test_pickles_and_copies_keep_them(precision):
    network = random_network(activation=MIXTURES[0], precision=precision)
    inputs, y = random_data(100)
    assert network.__getstate__()["activation"] == [*MIXTURES[0]]
    others = pickle.loads(pickle.dumps(network)), copy.deepcopy(network)
    for other in others:
        assert other.activation == MIXTURES[0]
        np.testing.assert_array_equal(
            other.predict(inputs, 1), network.predict(inputs, 1)
        )
    train(network, inputs, y, optimizer=ADAM)
    train(others[1], inputs, y, optimizer=ADAM)
    np.testing.assert_array_equal(state(others[1]), state(network))


@pytest.mark.parametrize(
    "value",
    [[], ["relu"], ["relu"] * 3, ("relu", "tanh"), ["relu", "softplus"], ["relu", 1]],
)
def test_a_pickle_with_others_is_damaged(value):
    for activation in ("relu", ("relu", "tanh")):
        assert_refused(
            random_network(activation=activation),
            lambda saved, _: saved.update(activation=value),
            f"activation {value!r}",
        )


# --- estimators --------------------------------------------------------------------


@each_precision
@each_container
@pytest.mark.parametrize("n_threads", [1, 2])
def test_estimators_learn_with_them(precision, container, n_threads):
    model = small(
        SparseMLPClassifier,
        hidden_layer_sizes=(64, 48, 32),
        activation=["gelu", "tanh", "relu"],
        precision=precision,
        n_threads=n_threads,
        max_iter=30,
        learning_rate_init=0.005,
    )
    assert model.fit(container(X), LABELS).score(container(X), LABELS) > 0.95
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        loaded.predict_proba(container(X)), model.predict_proba(container(X))
    )


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_all_ways_to_say_the_same_are_one(estimator, y):
    options = {"hidden_layer_sizes": (16, 16), "max_iter": 2}
    curves = [
        small(estimator, activation=activation, **options).fit(X, y).loss_curve_
        for activation in ("elu", ["elu", "elu"], np.array(["elu", "elu"]))
    ]
    assert curves[0] == curves[1] == curves[2]
    model = small(estimator, activation="elu", warm_start=True, **options).fit(X, y)
    model.set_params(activation=("elu", "elu")).fit(X, y).partial_fit(X, y)


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_going_on_refuses_others(estimator, y):
    options = {"hidden_layer_sizes": (16, 16), "max_iter": 2, "warm_start": True}
    model = small(estimator, activation=["elu", "relu"], **options).fit(X, y)
    before = model.predict(X)
    for other in ("elu", ["relu", "elu"]):
        model.set_params(activation=other)
        for call in (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match=r"allowed: \('elu', 'relu'\), since"):
                call(X, y)
        with pytest.raises(ValueError, match=r"^prune: activation=.*\('elu', 'relu'\)"):
            prune(model, 0.5)
    np.testing.assert_array_equal(model.predict(X), before)
    model.set_params(activation=np.array(["elu", "relu"]))
    pruned = prune(model, 0.9, precision="int8")
    assert pruned._network.activation == ("elu", "relu")
    pruned.partial_fit(X, y)


def test_gradual_pruning_and_rewiring_keep_them():
    for method in ("gradual", "rigl", "set"):
        model = small(
            SparseMLPClassifier,
            hidden_layer_sizes=(64, 64),
            activation=("silu", "relu"),
            sparse_training=method,
            rewire_interval=5,
            density=0.3,
            learning_rate_init=0.01,
            max_iter=20,
        ).fit(X, LABELS)
        assert model._network.activation == ("silu", "relu")
        assert model.score(X, LABELS) > 0.8


def test_without_hidden_layers_there_may_be_none():
    model = small(SparseMLPClassifier, hidden_layer_sizes=(), activation=())
    plain = small(SparseMLPClassifier, hidden_layer_sizes=(), activation="identity")
    assert model.fit(X, LABELS).loss_curve_ == plain.fit(X, LABELS).loss_curve_
    pickle.loads(pickle.dumps(model)).partial_fit(X, LABELS)
