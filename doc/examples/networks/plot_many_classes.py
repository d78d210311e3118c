"""
Thousands of classes
====================

With many classes nearly all work is in the output layer. Here there are 3,000 of them.
The data are made up: each class is a point in 64 dimensions, and its samples lie around
it.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier

n_classes = 3000
rng = np.random.default_rng(0)
centres = rng.normal(size=(n_classes, 64)).astype(np.float32)
y = np.repeat(np.arange(n_classes), 8)
X = centres[y] + rng.normal(scale=0.7, size=(len(y), 64)).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.25, stratify=y, random_state=0
)

# %%
# One epoch takes so long. Labels are never encoded as a matrix of zeros and ones, and
# the probabilities of a mini-batch are used while they are in the processor's cache.
# A sequence as ``density`` has a number for each weight matrix, that of the output
# layer last.

models = {
    "scikit-learn": MLPClassifier((128,), random_state=0),
    "dense, float32": SparseMLPClassifier((128,), density=1.0),
    "dense, bfloat16": SparseMLPClassifier((128,), density=1.0, precision="bfloat16"),
    "output layer 0.1, bfloat16": SparseMLPClassifier(
        (128,), density=(1.0, 0.1), precision="bfloat16", sparse_training="static"
    ),
}
seconds = {}
for name, model in models.items():
    start = time.perf_counter()
    model.partial_fit(X_train, y_train, classes=np.arange(n_classes))
    seconds[name] = time.perf_counter() - start

fig, ax = plt.subplots(figsize=(6.8, 2.6), layout="constrained")
bars = ax.barh(list(seconds), list(seconds.values()), color=["0.6", "C0", "C1", "C2"])
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlabel="seconds of an epoch")
ax.invert_yaxis()
plt.show()

# %%
# A sparse output layer needs more epochs, or a wider layer before it, to be as
# accurate: use it where memory or time do not allow a dense one, with tens of thousands
# of classes. Here the dense one is better.

for name, hidden, density in [
    ("128 units, dense", 128, 1.0),
    ("512 units, output layer 0.1", 512, (1.0, 0.1)),
]:
    classifier = SparseMLPClassifier(
        (hidden,),
        density=density,
        precision="bfloat16",
        learning_rate="flat_cosine",
        learning_rate_init=0.003,
        max_iter=10,
        rewire_interval=10,
        random_state=0,
    ).fit(X_train, y_train)
    print(
        f"{name}: {classifier.topology_.layers[-1].n_connections:,} connections of "
        f"the output layer, accuracy {classifier.score(X_test, y_test):.3f}"
    )

# %%
# ``predict`` keeps the outputs of some rows at a time, so that memory does not grow
# with rows times classes.
