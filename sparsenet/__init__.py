"""Neural networks for scikit-learn users: sparse weights, low precision, on CPUs."""

from sparsenet._connectivity import TopologyDisplay
from sparsenet._loss_curve_display import LossCurveDisplay
from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._predictor import ClassifierPredictor, RegressorPredictor
from sparsenet._pruning import from_sklearn, prune
from sparsenet._show_versions import show_versions

__all__ = [
    "ClassifierPredictor",
    "LossCurveDisplay",
    "RegressorPredictor",
    "SparseMLPClassifier",
    "SparseMLPRegressor",
    "TopologyDisplay",
    "from_sklearn",
    "prune",
    "show_versions",
]

__version__ = "0.1.0"
