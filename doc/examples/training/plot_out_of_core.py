"""
Data that do not fit memory
===========================

``partial_fit`` learns from one part of the data at a time; each call is an epoch over
its part. Here the parts are read from a file that is mapped into memory, so that only
the rows in use are there.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification

from sparsenet import SparseMLPClassifier

X, y = make_classification(
    24_000, 60, n_informative=20, n_classes=4, n_clusters_per_class=3, random_state=0
)
folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "X.npy"
np.save(file, X.astype(np.float32))
del X

# %%
# From here on X is on disk only. The last 4,000 rows are for testing.

X = np.load(file, mmap_mode="r")
n_train, part = 20_000, 2_000
X_test, y_test = X[n_train:], y[n_train:]

# %%
# The first call has to be told all classes, since a part may lack some. ``max_iter`` is
# the number of calls that are planned: connections change during the first three
# quarters of them, and the learning rate falls to zero by the last.

n_passes = 3
classifier = SparseMLPClassifier(
    (128, 128),
    density=0.3,
    learning_rate="flat_cosine",
    learning_rate_init=0.003,
    max_iter=n_passes * n_train // part,
    rewire_interval=5,
    random_state=0,
)
accuracies = []
rng = np.random.default_rng(0)
for _ in range(n_passes):
    for start in rng.permutation(np.arange(0, n_train, part)):
        rows = slice(start, start + part)
        classifier.partial_fit(X[rows], y[rows], classes=np.arange(4))
        accuracies.append(classifier.score(X_test, y_test))

fig, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ax.plot(np.arange(1, len(accuracies) + 1), accuracies, ".-")
for passed in range(1, n_passes):
    ax.axvline(passed * n_train / part, color="0.7", linestyle=":")
ax.set(xlabel="parts seen (dotted: a pass over all data)", ylabel="test accuracy")
plt.show()

# %%
# A pickle of such a model goes on training to the same bits after it is loaded. For a
# smaller one that only predicts, there is ``classifier.predictor()``.

del X, X_test
folder.cleanup()
