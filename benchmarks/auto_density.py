"""The rule behind density="auto", on small tables: score against fan-in.

    python benchmarks/auto_density.py

Tables that come with scikit-learn, or that it makes up; features are standardised, and
everything but the fan-in has its default, up to 100 epochs. Accuracy, or R², by
cross-validation in four parts, twice, with the standard error of its mean.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import describe_machine, limit_threads, print_table
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
    make_classification,
    make_friedman1,
)
from sklearn.model_selection import (
    RepeatedKFold,
    RepeatedStratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparsenet import SparseMLPClassifier, SparseMLPRegressor


def tables():
    """(name, X, y), where float y makes a regression."""
    yield "digits", *load_digits(return_X_y=True)
    yield "breast cancer", *load_breast_cancer(return_X_y=True)
    yield "wine", *load_wine(return_X_y=True)
    yield "diabetes", *load_diabetes(return_X_y=True)
    friedman = make_friedman1(2000, n_features=30, noise=1.0, random_state=0)
    yield "friedman", *friedman
    yield (
        "made up",
        *make_classification(
            3000, n_features=60, n_informative=15, n_classes=4, random_state=0
        ),
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fan-ins", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--epochs", type=int, default=100)
    args = parser.parse_args()
    describe_machine(1)
    limit_threads(1)
    rows = []
    for name, X, y in tables():
        estimator, splitter = SparseMLPClassifier, RepeatedStratifiedKFold
        if np.issubdtype(y.dtype, np.floating):
            estimator, splitter = SparseMLPRegressor, RepeatedKFold
            y = (y - y.mean()) / y.std()
        splits = splitter(n_splits=4, n_repeats=2, random_state=0)
        for hidden in ((100,), (256, 256)):
            cells = [name, f"{X.shape[0]} x {X.shape[1]}", "-".join(map(str, hidden))]
            for fan_in in (*args.fan_ins, None):
                widths = (X.shape[1], *hidden[:-1])
                share = [1.0 if fan_in is None else min(1, fan_in / n) for n in widths]
                network = estimator(
                    hidden_layer_sizes=hidden,
                    density=[*share, 1.0],
                    max_iter=args.epochs,
                    random_state=0,
                    n_threads=1,
                )
                model = make_pipeline(StandardScaler(), network)
                scores = cross_val_score(model, X, y, cv=splits)
                error = scores.std() / np.sqrt(len(scores))
                cells.append(f"{scores.mean():.3f} ± {error:.3f}")
            rows.append(cells)
    fan_ins = (f"fan-in {fan_in}" for fan_in in args.fan_ins)
    print_table(("", "size", "hidden", *fan_ins, "dense"), rows)


if __name__ == "__main__":
    main()
