"""
Quantiles: how sure is a prediction?
====================================

With ``loss="quantile"`` and several levels, one network predicts a band instead of a
single number. Its columns are in the order of the levels and never cross.
"""

import matplotlib.pyplot as plt
import numpy as np

from sparsenet import SparseMLPRegressor

rng = np.random.default_rng(0)
x = rng.uniform(0, 10, 3000)
noise = rng.gamma(2, 0.15 + 0.1 * x)  # skewed, and larger on the right
y = np.sin(x) * 2 + noise
X = x[:, None]

# %%
# The levels say which share of the targets should lie below each prediction.

levels = [0.05, 0.25, 0.5, 0.75, 0.95]
regressor = SparseMLPRegressor(
    "quantile",
    hidden_layer_sizes=(64, 64),
    quantile=levels,
    activation="gelu",
    learning_rate_init=0.01,
    learning_rate="flat_cosine",
    batch_size=100,
    max_iter=40,
    n_iter_no_change=40,
    random_state=0,
).fit(X / 10, y)

grid = np.linspace(0, 10, 300)
predicted = regressor.predict(grid[:, None] / 10)

fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
ax.plot(x, y, ".", color="0.6", markersize=2)
ax.fill_between(
    grid, predicted[:, 0], predicted[:, 4], alpha=0.2, color="C0", label="5 to 95 %"
)
ax.fill_between(
    grid, predicted[:, 1], predicted[:, 3], alpha=0.4, color="C0", label="25 to 75 %"
)
ax.plot(grid, predicted[:, 2], color="C0", label="median")
ax.legend(frameon=False)
ax.set(xlabel="x", ylabel="y", xlim=(0, 10))
plt.show()

# %%
# On new data, the shares of targets below the predictions are close to the levels:

x = rng.uniform(0, 10, 3000)
y = np.sin(x) * 2 + rng.gamma(2, 0.15 + 0.1 * x)
below = (y[:, None] < regressor.predict(x[:, None] / 10)).mean(axis=0)
for level, share in zip(levels, below, strict=True):
    print(f"level {level:.2f}: {share:.3f} of the targets are below")
