"""
How connections are chosen
==========================

The four values of ``sparse_training``: connections that stay as they were drawn, that
are replaced at random or by their gradient, or what is left of a dense network. The
fewer connections there are, the more it matters which ones. (With so few images, the
dense network, which has ten to fifty times the connections, is still ahead.)
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sparsenet import SparseMLPClassifier

# Pixels of images that are shifted at random, so that the task is not too easy.
digits, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
images = np.zeros((len(y), 12, 12), np.float32)
for image, digit in zip(images, digits.reshape(-1, 8, 8), strict=True):
    row, column = rng.integers(0, 5, 2)
    image[row : row + 8, column : column + 8] = digit / 16
X = images.reshape(len(y), -1)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)

# %%
# Each hidden unit keeps at least 8 inputs when ``density`` is a single number; a
# sequence of one density for each weight matrix goes below that.

densities = [0.02, 0.05, 0.1]
scores = {method: [] for method in ("static", "set", "rigl", "gradual")}
for method, values in scores.items():
    for density in densities:
        classifier = SparseMLPClassifier(
            (512, 512),
            density=(density, density, 1.0),
            sparse_training=method,
            learning_rate="flat_cosine",
            batch_size=50,
            rewire_interval=20,
            max_iter=20,
            n_iter_no_change=20,
            random_state=0,
        ).fit(X_train, y_train)
        values.append(classifier.score(X_test, y_test))

dense = SparseMLPClassifier(
    (512, 512),
    density=1.0,
    learning_rate="flat_cosine",
    batch_size=50,
    max_iter=20,
    n_iter_no_change=20,
    random_state=0,
).fit(X_train, y_train)

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
ax.axhline(dense.score(X_test, y_test), color="0.5", linestyle=":", label="dense")
for method, values in scores.items():
    ax.plot(densities, values, "o-", label=f'"{method}"')
ax.set(xscale="log", xlabel="density of the hidden layers", ylabel="test accuracy")
ax.set_xticks(densities, densities)
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()
