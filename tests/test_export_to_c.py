"""Files in C: compiled, and compared bit by bit with their twin and the estimator."""

import ctypes
import re
import shutil
import subprocess
from itertools import count

import c_twin
import numpy as np
import pytest
from random_estimators import assert_close, random_estimator
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPRegressor
from small_estimators import LABELS, TARGET, X, small

from sparsenet import SparseMLPClassifier, SparseMLPRegressor, from_sklearn
from sparsenet._export.c_functions import FUNCTIONS
from sparsenet._formats import PRECISIONS
from sparsenet._kernels._dispatch import ACTIVATIONS, REGRESSOR_LOSSES

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles the files"),
]
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]
ROWS = np.ascontiguousarray(X, np.float32)


@pytest.fixture
def compiled(tmp_path):
    """A function that compiles a file and returns its functions."""

    numbers = count()  # a library of the same name would be taken for loaded

    def compile(source):
        files = tmp_path / "network.c", tmp_path / f"network{next(numbers)}.so"
        files[0].write_text(source)
        command = ["gcc", *FLAGS, "-shared", "-fPIC", "-o", files[1], files[0], "-lm"]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(files[1]))

    return compile


def address(row):
    return row.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def run(predict, estimator, rows):
    """What a compiled function predicts for each row."""
    n_classes = len(getattr(estimator, "classes_", ()))
    out = np.empty((len(rows), n_classes or estimator.n_outputs_), np.float32)
    for row, predicted in zip(rows, out, strict=True):
        predict(address(row), address(predicted))
    return out


def check(compiled, estimator, rows):
    rows = np.ascontiguousarray(rows, np.float32)
    functions = compiled(estimator.to_c())
    actual = run(functions.network_predict, estimator, rows)
    logits = c_twin.logits(estimator, rows)
    output = c_twin.APPLY[estimator.out_activation_](logits)
    np.testing.assert_array_equal(actual, c_twin.predicted(estimator, output))
    expected = c_twin.predicted(estimator, estimator._network.predict(rows, 1))
    if estimator.precision == "int8" and c_twin.fuses():
        np.testing.assert_array_equal(actual, expected)
    assert_close(actual, expected, estimator.precision)
    if hasattr(estimator, "classes_") and not estimator._is_multilabel():
        codes = [functions.network_class(address(row)) for row in rows]
        largest = logits.argmax(axis=1) if logits.shape[1] > 1 else logits[:, 0] > 0
        np.testing.assert_array_equal(codes, largest)
        if estimator.precision == "int8" and c_twin.fuses():
            np.testing.assert_array_equal(
                estimator.classes_[codes], estimator.predict(rows)
            )
    else:
        assert not hasattr(functions, "network_class")


@pytest.mark.parametrize("seed", range(50))
def test_predictions_are_equal(compiled, seed):
    # Every other one in int8, of which bits are promised.
    precision = "int8" if seed % 2 else PRECISIONS[seed // 2 % 3]
    check(compiled, *random_estimator(seed, precision))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation(compiled, activation):
    check(compiled, *random_estimator(1, "int8", (activation,)))


@pytest.mark.parametrize("loss", REGRESSOR_LOSSES)
def test_each_loss_of_numbers(compiled, loss):
    for seed in range(2):
        check(compiled, *random_estimator(seed, "int8", loss=loss))


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_extremes(compiled, precision):
    """Activations that saturate, zeros of either sign, and far apart numbers."""
    regressor, rows = random_estimator(
        3, precision, ("tanh", "logistic", "mish", "gelu", "selu"), loss="poisson"
    )
    rows = np.concatenate([rows[:5] * 1e4, rows[:5] * 1e-4, np.zeros_like(rows[:2])])
    rows[-1] = -rows[-1]
    check(compiled, regressor, rows)


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("n_features", [1, 100, 255, 256, 257, 1000])
def test_gaps_of_any_length(compiled, precision, n_features):
    """Units with no weight, one, or all of them; where gaps of a byte do not reach."""
    rng = np.random.default_rng(n_features)
    X, y = rng.normal(size=(20, n_features)), rng.normal(size=(20, 3))
    mlp = MLPRegressor(hidden_layer_sizes=(7,), max_iter=1).fit(X, y)
    mlp.coefs_[0][...] = 0
    mlp.coefs_[0][-1, 1] = mlp.coefs_[0][0, 4] = mlp.coefs_[0][n_features // 2, 5] = 1
    mlp.coefs_[0][:10, 4] = 0.5
    mlp.coefs_[1][...] = 0
    mlp.coefs_[1][4, 1] = 1
    check(compiled, from_sklearn(mlp, precision=precision), X)
    mlp.coefs_[0][...] = 0
    check(compiled, from_sklearn(mlp, precision=precision), X)


def bytes_of(source, name):
    """Of the arrays of a file whose names start so."""
    sizes = {"int8_t": 1, "uint8_t": 1, "float": 4}
    found = re.findall(rf"const (\w+) network_{name}_\d+\[(\d+)\]", source)
    return sum(sizes[kind] * int(n) for kind, n in found)


def test_weights_take_few_bytes():
    settings = {"hidden_layer_sizes": (200,), "density": [0.1, 0.8]}
    classifier = small(SparseMLPClassifier, precision="int8", **settings)
    source = classifier.fit(X, LABELS).to_c()
    hidden, output = (coef.nnz for coef in classifier.coefs_)
    # One of the two layers has gaps, the other one zeros.
    assert 0.9 * hidden < bytes_of(source, "gaps") < 1.05 * hidden + 1
    assert bytes_of(source, "weights") < 1.05 * hidden + 10 * 200
    assert output > 0.7 * 10 * 200
    classifier.set_params(precision="float32").fit(X, LABELS)
    assert bytes_of(classifier.to_c(), "weights") == 4 * (hidden + 10 * 200)


def test_it_needs_nothing_but_fma(compiled, tmp_path):
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm lists the symbols")
    for estimator in (
        small(SparseMLPClassifier, precision="int8", activation="gelu"),
        small(SparseMLPRegressor, activation="relu"),
    ):
        y = LABELS if isinstance(estimator, SparseMLPClassifier) else TARGET
        (tmp_path / "network.c").write_text(estimator.fit(X, y).to_c())
        command = ["gcc", *FLAGS, "-c", "network.c"]
        subprocess.run(command, check=True, cwd=tmp_path)
        listed = subprocess.run(
            [nm, "-u", tmp_path / "network.o"], check=True, capture_output=True
        )
        allowed = {"U", "fmaf"} if estimator.precision == "int8" else set()
        assert set(listed.stdout.decode().split()) <= allowed


def test_two_networks_in_one_file(compiled):
    first = small(SparseMLPRegressor, precision="int8").fit(X, TARGET)
    second = small(SparseMLPRegressor).fit(X, TARGET)
    functions = compiled(first.to_c("first") + second.to_c("second"))
    for name, estimator in (("first", first), ("second", second)):
        actual = run(getattr(functions, f"{name}_predict"), estimator, ROWS)
        assert_close(actual[:, 0], estimator.predict(ROWS), estimator.precision)


def test_labels_do_no_harm(compiled):
    names = np.array(["a */ b", "/* @c", "??/", "Äpfel \\ \n"])[LABELS % 4]
    check(compiled, small(SparseMLPClassifier).fit(X, names), ROWS)


def test_the_comment_says_what_there_is():
    source = small(SparseMLPClassifier, precision="int8").fit(X, LABELS).to_c("digits")
    comment = " ".join(source.partition("*/")[0].replace("*", "").split())
    assert "64-32-10 units in int8" in comment
    assert "digits_predict takes 64 finite features" in comment
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9." in comment


def test_a_path_is_written(tmp_path):
    regressor = small(SparseMLPRegressor).fit(X, TARGET)
    source = regressor.to_c(path=tmp_path / "network.c")
    assert (tmp_path / "network.c").read_text() == source


@pytest.mark.parametrize("name", ["", "1st", "a b", "a-b", "ä", "a\n", None, "x;"])
def test_what_is_no_name_in_c_is_refused(name):
    regressor = small(SparseMLPRegressor).fit(X, TARGET)
    with pytest.raises(ValueError, match=r"to_c: name=.*; allowed: letters"):
        regressor.to_c(name)


def test_it_has_to_be_fitted():
    with pytest.raises(NotFittedError):
        SparseMLPRegressor().to_c()


def test_functions_come_behind_those_that_they_call():
    seen = set()
    for name, text in FUNCTIONS.items():
        assert set(re.findall(r"@(\w+)", text)) <= seen | {name}
        seen.add(name)
    assert set(ACTIVATIONS) - {"identity"} <= seen
