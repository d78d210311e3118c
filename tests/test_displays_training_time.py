"""The plot of scores against seconds."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sparsenet import SparseMLPClassifier, TrainingTimeDisplay

X, y = load_digits(return_X_y=True)
DATA = X[:300], y[:300], X[300:500], y[300:500]
OURS = SparseMLPClassifier((40,), sparse_training="static", random_state=0)
ESTIMATORS = {
    "sparsenet": make_pipeline(MinMaxScaler(), OURS),
    "scikit-learn": MLPClassifier((40,), random_state=0),
}


@pytest.fixture(autouse=True)
def no_window():
    pytest.importorskip("matplotlib", reason="plots are optional").use("Agg")


def test_points_are_whole_trainings():
    display = TrainingTimeDisplay.from_estimators(ESTIMATORS, *DATA, epochs=(1, 3))
    assert [line.get_label() for line in display.lines_] == list(ESTIMATORS)
    assert display.ax_.get_ylabel() == "score"
    for name, points in display.curves.items():
        epochs, seconds, scores = map(np.array, zip(*points, strict=True))
        assert epochs.tolist() == [1, 3] and (seconds > 0).all()
        assert not hasattr(ESTIMATORS[name], "n_iter_")
        assert (0 < scores).all() and (scores <= 1).all()
    model = clone(ESTIMATORS["scikit-learn"]).set_params(max_iter=3)
    with pytest.warns(match="Maximum iterations"):
        score = model.fit(*DATA[:2]).score(*DATA[2:])
    assert score == display.curves["scikit-learn"][-1][-1]
    display.figure_.canvas.draw()


def test_scores_are_those_of_a_scorer():
    display = TrainingTimeDisplay.from_estimators(
        {"a": OURS}, *DATA, epochs=[2], scoring="neg_log_loss"
    )
    assert display.ax_.get_ylabel() == "neg_log_loss"
    assert display.curves["a"][0][2] < 0
    ax = display.ax_
    assert display.plot(ax=ax).ax_ is ax


@pytest.mark.parametrize("epochs", [(), (0,), (1.5,), (3, -1)])
def test_other_epochs_are_refused(epochs):
    with pytest.raises(ValueError, match=r"epochs=.*allowed: integers >= 1"):
        TrainingTimeDisplay.from_estimators(ESTIMATORS, *DATA, epochs=epochs)


def test_estimators_without_epochs_are_refused():
    with pytest.raises(ValueError, match="'linear' has 0 parameters max_iter"):
        TrainingTimeDisplay.from_estimators({"linear": LinearRegression()}, *DATA)
    with pytest.raises(TypeError, match="a dict of names and estimators"):
        TrainingTimeDisplay.from_estimators(OURS, *DATA)
