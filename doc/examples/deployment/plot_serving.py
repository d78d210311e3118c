"""
Serving: one row at a time
==========================

A service predicts single rows, from several threads, and has no use for an optimizer.
``predictor()`` makes an immutable object for that, with the same results to the last
bit.
"""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32) / 16

classifier = SparseMLPClassifier(
    (512, 512),
    density=0.1,
    precision="int8",
    learning_rate="flat_cosine",
    max_iter=20,
    random_state=0,
).fit(X, y)
predictor = classifier.predictor()
print(predictor)
print(f"pickle: {len(pickle.dumps(predictor)) / 1024:.0f} KB")
assert (predictor.predict_proba(X) == classifier.predict_proba(X)).all()

# %%
# What a single row takes, in microseconds (the median of many calls).


def microseconds(model):
    row, times = X[:1], []
    for _ in range(300):
        start = time.perf_counter()
        model.predict_proba(row)
        times.append(time.perf_counter() - start)
    return 1e6 * np.median(times)


dense = MLPClassifier(
    (512, 512), early_stopping=True, n_iter_no_change=1, random_state=0
)
models = {
    "MLPClassifier (dense)": dense.fit(X, y),
    "SparseMLPClassifier": classifier,
    "its predictor": predictor,
}
results = {name: microseconds(model) for name, model in models.items()}

fig, ax = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
bars = ax.barh(list(results), list(results.values()), color=["0.6", "C0", "C1"])
ax.bar_label(bars, fmt="%.0f", padding=3)
ax.set(xlabel="microseconds for one row")
ax.invert_yaxis()
plt.show()

# %%
# Threads share one predictor: each call has memory of its own.

with ThreadPoolExecutor(4) as threads:
    parts = list(threads.map(predictor.predict, np.array_split(X, 8)))
assert (np.concatenate(parts) == classifier.predict(X)).all()

# %%
# A predictor is strict, so that a service does not convert data without knowing: it
# takes arrays and sparse matrices of float32 or float64 only.

try:
    predictor.predict(X[:1].tolist())
except TypeError as error:
    print(error)
