"""What the benchmarks of tables read, and how they sum it up."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def public_tables(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("public_tables")


@pytest.fixture
def table_report(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("table_report")


def test_half_of_the_tables_are_held_out(public_tables):
    held_out = [table.held_out for table in public_tables.TABLES.values()]
    assert len(held_out) == 44 and sum(held_out) == 22


def test_arff_files_are_read(public_tables, tmp_path):
    path = tmp_path / "table.arff"
    path.write_text(
        "% a comment\n@relation x\n@attribute 'size' numeric\n"
        "@attribute color{red, 'dark blue'}\n@attribute n integer\n\n@data\n"
        "% another one\n1.5, red, 7,\n?, 'dark blue', 8\n"
    )
    frame = public_tables.frame_of_arff(path)
    assert frame.columns.tolist() == ["size", "color", "n"]
    assert frame["color"].tolist() == ["red", "dark blue"]
    np.testing.assert_array_equal(frame["size"], [1.5, np.nan])
    assert frame["n"].tolist() == [7, 8]


def test_files_are_fetched_once(public_tables, tmp_path, monkeypatch):
    fetched = []

    def urlretrieve(url, path):
        fetched.append(url)
        Path(path).write_text("x,class\n1,a\n2,b\n?,a\n")

    monkeypatch.setattr(public_tables, "CACHE", tmp_path)
    monkeypatch.setattr(public_tables.urllib.request, "urlretrieve", urlretrieve)
    table = public_tables.Table(
        "classification", public_tables.csv("some.csv"), "class"
    )
    monkeypatch.setitem(public_tables.TABLES, "some", table)
    for _ in range(2):
        X, y, task = public_tables.load("some")
        assert X.columns.tolist() == ["x"] and y.tolist() == ["a", "b", "a"]
        assert np.isnan(X["x"][2]) and task == "classification"
    assert len(fetched) == 1 and fetched[0].endswith("/some.csv")
    assert len(public_tables.load("some", max_rows=2)[0]) == 2


#: Scores of three models on two tables, seconds of fit.
MEASURED = {
    "sparsenet": ([0.95, 0.6], [2.0, 8.0]),
    "lightgbm": ([0.9, 0.7], [1.0, 4.0]),
    "hist_gradient_boosting": ([0.8, 0.9], [1.0, 1.0]),
}


def lines(seeds=2):
    for model, (scores, seconds) in MEASURED.items():
        for table, score, time in zip("ab", scores, seconds, strict=True):
            for seed in range(seeds):
                yield {
                    "table": table, "model": model, "seed": seed, "max_rows": None,
                    "n_train": 100, "score": score + 0.01 * (-1) ** seed,
                    "seconds": time, "one_row_ms": 1.0, "10000_rows_ms": 10.0,
                    "pickle_bytes": 1000.0,
                }  # fmt: skip


def test_a_summary_has_ratios_wins_and_ranks(table_report):
    summary = table_report.summarize(
        pd.DataFrame(lines()).assign(error=lambda d: 1 - d["score"], max_rows=0)
    )
    ours = summary["models"]["sparsenet"]
    # 0.05 / 0.1 on the first table; 0.4 / 0.1, which counts as 2, on the second one.
    assert ours["error_ratio"] == pytest.approx(1.0)
    assert ours["wins"] == 0.5 and ours["rank"] == 2.0
    assert ours["seconds"] == pytest.approx(4.0)
    assert summary["n_tables"] == 2 and summary["n_seeds"] == 2


def test_critical_differences_are_those_of_demsar(table_report):
    # His example: four classifiers, fourteen data sets, q = 2.569.
    expected = 2.569 * np.sqrt(4 * 5 / (6 * 14))
    assert table_report.critical_difference(4, 14) == pytest.approx(expected, abs=1e-3)


def test_a_report_is_printed_and_kept(table_report, tmp_path, capsys):
    path, result = tmp_path / "lines.jsonl", tmp_path / "result.json"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines()))
    table_report.report(SimpleNamespace(file=str(path), result=str(result)))
    printed = capsys.readouterr().out
    assert "2 tables, 2 seeds, all rows" in printed
    assert "0.0500*" in printed and "0.1000*" in printed
    (summary,) = json.loads(result.read_text())
    assert summary["models"].keys() == MEASURED.keys()
