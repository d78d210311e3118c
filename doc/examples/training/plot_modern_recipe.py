"""
A modern recipe: schedule, dropout, smoothed labels
===================================================

The defaults are those of scikit-learn. Where accuracy counts, a learning rate that
falls to zero, decoupled weight decay, dropout and smoothed labels help, the more so
where labels are noisy. Here nearly a third of the training labels is wrong.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sparsenet import SparseMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
rng = np.random.default_rng(0)
wrong = rng.random(len(y_train)) < 0.3
y_train = np.where(wrong, rng.integers(0, 10, len(y_train)), y_train)

# %%
# ``n_iter_no_change`` is as large as ``max_iter``, so that the schedule comes to its
# end.

epochs = 50
recipes = {
    "constant rate": {},
    "schedule only": {"learning_rate": "flat_cosine"},
    "modern recipe": {
        "solver": "adamw",
        "weight_decay": 0.1,
        "learning_rate": "flat_cosine",
        "activation": "gelu",
        "dropout": 0.3,
        "label_smoothing": 0.1,
    },
}
fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for name, parameters in recipes.items():
    classifier = SparseMLPClassifier(
        (256, 256),
        density=0.2,
        batch_size=64,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=0,
        **parameters,
    )
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        classifier.fit(X_train, y_train, X_val=X_test, y_val=y_test)
    scores = classifier.validation_scores_
    print(f"{name}: {scores[-1]:.3f}")
    ax.plot(np.arange(1, epochs + 1), scores, label=name)
ax.set(xlabel="epoch", ylabel="test accuracy", ylim=(0.8, 1))
ax.legend(frameon=False)
plt.show()

# %%
# The test images are only watched here (``X_val``): they neither stop training nor
# choose an epoch. With ``restore_best=True`` they would, and could no longer be used to
# say how good the model is.
