"""The losses of the regressor."""

import copy
import pickle
import re

import numpy as np
import pytest
import reference
from problems import random_network
from saved_networks import assert_refused
from sklearn import metrics
from sklearn.base import clone
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from small_estimators import PRECISIONS, X, needs_loss

from sparsenet import SparseMLPRegressor, prune
from sparsenet._kernels._dispatch import LOSS_PARAMETERS, REGRESSOR_LOSSES

pytestmark = pytest.mark.filterwarnings("ignore")
each_loss = pytest.mark.parametrize("loss", REGRESSOR_LOSSES)
each_loss_with_a_parameter = pytest.mark.parametrize(
    "loss", [loss for loss in REGRESSOR_LOSSES if loss in LOSS_PARAMETERS]
)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


def half(metric):
    return lambda *y, **options: metric(*y, **options) / 2


def huber(y, predicted, sample_weight):
    delta, error = reference.LOSS_PARAMETERS["huber_delta"], np.abs(y - predicted)
    linear = delta * (error - 0.5 * delta)
    losses = np.where(error <= delta, 0.5 * error**2, linear)
    return np.average(losses, weights=sample_weight)


def pinball(y, predicted, sample_weight):
    alpha = reference.LOSS_PARAMETERS["quantile"]
    return metrics.mean_pinball_loss(
        y, predicted, sample_weight=sample_weight, alpha=alpha
    )


#: Each loss in other words, and what minimizes it where y is 1 with weight 45, 2 with
#: weight 30 and 11 with weight 25.
METRICS = {
    "squared_error": (half(metrics.mean_squared_error), 3.8),
    "poisson": (half(metrics.mean_poisson_deviance), 3.8),
    "gamma": (half(metrics.mean_gamma_deviance), 3.8),
    "absolute_error": (metrics.mean_absolute_error, 2),
    "huber": (huber, 1.65),
    "quantile": (pinball, 1),
}


def parameter_of(loss):
    """The parameter of the loss, to be passed on; empty if there is none."""
    name = LOSS_PARAMETERS.get(loss)
    return {} if name is None else {name: reference.LOSS_PARAMETERS[name]}


def regressor(loss, **options):
    settings = {"hidden_layer_sizes": (32,), "alpha": 0, "random_state": 0}
    settings |= {"sparse_training": "static", "learning_rate_init": 0.01}
    return SparseMLPRegressor(loss, **settings | parameter_of(loss) | options)


def random_problem(n, n_outputs=1):
    """Targets > 0 that spread the more, the larger they are; and weights."""
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (n, 5))
    center = np.exp(inputs[:, :n_outputs] + inputs[:, [4]] ** 2)
    y = center * rng.exponential(1, (n, n_outputs))
    return inputs, y if n_outputs > 1 else y[:, 0], rng.uniform(0.1, 2, n)


# --- what is minimized -------------------------------------------------------------


def test_the_regressor_offers_each_loss_that_is_compared():
    assert METRICS.keys() == set(REGRESSOR_LOSSES)


@each_loss
@each_precision
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_loss_is_that_of_other_libraries(loss, precision, n_outputs):
    inputs, y, weight = random_problem(300, n_outputs)
    model = regressor(loss, density=0.5, precision=precision, max_iter=30)
    model.fit(inputs, y, weight)
    # An epoch that changes nothing any more.
    model.set_params(warm_start=True, learning_rate_init=1e-30, max_iter=1)
    model.fit(inputs, y, weight)
    metric, _ = METRICS[loss]
    predicted, weights = model.predict(inputs), np.repeat(weight, n_outputs)
    expected = metric(y.ravel(), predicted.ravel(), sample_weight=weights)
    assert model.loss_ == pytest.approx(expected, rel=1e-5)
    assert model.loss_ < 0.9 * model.loss_curve_[0]


@each_loss
def test_without_features_the_loss_has_a_known_minimum(loss):
    model = regressor(loss, hidden_layer_sizes=(), max_iter=1500, tol=0)
    model.set_params(n_iter_no_change=np.inf)
    model.fit(np.zeros((3, 1)), [1, 2, 11], sample_weight=[45, 30, 25])
    _, minimum = METRICS[loss]
    assert model.predict([[0]])[0] == pytest.approx(minimum, abs=0.03)


@needs_loss
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regression_comes_close_to_scikit_learn(activation, loss):
    rng = np.random.RandomState(0)
    inputs = rng.uniform(-1, 1, (500, 5))
    y = rng.poisson(np.exp(inputs[:, 0] + inputs[:, 1] ** 2)) + 0.0
    parameters = {
        "loss": loss,
        "hidden_layer_sizes": (32,),
        "activation": activation,
        "learning_rate_init": 0.01,
        "max_iter": 60,
        "random_state": 0,
    }
    ours, theirs = (
        model.fit(inputs, y)
        for model in (SparseMLPRegressor(**parameters), MLPRegressor(**parameters))
    )
    assert ours.score(inputs, y) > theirs.score(inputs, y) - 0.05
    assert ours.loss_ == pytest.approx(theirs.loss_, abs=0.05)
    if loss == "poisson":
        assert (ours.predict(inputs) > 0).all()


@pytest.mark.parametrize(
    ("loss", "value", "allowed"),
    [("poisson", -1e-6, ">= 0"), ("gamma", -1.0, "> 0"), ("gamma", 1e-60, "> 0")],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_targets_out_of_range_are_refused(loss, value, allowed, method):
    inputs, y, _ = random_problem(50)
    y[7] = value
    message = f"y has the value {np.float32(value)}; allowed: numbers {allowed}, since"
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(regressor(loss), method)(inputs, y)
    assert get_tags(regressor(loss)).target_tags.positive_only


def test_several_outputs_are_learned_together():
    y = StandardScaler().fit_transform(np.c_[X.sum(axis=1), X[:, 10], X[:, 20]])
    model = SparseMLPRegressor(max_iter=100, learning_rate_init=0.01, random_state=0)
    model.fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.n_outputs_ == 3
    assert model.score(X, y) > 0.9


@each_precision
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_share_of_the_targets_is_below_their_quantile(precision, level):
    inputs, y, _ = random_problem(2000)
    model = regressor("quantile", quantile=level, precision=precision, max_iter=60)
    model.fit(inputs, y)
    # Large steps shift all predictions a little, and the last one counts.
    model.set_params(warm_start=True, learning_rate_init=3e-4, max_iter=20)
    predicted = model.fit(inputs, y).predict(inputs)
    assert np.mean(y < predicted) == pytest.approx(level, abs=0.03)
    # Also where targets spread less, and where they spread more.
    for part in np.array_split(np.argsort(inputs[:, 0]), 2):
        assert np.mean((y < predicted)[part]) == pytest.approx(level, abs=0.06)


# --- the parameter of a loss -------------------------------------------------------


@each_loss_with_a_parameter
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_refuses_another_parameter(loss, method):
    inputs, y, _ = random_problem(50)
    model = regressor(loss, warm_start=True, max_iter=2).fit(inputs, y)
    name, value = next(iter(parameter_of(loss).items()))
    before = model.predict(inputs)
    message = rf"^SparseMLPRegressor: {name}=0.5; allowed: {value}, since warm_start"
    with pytest.raises(ValueError, match=message):
        getattr(model.set_params(**{name: 0.5}), method)(inputs, y)
    with pytest.raises(ValueError, match=rf"^prune: {name}=0.5; allowed: {value}, as"):
        prune(model, 0.5)
    np.testing.assert_array_equal(model.predict(inputs), before)
    getattr(model.set_params(**{name: value}), method)(inputs, y)
    assert len(model.loss_curve_) == 4 if method == "fit" else 3


@each_loss_with_a_parameter
def test_a_parameter_of_another_loss_has_no_effect(loss):
    inputs, y, _ = random_problem(50)
    name = LOSS_PARAMETERS[loss]
    model = regressor("absolute_error", max_iter=2).fit(inputs, y)
    other = regressor("absolute_error", max_iter=2, **{name: 0.7}).fit(inputs, y)
    assert other.loss_curve_ == model.loss_curve_
    other.set_params(**{name: 0.2}).partial_fit(inputs, y)


@each_loss_with_a_parameter
def test_the_parameter_changes_what_is_learned(loss):
    inputs, y, _ = random_problem(50)
    name = LOSS_PARAMETERS[loss]
    curves = [
        regressor(loss, max_iter=2, **{name: value}).fit(inputs, y).loss_curve_
        for value in (0.2, 0.7)
    ]
    assert curves[0] != curves[1]


@each_loss_with_a_parameter
@each_precision
def test_clones_and_pickles_keep_the_parameter(loss, precision):
    inputs, y, _ = random_problem(50)
    name, value = next(iter(parameter_of(loss).items()))
    model = regressor(loss, precision=precision, max_iter=2)
    assert model.get_params()[name] == clone(model).get_params()[name] == value
    model.fit(inputs, y).set_pickle(training_state=True)
    copies = pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
    model.partial_fit(inputs, y)
    for other in copies:
        other.partial_fit(inputs, y)
        assert other.loss_curve_ == model.loss_curve_
        np.testing.assert_array_equal(other.predict(inputs), model.predict(inputs))


@each_loss_with_a_parameter
@pytest.mark.parametrize(
    "value", [None, np.nan, np.inf, 1, "1.0", 0.0, -0.5, [0.5], [0.5] * 4, (0.5,) * 3]
)
def test_a_pickle_with_another_kind_of_parameter_is_damaged(loss, value):
    network = random_network(loss=loss)
    assert_refused(
        network,
        lambda state, _: state.update(loss_parameter=value),
        f"parameter of the loss {value!r}",
    )
    assert_refused(
        network, lambda state, _: state.pop("loss_parameter"), "parameter of the loss"
    )
