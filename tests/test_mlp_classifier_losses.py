"""The losses of the classifier."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from small_estimators import LABELS, PRECISIONS, X

from sparsenet import SparseMLPClassifier, from_sklearn, prune
from sparsenet._kernels._dispatch import CLASSIFIER_LOSSES

pytestmark = pytest.mark.filterwarnings("ignore")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)

#: Ten classes, two, one, and a multi-label y.
TARGETS = {
    "ten classes": LABELS,
    "two classes": LABELS > 4,
    "one class": np.zeros(len(LABELS), int),
    "labels": np.c_[LABELS > 4, LABELS % 2, LABELS == 3].astype(int),
}
each_target = pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)

#: Each choice of a loss, with parameters that change something.
CHOICES = [
    {"loss": "log_loss"},
    {"loss": "log_loss", "label_smoothing": 0.2},
    {"loss": "focal", "focal_gamma": 0.5},
    {"loss": "focal", "focal_gamma": 2.0},
]
each_choice = pytest.mark.parametrize("choice", CHOICES, ids=str)


def classifier(**options):
    settings = {"hidden_layer_sizes": (32,), "alpha": 0, "random_state": 0}
    settings |= {"sparse_training": "static", "max_iter": 10, "batch_size": 50}
    settings |= {"learning_rate_init": 0.01}
    return SparseMLPClassifier(**settings | options)


def expected_loss(model, y, weight, loss, label_smoothing=0.0, focal_gamma=None):
    """What is minimized, from the probabilities; summed over labels."""
    p = model.predict_proba(X)
    if y.ndim == 2:
        p, given = np.stack([1 - p, p], axis=2), np.stack([1 - y, y], axis=2)
    else:
        given = y[:, np.newaxis] == model.classes_
    if loss == "focal":
        values = -((1 - p) ** focal_gamma) * np.log(p) * given
    else:
        n_classes = given.shape[-1]
        shares = (1 - label_smoothing) * given + label_smoothing / n_classes
        values = -shares * np.log(p)
    return np.average(values.reshape(len(y), -1).sum(axis=1), weights=weight)


# --- what is minimized -------------------------------------------------------------


def test_each_choice_has_a_loss_for_each_output():
    assert {choice["loss"] for choice in CHOICES} == {c for c, _ in CLASSIFIER_LOSSES}
    assert len(CLASSIFIER_LOSSES) == 4


@each_choice
@each_target
@each_precision
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_the_loss_follows_from_the_probabilities(choice, y, precision, container):
    weight = np.random.default_rng(0).uniform(0.1, 2, len(y))
    model = classifier(precision=precision, **choice).fit(container(X), y, weight)
    # An epoch that changes nothing any more.
    model.set_params(warm_start=True, learning_rate_init=1e-30, max_iter=1)
    model.fit(container(X), y, weight)
    expected = expected_loss(model, y, weight, **choice)
    assert model.loss_ == pytest.approx(expected, rel=2e-4, abs=1e-6)
    assert model.score(X, y) > 0.7


@each_target
def test_parameters_that_change_nothing(y):
    """To the last bit with `label_smoothing`, up to rounding with `focal_gamma`."""
    plain = classifier(max_iter=3).fit(X, y)
    smoothed = classifier(max_iter=3, label_smoothing=0).fit(X, y)
    assert smoothed.loss_curve_ == plain.loss_curve_
    focal = classifier(max_iter=3, loss="focal", focal_gamma=0).fit(X, y)
    np.testing.assert_allclose(focal.loss_curve_, plain.loss_curve_, rtol=1e-3)
    unused = classifier(max_iter=3, focal_gamma=5).fit(X, y)
    assert unused.loss_curve_ == plain.loss_curve_


def test_smoothing_leaves_each_class_its_share():
    """Where nothing is learned but how often each class comes."""
    model = classifier(hidden_layer_sizes=(), label_smoothing=0.3, max_iter=500)
    model.set_params(learning_rate_init=0.05, tol=0, n_iter_no_change=np.inf)
    model.fit(np.zeros((4, 1)), [0, 0, 1, 2])
    expected = 0.7 * np.array([0.5, 0.25, 0.25]) + 0.1
    np.testing.assert_allclose(model.predict_proba([[0]])[0], expected, atol=1e-3)


def test_the_focal_loss_leaves_what_is_clear_alone():
    """Certain samples count less; so probabilities are less certain."""
    plain, focal = (
        classifier(max_iter=30, **choice).fit(X, LABELS).predict_proba(X)
        for choice in ({}, {"loss": "focal", "focal_gamma": 2})
    )
    assert focal.max(axis=1).mean() < plain.max(axis=1).mean() - 0.02
    assert log_loss(LABELS, focal) < 0.5


# --- the parameter of a loss -------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({}, {"loss": "focal"}, "loss='focal'; allowed: 'log_loss', since"),
        ({"loss": "focal"}, {"loss": "log_loss"}, "loss='log_loss'; allowed: 'focal'"),
        ({}, {"label_smoothing": 0.1}, "label_smoothing=0.1; allowed: 0.0, since"),
        ({"loss": "focal"}, {"focal_gamma": 1}, "focal_gamma=1.0; allowed: 2.0, since"),
    ],
)
@pytest.mark.parametrize("y", [LABELS, LABELS > 4])
def test_going_on_refuses_another_loss(before, after, message, y):
    model = classifier(warm_start=True, max_iter=2, **before).fit(X, y)
    expected = model.predict_proba(X)
    model.set_params(**after)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=f"^SparseMLPClassifier: {message}"):
            call(X, y)
    with pytest.raises(ValueError, match="^prune: " + message.removesuffix(", since")):
        prune(model, 0.5)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    unchanged = classifier(**before).get_params()
    model.set_params(**{name: unchanged[name] for name in after}).partial_fit(X, y)


@each_choice
@each_target
def test_pickles_keep_the_loss(choice, y):
    model = classifier(max_iter=2, **choice).fit(X, y).set_pickle(training_state=True)
    loaded = pickle.loads(pickle.dumps(model))
    model.partial_fit(X, y)
    assert loaded.partial_fit(X, y).loss_curve_ == model.loss_curve_


@each_target
def test_a_pickle_of_a_version_without_losses_goes_on(y):
    model = classifier(max_iter=2).fit(X, y).set_pickle(training_state=True)
    state = model.__getstate__()
    # As they were: neither parameters, nor what a network says of its loss's.
    state["_structure"] = {
        name: value
        for name, value in state["_structure"].items()
        if name != "label_smoothing"
    }
    for name in ("loss", "label_smoothing", "focal_gamma", "class_weight"):
        del state[name]
    assert "loss_parameter" not in model._network.__getstate__()
    del state["_checksum"]
    old = SparseMLPClassifier.__new__(SparseMLPClassifier)
    old.__setstate__(state)
    old = pickle.loads(pickle.dumps(old))
    np.testing.assert_array_equal(old.predict(X), model.predict(X))
    old.partial_fit(X, y)
    assert old.loss_curve_ == model.partial_fit(X, y).loss_curve_


def test_conversion_from_scikit_learn_is_of_the_log_loss():
    mlp = MLPClassifier((16,), max_iter=3, random_state=0).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"^from_sklearn: loss='focal'; allowed: "):
        from_sklearn(mlp, loss="focal")
    model = from_sklearn(mlp, label_smoothing=0.1).partial_fit(X, LABELS)
    assert model.loss_ > from_sklearn(mlp).partial_fit(X, LABELS).loss_
