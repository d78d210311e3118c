"""The losses of the regressor."""

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from small_estimators import X, needs_loss

from sparsenet import SparseMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
