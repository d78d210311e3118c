"""The main job: train scikit-learn's MLPClassifier and sparsenet's on the same images.

Prints test accuracy, seconds of ``fit`` and bytes of the pickle, for scikit-learn's
MLPClassifier and for SparseMLPClassifier in its four number formats. All have the same
layers, epochs, batch size, solver, number of threads and float32 input, and none stops
early.

    python benchmarks/main_job.py                         scikit-learn's digits
    python benchmarks/main_job.py --data fashion-mnist    from OpenML or a local copy
"""

from __future__ import annotations

import argparse
import pickle
import time

import roofline
from common import (
    PRECISIONS,
    describe_machine,
    digits,
    fashion_mnist,
    format_layers,
    limit_threads,
    n_cores,
    print_table,
)
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier

# So many epochs let the whole job end within about a minute on two cores.
EPOCHS = {"digits": 30, "fashion-mnist": 4}


def measure(model, data):
    X_train, X_test, y_train, y_test = data
    start = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    return model.score(X_test, y_test), seconds, len(pickle.dumps(model))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=EPOCHS, default="digits")
    parser.add_argument("--path", help="directory of Fashion-MNIST's IDX files")
    parser.add_argument("--epochs", type=int, help=f"default: {EPOCHS}")
    parser.add_argument("--hidden", type=int, nargs="+", default=[1024, 1024])
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--threads", type=int, default=n_cores())
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    data = digits() if args.data == "digits" else fashion_mnist(args.path)
    epochs = args.epochs or EPOCHS[args.data]
    limit_threads(args.threads)

    X_train, X_test = data[:2]
    layers = format_layers(X_train.shape[1], args.hidden)
    describe_machine(args.threads)
    print(
        f"{args.data}: {len(X_train)} training and {len(X_test)} test images, float32\n"
        f"{layers}, relu, adam, {epochs} epochs in batches of {args.batch}, "
        f"seed {args.seed}\n"
    )

    parameters = {
        "hidden_layer_sizes": args.hidden,
        "batch_size": args.batch,
        "max_iter": epochs,
        # every model trains for exactly max_iter epochs
        "tol": 0.0,
        "n_iter_no_change": epochs + 1,
        "random_state": args.seed,
    }
    models = {"scikit-learn MLPClassifier": MLPClassifier(**parameters)}
    for precision in PRECISIONS:
        models[f"sparsenet {precision}"] = SparseMLPClassifier(
            **parameters, precision=precision, n_threads=args.threads
        )

    rows = []
    for name, model in models.items():
        accuracy, seconds, n_bytes = measure(model, data)
        if not rows:
            reference_seconds, reference_bytes = seconds, n_bytes
        rows.append(
            (
                name,
                f"{100 * accuracy:.2f}",
                f"{seconds:.2f}",
                *roofline.limits().shares(
                    roofline.training_work(model, X_train),
                    seconds / epochs,
                    args.threads,
                ),
                f"{reference_seconds / seconds:.1f}",
                f"{n_bytes:,}",
                f"{reference_bytes / n_bytes:.1f}",
            )
        )
    header = ("", "accuracy %", "fit s", *roofline.HEADER)
    print_table((*header, "times faster", "pickle bytes", "times smaller"), rows)
    dense = models["scikit-learn MLPClassifier"]
    dense_bytes = 4 * sum(coef.size for coef in dense.coefs_)
    print(
        f"\nOne run, one seed: a test image is {100 / len(X_test):.2f} points of "
        "accuracy.\nscikit-learn's weights are dense; a hidden unit of sparsenet keeps "
        "a tenth of its\ninputs, at least 32 of them (density='auto'). scikit-learn's "
        "pickle holds each weight\nfour times, with the optimizer's state; once, in "
        f"float32, they are {dense_bytes:,} bytes.\n% of FMA and % of L2 are shares of "
        "what a core can do: in multiply-adds, and in\nbytes from the second-level "
        "cache."
    )


if __name__ == "__main__":
    main()
