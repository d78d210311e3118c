"""
Comparing with boosted trees
============================

`TabularMLPClassifier` takes a data frame as it is, so ``cross_validate`` needs no
pipeline around it. The table is made up: visitors of a shop, and whether they buy.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_validate

from sparsenet import TabularMLPClassifier

rng = np.random.default_rng(0)
n = 5000
visits = pd.DataFrame(
    {
        "minutes": rng.exponential(8, n),
        "pages": rng.poisson(5, n) + 1,
        "age": rng.normal(40, 14, n).clip(16, 90),
        "device": rng.choice(["phone", "laptop", "tablet"], n, p=[0.6, 0.3, 0.1]),
        "country": rng.choice(list("ABCDEFGHIJ"), n),
        "returns": rng.random(n) < 0.3,
    }
)
interest = np.log1p(visits["minutes"]) * np.sqrt(visits["pages"]) - 4
interest += 1.5 * visits["returns"] + (visits["device"] == "laptop")
interest += np.cos(visits["age"] / 8) + rng.logistic(0, 0.7, n)
buys = np.where(interest > 0, "buys", "leaves")
# Some of them do not say how old they are.
visits["age"] = visits["age"].where(rng.random(n) < 0.8)
visits["device"] = visits["device"].astype("category")
visits["country"] = visits["country"].astype("category")
visits.head()

# %%
# Both estimators have their defaults. Missing ages and categories need no thought.

models = {
    "TabularMLPClassifier": TabularMLPClassifier(random_state=0),
    "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
}
scoring = ["accuracy", "roc_auc", "neg_log_loss"]
scores = {
    name: pd.DataFrame(cross_validate(model, visits, buys, cv=5, scoring=scoring))
    for name, model in models.items()
}
pd.concat(scores, axis=1).mean().unstack()

# %%
# The five folds, one by one.

fig, axes = plt.subplots(1, 3, figsize=(8, 3), layout="constrained")
for ax, metric in zip(axes, scoring, strict=True):
    for place, table in enumerate(scores.values()):
        ax.plot([place] * 5, table[f"test_{metric}"], "o", alpha=0.6)
    ax.set(title=metric, xlim=(-0.5, 1.5))
    ax.set_xticks([0, 1], ["networks", "trees"])
plt.show()
