"""What each ingredient of the recipe for tables brings.

The recipe with one ingredient left out or exchanged, at density 0.1 and in dense
networks: its error (1 - accuracy, or 1 - R^2) over that of the whole recipe, as the
geometric mean over tables and seeds, each ratio within [1/2, 2]; the standard error of
its mean over the tables; and its processor seconds of fit, likewise. Over 1: the
ingredient helps.

    python benchmarks/table_ingredients.py FILE           measures, adds to a file
    python benchmarks/table_ingredients.py FILE --report  shows what is in it

Only tables of the half that is for choosing are used, at most 20,000 rows of each.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from common import describe_machine, limit_threads
from public_tables import TABLES, load
from sklearn.model_selection import train_test_split

from sparsenet import TableEncoder, TabularMLPClassifier, TabularMLPRegressor
from sparsenet._optimizer import Optimizer
from sparsenet._tables import estimators

MAX_ROWS = 20_000
TABLES_USED = (
    "magic letter satimage phoneme spambase adult flights_late lending_club diamonds"
    " kin8nm cpu_act cal_housing wine_white bike flights_delay loans elevators nlswork"
).split()


class HatsAlone(TableEncoder):
    """Hat functions, without the numbers themselves where there are some."""

    def _encode(self, columns):
        encoded, first = super()._encode(columns), 0
        for encoder, kind in zip(self.columns_, self.kinds_, strict=True):
            if kind != "category" and len(encoder.knots):
                encoded[:, first] = 0
            first += encoder.n_columns
        return encoded


class RobustlyScaled(TableEncoder):
    """RealMLP's robust scaling and smooth clipping in the place of normal scores."""

    def _encode(self, columns):
        encoded, first = super()._encode(columns), 0
        for encoder, kind, column in zip(
            self.columns_, self.kinds_, columns, strict=True
        ):
            if kind != "category" and len(encoder.values) > 1:
                low, high = np.interp([-0.6745, 0.6745], encoder.scores, encoder.values)
                width = high - low or np.ptp(encoder.values) / 2
                z = (column - np.interp(0, encoder.scores, encoder.values)) / width
                encoded[:, first] = np.nan_to_num(z / np.sqrt(1 + (z / 3) ** 2))
            first += encoder.n_columns
        return encoded


#: Parameters that are exchanged; those of FIXED are no parameters of the estimators.
INGREDIENTS = {
    "the recipe": {},
    "no hat functions": {"encoder": TableEncoder(n_knots=0)},
    "hat functions alone": {"encoder": HatsAlone(sparse_output=False)},
    "8 hat functions": {"encoder": TableEncoder(n_knots=8)},
    "16 hat functions": {"encoder": TableEncoder(n_knots=16)},
    "24 hat functions": {"encoder": TableEncoder(n_knots=24)},
    "robust scaling": {"encoder": RobustlyScaled(sparse_output=False)},
    "no dropout": {"dropout": 0.0},
    "dropout 0.15": {"dropout": 0.15},
    "no weight decay": {"weight_decay": 0.0},
    "weight decay 1": {"weight_decay": 1.0},
    "constant rate": {"FIXED": {"learning_rate": "constant"}},
    "cosine": {"FIXED": {"learning_rate": "cosine"}},
    "coslog4": {"FIXED": {"learning_rate": "coslog4"}},
    "no label smoothing": {"label_smoothing": 0.0},
    "rate 0.003": {"learning_rate_init": 0.003},
    "rate 0.012": {"learning_rate_init": 0.012},
    "ReLU": {"activation": "relu"},
    "Mish": {"activation": "mish"},
    "1 hidden layer of 192": {"hidden_layer_sizes": (192,)},
    "2 hidden layers of 256": {"hidden_layer_sizes": (256, 256)},
    "3 hidden layers of 64": {"hidden_layer_sizes": (64, 64, 64)},
    "3 hidden layers of 384": {"hidden_layer_sizes": (384, 384, 384)},
    "1 member": {"n_members": 1},
    "4 members": {"n_members": 4},
    "8 members": {"n_members": 8},
    # Sparse layers at the rate of dense ones, without the rule of SuPar.
    "one rate for all densities": {"density_exponent": 0.0},
    "connections stay": {"FIXED": {"sparse_training": "static"}},
    "float32": {"precision": "float32"},
    "int8": {"precision": "int8"},
    "half of the epochs": {"epochs": 0.5},
    "twice the epochs": {"epochs": 2.0},
    "best of validated epochs": {
        "FIXED": {"restore_best": True, "validation_fraction": 0.1}
    },
}


def fit(parameters, density, X, y, is_classifier, seed):
    """An estimator with what is exchanged, and the processor seconds of its fit."""
    parameters = {"density": density} | parameters
    cls = TabularMLPClassifier if is_classifier else TabularMLPRegressor
    if not is_classifier:
        parameters.pop("label_smoothing", None)
    fixed = estimators.FIXED | parameters.pop("FIXED", {})
    epochs_of, factor = estimators.epochs_of, parameters.pop("epochs", 1.0)
    optimizer = partial(
        Optimizer,
        density_exponent=parameters.pop("density_exponent", Optimizer.density_exponent),
    )
    model = cls(n_threads=1, random_state=seed, **parameters)
    with (
        mock.patch.object(estimators, "FIXED", fixed),
        mock.patch("sparsenet._training.Optimizer", optimizer),
        mock.patch.object(
            estimators, "epochs_of", lambda *args: round(factor * epochs_of(*args))
        ),
    ):
        begin = time.process_time()
        model.fit(X, y)
        return model, time.process_time() - begin


def measure(path, seeds):
    done = set()
    if path.exists():
        lines = map(json.loads, path.read_text().splitlines())
        done = {(e["table"], e["what"], e["density"], e["seed"]) for e in lines}
    tables = {name: load(name, MAX_ROWS) for name in TABLES_USED}
    for seed, name in product(range(seeds), TABLES_USED):
        assert not TABLES[name].held_out
        X, y, task = tables[name]
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
        for density, (what, parameters) in product((0.1, 1.0), INGREDIENTS.items()):
            if (name, what, density, seed) in done:
                continue
            model, seconds = fit(
                parameters, density, X_train, y_train, task[0] == "c", seed
            )
            entry = {"table": name, "what": what, "density": density, "seed": seed}
            entry |= {"error": 1 - float(model.score(X_test, y_test))}
            with path.open("a") as file:
                file.write(json.dumps(entry | {"seconds": seconds}) + "\n")


def report(path):
    describe_machine(1)
    entries = pd.read_json(path, lines=True)
    index, columns = ["table", "seed"], ["density", "what"]
    errors = entries.pivot_table(index=index, columns=columns, values="error")
    seconds = entries.pivot_table(index=index, columns=columns, values="seconds")
    whole = (0.1, "the recipe")
    print(f"{entries['table'].nunique()} tables, {entries['seed'].nunique()} seeds")
    print(f"{'':28}{'density 0.1':>20}{'seconds':>9}{'density 1':>20}{'seconds':>9}")
    for what in INGREDIENTS:
        words = f"{what:28}"
        for density in (0.1, 1.0):
            column = (density, what)
            if column not in errors:
                continue
            ratio = np.log((errors[column] / errors[whole]).clip(0.5, 2).dropna())
            by_table = ratio.groupby("table").mean()
            mean, error = np.exp(by_table.mean()), by_table.sem()
            cost = np.exp(np.log(seconds[column] / seconds[whole]).mean())
            words += f"{mean:12.3f} +- {error:.3f}{cost:9.2f}"
        print(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="JSON lines; new ones are added")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    limit_threads(1)
    if not args.report:
        measure(args.file, args.seeds)
    report(args.file)


if __name__ == "__main__":
    main()
