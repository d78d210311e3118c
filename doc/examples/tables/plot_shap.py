"""
SHAP: what a column adds to a prediction
========================================

`SHAP <https://shap.readthedocs.io>`_ splits a single prediction into what each column
of its row has added to the mean. It needs nothing but ``predict``, and so it explains
the whole way from the data frame to the number.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import shap

from sparsenet import TabularMLPRegressor

rng = np.random.default_rng(0)
n = 3000
flats = pd.DataFrame(
    {
        "area": rng.gamma(6, 12, n).round(),
        "year": rng.integers(1880, 2025, n),
        "floor": rng.integers(0, 9, n),
        "heating": pd.Categorical(rng.choice(["gas", "oil", "heat pump"], n)),
        "lift": pd.Categorical(rng.choice(["yes", "no"], n)),
    }
)
price = 12 + 2 * (flats["year"] > 1990) + 3 * (flats["heating"] == "heat pump")
price -= 0.5 * flats["floor"] * (flats["lift"] == "no")
rent = flats["area"] * price * rng.lognormal(0, 0.05, n)
model = TabularMLPRegressor(random_state=0).fit(flats, rent)

# %%
# SHAP exchanges the columns of a row for those of a hundred others, as an array of
# numbers. So categories go in as their codes, and a function makes a table of it again.

categories = flats.select_dtypes("category")
codes = flats.assign(**{name: column.cat.codes for name, column in categories.items()})


def predict(rows):
    table = pd.DataFrame(rows, columns=flats.columns)
    for name, column in categories.items():
        table[name] = pd.Categorical.from_codes(
            table[name].astype(int), dtype=column.dtype
        )
    return model.predict(table)


background = shap.maskers.Independent(codes.sample(100, random_state=0))
explainer = shap.PermutationExplainer(predict, background, seed=0)
explanation = explainer(codes[:5])
explanation.display_data = flats[:5].to_numpy()

# %%
# The first flat: from the mean rent to its own.

shap.plots.waterfall(explanation[0], show=False)
plt.tight_layout()
plt.show()
