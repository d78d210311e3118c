"""Tables: the tabular estimators against boosted trees and other networks.

Every model has its defaults and one thread, and gets the table as it can take it: trees
with categories as such, networks of others behind an encoder. A line of the result is
one fit: its score (accuracy or R^2) on a quarter of the rows, processor seconds of fit,
milliseconds of predicting one row and 10,000, and bytes of the pickle.

    python benchmarks/tables.py measure FILE --models sparsenet lightgbm --seeds 5
    python benchmarks/tables.py measure FILE --models realmlp --max-rows 10000 --seeds 1
    python benchmarks/tables.py report FILE

``--half`` chooses the tables: "held_out" (default), on which nothing was tuned,
"chosen_on", or "both". What a file has already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import table_report
from common import limit_threads
from public_tables import TABLES, load
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

#: scikit-learn's boosting takes so many categories; rarer ones are missing there.
MAX_CATEGORIES = 250


def lightgbm(is_classifier, seed):
    import lightgbm

    cls = lightgbm.LGBMClassifier if is_classifier else lightgbm.LGBMRegressor
    return cls(n_jobs=1, verbose=-1, random_state=seed)


def xgboost(is_classifier, seed):
    import xgboost

    cls = xgboost.XGBClassifier if is_classifier else xgboost.XGBRegressor
    return cls(n_jobs=1, enable_categorical=True, random_state=seed)


def hist_gradient_boosting(is_classifier, seed):
    from sklearn import ensemble

    cls = ensemble.HistGradientBoostingClassifier
    if not is_classifier:
        cls = ensemble.HistGradientBoostingRegressor
    return cls(categorical_features="from_dtype", random_state=seed)


class CatBoost:
    """CatBoost, which wants categories as str and named."""

    def __init__(self, is_classifier, seed):
        import catboost

        cls = catboost.CatBoostRegressor
        if is_classifier:
            cls = catboost.CatBoostClassifier
        self.model = cls(
            thread_count=1, verbose=False, random_seed=seed, allow_writing_files=False
        )

    def fit(self, X, y):
        categories = list(X.select_dtypes("category"))
        self.model.fit(self._as_str(X), y, cat_features=categories)
        return self

    def predict(self, X):
        return self.model.predict(self._as_str(X)).reshape(len(X))

    def _as_str(self, X):
        categories = X.select_dtypes("category")
        return X.assign(**{name: categories[name].astype(str) for name in categories})


def sparsenet(is_classifier, seed):
    from sparsenet import TabularMLPClassifier, TabularMLPRegressor

    cls = TabularMLPClassifier if is_classifier else TabularMLPRegressor
    return cls(n_threads=1, random_state=seed)


def sparsenet_8(is_classifier, seed):
    return sparsenet(is_classifier, seed).set_params(n_members=8)


class Scaled:
    """A regressor of standardized targets."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        self.mean, self.scale = y.mean(), y.std()
        self.model.fit(X, (y - self.mean) / self.scale)
        return self

    def predict(self, X):
        return self.model.predict(X) * self.scale + self.mean


def _mlp(encoder, is_classifier, seed):
    cls = MLPClassifier if is_classifier else MLPRegressor
    model = make_pipeline(encoder, cls(random_state=seed))
    return model if is_classifier else Scaled(model)


def sklearn_mlp(is_classifier, seed):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", min_frequency=5)
    encoder = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_include="category")),
        sparse_threshold=0,
    )
    return _mlp(encoder, is_classifier, seed)


def sklearn_mlp_encoded(is_classifier, seed):
    """scikit-learn's network behind sparsenet's encoder."""
    from sparsenet import TableEncoder

    return _mlp(TableEncoder(), is_classifier, seed)


def realmlp(is_classifier, seed):
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    cls = RealMLP_TD_S_Classifier if is_classifier else RealMLP_TD_S_Regressor
    return cls(device="cpu", n_threads=1, random_state=seed, verbosity=0)


def tabm(is_classifier, seed):
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    cls = TabM_D_Classifier if is_classifier else TabM_D_Regressor
    return cls(device="cpu", n_threads=1, random_state=seed, verbosity=0)


MODELS = {
    "sparsenet": sparsenet,
    "sparsenet_8": sparsenet_8,
    "lightgbm": lightgbm,
    "xgboost": xgboost,
    "hist_gradient_boosting": hist_gradient_boosting,
    "catboost": CatBoost,
    "sklearn_mlp": sklearn_mlp,
    "sklearn_mlp_encoded": sklearn_mlp_encoded,
    "realmlp": realmlp,
    "tabm": tabm,
}


def as_categories(X_train, X_test):
    """Both tables with columns that are no numbers as pandas' categories."""
    X_train, X_test = X_train.copy(), X_test.copy()
    for name in X_train.select_dtypes(exclude="number"):
        words = X_train[name].astype(str).where(X_train[name].notna())
        kept = words.value_counts().index[:MAX_CATEGORIES]
        X_train[name] = pd.Categorical(words, categories=kept)
        words = X_test[name].astype(str).where(X_test[name].notna())
        X_test[name] = pd.Categorical(words, categories=kept)
    return X_train, X_test


def measure_fit(model_name, X_train, X_test, y_train, y_test, is_classifier, seed):
    """One line of the result."""
    model = MODELS[model_name](is_classifier, seed)
    begin = time.process_time()
    model.fit(X_train, y_train)
    seconds = time.process_time() - begin
    predicted = np.asarray(model.predict(X_test))
    score = (accuracy_score if is_classifier else r2_score)(y_test, predicted)
    return {
        "score": float(score),
        "seconds": seconds,
        "one_row_ms": _milliseconds(model, X_test.iloc[:1]),
        "10000_rows_ms": _milliseconds(
            model, X_test.sample(10_000, replace=True, random_state=0)
        ),
        "pickle_bytes": _pickle_bytes(model),
    }


def _milliseconds(model, X):
    """The fastest of three predictions."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        model.predict(X)
        times.append(time.process_time() - begin)
    return min(times) * 1e3


def _pickle_bytes(model):
    try:
        return len(pickle.dumps(model))
    except Exception as error:  # some models of torch cannot be pickled
        print(f"no pickle: {error}", file=sys.stderr)
        return None


def measure(args):
    warnings.simplefilter("ignore")
    limit_threads(1)
    path = Path(args.file)
    done = set()
    if path.exists():
        lines = map(json.loads, path.read_text().splitlines())
        done = {(e["table"], e["model"], e["seed"], e["max_rows"]) for e in lines}
    halves = {"held_out": [True], "chosen_on": [False], "both": [False, True]}
    for name in args.tables or TABLES:
        if not args.tables and TABLES[name].held_out not in halves[args.half]:
            continue
        wanted = [
            (seed, model)
            for seed in range(args.seeds)
            for model in args.models
            if (name, model, seed, args.max_rows) not in done
        ]
        if not wanted:
            continue
        X, y, task = load(name, args.max_rows)
        if task == "classification":
            y = LabelEncoder().fit_transform(y)
        for seed, model in wanted:
            *tables, y_train, y_test = train_test_split(X, y, random_state=seed)
            X_train, X_test = as_categories(*tables)
            key = {"table": name, "model": model, "seed": seed}
            key |= {"max_rows": args.max_rows, "n_train": len(X_train)}
            try:
                entry = measure_fit(
                    model, X_train, X_test, y_train, y_test, task[0] == "c", seed
                )
            except Exception as error:  # a peer that fails is a finding, too
                print(f"{name}, {model}: {error!r}", file=sys.stderr)
                continue
            with path.open("a") as file:
                file.write(json.dumps(key | entry) + "\n")
            print(name, model, seed, f"{entry['score']:.4f} {entry['seconds']:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("measure")
    command.add_argument("file", help="JSON lines; new ones are added")
    command.add_argument("--models", nargs="+", choices=MODELS, default=["sparsenet"])
    command.add_argument("--tables", nargs="+", choices=TABLES)
    command.add_argument(
        "--half", choices=["held_out", "chosen_on", "both"], default="held_out"
    )
    command.add_argument("--seeds", type=int, default=5)
    command.add_argument("--max-rows", type=int, default=None)
    command.set_defaults(run=measure)
    command = commands.add_parser("report")
    command.add_argument("file")
    command.add_argument("--result", help="writes the summaries there, too: JSON")
    command.set_defaults(run=table_report.report)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
