"""
Grid search over density and number format
==========================================

The estimators work with scikit-learn's searches as any others do. Here both the density
and the number format are searched over, and the results are shown beside the size of
the models, which is a second scorer.
"""

import pickle

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sparsenet import SparseMLPClassifier

X, y = load_digits(return_X_y=True)
model = make_pipeline(
    MinMaxScaler(),
    SparseMLPClassifier(
        (256, 256),
        learning_rate="flat_cosine",
        batch_size=50,
        max_iter=10,
        n_iter_no_change=10,
        random_state=0,
    ),
)


def kilobytes(model, X, y):
    return len(pickle.dumps(model)) / 1024


densities, formats = [0.05, 0.1, 0.3, 1.0], ["float32", "bfloat16", "int8"]
search = GridSearchCV(
    model,
    {
        "sparsemlpclassifier__density": densities,
        "sparsemlpclassifier__precision": formats,
    },
    scoring={"accuracy": "accuracy", "size": kilobytes},
    refit="accuracy",
    cv=3,
).fit(X, y)
print(search.best_params_)

# %%
# The number format makes next to no difference to the score, and a large one to the
# size of the model.

shape = len(densities), len(formats)
scores = search.cv_results_["mean_test_accuracy"].reshape(shape)
sizes = search.cv_results_["mean_test_size"].reshape(shape)

fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
tables = {"Cross-validated accuracy": (scores, ".3f"), "KB of a pickle": (sizes, ".0f")}
for ax, (title, (values, style)) in zip(axes, tables.items(), strict=True):
    ax.imshow(values, cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        dark = value < (values.min() + values.max()) / 2
        color = "white" if dark else "black"
        ax.text(j, i, f"{value:{style}}", ha="center", va="center", color=color)
    ax.set_xticks(range(len(formats)), formats)
    ax.set_yticks(range(len(densities)), densities)
    ax.set(title=title, ylabel="density")
plt.show()
