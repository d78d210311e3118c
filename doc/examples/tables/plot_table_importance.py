"""
Which columns of a table matter
===============================

Permutation importance shuffles a column of the table, before it is encoded, and looks
at what the score loses. So it speaks of columns by their names, however many numbers
the encoder makes of each. The table is made up: flats, and their rents.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split

from sparsenet import TabularMLPRegressor

rng = np.random.default_rng(0)
n = 4000
flats = pd.DataFrame(
    {
        "area": rng.gamma(6, 12, n).round(),
        "year": rng.integers(1880, 2025, n),
        "floor": rng.integers(0, 9, n),
        "district": rng.choice(list("ABCDEFGH"), n),
        "heating": rng.choice(["gas", "oil", "heat pump"], n),
        "lift": rng.choice(["yes", "no"], n),
        "doorbell": rng.choice(["loud", "soft"], n),
    }
)
price = rng.normal(12, 2, 8)[flats["district"].map("ABCDEFGH".index)]
price += 2 * (flats["year"] > 1990) + (flats["heating"] == "heat pump")
price -= 0.4 * flats["floor"] * (flats["lift"] == "no")
rent = flats["area"] * price * rng.lognormal(0, 0.06, n)

X_train, X_test, y_train, y_test = train_test_split(flats, rent, random_state=0)
model = TabularMLPRegressor(random_state=0).fit(X_train, y_train)
print(f"R² {model.score(X_test, y_test):.3f}")

# %%
# It is asked on rows that the networks have not been trained on. Doorbells do not
# matter, and the networks know it.

found = permutation_importance(model, X_test, y_test, n_repeats=10, random_state=0)
order = found.importances_mean.argsort()
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.barh(flats.columns[order], found.importances_mean[order])
ax.set_xscale("symlog", linthresh=1e-3)
ax.set_xlabel("what R² loses")
plt.show()
