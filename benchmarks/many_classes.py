r"""Training with many classes, against scikit-learn and torch.

One hidden layer, ReLU, Adam:

    python benchmarks/many_classes.py                          made-up words
    python benchmarks/many_classes.py --rows X.npz --labels y.npy
    python benchmarks/many_classes.py --density 0.05 --threads 2

Made-up words have dense rows, and labels that follow Zipf's law: for times only. With
``--rows`` (scipy.sparse.save_npz, or numpy.save) and ``--labels`` (numpy.save) a fifth
of the shuffled rows is kept for testing, and accuracy is printed too; torch takes dense
rows only. A step is timed as a whole pass, divided by its number of steps.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import (
    PRECISIONS,
    describe_machine,
    interleave,
    limit_threads,
    load_rows,
    optional_import,
    print_table,
)
from scipy.sparse import issparse
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier


def made_up_words(n_rows, n_features, n_classes, random_state=0):
    """Dense rows, and labels that follow Zipf's law."""
    rng = np.random.default_rng(random_state)
    share = np.cumsum(1 / np.arange(1, n_classes + 1))
    y = np.searchsorted(share, share[-1] * rng.random(n_rows))
    return rng.standard_normal((n_rows, n_features), dtype=np.float32), y


def torch_pass(torch, X, y, n_classes, args):
    """A function that trains a dense network of torch for one pass."""
    network = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1], args.hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(args.hidden, n_classes),
    )
    optimizer = torch.optim.Adam(network.parameters())
    loss = torch.nn.CrossEntropyLoss()
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def train():
        for rows in torch.randperm(len(y)).split(args.batch):
            optimizer.zero_grad()
            loss(network(X[rows]), y[rows]).backward()
            optimizer.step()

    return train


def sparsenet_pass(X, y, classes, density, precision, args):
    """A function that trains a network for one pass, and the network."""
    model = SparseMLPClassifier(
        (args.hidden,),
        density=(1.0, density),
        precision=precision,
        sparse_training="static",
        batch_size=args.batch,
        n_threads=args.threads,
        random_state=0,
    )
    return (lambda: model.partial_fit(X, y, classes=classes)), model


def sklearn_pass(X, y, classes, args):
    model = MLPClassifier((args.hidden,), batch_size=args.batch, random_state=0)
    return (lambda: model.partial_fit(X, y, classes=classes)), model


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", help="scipy.sparse.save_npz's file, or numpy.save's")
    parser.add_argument("--labels", help="numpy.save's file")
    parser.add_argument("--n-rows", type=int, default=5_120, help="of made-up words")
    parser.add_argument("--features", type=int, default=128, help="of made-up words")
    parser.add_argument("--classes", type=int, default=27_806, help="of made-up words")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument(
        "--density", type=float, nargs="+", default=[1.0, 0.1], help="of the outputs"
    )
    parser.add_argument("--precision", nargs="+", default=PRECISIONS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true", help="leave them out")
    return parser.parse_args()


def main():
    args = arguments()
    torch = None if args.no_peers else optional_import("torch")
    describe_machine(args.threads, ("torch",))
    limit_threads(args.threads)
    X_test = None
    if args.rows:
        X, X_test, y, y_test = load_rows(args.rows, args.labels)
        classes = np.unique(np.concatenate([y, y_test]))
    else:
        X, y = made_up_words(args.n_rows, args.features, args.classes)
        classes = np.arange(args.classes)
    passes, models, peer = {}, {}, None
    for density in args.density:
        for precision in args.precision:
            name = f"sparsenet {precision}, density {density:g}"
            passes[name], models[name] = sparsenet_pass(
                X, y, classes, density, precision, args
            )
    if not args.no_peers:
        name = "scikit-learn float32"
        passes[name], models[name] = sklearn_pass(X, y, classes, args)
        peer = name
    if torch and not issparse(X):
        codes = np.searchsorted(classes, y)
        passes["torch float32"] = torch_pass(torch, X, codes, len(classes), args)
        peer = "torch float32"
    steps = interleave(passes, -(-len(y) // args.batch), args.rounds)
    print(
        f"{len(y):,} rows, {X.shape[1]:,} columns, {args.hidden} hidden units, "
        f"{len(classes):,} classes, batch {args.batch}\n"
        "ms per training step; vs: times faster"
    )
    rows = []
    for name in passes:
        cells = [name, *steps[name].format(1e3)]
        if peer:
            cells.append(f"{steps[name].times_faster_than(steps[peer]):.1f}")
        if X_test is not None and name in models:
            cells.append(f"{100 * models[name].score(X_test, y_test):.2f}")
        rows.append(cells)
    versus = [f"vs {peer}"] if peer else []
    accuracy = ["accuracy %"] if X_test is not None else []
    print_table(("", "step", "range", *versus, *accuracy), rows)


if __name__ == "__main__":
    main()
