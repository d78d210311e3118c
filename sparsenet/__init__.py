"""Neural networks for scikit-learn users: sparse weights, low precision, on CPUs."""

from sparsenet._displays.feature_importance import FeatureImportanceDisplay
from sparsenet._displays.loss_curve import LossCurveDisplay
from sparsenet._displays.topology import TopologyDisplay
from sparsenet._displays.training_time import TrainingTimeDisplay
from sparsenet._export.onnx_registry import register_onnx
from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._predictor import ClassifierPredictor, RegressorPredictor
from sparsenet._pruning import from_sklearn, prune
from sparsenet._show_versions import show_versions
from sparsenet._tables.encoder import TableEncoder
from sparsenet._tables.estimators import TabularMLPClassifier, TabularMLPRegressor

__all__ = [
    "ClassifierPredictor",
    "FeatureImportanceDisplay",
    "LossCurveDisplay",
    "RegressorPredictor",
    "SparseMLPClassifier",
    "SparseMLPRegressor",
    "TableEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "TopologyDisplay",
    "TrainingTimeDisplay",
    "from_sklearn",
    "prune",
    "register_onnx",
    "show_versions",
]

__version__ = "0.1.0"

# What a pickle calls them: no class has to stay in its module.
for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
