"""Training on all rows at once."""

import numpy as np
import pytest
from problems import random_data, random_network
from reference import ACTIVATIONS, LOSSES
from reference_network import DenseNetwork
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from sparsenet import SparseMLPClassifier, SparseMLPRegressor, from_sklearn
from sparsenet import _lbfgs as lbfgs
from sparsenet._parallel.group import Alone
from sparsenet._training_set import TrainingSet

pytestmark = pytest.mark.usefixtures("each_block_size")


def objective_of(network, X, y, sample_weight=None, alpha=0.3, n_threads=1):
    data = TrainingSet(X, y, sample_weight, None, None)
    return lbfgs.Objective(network, data, alpha, n_threads, Alone())


@pytest.mark.parametrize("sparse_rows", [False, True])
@pytest.mark.parametrize(
    ("activation", "loss"),
    [*((a, "softmax") for a in ACTIVATIONS), *(("tanh", loss) for loss in LOSSES)],
)
def test_loss_and_gradient_are_those_of_the_twin(
    monkeypatch, activation, loss, sparse_rows
):
    monkeypatch.setattr(lbfgs, "ROWS_AT_ONCE", 70)
    network = random_network(activation=activation, loss=loss, sparse_rows=sparse_rows)
    X, y = random_data(150, loss=loss)
    weights = np.random.default_rng(1).random(150).astype(np.float32)
    weights[7] = 0
    rows = X
    if sparse_rows:
        X[X < 0.5] = 0
        rows = sparse.csr_array(X)
    objective = objective_of(network, rows, y, weights)
    value, gradient = objective(objective.parameters())
    twin, total = DenseNetwork(network), weights.sum(dtype=np.float64)
    squares = sum(np.vdot(w, w) for w in twin.weights)
    expected = twin.mean_loss(X, y, weights) + 0.15 * squares / total
    assert value == pytest.approx(expected, rel=1e-5)
    for layer, (actual, of_twin) in enumerate(
        zip(
            objective._by_layer(gradient),
            twin.gradients(X, y, weights),
            strict=True,
        )
    ):
        # A layer of these numbers as weights, seen as a matrix.
        network.layers[layer].weights[...] = actual[0]
        network.layers[layer].round_weights()
        matrix = network.layers[layer].to_csc().toarray().T
        wanted = (of_twin[0] + 0.3 * twin.weights[layer]) / total
        np.testing.assert_allclose(matrix, wanted, rtol=1e-3, atol=2e-6)
        np.testing.assert_allclose(actual[1], of_twin[1] / total, rtol=1e-3, atol=2e-6)


def test_the_gradient_is_the_slope_of_the_loss():
    network = random_network(activation="tanh", loss="squared_error")
    objective = objective_of(network, *random_data(64, loss="squared_error"))
    start = objective.parameters()
    _, gradient = objective(start)
    direction = gradient / np.linalg.norm(gradient)
    ahead, behind = (objective(start + h * direction)[0] for h in (1e-2, -1e-2))
    assert (ahead - behind) / 2e-2 == pytest.approx(gradient @ direction, rel=1e-3)


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_threads_change_no_bit(as_given):
    X, y = load_digits(return_X_y=True)
    fits = [
        SparseMLPClassifier(
            (30,), solver="lbfgs", max_iter=15, random_state=0, n_threads=n_threads
        ).fit(as_given(X / 16), y)
        for n_threads in (1, 3)
    ]
    assert fits[0].loss_ == fits[1].loss_
    for a, b in zip(fits[0].coefs_, fits[1].coefs_, strict=True):
        np.testing.assert_array_equal(a.toarray(), b.toarray())


@pytest.mark.parametrize(
    ("load", "theirs"),
    [
        (load_digits, MLPClassifier),
        (load_breast_cancer, MLPClassifier),
        (load_diabetes, MLPRegressor),
    ],
)
def test_as_good_as_scikit_learns_from_the_same_start(load, theirs):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    if theirs is MLPRegressor:
        y = (y - y.mean()) / y.std()
    # So much regularization that both have to find the same minimum.
    theirs = theirs(
        hidden_layer_sizes=(20,), solver="lbfgs", alpha=30, random_state=0,
        warm_start=True,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning):
        theirs.set_params(max_iter=1).fit(X, y)
    ours = from_sklearn(theirs)
    theirs.set_params(max_iter=500).fit(X, y)
    ours.set_params(max_iter=500, solver="lbfgs").fit(X, y)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-3)


def test_attributes_are_those_of_scikit_learn():
    X, y = load_digits(return_X_y=True)
    model = SparseMLPClassifier((10,), solver="lbfgs", max_iter=5, random_state=0)
    with pytest.warns(ConvergenceWarning, match="5 iteration"):
        model.fit(X, y)
    assert model.n_iter_ == 5 and model.t_ == 0 and model.loss_ > 0
    for name in ("loss_curve_", "best_loss_", "validation_scores_"):
        assert not hasattr(model, name)
    assert not hasattr(model, "partial_fit")
    assert not model.topology_.rounds
    model.set_params(solver="adam", max_iter=2)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert len(model.loss_curve_) == 2 and hasattr(model, "partial_fit")
    with pytest.warns(ConvergenceWarning):
        model.set_params(solver="lbfgs").fit(X, y)
    assert not hasattr(model, "loss_curve_")


def test_warm_starts_go_on():
    X, y = load_digits(return_X_y=True)
    model = SparseMLPClassifier(
        (10,), solver="lbfgs", max_iter=5, warm_start=True, random_state=0
    )
    losses = []
    for solver in ("lbfgs", "lbfgs", "adam", "lbfgs"):
        with pytest.warns(ConvergenceWarning):
            model.set_params(solver=solver).fit(X, y)
        losses.append(model.loss_)
    assert losses[0] > losses[1] > losses[3]


def test_max_fun_ends_training():
    X, y = load_digits(return_X_y=True)
    model = SparseMLPClassifier((10,), solver="lbfgs", max_fun=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_fun"):
        model.fit(X, y)
    assert model.n_iter_ <= 3


@pytest.mark.parametrize(
    ("parameters", "allowed"),
    [({"precision": "int8"}, "'float32'"), ({"sparse_training": "gradual"}, "'set'")],
)
def test_what_does_not_go_with_it_is_refused(parameters, allowed):
    model = SparseMLPRegressor(solver="lbfgs", **parameters)
    with pytest.raises(ValueError, match=f"solver='lbfgs': .*{allowed}"):
        model.fit(np.zeros((5, 2)), np.zeros(5))


def test_ctrl_c_leaves_the_best_so_far(monkeypatch):
    X, y = load_digits(return_X_y=True)
    original, losses = lbfgs.Objective.__call__, []

    def interrupted(self, vector):
        if len(losses) == 10:
            raise KeyboardInterrupt
        value = original(self, vector)
        losses.append(value[0])
        return value

    monkeypatch.setattr(lbfgs.Objective, "__call__", interrupted)
    model = SparseMLPClassifier((10,), solver="lbfgs", random_state=0)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X / 16, y)
    assert model.loss_ == min(losses) < losses[0]


def test_ctrl_c_before_the_first_evaluation_leaves_no_fit(monkeypatch):
    def interrupted(self, vector):
        raise KeyboardInterrupt

    monkeypatch.setattr(lbfgs.Objective, "__call__", interrupted)
    model = SparseMLPClassifier((10,), solver="lbfgs")
    with pytest.raises(KeyboardInterrupt):
        model.fit(np.eye(9), np.arange(9) % 3)
    assert not hasattr(model, "coefs_")


def test_verbose_prints_iterations(capsys):
    X, y = load_digits(return_X_y=True)
    model = SparseMLPClassifier((5,), solver="lbfgs", max_iter=2, verbose=True)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")
