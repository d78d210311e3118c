r"""Whether one learning rate is best for every density.

scikit-learn's digits, 100 hidden units, 10 epochs, three seeds:

    python benchmarks/learning_rate.py
    python benchmarks/learning_rate.py --fashion 10000 --hidden 256 256
    python benchmarks/learning_rate.py --rows X.npz --labels y.npy --hidden 256
    python benchmarks/learning_rate.py --solver sgd --rates 0.02 0.05 0.1 0.2
    python benchmarks/learning_rate.py --picture rates.svg

For each density of the hidden layers (the output layer is dense): the mean over the
seeds of the training loss in the last epoch and of the test score, at each learning
rate; and the rate with the smallest loss, from a parabola through the best and its
neighbours, over that of the dense network. ``--rows`` and ``--labels`` are those of
sparse_training.py; ``--picture`` needs matplotlib.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from common import (
    describe_machine,
    digits,
    fashion_mnist,
    limit_threads,
    load_rows,
    print_table,
)
from sklearn.preprocessing import StandardScaler

from sparsenet import SparseMLPClassifier, SparseMLPRegressor


def load(args):
    """X_train, X_test, y_train, y_test."""
    if args.rows:
        return load_rows(args.rows, args.labels)
    if args.fashion:
        X_train, X_test, y_train, y_test = fashion_mnist(args.path)
        return X_train[: args.fashion], X_test, y_train[: args.fashion], y_test
    X_train, X_test, y_train, y_test = digits()
    scaler = StandardScaler().fit(X_train)
    return scaler.transform(X_train), scaler.transform(X_test), y_train, y_test


def measure(args, data):
    """(density, rate, seed, (loss, score)) array; infinite where training diverged."""
    X_train, X_test, y_train, y_test = data
    is_regression = np.issubdtype(y_train.dtype, np.floating)
    estimator = SparseMLPRegressor if is_regression else SparseMLPClassifier
    shape = len(args.densities), len(args.rates), len(args.seeds), 2
    results = np.empty(shape)
    for place in np.ndindex(shape[:-1]):
        density, rate, seed = (
            values[i]
            for values, i in zip(
                (args.densities, args.rates, args.seeds), place, strict=True
            )
        )
        model = estimator(
            hidden_layer_sizes=args.hidden,
            density=[density] * len(args.hidden) + [1.0],
            solver=args.solver,
            learning_rate_init=rate,
            batch_size=args.batch,
            max_iter=args.epochs,
            random_state=seed,
            n_threads=args.threads,
        )
        try:
            model.fit(X_train, y_train)
            results[place] = model.loss_, 100 * model.score(X_test, y_test)
        except ValueError:  # training diverged
            results[place] = np.inf, -np.inf
    return results


def best_rate(rates, losses):
    """Where a parabola through the best loss and its neighbours is lowest, on logs."""
    y, i = np.log(losses), int(np.argmin(losses))
    if not 0 < i < len(rates) - 1:
        return rates[i]
    left, middle, right = y[i - 1 : i + 2]
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    step = np.log(rates[i + 1] / rates[i])
    return float(np.exp(np.log(rates[i]) + shift * step))


def draw(args, losses):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    for density, of_density in zip(args.densities, losses, strict=True):
        axes.loglog(args.rates, of_density, ".-", label=f"density {density:g}")
    axes.set(xlabel="learning_rate_init", ylabel="training loss, last epoch")
    axes.set_xticks(args.rates, [f"{rate:g}" for rate in args.rates], minor=False)
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(args.picture)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows")
    parser.add_argument("--labels")
    parser.add_argument("--fashion", type=int, help="so many rows of Fashion-MNIST")
    parser.add_argument("--path", help="folder of Fashion-MNIST's files")
    parser.add_argument("--hidden", type=int, nargs="*", default=[100])
    parser.add_argument(
        "--densities", type=float, nargs="+", default=[1.0, 0.3, 0.1, 0.03]
    )
    parser.add_argument(
        "--rates", type=float, nargs="+",
        default=[0.0005, 0.001, 0.002, 0.004, 0.008, 0.016],
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--solver", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--picture", help="file to draw losses against rates into")
    args = parser.parse_args()
    limit_threads(args.threads)
    warnings.simplefilter("ignore")  # 10 epochs are not convergence
    describe_machine(args.threads)
    results = measure(args, load(args)).mean(axis=2)
    losses = results[..., 0]
    best = [best_rate(args.rates, of_density) for of_density in losses]
    print_table(
        ("density", *(f"{rate:g}" for rate in args.rates), "best / dense's"),
        [
            (
                f"{density:g}",
                *(f"{loss:.4f} {score:.1f}" for loss, score in results[i]),
                f"{best[i] / best[0]:.2f}",
            )
            for i, density in enumerate(args.densities)
        ],
    )
    if args.picture:
        draw(args, losses)


if __name__ == "__main__":
    main()
