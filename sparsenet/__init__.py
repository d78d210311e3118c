"""Neural networks for scikit-learn users: sparse weights, low precision, on CPUs."""

from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._show_versions import show_versions

__all__ = ["SparseMLPClassifier", "SparseMLPRegressor", "show_versions"]

__version__ = "0.1.0"
