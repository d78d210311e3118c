"""
Number formats: the same network in 32, 16 and 8 bits
=====================================================

``precision`` is the format in which weights, activations and gradients are multiplied.
Accuracy stays the same; time and size do not.
"""

import pickle
import time

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sparsenet import SparseMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)

results = {}
for precision in ("float32", "bfloat16", "float16", "int8"):
    classifier = SparseMLPClassifier(
        (1024, 1024),
        density=0.1,
        precision=precision,
        learning_rate="flat_cosine",
        max_iter=20,
        n_iter_no_change=20,
        random_state=0,
    )
    start = time.perf_counter()
    classifier.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    accuracy = classifier.score(X_test, y_test)
    size = len(pickle.dumps(classifier)) / 1024
    results[precision] = accuracy, seconds, size
    print(f"{precision}: accuracy {accuracy:.3f}, {seconds:.2f} s, {size:.0f} KB")

fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
titles = "Test accuracy", "Seconds of training", "KB of the pickle"
columns = zip(*results.values(), strict=True)
for ax, title, values in zip(axes, titles, columns, strict=True):
    ax.bar(list(results), values, color=["C0", "C1", "C2", "C3"])
    ax.set(title=title)
    ax.tick_params(axis="x", rotation=30)
plt.show()
