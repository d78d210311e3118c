r"""What each ingredient of a training recipe gains, and all of them at once.

    python benchmarks/ingredients.py
    python benchmarks/ingredients.py --data digits fashion --rows flights=X.npy:y.npy

For each data set and density: how many points of test score (accuracy, or R^2, times
100) each ingredient adds to Adam at a constant rate, in training for the same number of
epochs; the mean over the seeds, and its standard error. The first line has the scores
of the defaults themselves. Each trains at the best of ``--rates``, by the mean score on
a fifth of the training rows, which are set aside. ``--rows`` names files as
sparse_training.py takes them; labels of floats make a regression.
"""

from __future__ import annotations

import argparse
import math
import warnings

import numpy as np
from common import (
    PRECISIONS,
    describe_machine,
    digits,
    fashion_mnist,
    limit_threads,
    load_rows,
    print_table,
)
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sparsenet import SparseMLPClassifier, SparseMLPRegressor

#: What each ingredient sets; the last one is the recipe that the guide recommends.
INGREDIENTS = {
    "learning_rate='cosine'": {"learning_rate": "cosine"},
    "learning_rate='flat_cosine'": {"learning_rate": "flat_cosine"},
    "learning_rate='one_cycle'": {"learning_rate": "one_cycle"},
    "'cosine', warmup=0.1": {"learning_rate": "cosine", "warmup": 0.1},
    "solver='adamw', weight_decay=0.1": {"solver": "adamw", "weight_decay": 0.1},
    "max_grad_norm=1": {"max_grad_norm": 1.0},
    "ema_decay=0.998": {"ema_decay": 0.998},
    "dropout=0.1": {"dropout": 0.1},
    "label_smoothing=0.1": {"label_smoothing": 0.1},
    "activation='gelu'": {"activation": "gelu"},
    "restore_best=True": {"restore_best": True},
    "the recipe": {
        "solver": "adamw",
        "learning_rate": "flat_cosine",
        "dropout": 0.1,
        "label_smoothing": 0.1,
        "activation": "gelu",
    },
}
OF_CLASSIFIER = {"label_smoothing"}


def load(args):
    """Data sets by name: (X, y) to train, to validate and to test on."""
    data = {}
    if "digits" in args.data:
        X_train, X_test, y_train, y_test = digits()
        scaler = StandardScaler().fit(X_train)
        data["digits"] = *map(scaler.transform, (X_train, X_test)), y_train, y_test
    if "fashion" in args.data:
        X_train, X_test, y_train, y_test = fashion_mnist(args.path)
        data["fashion"] = X_train[: args.size], X_test, y_train[: args.size], y_test
    for given in args.rows:
        name, _, files = given.partition("=")
        data[name] = load_rows(*files.split(":"))
    return {name: with_validation(*arrays) for name, arrays in data.items()}


def with_validation(X_train, X_test, y_train, y_test):
    X_train, X_val, y_train, y_val = train_test_split(
        X_train, y_train, test_size=0.2, random_state=0
    )
    return (X_train, y_train), (X_val, y_val), (X_test, y_test)


def scores_of(args, data, density, parameters, rate, seed):
    """Validation and test score."""
    (X, y), (X_val, y_val), test = data
    is_regression = np.issubdtype(y.dtype, np.floating)
    estimator = SparseMLPRegressor if is_regression else SparseMLPClassifier
    steps = math.ceil(len(y) / args.batch)
    epochs = max(args.epochs, math.ceil(args.steps / steps))
    model = estimator(
        hidden_layer_sizes=args.hidden,
        density=[density] * len(args.hidden) + [1.0],
        batch_size=args.batch,
        learning_rate_init=rate,
        max_iter=epochs,
        n_iter_no_change=epochs,
        precision=args.format,
        random_state=seed,
        n_threads=args.threads,
        **parameters,
    )
    model.fit(X, y, X_val=X_val, y_val=y_val)
    return model.score(X_val, y_val), 100 * model.score(*test)


def measure(args, data, density, ingredient):
    """Test scores of all seeds; None where the ingredient has no place."""
    parameters = dict(ingredient)
    if np.issubdtype(data[0][1].dtype, np.floating):
        for name in OF_CLASSIFIER & parameters.keys():
            del parameters[name]
        if ingredient and not parameters:
            return None
    scores = np.array(
        [
            [
                scores_of(args, data, density, parameters, rate, seed)
                for seed in args.seeds
            ]
            for rate in args.rates
        ]
    )
    validation, test = np.moveaxis(scores, 2, 0)
    return test[validation.mean(axis=1).argmax()]


def gain(scores, of_defaults):
    """Mean difference and its standard error."""
    if scores is None:
        return "-"
    values = scores - of_defaults
    return f"{values.mean():+.2f} ({values.std(ddof=1) / np.sqrt(values.size):.2f})"


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", nargs="*", choices=["digits", "fashion"], default=["digits"]
    )
    parser.add_argument("--rows", nargs="*", default=[], metavar="NAME=ROWS:LABELS")
    parser.add_argument("--path", help="folder of Fashion-MNIST's files")
    parser.add_argument("--size", type=int, default=20_000, help="rows of Fashion")
    parser.add_argument("--hidden", type=int, nargs="*", default=[256, 256])
    parser.add_argument("--densities", type=float, nargs="+", default=[1.0, 0.1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--format", choices=PRECISIONS, default="bfloat16")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.001, 0.003])
    parser.add_argument("--epochs", type=int, default=15, help="at least")
    parser.add_argument("--steps", type=int, default=1500, help="at least")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    limit_threads(args.threads)
    warnings.simplefilter("ignore")  # few steps have no round of rewiring
    describe_machine(args.threads)
    header, first, rows = ["ingredient"], ["defaults"], [[name] for name in INGREDIENTS]
    for name, arrays in load(args).items():
        for density in args.densities:
            defaults = measure(args, arrays, density, {})
            header.append(f"{name} {density:g}")
            first.append(f"{defaults.mean():.2f}")
            for row, ingredient in zip(rows, INGREDIENTS.values(), strict=True):
                scores = measure(args, arrays, density, ingredient)
                row.append(gain(scores, defaults))
    print_table(header, [first, *rows])


if __name__ == "__main__":
    main()
