"""
Grid search over a table estimator
==================================

The defaults of `TabularMLPRegressor` were chosen on public tables and seldom need
tuning. Where each tenth of a percent counts, a search over the number of networks and
of hat functions is a short one.
"""

import pandas as pd
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV

from sparsenet import TableEncoder, TabularMLPRegressor

X, y = make_friedman1(600, noise=0.5, random_state=0)

# %%
# Parameters of the encoder are reached through the estimator's, as in a pipeline.

model = TabularMLPRegressor(encoder=TableEncoder(), random_state=0)
search = GridSearchCV(
    model,
    {
        "encoder__n_knots": [0, 8, 16],
        "n_members": [1, 2, 4],
    },
    cv=3,
)
search.fit(X, y)
print(search.best_params_)
print(f"R² {search.best_score_:.4f}")

# %%
# What each choice brings.

results = pd.DataFrame(search.cv_results_)
names = [f"param_{name}" for name in search.param_grid]
columns = [*names, "mean_test_score", "mean_fit_time"]
results[columns].sort_values("mean_test_score", ascending=False)
