r"""Training on sparse rows (text, one-hot), against scikit-learn.

One hidden layer, ReLU, Adam, batches of 200, one thread:

    python benchmarks/sparse_rows.py                           made-up text
    python benchmarks/sparse_rows.py --rows X.npz --labels y.npy
    python benchmarks/sparse_rows.py --columns 1048576 --hidden 256 \
        --density 0.1 --no-peer

Made-up text has rows of about 130 words, whose columns follow Zipf's law,
with random labels: for times only. With ``--rows`` (scipy.sparse.save_npz) and
``--labels`` (numpy.save) a fifth of the shuffled rows is kept for testing, and accuracy
is printed too. A step is timed as in training_step.py: a whole ``fit``, divided by its
number of steps.
"""

from __future__ import annotations

import argparse
import resource

import numpy as np
import roofline
from common import (
    describe_machine,
    interleave,
    limit_threads,
    load_rows,
    print_table,
)
from scipy import sparse
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier

#: (density, precision) of what is timed.
NETWORKS = [
    (1.0, "float32"),
    (1.0, "bfloat16"),
    (0.1, "float32"),
    (0.1, "bfloat16"),
    (0.1, "float16"),
    (0.1, "int8"),
]


def made_up_text(n_rows, n_columns, words=130, n_classes=20, random_state=0):
    """CSR rows whose columns follow Zipf's law, and random labels."""
    rng = np.random.default_rng(random_state)
    share = np.cumsum(1 / np.arange(10, n_columns + 10))
    columns = np.searchsorted(share, share[-1] * rng.random((n_rows, words)))
    columns = rng.permutation(n_columns)[columns]  # frequent words lie anywhere
    values = rng.random(columns.size, dtype=np.float32)
    indptr = np.arange(0, columns.size + 1, words)
    X = sparse.csr_array((values, columns.ravel(), indptr), (n_rows, n_columns))
    X.sum_duplicates()
    X.data /= np.float32(words**0.5)
    return X, rng.integers(n_classes, size=n_rows)


def load(args):
    """Training and test rows with their labels; no test rows of made-up text."""
    if not args.rows:
        X, y = made_up_text(args.n_rows, args.columns)
        return X, y, None, None
    X_train, X_test, y_train, y_test = load_rows(args.rows, args.labels)
    return X_train, y_train, X_test, y_test


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", help="scipy.sparse.save_npz's file")
    parser.add_argument("--labels", help="numpy.save's file")
    parser.add_argument("--n-rows", type=int, default=15_000, help="of made-up text")
    parser.add_argument("--columns", type=int, default=55_512, help="of made-up text")
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--density", type=float, help="only networks of this density")
    parser.add_argument("--alpha", type=float, default=1e-4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="leave the peer out")
    args = parser.parse_args()
    describe_machine(args.threads)
    limit_threads(args.threads)
    X, y, X_test, y_test = load(args)

    shared = {
        "hidden_layer_sizes": (args.hidden,),
        "batch_size": args.batch,
        "alpha": args.alpha,
        "max_iter": args.epochs,
        "learning_rate_init": args.learning_rate,
        "random_state": 0,
    }
    models = {
        f"sparsenet {precision}, density {density}": SparseMLPClassifier(
            density=density,
            precision=precision,
            n_threads=args.threads,
            sparse_training="static",
            **shared,
        )
        for density, precision in NETWORKS
        if args.density in (None, density)
    }
    peer = None
    if not args.no_peer:
        peer = "scikit-learn float32"
        models[peer] = MLPClassifier(**shared)
    n_steps = args.epochs * -(-X.shape[0] // args.batch)
    fits = {name: lambda m=model: m.fit(X, y) for name, model in models.items()}
    steps = interleave(fits, n_steps, args.rounds)
    predictions = interleave(
        {name: lambda m=model: m.predict(X) for name, model in models.items()},
        1,
        args.rounds,
    )
    print(
        f"{X.shape[0]:,} rows, {X.shape[1]:,} columns, {X.nnz / X.shape[0]:.0f} "
        f"non-zeros a row, {args.hidden} hidden units, batch {args.batch}\n"
        "ms per training step and per prediction of all rows; vs: times faster"
    )
    rows = []
    for name, model in models.items():
        cells = [name]
        for timings, work, n_units in (
            (steps, roofline.training_work, n_steps / args.epochs),
            (predictions, roofline.prediction_work, 1),
        ):
            seconds = timings[name].median * n_units
            cells.append(timings[name].format(1e3)[0])
            cells += roofline.limits().shares(work(model, X), seconds, args.threads)
            if peer:
                cells.append(f"{timings[name].times_faster_than(timings[peer]):.1f}")
        if X_test is not None:
            cells.append(f"{100 * model.score(X_test, y_test):.2f}")
        rows.append(cells)
    versus = [f"vs {peer}"] if peer else []
    accuracy = ["accuracy %"] if X_test is not None else []
    header = (*roofline.HEADER, *versus)
    print_table(("", "step", *header, "predict", *header, *accuracy), rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of this process, all models and X: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
