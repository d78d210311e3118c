"""
Many outputs: the lower half of a digit from the upper half
===========================================================

A regressor with several columns in y learns all of them in one network. Here it reads
the upper 32 pixels of a digit and draws the lower 32.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor

from sparsenet import SparseMLPRegressor

digits = load_digits().data / 16
X, y = digits[:, :32], digits[:, 32:]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

models = {
    "network": SparseMLPRegressor(
        hidden_layer_sizes=(512, 512),
        density=0.1,
        batch_size=50,
        learning_rate="flat_cosine",
        max_iter=40,
        n_iter_no_change=40,
        random_state=0,
    ),
    "neighbours": KNeighborsRegressor(),
}
for name, model in models.items():
    model.fit(X_train, y_train)
    # Outputs count by their variance: some pixels are nearly always white.
    r2 = r2_score(y_test, model.predict(X_test), multioutput="variance_weighted")
    print(f"{name}: R² {r2:.3f}")

# %%
# Above the digits as they are, below what is made of their upper halves.

n_shown = 10
rows = {"digit": digits[:0]} | dict.fromkeys(models)
rows["digit"] = np.hstack([X_test, y_test])[:n_shown]
for name, model in models.items():
    rows[name] = np.hstack([X_test, model.predict(X_test)])[:n_shown]

fig, axes = plt.subplots(len(rows), n_shown, figsize=(8, 2.8), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.axhline(3.5, color="C3", linewidth=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
plt.show()
