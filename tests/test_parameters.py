"""Parameters: what is allowed, what an error says, and one table of all of it."""

import inspect
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsenet import SparseMLPClassifier, SparseMLPRegressor
from sparsenet import _parameters as parameters
from sparsenet._kernels._dispatch import (
    ACTIVATIONS,
    CLASSIFIER_LOSSES,
    FORMATS,
    REGRESSOR_LOSSES,
    SOLVERS,
)
from sparsenet._schedules import SCHEDULES

CLASSIFIER_CHOICES = sorted({choice for choice, _ in CLASSIFIER_LOSSES})
FRACTIONS = st.floats(0, 1, exclude_min=True)
NOT_NUMBERS = st.one_of(
    st.none(), st.booleans(), st.text(), st.binary(), st.complex_numbers(), st.just({})
)
NOT_FINITE = st.sampled_from([math.nan, math.inf, -math.inf, np.float32("nan")])

ALLOWED = {
    "loss": [*REGRESSOR_LOSSES],
    "hidden_layer_sizes": [
        1,
        np.int64(7),
        (),
        (3,),
        [3, np.int32(4)],
        np.array([5, 6]),
        2**31 - 1,
    ],
    "activation": [*ACTIVATIONS, np.str_("relu"), ["tanh"], np.array(["elu"])],
    "solver": [*SOLVERS],
    "alpha": [0, 1e-4, np.float32(0.5), Fraction(1, 3)],
    "batch_size": ["auto", 1, np.int8(100)],
    "learning_rate": ["constant", "invscaling", "adaptive", *SCHEDULES, math.exp],
    "learning_rate_init": [1e-300, 10],
    "power_t": [0, 0.5],
    "max_iter": [1, 10**9],
    "shuffle": [True, np.False_],
    "random_state": [None, 0, 2**32 - 1, np.random.RandomState(0)],
    "tol": [0, 0.1],
    "verbose": [True, 0, 10],
    "warm_start": [True, False],
    "momentum": [0, 1],
    "nesterovs_momentum": [True, False],
    "early_stopping": [True, False],
    "validation_fraction": [0, 0.99],
    "beta_1": [0, 0.99],
    "beta_2": [0, 0.99],
    "epsilon": [1e-30, 2.0**-126],
    "n_iter_no_change": [1, np.inf],
    "max_fun": [1, 15000],
    "density": [
        "auto",
        1,
        1e-9,
        np.float16(0.5),
        [0.1, 1],
        (1, 1),
        np.array([0.1, 0.2]),
    ],
    "density_distribution": ["erdos_renyi", "uniform"],
    "block_size": [1, 4, np.int64(4)],
    "sparse_training": ["static", "set", "rigl", "gradual"],
    "rewire_interval": [1, np.int64(100), 10**9],
    "rewire_fraction": [1e-9, 0.3, 1],
    "rewire_until": [1e-9, 0.75, 1.0, 1, np.int64(15)],
    "initial_density": [1e-9, 0.5, 1],
    "precision": [*FORMATS],
    "n_threads": [None, 1, 1024],
    "weight_decay": [0, 0.01, 10],
    "warmup": [0, 0.1, 0.99],
    "max_grad_norm": [None, 1, 1e-3, np.float32(0.5)],
    "ema_decay": [0, 0.999, np.float32(0.5)],
    "dropout": [0, 0.5, np.float32(0.1), (0.1,), [0], np.array([0.5])],
    "scoring": [None, "loss", np.str_("loss"), "r2", "neg_log_loss", abs],
    "restore_best": [True, False],
    "train_scores": [True, np.False_],
    "time_limit": [None, 1, 0.5, np.float32(3), 1e-9],
    "quantile": [
        1e-30,
        0.5,
        np.float32(0.9),
        Fraction(1, 3),
        [0.5],
        (0.1, 0.9),
        np.linspace(0.1, 0.9, 9),
    ],
    "huber_delta": [1e-30, 1, np.float32(0.5), Fraction(1, 3), 1e38],
}
REFUSED = {
    "loss": ["log_loss", "focal", "softmax", None, 1],
    "hidden_layer_sizes": [
        0,
        -1,
        1.0,
        True,
        "100",
        b"ab",
        None,
        {3, 4},
        (5, 0),
        (5, 2**31),
        (5, 1.5),
        (True,),
        ((3,), 4),
        np.ones((2, 2), int),
        np.array(3.0),
    ],
    "activation": ["ReLU", None, 1, ["ReLU"], [], ["relu"] * 2, {"relu"}, [None]],
    "solver": ["newton", "AdamW", None],
    "alpha": [10**400, -1e-9, math.nan, math.inf, "0", None, True, 1j],
    "batch_size": [0, 1.0, "all", True, None],
    "learning_rate": ["Cosine", 0.1, None, ["cosine"]],
    "learning_rate_init": [0, -1, math.nan, math.inf, True],
    "power_t": [-0.1, math.nan],
    "max_iter": [0, 1.0, 10**400, math.inf, True],
    "shuffle": [0, 1, "yes", None],
    "random_state": [-1, 2**32, 1.0, True, "0", np.random.default_rng(0)],
    "tol": [-1e-9, math.nan, math.inf],
    "verbose": [-1, "yes", None],
    "warm_start": [1, None],
    "momentum": [-0.1, 1.1, math.nan],
    "nesterovs_momentum": [1],
    "early_stopping": ["auto", 1],
    "validation_fraction": [-0.1, 1.0],
    "beta_1": [1.0, -0.1, math.nan],
    "beta_2": [1 - 1e-9, 1e300, -0.1, True],
    "epsilon": [0.0, -1e-8, 1e-38],
    "n_iter_no_change": [0, 1.5, -math.inf, math.nan],
    "max_fun": [0],
    "density": [
        0,
        1.5,
        -0.1,
        math.nan,
        "sparse",
        None,
        True,
        [],
        [0.1],
        [0.1] * 3,
        [0.1, 0],
        [0.1, "auto"],
        np.full((1, 2), 0.1),
    ],
    "density_distribution": ["er", None, 0.1],
    "block_size": [0, 2, 3, 5, 8, -4, 4.0, True, "4", None, (4, 1)],
    "sparse_training": ["SET", "dynamic", True, None],
    "rewire_interval": [0, -1, 100.0, True, "auto", None],
    "rewire_fraction": [0, 1.1, -0.1, math.nan, True, None],
    "rewire_until": [0, 0.0, -1, 1.1, 2.0, math.nan, True, "end", None],
    "initial_density": [0, 1.1, math.nan, "auto", [1.0, 1.0], None],
    "precision": ["float64", "fp16", np.float32, None],
    "n_threads": [0, -1, 1025, 2.0, True],
    "weight_decay": [-1e-9, math.nan, math.inf, True, "0", None],
    "warmup": [-0.1, 1, 1.0, math.nan, True, None],
    "max_grad_norm": [0, -1, math.nan, math.inf, True, "1", 1e-50],
    "ema_decay": [-0.1, 1, 1 - 1e-9, math.nan, True, None],
    "dropout": [-0.1, 1, math.nan, True, "0.1", None, [], (0.1, 0.1), [1.0], [[0.1]]],
    "scoring": ["LOSS", "error", 1, True, ["r2"], {"r2": "r2"}],
    "restore_best": [1, "yes", None],
    "train_scores": [0, "all", None],
    "time_limit": [0, -1.0, np.inf, np.nan, "1", True],
    "quantile": [
        0,
        1,
        -0.1,
        1.5,
        1 - 1e-9,
        math.nan,
        "median",
        None,
        [],
        [0.9, 0.1],
        [0.5, 0.5],
        [0.5, 0.5 + 1e-12],
        [0.1, 1],
        [0.1, math.nan],
        {0.1, 0.9},
        np.full((1, 2), 0.5),
    ],
    "huber_delta": [0, -1.0, 1e-50, 1e39, math.nan, math.inf, True, "1", None],
}


#: What only the classifier has, or has otherwise.
ALLOWED_OF_CLASSIFIER = {
    "loss": [*CLASSIFIER_CHOICES],
    "label_smoothing": [0, 0.1, np.float32(0.9), Fraction(1, 3)],
    "focal_gamma": [0, 2, 0.5, np.float32(5)],
    "class_weight": [
        None,
        "balanced",
        {},
        {0: 1, 1: 2.5},
        {"a": 0, "b": np.float64(3)},
        [{0: 1}, {1: 2}],
        ({}, {0: 0.5, 1: np.int64(2)}),
    ],
}
REFUSED_OF_CLASSIFIER = {
    "loss": ["squared_error", "softmax", None, 1],
    "label_smoothing": [-0.1, 1, 1 - 1e-9, math.nan, "0", None, True],
    "focal_gamma": [-0.1, math.inf, math.nan, 1e39, "2", None, True],
    "class_weight": [
        "auto",
        1.0,
        True,
        {0: -1},
        {0: math.nan},
        {0: math.inf},
        {0: "1"},
        {0: None},
        {0, 1},
        [1, 2],
        [{0: 1}, None],
        [{0: -1}],
        np.ones(2),
    ],
}


def cases(values):
    return [(name, value) for name in values for value in values[name]]


def test_every_parameter_of_the_estimators_is_checked():
    names = set(SparseMLPRegressor().get_params())
    assert names == set(parameters.parameters_of(SparseMLPRegressor))
    assert set(ALLOWED) == set(REFUSED) == names
    own = set(parameters.parameters_of(SparseMLPClassifier)) - names | {"loss"}
    assert set(ALLOWED_OF_CLASSIFIER) == set(REFUSED_OF_CLASSIFIER) == own


@pytest.mark.parametrize("estimator", [SparseMLPClassifier, SparseMLPRegressor])
def test_signatures_are_those_of_the_table(estimator):
    signature = inspect.signature(estimator.__init__).parameters
    table = parameters.parameters_of(estimator)
    assert {"self", *table} == set(signature)
    for name in table:
        assert signature[name].default == table[name].default
        assert f"\n{name} : " in estimator.__doc__


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("loss", REGRESSOR_LOSSES),
        ("activation", ACTIVATIONS),
        ("solver", SOLVERS),
        ("precision", FORMATS),
    ],
)
def test_what_the_registry_has_is_documented(name, options):
    text = parameters.parameters_of(SparseMLPRegressor)[name].text
    assert [option for option in options if f"'{option}'" not in text] == []


def test_losses_of_the_classifier_are_documented():
    text = parameters.parameters_of(SparseMLPClassifier)["loss"].text
    assert [loss for loss in CLASSIFIER_CHOICES if f"'{loss}'" not in text] == []


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [
        *((SparseMLPRegressor, *case) for case in cases(ALLOWED)),
        *((SparseMLPClassifier, *case) for case in cases(ALLOWED_OF_CLASSIFIER)),
    ],
)
def test_allowed_value_passes(estimator, name, value):
    parameters.check_parameters(estimator(**{name: value}))


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [
        *((SparseMLPRegressor, *case) for case in cases(REFUSED)),
        *((SparseMLPClassifier, *case) for case in cases(REFUSED_OF_CLASSIFIER)),
    ],
)
def test_refused_value_raises_and_the_error_names_the_parameter(estimator, name, value):
    with pytest.raises(
        ValueError, match=rf"^{estimator.__name__}: {name}=.*; allowed: "
    ):
        parameters.check_parameters(estimator(**{name: value}))


def test_label_smoothing_is_for_the_log_loss():
    model = SparseMLPClassifier(loss="focal", label_smoothing=0.1)
    message = "label_smoothing=0.1; allowed: 0 with loss='focal'"
    with pytest.raises(ValueError, match=message):
        parameters.check_parameters(model)
    parameters.check_parameters(model.set_params(label_smoothing=0))


def test_one_activation_per_hidden_layer():
    model = SparseMLPRegressor(hidden_layer_sizes=(5, 6), activation=["relu", "tanh"])
    parameters.check_parameters(model)
    assert parameters.activation(model) == ("relu", "tanh")
    assert parameters.activation(model.set_params(activation=["elu"] * 2)) == "elu"
    for n_hidden in (0, 1, 3):
        model.set_params(hidden_layer_sizes=(5,) * n_hidden)
        with pytest.raises(ValueError, match=rf"one per hidden layer \({n_hidden} "):
            parameters.check_parameters(model)
    model.set_params(hidden_layer_sizes=(), activation=())
    parameters.check_parameters(model)
    assert parameters.activation(model) == "identity"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"density": 1.5, "hidden_layer_sizes": (10, 10)},
            "density=1.5; allowed: 'auto', a number in (0, 1], or one per weight "
            "matrix (3 here)",
        ),
        ({"max_iter": 0}, "max_iter=0; allowed: an integer >= 1"),
        (
            {"learning_rate_init": 0},
            "learning_rate_init=0; allowed: a number > 0",
        ),
        (
            {"validation_fraction": 1},
            "validation_fraction=1; allowed: a number in [0, 1)",
        ),
        ({"n_threads": 0}, "n_threads=0; allowed: None or an integer in [1, 1024]"),
        (
            {"solver": "newton"},
            "solver='newton'; allowed: 'adam', 'sgd', 'adamw', or 'lbfgs'",
        ),
    ],
)
def test_error_says_what_is_allowed(changes, message):
    with pytest.raises(ValueError) as error:
        parameters.check_parameters(SparseMLPClassifier(**changes))
    assert str(error.value) == f"SparseMLPClassifier: {message}"


def test_error_shortens_a_long_value():
    with pytest.raises(ValueError) as error:
        parameters.check_parameters(SparseMLPClassifier(density=[0.5] * 10_000))
    assert len(str(error.value)) < 200


@given(value=st.one_of(NOT_NUMBERS, NOT_FINITE, st.floats(max_value=0)))
def test_what_is_not_a_positive_number_is_no_learning_rate(value):
    with pytest.raises(ValueError, match="learning_rate_init"):
        parameters.check_parameters(SparseMLPClassifier(learning_rate_init=value))


@given(sizes=st.lists(st.integers(1, 2**31 - 1), max_size=6), data=st.data())
def test_one_density_per_weight_matrix_passes(sizes, data):
    n_matrices = len(sizes) + 1
    densities = data.draw(st.lists(FRACTIONS, min_size=n_matrices, max_size=n_matrices))
    estimator = SparseMLPClassifier(hidden_layer_sizes=sizes, density=densities)
    parameters.check_parameters(estimator)
    assert parameters.density(estimator) == tuple(densities)
    assert parameters.hidden_layer_sizes(estimator) == tuple(sizes)


@given(
    sizes=st.lists(st.integers(1, 100), max_size=4),
    densities=st.lists(FRACTIONS, max_size=6),
)
def test_another_number_of_densities_is_refused(sizes, densities):
    estimator = SparseMLPClassifier(hidden_layer_sizes=sizes, density=densities)
    if len(densities) != len(sizes) + 1:
        with pytest.raises(ValueError, match=f"{len(sizes) + 1} here"):
            parameters.check_parameters(estimator)


def test_int8_batches_that_could_overflow_are_refused():
    estimator = SparseMLPClassifier(precision="int8", batch_size=65_537)
    with pytest.raises(ValueError, match="batch_size=65537"):
        parameters.check_parameters(estimator)
    parameters.check_parameters(estimator.set_params(batch_size=65_536))
