"""Plots: a display each, in the style of scikit-learn's; they need matplotlib."""
