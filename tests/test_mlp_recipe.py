"""All options of a training recipe at once: they leave each other alone."""

import pickle

import numpy as np
import pytest
from kernel_cases import each_precision
from scipy.sparse import csr_array
from sklearn.base import clone
from small_estimators import BOTH, LABELS, TARGET, X, small

from sparsenet import SparseMLPClassifier

RECIPE = {
    "hidden_layer_sizes": (40, 30),
    "activation": ["gelu", "selu"],
    "density": 0.4,
    "batch_size": 70,
    "max_iter": 12,
    "rewire_interval": 5,
    "solver": "adamw",
    "weight_decay": 0.1,
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "warmup": 0.2,
    "max_grad_norm": 0.5,
    "ema_decay": 0.9,
    "dropout": (0.1, 0.2),
    "restore_best": True,
    "scoring": "loss",
    "train_scores": True,
}
OF_CLASSIFIER = {"label_smoothing": 0.1, "class_weight": "balanced"}
each_container = pytest.mark.parametrize("container", [np.asarray, csr_array])


def recipe(estimator, **changes):
    own = OF_CLASSIFIER if estimator is SparseMLPClassifier else {}
    return small(estimator, **RECIPE | own | changes)


def fitted(model, container, y):
    train, val = slice(0, 230), slice(230, None)
    return model.fit(
        container(X[train]), y[train], X_val=container(X[val]), y_val=y[val]
    )


@each_precision
@each_container
@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("method", ["set", "rigl", "gradual"])
def test_the_whole_recipe(estimator, y, precision, container, method):
    models = [
        fitted(
            recipe(
                estimator,
                precision=precision,
                sparse_training=method,
                n_threads=n_threads,
            ),
            container,
            y,
        )
        for n_threads in (1, 3)
    ]
    outputs = [model.hidden_activations(X, 0) for model in models]
    np.testing.assert_array_equal(*outputs)
    model = models[0]
    assert len(model.validation_loss_curve_) == len(model.train_scores_) == 12
    # What is left is the best epoch's; while "gradual" prunes, none is the best.
    _, loss = rated(model, container(X[230:]), y[230:])
    losses = model.validation_loss_curve_
    assert loss == pytest.approx(min(losses), rel=1e-6) or method == "gradual"
    assert losses[-1] < losses[0]
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    twin = fitted(clone(model), container, y)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def rated(model, X, y):
    """The output for X and the mean loss, as the network finds them."""
    codes = np.searchsorted(getattr(model, "classes_", y), y)
    is_classifier = isinstance(model, SparseMLPClassifier)
    targets = codes.astype(np.int32) if is_classifier else np.float32(y)[:, np.newaxis]
    data = Rows(X.astype(np.float32), targets)
    output, total = model._network.predict_with_loss(data, 1)
    return output, total / len(y)


class Rows:
    sample_weight = None

    def __init__(self, X, y):
        self.X, self.y = X, y


@each_precision
@each_container
def test_partial_fit_goes_through_the_schedule(precision, container):
    options = {"ema_decay": 0.0, "restore_best": False, "class_weight": {1: 2.0}}
    model = recipe(SparseMLPClassifier, precision=precision, **options)
    losses = []
    for _ in range(12):
        model.partial_fit(container(X), LABELS, classes=range(10))
        losses.append(model.loss_)
        model = pickle.loads(pickle.dumps(model))
    assert losses[-1] < losses[0]
    # At its end the rate is 4e-6 of the whole one, and stays so.
    before = [coef.toarray() for coef in model.coefs_]
    model.partial_fit(container(X), LABELS)
    for old, new in zip(before, model.coefs_, strict=True):
        assert np.abs(new.toarray() - old).max() < 0.05


@each_container
def test_a_regressor_takes_it_with_every_loss(container):
    y = np.exp(TARGET)
    for loss in ("gamma", "poisson", "huber", "quantile"):
        options = {"loss": loss, "learning_rate_init": 0.003}
        if loss == "quantile":
            options["quantile"] = [0.1, 0.5, 0.9]
        model = fitted(recipe(BOTH[1][0], **options), container, y)
        assert min(model.validation_loss_curve_) < model.validation_loss_curve_[0]
