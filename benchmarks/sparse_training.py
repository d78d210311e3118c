r"""How the connections are chosen: accuracy and seconds of each method.

Fashion-MNIST, 784-1024-1024-10, Adam, batches of 128, 20 epochs, three seeds:

    python benchmarks/sparse_training.py
    python benchmarks/sparse_training.py --densities 0.1 --precisions float32 int8
    python benchmarks/sparse_training.py --rows X.npz --labels y.npy --hidden 400
    python benchmarks/sparse_training.py --overhead

Beside the sparse networks stand their rivals: the dense network of the same size, and a
narrower dense one with as many connections. ``--rows`` (numpy.save's file, or
scipy.sparse.save_npz's) and ``--labels`` (numpy.save's; floats make a regression)
replace the data: a fifth of the shuffled rows is kept for testing. ``--overhead`` times
what the rounds of rewiring add to training instead.

Accuracy, or R², is that of the test samples after the last epoch, times 100. All train
for the same number of epochs, at each of ``--learning-rates``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import pairwise

import numpy as np
from common import (
    PRECISIONS,
    describe_machine,
    fashion_mnist,
    format_layers,
    interleave,
    limit_threads,
    load_rows,
    print_table,
)

from sparsenet import SparseMLPClassifier, SparseMLPRegressor

METHODS = ("static", "set", "rigl", "gradual")


def n_weights(n_features, hidden, n_outputs):
    """Weights of a dense network, biases not counted."""
    return sum(a * b for a, b in pairwise((n_features, *hidden, n_outputs)))


def narrower(n_features, hidden, n_outputs, n_connections):
    """Hidden sizes of a dense network with as many weights, in the same proportions."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        sizes = [max(1, round(middle * units)) for units in hidden]
        if n_weights(n_features, sizes, n_outputs) < n_connections:
            low = middle
        else:
            high = middle
    return [max(1, round(high * units)) for units in hidden]


class Trainer:
    """Trains estimators that differ in what is compared, on the same data."""

    def __init__(self, args):
        if args.rows:
            data = load_rows(args.rows, args.labels)
        else:
            data = fashion_mnist(args.path)
        self.X_train, self.X_test, self.y_train, self.y_test = data
        self.args = args
        self.estimator, self.n_outputs = SparseMLPRegressor, 1
        if not np.issubdtype(self.y_train.dtype, np.floating):
            n_classes = len(np.unique(self.y_train))
            self.estimator = SparseMLPClassifier
            self.n_outputs = n_classes if n_classes > 2 else 1

    def make(self, **options):
        settings = {
            "hidden_layer_sizes": self.args.hidden,
            "block_size": self.args.block_size,
            "batch_size": self.args.batch,
            "max_iter": self.args.epochs,
            "tol": 0.0,
            "n_iter_no_change": self.args.epochs + 1,
            "n_threads": self.args.threads,
        }
        return self.estimator(**settings | options)

    def row(self, name, density, precision, learning_rate, **options):
        """Train with each seed; one row of the table, and the last model."""
        scores, seconds = [], []
        for seed in self.args.seeds:
            model = self.make(
                density=density, precision=precision, random_state=seed,
                learning_rate_init=learning_rate, **options,
            )  # fmt: skip
            start = time.perf_counter()
            model.fit(self.X_train, self.y_train)
            seconds.append(time.perf_counter() - start)
            scores.append(100 * model.score(self.X_test, self.y_test))
        n_connections = sum(layer.n_connections for layer in model.topology_.layers)
        return n_connections, (
            name,
            density,
            precision,
            learning_rate,
            f"{n_connections:,}",
            f"{statistics.mean(scores):.2f}",
            f"{min(scores):.2f} - {max(scores):.2f}",
            f"{statistics.median(seconds):.1f}",
        )

    def compare(self):
        """Print a table of methods, densities, formats and dense rivals."""
        args, rows = self.args, []
        n_features = self.X_train.shape[1]
        for learning_rate in args.learning_rates:
            if not args.no_dense:
                rows.append(self.row("dense", 1.0, "float32", learning_rate)[1])
            for density in args.densities:
                for precision in args.precisions:
                    for method in args.methods:
                        n_connections, cells = self.row(
                            method, density, precision, learning_rate,
                            sparse_training=method,
                        )  # fmt: skip
                        rows.append(cells)
                if not args.no_dense:
                    hidden = narrower(
                        n_features, args.hidden, self.n_outputs, n_connections
                    )
                    name = "dense " + "-".join(map(str, hidden))
                    options = {"hidden_layer_sizes": hidden}
                    dense = self.row(name, 1.0, "float32", learning_rate, **options)
                    rows.append(dense[1])
        print(
            f"{format_layers(n_features, args.hidden, self.n_outputs)}, batch "
            f"{args.batch}, block_size {args.block_size}, {args.epochs} epochs, seeds "
            f"{args.seeds}"
        )
        print_table(
            (
                "", "density", "format", "learning rate", "connections",
                "test score", "range", "seconds",
            ),
            rows,
        )  # fmt: skip

    def time_rewiring(self):
        """Print what rounds every 100 steps add to an epoch's time."""
        rows = []
        X, y = self.X_train[:25_600], self.y_train[:25_600]
        n_steps = -(-len(y) // self.args.batch)
        for density in self.args.densities:
            for precision in self.args.precisions:
                models = {
                    method: self.make(
                        density=density, precision=precision, random_state=0,
                        sparse_training=method, max_iter=1, rewire_until=1.0,
                    )
                    for method in ("static", "set", "rigl")
                }  # fmt: skip
                jobs = {name: lambda m=m: m.fit(X, y) for name, m in models.items()}
                steps = interleave(jobs, n_steps, self.args.rounds)
                cells = [density, precision, steps["static"].format(1e3)[0]]
                for method in ("set", "rigl"):
                    faster = steps["static"].times_faster_than(steps[method])
                    cells.append(f"{100 * (faster - 1):.1f} %")
                rows.append(cells)
        print("ms per step without rewiring, and what a round every 100 steps adds")
        print_table(("density", "format", "static", "set", "rigl"), rows)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", help="directory of Fashion-MNIST's IDX files")
    parser.add_argument("--rows", help="numpy.save's or scipy.sparse.save_npz's file")
    parser.add_argument("--labels", help="numpy.save's file")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--densities", type=float, nargs="+", default=[0.1, 0.05, 0.02])
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--block-size", type=int, default=1, choices=(1, 4))
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[1e-3])
    parser.add_argument("--hidden", type=int, nargs="+", default=[1024, 1024])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="of timing")
    parser.add_argument("--no-dense", action="store_true", help="leave rivals out")
    parser.add_argument("--overhead", action="store_true")
    args = parser.parse_args()
    describe_machine(args.threads)
    limit_threads(args.threads)
    trainer = Trainer(args)
    if args.overhead:
        args.precisions = args.precisions if len(args.precisions) > 1 else PRECISIONS
        trainer.time_rewiring()
    else:
        trainer.compare()


if __name__ == "__main__":
    main()
