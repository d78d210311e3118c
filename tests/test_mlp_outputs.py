"""What the estimators tell of the layers: logits, and activations of hidden ones."""

import numpy as np
import pytest
import reference_network
from scipy import sparse, special
from sklearn.exceptions import NotFittedError
from small_estimators import BOTH, LABELS, PRECISIONS, TARGET, X_TEST, X, small

from sparsenet import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._kernels._dispatch import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
each_loss = pytest.mark.parametrize("loss", ["log_loss", "focal"])

#: What each format's rounding of inputs and weights may do to small sums.
TOLERANCE = {"float32": 1e-5, "float16": 0.01, "bfloat16": 0.05, "int8": 0.1}


def classifier(y, container=np.asarray, **options):
    return small(SparseMLPClassifier, **options).fit(container(X), y)


# --- decision_function -------------------------------------------------------------


@each_precision
@each_container
@each_loss
def test_two_classes_have_one_logit(precision, container, loss):
    model = classifier(LABELS > 4, container, precision=precision, loss=loss)
    logits = model.decision_function(container(X_TEST))
    assert logits.shape == (len(X_TEST),)
    proba = model.predict_proba(container(X_TEST))
    np.testing.assert_allclose(proba[:, 1], special.expit(logits), rtol=1e-5)
    predicted = model.predict(container(X_TEST))
    np.testing.assert_array_equal(predicted, model.classes_[(logits > 0).astype(int)])


@each_precision
@each_container
@each_loss
def test_more_classes_have_a_logit_each(precision, container, loss):
    model = classifier(LABELS, container, precision=precision, loss=loss)
    logits = model.decision_function(container(X_TEST))
    assert logits.shape == (len(X_TEST), 10)
    proba = model.predict_proba(container(X_TEST))
    np.testing.assert_allclose(proba, special.softmax(logits, axis=1), rtol=1e-4)
    predicted = model.predict(container(X_TEST))
    np.testing.assert_array_equal(predicted, logits.argmax(axis=1))


@each_precision
@each_container
@each_loss
def test_labels_have_a_logit_each(precision, container, loss):
    y = np.c_[LABELS > 4, LABELS % 2, LABELS == 3].astype(int)
    model = classifier(y, container, precision=precision, loss=loss)
    logits = model.decision_function(container(X_TEST))
    assert logits.shape == (len(X_TEST), 3)
    proba = model.predict_proba(container(X_TEST))
    np.testing.assert_allclose(proba, special.expit(logits), rtol=1e-5)
    np.testing.assert_array_equal(model.predict(container(X_TEST)), logits > 0)


def test_one_class_has_one_logit_whatever_it_is():
    model = classifier(np.ones(len(X)))
    logits = model.decision_function(X_TEST)
    assert logits.shape == (len(X_TEST), 1) and np.isfinite(logits).all()
    assert (model.predict(X_TEST) == 1).all()


def test_logits_tell_what_probabilities_do_not():
    """Where those of two classes are 1 in float32, the larger logit wins."""
    model = classifier(LABELS)
    model._network.layers[-1].bias[[3, 4]] = 1000, 1000.5
    assert (model.predict(X_TEST) == model.decision_function(X_TEST).argmax(1)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_have_the_type_of_X(dtype):
    model = classifier(LABELS, max_iter=1)
    assert model.decision_function(X_TEST.astype(dtype)).dtype == dtype
    for layer in (0, -1):
        assert model.hidden_activations(X_TEST.astype(dtype), layer).dtype == dtype


def test_regressors_have_no_decision_function():
    assert not hasattr(SparseMLPRegressor(), "decision_function")


# --- hidden_activations ------------------------------------------------------------


@each_precision
@each_container
@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("activation", ["relu", ("tanh", "logistic"), ("gelu", "elu")])
def test_activations_are_those_of_the_twin(
    precision, container, estimator, y, activation
):
    options = {"hidden_layer_sizes": (40, 23), "activation": activation}
    model = small(estimator, **options, precision=precision, density=0.5)
    model.fit(container(X), y)
    inputs, _ = reference_network.DenseNetwork(model._network).layer_inputs(X_TEST)
    for layer, n_units in enumerate((40, 23)):
        actual = model.hidden_activations(container(X_TEST), layer)
        assert actual.shape == (len(X_TEST), n_units)
        expected = inputs[layer + 1].T
        atol = TOLERANCE[precision] * max(1, np.abs(expected).max())
        np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)
        same = model.hidden_activations(container(X_TEST), layer - 2)
        np.testing.assert_array_equal(same, actual)
    last = model.hidden_activations(container(X_TEST))
    np.testing.assert_array_equal(last, actual)


@each_precision
@each_container
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_sample_does_not_depend_on_its_batch_or_threads(
    precision, container, activation
):
    options = {"hidden_layer_sizes": (40, 23), "activation": activation}
    model = small(SparseMLPRegressor, **options, precision=precision, max_iter=1)
    model.fit(container(X), TARGET)
    for layer in (0, 1):
        together = model.hidden_activations(container(X), layer)
        np.testing.assert_array_equal(
            model.set_params(n_threads=2).hidden_activations(container(X), layer),
            together,
        )
        for rows in (slice(3, 4), slice(0, 33), slice(70, 130)):
            alone = model.hidden_activations(container(X)[rows], layer)
            np.testing.assert_array_equal(alone, together[rows])


@each_precision
def test_either_kind_of_network_takes_either_kind_of_rows(precision):
    containers = np.asarray, sparse.csr_array
    for container, other in (containers, containers[::-1]):
        model = classifier(LABELS, container, precision=precision, max_iter=1)
        np.testing.assert_array_equal(
            model.hidden_activations(container(X_TEST)),
            model.hidden_activations(other(X_TEST)),
        )


@each_precision
@each_container
def test_the_output_layer_follows_from_the_last_hidden_one(precision, container):
    model = classifier(LABELS, container, hidden_layer_sizes=(40, 23), density=1.0)
    hidden = model.hidden_activations(container(X_TEST))
    logits = hidden @ model.coefs_[-1] + model.intercepts_[-1]
    np.testing.assert_allclose(
        logits, model.decision_function(container(X_TEST)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("layer", [2, -3, 1.0, "1", None, True, [0], 10**30])
def test_a_layer_that_does_not_exist_is_refused(layer):
    model = classifier(LABELS, hidden_layer_sizes=(8, 8), max_iter=1)
    message = r"^SparseMLPClassifier: layer=.*; allowed: an integer in \[-2, 1\]"
    with pytest.raises(ValueError, match=message):
        model.hidden_activations(X_TEST, layer)


def test_a_network_without_hidden_layers_has_no_activations():
    model = classifier(LABELS, hidden_layer_sizes=(), max_iter=1)
    with pytest.raises(ValueError, match="layer=-1; the network has no hidden layers"):
        model.hidden_activations(X_TEST)


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_activations_change_nothing_and_need_a_fit(estimator, y):
    model = small(estimator)
    with pytest.raises(NotFittedError):
        model.hidden_activations(X)
    model.fit(X, y)
    before = model.predict(X)
    model.hidden_activations(X, 0)
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match="features"):
        model.hidden_activations(X[:, 1:])
