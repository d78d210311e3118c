"""The plot of a network's connections."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier, TopologyDisplay

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_digits(return_X_y=True)


def fitted(**options):
    settings = {
        "hidden_layer_sizes": (90, 80),
        "density": 0.25,
        "max_iter": 5,
        "rewire_interval": 10,
        "random_state": 0,
    }
    return SparseMLPClassifier(**settings | options).fit(X, y)


def importances(model, deviations=1):
    magnitudes = np.abs(model.coefs_[0].toarray()).sum(axis=1) * deviations
    return magnitudes / magnitudes.sum()


@pytest.mark.parametrize("image_shape", [None, (8, 8)])
@pytest.mark.parametrize("method", ["set", "gradual", "static"])
def test_display_draws(image_shape, method):
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    model = fitted(sparse_training=method)
    display = TopologyDisplay.from_estimator(model, image_shape=image_shape)
    importance, fan_out, *rounds = display.axes_
    np.testing.assert_allclose(display.importance, importances(model), rtol=1e-5)
    assert len(importance.images) == (image_shape is not None)
    assert len(fan_out.lines) == 2  # of three layers, the sparse ones
    # A panel without anything to show is left out.
    assert [len(axes.lines) for axes in rounds] == [2] * (method != "static")
    display.figure_.canvas.draw()


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_importance_counts_how_much_a_feature_varies(convert):
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    model = fitted()
    display = TopologyDisplay.from_estimator(model, convert(X))
    expected = importances(model, X.std(axis=0))
    np.testing.assert_allclose(display.importance, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="features"):
        TopologyDisplay.from_estimator(model, X[:, 1:])


def test_a_dense_network_has_a_plot_too():
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    display = TopologyDisplay.from_estimator(fitted(density=1.0))
    assert len(display.axes_[1].lines) == 3


def test_layers_of_equal_size_have_different_labels():
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    display = TopologyDisplay.from_estimator(fitted(hidden_layer_sizes=(64, 64, 64)))
    for axes in display.axes_[1:]:
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == [f"layer {number}: 64 to 64" for number in range(3)]


def test_other_estimators_are_refused():
    with pytest.raises(NotFittedError):
        TopologyDisplay.from_estimator(SparseMLPClassifier())
    with pytest.raises(TypeError, match=r"MLPClassifier.*allowed: SparseMLPClassifier"):
        TopologyDisplay.from_estimator(MLPClassifier((5,), max_iter=1).fit(X, y))


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_importance_of_features_that_vary_a_lot(convert):
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    large = np.zeros((4, 64), np.float32)
    large[::2] = 1e30
    display = TopologyDisplay.from_estimator(fitted(), convert(large))
    plain = TopologyDisplay.from_estimator(fitted())
    np.testing.assert_allclose(display.importance, plain.importance, rtol=1e-5)
    with pytest.raises(ValueError, match=r"X has values up to 1e\+200; allowed"):
        TopologyDisplay.from_estimator(fitted(), convert(large.astype(float) * 1e170))


@pytest.mark.parametrize("image_shape", [(8, 9), (64,) * 2, (8,), (-8, -8), (8, 8, 1)])
def test_a_shape_with_other_pixels_is_refused(image_shape):
    with pytest.raises(ValueError, match=r"image_shape=.*; allowed: .* 64"):
        TopologyDisplay.from_estimator(fitted(), image_shape=image_shape)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install matplotlib"):
        TopologyDisplay.from_estimator(fitted())
