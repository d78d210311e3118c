"""
Images: a sparse network of digits
==================================

A network with two wide hidden layers, of whose connections only a tenth exists, learns
to read digits of 8 x 8 pixels, in a second.
"""

import pickle

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sparsenet import LossCurveDisplay, SparseMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Networks learn best from features of about the same size, so a scaler comes first.
# ``density=0.1`` keeps a tenth of the connections of the two hidden layers.

network = SparseMLPClassifier(
    (512, 512),
    density=0.1,
    learning_rate="flat_cosine",
    max_iter=30,
    random_state=0,
)
model = make_pipeline(MinMaxScaler(), network).fit(X_train, y_train)

print(f"accuracy on test images: {model.score(X_test, y_test):.3f}")
print(f"pickle: {len(pickle.dumps(model)) / 1024:.0f} KB")
print(network.topology_)

# %%
# How training went:

LossCurveDisplay.from_estimator(network)

# %%
# The test images of which the network is least sure, with its two best guesses:

probabilities = model.predict_proba(X_test)
unsure = probabilities.max(axis=1).argsort()[:8]

fig, axes = plt.subplots(2, 4, figsize=(7, 4.2), layout="constrained")
for ax, row in zip(axes.flat, unsure, strict=True):
    ax.imshow(X_test[row].reshape(8, 8), cmap="gray_r")
    second, first = probabilities[row].argsort()[-2:]
    ax.set(xticks=[], yticks=[])
    ax.set_title(
        f"{first}: {probabilities[row, first]:.0%}, "
        f"{second}: {probabilities[row, second]:.0%}",
        fontsize=10,
        color="C2" if first == y_test[row] else "C3",
    )
fig.suptitle("green: the first guess is correct")
plt.show()
