"""Test accuracy on Fashion-MNIST in the four number formats.

784-1024-1024-10, hidden layers of density 0.1, Adam, 10 epochs, three seeds. Within a
seed, all formats start from the same connections and weights and see the same batches.

    python benchmarks/accuracy.py
"""

from __future__ import annotations

import argparse
import statistics

from common import (
    PRECISIONS,
    describe_machine,
    fashion_mnist,
    format_layers,
    limit_threads,
    n_cores,
    print_table,
)

from sparsenet import SparseMLPClassifier


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", help="directory of Fashion-MNIST's IDX files")
    parser.add_argument("--density", type=float, default=0.1, help="hidden layers")
    parser.add_argument("--hidden", type=int, nargs="+", default=[1024, 1024])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS)
    parser.add_argument("--threads", type=int, default=n_cores())
    parser.add_argument("--rows", type=int, help="train on the first rows only")
    args = parser.parse_args()

    X_train, X_test, y_train, y_test = fashion_mnist(args.path)
    X_train, y_train = X_train[: args.rows], y_train[: args.rows]
    describe_machine(args.threads)
    limit_threads(args.threads)

    rows = []
    reference = None
    for precision in args.precisions:
        accuracies = []
        for seed in args.seeds:
            model = SparseMLPClassifier(
                hidden_layer_sizes=args.hidden,
                density=args.density,
                precision=precision,
                batch_size=args.batch,
                max_iter=args.epochs,
                tol=0.0,
                n_iter_no_change=args.epochs + 1,
                random_state=seed,
                n_threads=args.threads,
            ).fit(X_train, y_train)
            accuracies.append(100 * model.score(X_test, y_test))
        mean = statistics.mean(accuracies)
        reference = mean if reference is None else reference
        rows.append(
            (
                precision,
                f"{mean:.2f}",
                f"{mean - reference:+.2f}",
                *(f"{accuracy:.2f}" for accuracy in accuracies),
            )
        )
    layers = format_layers(X_train.shape[1], args.hidden)
    print(
        f"Fashion-MNIST, {layers}, density {args.density}, batch {args.batch}, "
        f"{args.epochs} epochs, test accuracy in %"
    )
    print_table(
        (
            "",
            "mean",
            f"against {args.precisions[0]}",
            *(f"seed {seed}" for seed in args.seeds),
        ),
        rows,
    )


if __name__ == "__main__":
    main()
