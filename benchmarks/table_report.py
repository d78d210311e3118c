"""Summaries of what ``tables.py`` has measured.

Errors are 1 - accuracy or 1 - R^2, as means over the seeds. A model's error on a table
is compared with the better of LightGBM's and HistGradientBoosting's, within [1/2, 2],
and summarized by the geometric mean over the tables. Ranks are those of Demšar (2006),
"Statistical comparisons of classifiers over multiple data sets", JMLR 7, with the
critical difference of Nemenyi's test at 5 %.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from common import describe_machine
from scipy.stats import studentized_range

NAMES = {
    "sparsenet": "sparsenet",
    "sparsenet_8": "sparsenet, 8 networks",
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "hist_gradient_boosting": "HistGradientBoosting",
    "catboost": "CatBoost",
    "sklearn_mlp": "scikit-learn's MLP",
    "sklearn_mlp_encoded": "the same, our encoder",
    "realmlp": "RealMLP-TD-S",
    "tabm": "TabM",
}
BASELINES = ["lightgbm", "hist_gradient_boosting"]
#: Ratios of errors count at most so much.
CLIP = (0.5, 2.0)


def read(path):
    """What has been measured, one part for each limit of rows, as data frames."""
    entries = pd.read_json(path, lines=True)
    entries["error"] = 1 - entries["score"]
    entries["max_rows"] = entries["max_rows"].fillna(0).astype(int)
    return dict(tuple(entries.groupby("max_rows")))


def geometric_mean(values):
    return float(np.exp(np.log(values).mean()))


def by_table(entries, what):
    """A column's mean over the seeds: a row for each table, a column for each model."""
    means = entries.pivot_table(index="table", columns="model", values=what, sort=False)
    return means[[name for name in NAMES if name in means]]


def critical_difference(n_models, n_tables):
    """Nemenyi's, of mean ranks, at 5 %."""
    q = studentized_range.ppf(0.95, n_models, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_models * (n_models + 1) / (6 * n_tables)))


def summarize(entries):
    """What is said of each model, over the tables that all models have.

    Returns
    -------
    dict
        "models": for each, by name: "error_ratio", "wins" (share of the tables on which
        it is better than the baseline), "rank", "seconds" and "one_row_ms",
        "10000_rows_ms", "pickle_bytes" as geometric means; "n_tables", "n_seeds" and
        "critical_difference".
    """
    errors = by_table(entries, "error").dropna(axis=0)
    n_tables, n_models = errors.shape
    baseline = errors[[name for name in BASELINES if name in errors]].min(axis=1)
    ranks = errors.rank(axis=1).mean()
    models = {}
    for name in errors:
        ratios = (errors[name] / baseline).clip(*CLIP)
        models[name] = {
            "error_ratio": geometric_mean(ratios),
            "wins": float((ratios < 1).mean()),
            "rank": float(ranks[name]),
        }
        for what in ("seconds", "one_row_ms", "10000_rows_ms", "pickle_bytes"):
            column = by_table(entries, what).reindex(errors.index)
            if name in column:
                models[name][what] = geometric_mean(column[name].dropna())
    return {
        "models": models,
        "n_tables": n_tables,
        "n_seeds": int(entries["seed"].nunique()),
        "max_rows": int(entries["max_rows"].iloc[0]),
        "critical_difference": critical_difference(n_models, n_tables),
    }


def print_summary(summary):
    rows = summary["max_rows"]
    print(
        f"\n{summary['n_tables']} tables, {summary['n_seeds']} seeds, "
        + (f"at most {rows:,} rows" if rows else "all rows")
        + f"; critical difference of ranks {summary['critical_difference']:.2f}"
    )
    print(
        f"{'':24}{'error':>8}{'better':>8}{'rank':>7}{'fit, s':>9}{'1 row, ms':>11}"
        f"{'10,000, ms':>12}{'pickle, kB':>12}"
    )
    for name, m in sorted(summary["models"].items(), key=lambda item: item[1]["rank"]):
        size = m.get("pickle_bytes", np.nan) / 1e3
        print(
            f"{NAMES[name]:24}{m['error_ratio']:8.3f}{m['wins']:8.0%}{m['rank']:7.2f}"
            f"{m['seconds']:9.2f}{m['one_row_ms']:11.2f}{m['10000_rows_ms']:12.1f}"
            f"{size:12,.0f}"
        )


def print_tables(entries):
    """Errors of each model on each table, and the rows that it was trained on."""
    errors = by_table(entries, "error")
    rows = entries.groupby("table", sort=False)["n_train"].first()
    print(
        f"\n{'error':14}{'rows':>9}" + "".join(f"{NAMES[n][:12]:>14}" for n in errors)
    )
    for table, line in errors.iterrows():
        best = line.min()
        words = (f"{e:.4f}{'*' if e == best else ' '}".rjust(14) for e in line)
        print(f"{table:14}{rows[table]:9,}" + "".join(words))
    print("* the best one")


def report(args):
    """Print the summaries of a file, and write them where a picture is drawn from."""
    describe_machine(1, ["lightgbm", "xgboost", "catboost", "pytabkit", "torch"])
    summaries = []
    for entries in read(args.file).values():
        summaries.append(summarize(entries))
        print_summary(summaries[-1])
        print_tables(entries)
    if args.result:
        Path(args.result).write_text(json.dumps(summaries, indent=1) + "\n")
