"""
A table of numbers and categories
=================================

`TabularMLPRegressor` takes a data frame as it is: no scaler, no encoder, and nothing
done about the gaps. The table is made up: flats in 200 streets, and their rents.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split

from sparsenet import TabularMLPRegressor

rng = np.random.default_rng(0)
n = 6000
flats = pd.DataFrame(
    {
        "area": rng.gamma(6, 12, n).round(),
        "year": rng.integers(1880, 2025, n),
        "floor": rng.integers(0, 9, n),
        "street": rng.integers(0, 200, n).astype(str),
        "heating": rng.choice(["gas", "oil", "district", "heat pump"], n),
        "lift": rng.choice(["yes", "no"], n),
    }
)
of_heating = {"gas": 0, "oil": -1, "district": 1, "heat pump": 2}
price = rng.normal(12, 2.5, 200)[flats["street"].astype(int)]
price = price + flats["heating"].map(of_heating)
price = price - 0.4 * flats["floor"] * (flats["lift"] == "no")
price = price + 2 * (flats["year"] > 1990)
rent = flats["area"] * price * rng.lognormal(0, 0.06, n)
flats["year"] = flats["year"].where(rng.random(n) < 0.9)  # some are not known
flats.head()

# %%
# What the networks see of a row: numbers as normal scores and as hat functions, a
# column for a year that is missing, and one for each street.

train, test = train_test_split(np.arange(n), random_state=0)
model = TabularMLPRegressor(random_state=0)
model.fit(flats.iloc[train], rent.iloc[train])
names = model.encoder_.get_feature_names_out()
print(f"{len(names)} columns, such as {', '.join(names[::26])}")

# %%
# Beside it, gradient boosting, which is the usual choice for tables, with its defaults
# and with the names of the categories. Which of them is better differs from table to
# table, so try both.

trees = HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=0)
categories = ["street", "heating", "lift"]
as_categories = flats.astype(dict.fromkeys(categories, "category"))
trees.fit(as_categories.iloc[train], rent.iloc[train])

predictions = {
    "TabularMLPRegressor": model.predict(flats.iloc[test]),
    "HistGradientBoostingRegressor": trees.predict(as_categories.iloc[test]),
}
fig, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained")
for ax, (name, predicted) in zip(axes, predictions.items(), strict=True):
    ax.plot(rent.iloc[test], predicted, ".", markersize=3, alpha=0.5)
    ax.axline((1000, 1000), slope=1, color="0.5", linewidth=1)
    error = np.abs(predicted - rent.iloc[test]).mean()
    ax.set(title=f"{name}\nmean error {error:.0f}", xlabel="rent")
    print(f"{name}: mean error {error:.1f}")
axes[0].set_ylabel("predicted rent")
plt.show()
