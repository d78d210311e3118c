"""
Accuracy against time
=====================

Which network is best depends on how much time there is. ``TrainingTimeDisplay`` trains
each of some estimators for more and more epochs, and plots scores against seconds. The
data are digits that are shifted at random.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from sparsenet import SparseMLPClassifier, TrainingTimeDisplay

digits, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
images = np.zeros((len(y), 11, 11), np.float32)
for image, digit in zip(images, digits.reshape(-1, 8, 8), strict=True):
    row, column = rng.integers(0, 4, 2)
    image[row : row + 8, column : column + 8] = digit / 16
X_train, X_val, y_train, y_val = train_test_split(
    images.reshape(len(y), -1), y, random_state=0
)

# %%
# All networks have 256 units in each of two hidden layers, and take one thread. The
# wider they are, and the more rows there are, the more time sparsity saves.

common = {"hidden_layer_sizes": (256, 256), "batch_size": 50, "random_state": 0}
ours = common | {"learning_rate": "flat_cosine", "rewire_interval": 20}
estimators = {
    "density 0.2, int8": SparseMLPClassifier(density=0.2, precision="int8", **ours),
    "density 0.2": SparseMLPClassifier(density=0.2, **ours),
    "dense": SparseMLPClassifier(density=1.0, **ours),
    "scikit-learn, dense": MLPClassifier(**common),
}
with (
    threadpool_limits(1),
    warnings.catch_warnings(action="ignore", category=ConvergenceWarning),
):
    display = TrainingTimeDisplay.from_estimators(
        estimators, X_train, y_train, X_val, y_val, epochs=(5, 10, 20)
    )
display.ax_.set(xscale="log")
plt.show()
