"""
Selecting features
==================

``feature_importances_`` says how large the weights of each feature are. Together with
scikit-learn's ``SelectFromModel``, a sparse network selects the features for another
model. The data are those of breast cancer, with 70 columns of noise added.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparsenet import FeatureImportanceDisplay, SparseMLPClassifier

table, y = load_breast_cancer(return_X_y=True, as_frame=True)
rng = np.random.default_rng(0)
noise = pd.DataFrame(
    rng.normal(size=(len(table), 70)), columns=[f"noise {i}" for i in range(70)]
)
X = pd.concat([table, noise], axis=1)

# %%
# All features have to be on the same scale, or the weights say little about them.

network = SparseMLPClassifier(
    (128,),
    density=0.1,
    alpha=1.0,
    learning_rate="flat_cosine",
    batch_size=50,
    rewire_interval=10,
    max_iter=40,
    n_iter_no_change=40,
    random_state=0,
)
scaler = StandardScaler().set_output(transform="pandas")
network.fit(scaler.fit_transform(X), y)
FeatureImportanceDisplay.from_estimator(network, max_features=15)
plt.show()

# %%
# The features of more than average importance, and what a linear model makes of them:

linear = LogisticRegression(C=10, max_iter=1000)
selecting = make_pipeline(StandardScaler(), SelectFromModel(network), linear)
selected = selecting.fit(X, y)[1].get_support()
print(f"selected: {selected[:30].sum()} of 30 columns of the data, ", end="")
print(f"{selected[30:].sum()} of 70 of noise")

plain = make_pipeline(StandardScaler(), linear)
print(f"accuracy with all columns: {cross_val_score(plain, X, y, cv=3).mean():.3f}")
print(f"with the selected ones:    {cross_val_score(selecting, X, y, cv=3).mean():.3f}")
