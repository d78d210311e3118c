"""The losses of the regressor."""

import numpy as np
import pytest
import reference
from sklearn import metrics
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from small_estimators import PRECISIONS, X, needs_loss

from sparsenet import SparseMLPRegressor
from sparsenet._kernels._dispatch import LOSS_PARAMETERS, REGRESSOR_LOSSES

pytestmark = pytest.mark.filterwarnings("ignore")
each_loss = pytest.mark.parametrize("loss", REGRESSOR_LOSSES)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


def half(metric):
    return lambda *y, **options: metric(*y, **options) / 2


#: Each loss in other words, and what minimizes it where y is 0 with weight 45, 1 with
#: weight 30 and 10 with weight 25.
METRICS = {
    "squared_error": (half(metrics.mean_squared_error), 2.8),
    "poisson": (half(metrics.mean_poisson_deviance), 2.8),
    "absolute_error": (metrics.mean_absolute_error, 1),
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
    """Targets >= 0 that spread the more, the larger they are; and weights."""
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (n, 5))
    center = np.exp(inputs[:, :n_outputs] + inputs[:, [4]] ** 2)
    y = center * rng.exponential(1, (n, n_outputs))
    return inputs, y if n_outputs > 1 else y[:, 0], rng.uniform(0.1, 2, n)


# --- what is minimized -------------------------------------------------------------


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
    model.fit(np.zeros((3, 1)), [0, 1, 10], sample_weight=[45, 30, 25])
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


def test_several_outputs_are_learned_together():
    y = StandardScaler().fit_transform(np.c_[X.sum(axis=1), X[:, 10], X[:, 20]])
    model = SparseMLPRegressor(max_iter=100, learning_rate_init=0.01, random_state=0)
    model.fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.n_outputs_ == 3
    assert model.score(X, y) > 0.9
