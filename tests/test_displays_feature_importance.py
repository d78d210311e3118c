"""Which features count most: the numbers, and their plot."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from sparsenet import FeatureImportanceDisplay, SparseMLPClassifier
from sparsenet._connectivity import feature_importances

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)


def fitted(X=X, **options):
    settings = {
        "hidden_layer_sizes": (50,),
        "density": 0.3,
        "max_iter": 5,
        "sparse_training": "static",
        "random_state": 0,
    }
    return SparseMLPClassifier(**settings | options).fit(X, y)


@pytest.mark.parametrize("density", [0.3, 1.0])
@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_importances_are_shares_of_magnitudes(convert, precision, density):
    model = fitted(convert(X), precision=precision, density=density)
    weights = model.coefs_[0]
    weights = weights.toarray() if sparse.issparse(weights) else weights
    magnitudes = np.abs(weights, dtype=np.float64).sum(axis=1)
    importances = model.feature_importances_
    assert importances.shape == (30,) and importances.dtype == np.float64
    np.testing.assert_allclose(importances, magnitudes / magnitudes.sum(), rtol=1e-12)


def test_a_network_without_weights_has_importances():
    layer = SimpleNamespace(to_csc=lambda: sparse.csc_array((30, 5)))
    network = SimpleNamespace(layers=[layer])
    importances = feature_importances(SimpleNamespace(_network=network))
    np.testing.assert_array_equal(importances, np.zeros(30))


def test_features_are_selected():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((len(X), 30))
    network = SparseMLPClassifier((50,), density=1.0, alpha=1.0, random_state=0)
    chosen = SelectFromModel(network, max_features=30).fit(np.hstack([X, noise]), y)
    assert chosen.get_support()[:30].sum() > chosen.get_support()[30:].sum()


def test_an_unfitted_estimator_has_no_importances():
    assert not hasattr(SparseMLPClassifier(), "feature_importances_")
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    with pytest.raises(NotFittedError):
        FeatureImportanceDisplay.from_estimator(SparseMLPClassifier())


def test_display_draws_the_most_important_first():
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    model = fitted()
    display = FeatureImportanceDisplay.from_estimator(model, max_features=4)
    order = np.argsort(-model.feature_importances_)[:4]
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == [str(feature) for feature in order]
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_allclose(widths, model.feature_importances_[order])
    ax = display.ax_
    assert display.plot(ax=ax).ax_ is ax and len(display.bars_) == 20
    display.figure_.canvas.draw()


def test_display_names_the_columns_of_a_frame():
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    pandas = pytest.importorskip("pandas", reason="makes the frame")
    names = np.array([f"column {i}" for i in range(30)])
    frame = pandas.DataFrame(X * np.arange(30), columns=names)
    model = fitted(frame)
    display = FeatureImportanceDisplay.from_estimator(model, frame)
    expected = model.feature_importances_ * frame.std(ddof=0).to_numpy()
    expected /= expected.sum()
    np.testing.assert_allclose(display.importances, expected, rtol=1e-4)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == names[np.argsort(-expected)][:20].tolist()
    others = [f"other {i}" for i in range(30)]
    display = FeatureImportanceDisplay.from_estimator(model, feature_names=others)
    assert display.ax_.get_yticklabels()[0].get_text().startswith("other")


@pytest.mark.parametrize("names", [["a", "b"], "name", [["a"] * 30]])
def test_names_of_other_features_are_refused(names):
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    with pytest.raises(ValueError, match=r"feature_names has shape .*; allowed: \(30,"):
        FeatureImportanceDisplay.from_estimator(fitted(), feature_names=names)


@pytest.mark.parametrize("max_features", [0, 2.5, None])
def test_other_numbers_of_bars_are_refused(max_features):
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")
    with pytest.raises(ValueError, match=r"max_features=.*allowed: integers >= 1"):
        FeatureImportanceDisplay.from_estimator(fitted(), max_features=max_features)


def test_other_estimators_are_refused():
    with pytest.raises(TypeError, match="allowed: a SparseMLPClassifier or"):
        FeatureImportanceDisplay.from_estimator(MLPClassifier((5,)))
