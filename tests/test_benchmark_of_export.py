"""The benchmark of files in C runs, and adds up bytes."""

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
benchmark = importlib.import_module("export")

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None or shutil.which("size") is None,
    reason="gcc compiles the files, and size measures them",
)


def test_bytes_of_a_file():
    source = """
static const char constant[1000] = {1};
static char variable[300];
int network(int i);
int network(int i)
{
    volatile char stack[500];
    stack[i] = 1;
    return stack[0] + constant[i] + variable[i]++;
}
"""
    flash, ram = benchmark.memory(source, ["gcc"])
    assert 1000 < flash < 1200
    assert 650 < ram < 1000  # x86 need not report the last 128 bytes of a stack


def test_tables_have_a_line_for_each_network(monkeypatch, capsys):
    X, y = np.random.default_rng(0).random((100, 784)), np.arange(100) % 10
    monkeypatch.setattr(benchmark, "fashion_mnist", lambda path: (X, X, y, y))
    monkeypatch.setattr(benchmark, "describe_machine", lambda *args, **packages: None)
    monkeypatch.setattr(benchmark, "limit_threads", lambda n_threads: None)
    monkeypatch.setattr(benchmark, "optional_import", lambda name: None)
    monkeypatch.setattr(benchmark, "DIGITS", [((8,), 1.0), ((8,), 0.5)])
    benchmark.main(["--seeds", "1", "--epochs", "1"])
    digits, fashion = capsys.readouterr().out.rstrip().split("\n\n")
    title, _, *lines = digits.splitlines()
    assert title == "digits, means of 1 seeds"
    assert [line.split()[1] for line in lines] == ["64-8-10,", "64-8-10,"]
    assert fashion.splitlines()[-1].startswith("sparsenet 784-784-128-10")


def test_a_compiler_that_is_not_there():
    with pytest.raises(SystemExit, match="there is no no-such-compiler"):
        benchmark.main(["--compiler", "no-such-compiler"])
