"""
Pruning a model of scikit-learn
===============================

``from_sklearn`` takes a fitted ``MLPClassifier`` and keeps the largest weights of each
unit. What is lost comes back in a few epochs of ``partial_fit``.
"""

import pickle

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from sparsenet import from_sklearn

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
mlp = MLPClassifier((128, 128), tol=0.01, n_iter_no_change=3, random_state=0)
mlp.fit(X_train, y_train)
print(f"scikit-learn: accuracy {mlp.score(X_test, y_test):.3f}")

# %%
# Each density twice: right after pruning, and after five more epochs.

densities = [0.5, 0.3, 0.2, 0.1, 0.05]
pruned, trained, sizes = [], [], []
for density in densities:
    small = from_sklearn(mlp, density=density, precision="int8")
    pruned.append(small.score(X_test, y_test))
    for _ in range(5):
        small.partial_fit(X_train, y_train)
    trained.append(small.score(X_test, y_test))
    # What has been trained in parts keeps the optimizer's state in its pickle.
    sizes.append(len(pickle.dumps(small.set_pickle(training_state=False))))

for density, size in zip(densities, sizes, strict=True):
    print(f"density {density}: {size / 1024:.0f} KB, 8-bit weights")
print(f"scikit-learn: {len(pickle.dumps(mlp)) / 1024:.0f} KB")

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
ax.axhline(mlp.score(X_test, y_test), color="0.5", linestyle=":", label="scikit-learn")
ax.plot(densities, pruned, "o-", label="right after pruning")
ax.plot(densities, trained, "o-", label="after five epochs of partial_fit")
ax.set(xscale="log", xlabel="density", ylabel="test accuracy")
ax.set_xticks(densities, densities)
ax.minorticks_off()
ax.invert_xaxis()
ax.legend(frameon=False)
plt.show()
