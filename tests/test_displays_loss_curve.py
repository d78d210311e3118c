"""The plot of losses and scores."""

import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from small_estimators import BOTH, LABELS, X, small

from sparsenet import LossCurveDisplay, SparseMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib", reason="plots are optional")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def drawn(display):
    """Each curve by its label."""
    return {line.get_label(): line.get_xydata() for line in display.lines_}


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_each_curve_is_drawn_at_its_epochs(pyplot, estimator, y):
    model = small(estimator, early_stopping=True, train_scores=True).fit(X, y)
    display = LossCurveDisplay.from_estimator(model)
    score = "accuracy" if estimator is SparseMLPClassifier else "R²"
    curves = {
        "training loss": model.loss_curve_,
        "validation loss": model.validation_loss_curve_,
        f"training {score}": model.train_scores_,
        f"validation {score}": model.validation_scores_,
    }
    assert list(drawn(display)) == list(curves)
    for label, points in drawn(display).items():
        np.testing.assert_array_equal(points[:, 0], np.arange(1, 6))
        np.testing.assert_array_equal(points[:, 1], curves[label])
    assert display.figure_ is display.ax_.figure is display.score_ax_.figure
    assert display.ax_.get_ylabel() == "loss" and display.ax_.get_xlabel() == "epoch"
    assert display.score_ax_.get_ylabel() == score
    display.figure_.canvas.draw()


def test_without_scores_there_is_one_axis(pyplot):
    model = small(SparseMLPClassifier).fit(X, LABELS)
    display = LossCurveDisplay.from_estimator(model)
    assert list(drawn(display)) == ["training loss"] and display.score_ax_ is None
    assert len(display.figure_.axes) == 1


def test_minus_the_loss_is_not_drawn_beside_the_loss(pyplot):
    model = small(SparseMLPClassifier, early_stopping=True, scoring="loss")
    display = LossCurveDisplay.from_estimator(model.fit(X, LABELS))
    assert list(drawn(display)) == ["training loss", "validation loss"]


def test_scores_are_named_as_they_were_fitted(pyplot):
    y = BOTH[1][1]
    levels = {"loss": "quantile", "quantile": [0.1, 0.9], "train_scores": True}
    model = small(BOTH[1][0], **levels).fit(X, y)
    model.set_params(scoring="r2", quantile=0.5)
    display = LossCurveDisplay.from_estimator(model)
    assert display.score_ax_.get_ylabel() == "D² of the pinball loss"


def test_another_estimator_is_refused(pyplot):
    with pytest.raises(TypeError, match="allowed: a SparseMLPClassifier"):
        LossCurveDisplay.from_estimator(MLPClassifier())


def test_axes_and_a_name_of_the_scores_may_be_given(pyplot):
    model = small(SparseMLPClassifier, early_stopping=True, scoring="f1_macro")
    model.fit(X, LABELS)
    _, ax = pyplot.subplots()
    display = LossCurveDisplay.from_estimator(model, ax=ax)
    assert display.ax_ is ax and display.score_ax_.get_ylabel() == "f1_macro"
    other = LossCurveDisplay.from_estimator(model, score_name="F1")
    assert other.score_ax_.get_ylabel() == "F1" and other.ax_ is not ax
    again = LossCurveDisplay([2.0, 1.0], validation_scores=[0.5]).plot(ax=ax)
    assert again.score_ax_.get_ylabel() == "score" and again.ax_ is ax


def test_curves_that_began_later_are_those_of_the_last_epochs(pyplot):
    model = small(SparseMLPClassifier, warm_start=True).fit(X, LABELS)
    model.set_params(early_stopping=True).fit(X, LABELS)
    display = LossCurveDisplay.from_estimator(model)
    epochs = drawn(display)["validation loss"][:, 0]
    np.testing.assert_array_equal(epochs, np.arange(6, 11))


def test_a_model_without_epochs_is_refused(pyplot):
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(SparseMLPClassifier())
    model = small(SparseMLPClassifier, solver="lbfgs").fit(X, LABELS)
    with pytest.raises(ValueError, match=r"no loss_curve_; allowed: .*lbfgs"):
        LossCurveDisplay.from_estimator(model)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    model = small(SparseMLPClassifier).fit(X, LABELS)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install matplotlib"):
        LossCurveDisplay.from_estimator(model)
