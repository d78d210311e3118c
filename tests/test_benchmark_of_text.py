"""The benchmark of text chooses without test texts, and runs; no time is looked at."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
benchmark = importlib.import_module("text")


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """A file of 200 texts of three classes; every thread and package is left alone."""
    monkeypatch.setattr(benchmark, "limit_threads", lambda n_threads: None)
    monkeypatch.setattr(benchmark, "optional_import", lambda name: None)
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(40)])
    lines = [
        f"__label__{y} {' '.join(words[rng.integers(10 * y, 10 * y + 20, 9)])}"
        for y in rng.integers(3, size=200)
    ]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(lines))
    return path


def test_a_table_has_a_line_for_each_model(texts, capsys):
    benchmark.main(["--sets", "words", "--texts", str(texts), "--mlp"])
    _, table = capsys.readouterr().out.rstrip().split("\n\n")
    title, header, *lines = table.splitlines()
    assert title.startswith("words: 160 + 40 texts, 40 columns")
    assert header.split() == ["chosen", "processor", "s", "accuracy", "%"]
    args = SimpleNamespace(mlp=True, torch=None, fasttext=None, models=None)
    names = list(benchmark.models("words", args))
    assert len(lines) == len(names) == 8
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(name)
        assert 0 <= float(line.split()[-1]) <= 100


def test_hashed_texts_have_2_to_the_20_columns(texts):
    args = SimpleNamespace(texts=texts, n_rows=50)
    train, test = benchmark.load("hashed", args)
    assert train.X.shape == (40, 2**20) and test.X.shape == (10, 2**20)
    assert train.X.dtype == np.float32


def test_the_value_is_chosen_on_training_samples():
    """Each value is tried on the same fifth of the training samples, then refitted."""
    seen = []

    class Model:
        def __init__(self, value):
            self.value = value

        def fit(self, samples):
            seen.append((self.value, len(samples.y)))

        def predict(self, samples):
            seen.append((self.value, samples.texts[0]))
            return np.full(len(samples.y), self.value)

    def samples(name, n, label):
        texts = np.array([f"{name}{i}" for i in range(n)], dtype=object)
        return benchmark.Samples(texts, sparse.csr_array(np.eye(n)), np.full(n, label))

    train, test = samples("train", 10, 2), samples("test", 5, 3)
    chosen, _, accuracy = benchmark.measure(Model, (1, 2, 3), train, test)
    tries = [x for value in (1, 2, 3) for x in ((value, 8), (value, "train8"))]
    assert seen == [*tries, (2, 10), (2, "test0")]
    assert chosen == 2 and accuracy == 0
