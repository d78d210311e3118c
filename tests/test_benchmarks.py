"""The benchmark of single kernels has all of them, and runs; no time is looked at."""

import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sparsenet._formats import PRECISIONS
from sparsenet._kernels import available_isas

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))
benchmark = importlib.import_module("kernels")

NOT_TIMED = {
    "enter": "sets a register, once for all kernels of a thread",
    "leave": "puts it back",
    "write_weights": "only when an estimator is unpickled",
    "rate": "by the case of `loss`, the second of its three steps",
    "deltas": "by the case of `loss`",
    "read_weights": "only when an estimator is pickled, or read by coefs_",
}
OPS = [case.op for case in benchmark.CASES]
HEADER = (ROOT / "sparsenet" / "_kernels" / "kernels.h").read_text()
TINY = ("--size", "64", "--rounds", "1", "--isa", *available_isas())


@pytest.fixture(autouse=True)
def calls_that_are_not_repeated(monkeypatch):
    monkeypatch.setattr(benchmark, "SECONDS", 0)


def kernels_of(struct):
    """The function pointers of a struct of kernels.h."""
    (body,) = re.findall(r"typedef struct \{([^}]*)\} " + struct + ";", HEADER)
    return set(re.findall(r"\(\*(\w+)\)\(", body))


def test_every_kernel_has_a_case_or_a_reason():
    of_format, of_float32 = map(kernels_of, ("sn_format_kernels", "sn_kernels"))
    assert "spmm" in of_format and "update" in of_float32
    timed = {True: set(), False: set()}
    for case in benchmark.CASES:
        timed[case.by_format].add(case.kernel or case.op)
    assert timed[True] == of_format - NOT_TIMED.keys()
    assert timed[False] == of_float32 - NOT_TIMED.keys()
    assert NOT_TIMED.keys() <= of_format | of_float32


def test_ops_have_different_names():
    assert len(set(OPS)) == len(OPS)


@pytest.mark.parametrize("case", benchmark.CASES, ids=OPS)
def test_each_op_runs(case):
    if "strips" in case.op and "amx" not in available_isas():
        pytest.skip("no AMX")
    rows = benchmark.measure(benchmark.parse(["--op", case.op, *TINY]))
    assert {row[0].split()[0] for row in rows} == {case.op}
    isas = {row[3] for row in rows}
    if "windows" in case.op:
        assert isas == set(available_isas()) - {"portable"}
    elif "strips" not in case.op:
        assert isas == set(available_isas())
    for row in rows:
        assert row[5].endswith(f"{case.unit}/s") and row[-1] == ""


def test_products_are_compared_with_torch():
    torch = SimpleNamespace(randn=lambda *shape: np.ones(shape, np.float32))
    args = benchmark.parse(["--op", "spmm", "spmv", "pack", *TINY])
    *rows, square, vector = benchmark.measure(args, torch)
    for row in rows:
        assert (row[-1] == "") == row[0].startswith("pack")
    assert square[0] == "torch" and vector[0] == "torch, 1 column"
    assert square[-1] == vector[-1] == "1.00"


def test_the_program_prints_what_was_chosen(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "limit_threads", lambda n_threads: None)
    monkeypatch.setattr(benchmark, "optional_import", lambda name: None)
    chosen = "--op spmm sddmm --layout blocks dense --format int8 float32"
    benchmark.main([*chosen.split(), *TINY])
    *_, table = capsys.readouterr().out.split("\n\n")
    header, *lines = table.splitlines()
    assert header.split()[:5] == ["op", "layout", "format", "isa", "us"]
    assert len(lines) == 2 * 2 * 2 * len(available_isas())
    assert {tuple(line.split()[:3]) for line in lines} == {
        (op, layout, precision)
        for op in ("spmm", "sddmm")
        for layout in ("blocks", "dense")
        for precision in ("int8", "float32")
    }


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ("--op", OPS),
        ("--format", PRECISIONS),
        ("--isa", available_isas()),
        ("--layout", benchmark.LAYOUTS),
        ("--size", ["multiples of 64"]),
        ("--density", ["above 0, up to 1"]),
    ],
)
def test_what_is_unknown_says_what_is_allowed(option, allowed, capsys):
    with pytest.raises(SystemExit):
        benchmark.parse([option, "1000"])
    message = capsys.readouterr().err
    assert all(name in message for name in allowed)


def test_an_op_without_layouts_has_none(capsys):
    with pytest.raises(SystemExit):
        benchmark.parse(["--op", "pack", "--layout", "rows"])
    assert "none of these ops has this layout" in capsys.readouterr().err
