"""
Export: a network in C
======================

``to_c`` writes a fitted network as one file in C99, for microcontrollers and programs
without Python. Sparse 8-bit weights make it small. Here it is compiled, and called from
Python to compare. ``to_sklearn`` gives the network back to scikit-learn.
"""

import ctypes
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sparsenet import SparseMLPClassifier

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

networks = {
    "64 units, density 0.3": SparseMLPClassifier((64,), density=0.3),
    "128 units, density 0.15": SparseMLPClassifier((128,), density=0.15),
    "32 units, dense": SparseMLPClassifier((32,), density=1.0),
}
for network in networks.values():
    network.set_params(
        precision="int8",
        learning_rate="flat_cosine",
        batch_size=50,
        rewire_interval=50,
        max_iter=40,
        n_iter_no_change=40,
        random_state=0,
    ).fit(X_train, y_train)

# %%
# What the file looks like:

network = networks["64 units, density 0.3"]
source = network.to_c("digits")
print("\n".join(line[:80] for line in source.splitlines()[:20]))

# %%
# Compiled as a library, its function is called for each test image. Its labels are
# those of the estimator.

compiler = shutil.which("cc") or sysconfig.get_config_var("CC").split()[0]
with tempfile.TemporaryDirectory() as folder:
    file, library = Path(folder) / "digits.c", Path(folder) / "digits.so"
    file.write_text(source)
    options = ["-std=c99", "-O2", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, file, "-lm", "-o", library], check=True)
    classify = ctypes.CDLL(str(library)).digits_class

pointer = ctypes.POINTER(ctypes.c_float)
labels = [network.classes_[classify(row.ctypes.data_as(pointer))] for row in X_test]
print(f"equal labels: {(labels == network.predict(X_test)).mean():.1%}")
print(f"accuracy: {(labels == y_test).mean():.3f}")

# %%
# Bytes of code and constants, when compiled for size:


def bytes_of(network):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "network.c").write_text(network.to_c())
        command = [compiler, "-std=c99", "-Os", "-c", "network.c"]
        subprocess.run(command, check=True, cwd=folder)
        listed = subprocess.run(
            ["size", "network.o"], check=True, cwd=folder, capture_output=True
        )
    return int(listed.stdout.splitlines()[1].split()[0])


fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for name, network in networks.items():
    ax.plot(bytes_of(network) / 1024, network.score(X_test, y_test), "o", label=name)
ax.set(xlabel="KB of code and constants", ylabel="test accuracy", xlim=(0, None))
ax.legend(frameon=False)
plt.show()

# %%
# The same network for scikit-learn, with dense weights in 32 bits:

mlp = networks["64 units, density 0.3"].to_sklearn()
print(mlp)
print(f"accuracy: {mlp.score(X_test, y_test):.3f}")
