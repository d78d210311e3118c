"""ONNX, as skl2onnx makes it of estimators and onnxruntime runs it."""

import builtins
import sys

import numpy as np
import pytest
from random_estimators import assert_close, random_estimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_estimators import LABELS, TARGET, X, small

from sparsenet import SparseMLPClassifier, SparseMLPRegressor, register_onnx
from sparsenet._formats import PRECISIONS
from sparsenet._kernels._dispatch import ACTIVATIONS, REGRESSOR_LOSSES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROWS = X.astype(np.float32)


@pytest.fixture(scope="module")
def skl2onnx():
    module = pytest.importorskip("skl2onnx", reason="the extra onnx is missing")
    pytest.importorskip("onnxruntime", reason="onnxruntime runs what is converted")
    register_onnx()
    return module


def run(model, X):
    """Outputs of a converted model."""
    from onnxruntime import InferenceSession

    content = model.SerializeToString()
    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return session.run(None, {given.name: X})


def check(skl2onnx, estimator, rows):
    """Compare outputs, and labels where no rounding could change them."""
    if isinstance(estimator, SparseMLPRegressor):
        (numbers,) = run(skl2onnx.to_onnx(estimator, rows[:1]), rows)
        expected = estimator.predict(rows).reshape(len(rows), -1)
        assert numbers.dtype == rows.dtype and numbers.shape == expected.shape
        assert_close(numbers, expected, estimator.precision)
        return
    plain = {"zipmap": False}
    labels, probabilities = run(
        skl2onnx.to_onnx(estimator, rows[:1], options=plain), rows
    )
    expected = estimator.predict_proba(rows)
    assert probabilities.dtype == rows.dtype and probabilities.shape == expected.shape
    assert_close(probabilities, expected, estimator.precision)
    same = labels == estimator.predict(rows)
    assert same.shape == estimator.predict(rows).shape
    assert same.all() if estimator.precision == "float32" else same.mean() > 0.95


@pytest.mark.parametrize("seed", range(50))
def test_predictions_are_equal(skl2onnx, seed):
    estimator, rows = random_estimator(seed, PRECISIONS[seed % 4])
    check(skl2onnx, estimator, rows)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation(skl2onnx, activation):
    check(skl2onnx, *random_estimator(1, "float32", (activation,)))


@pytest.mark.parametrize("loss", REGRESSOR_LOSSES)
def test_each_loss_of_numbers(skl2onnx, loss):
    for seed in range(2):
        check(skl2onnx, *random_estimator(seed, "float32", loss=loss))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounding_is_that_of_the_estimator(skl2onnx, precision):
    """Nearly all outputs are equal to 1e-5, not only to what the format resolves."""
    regressor = small(SparseMLPRegressor, precision=precision).fit(X, TARGET)
    (numbers,) = run(skl2onnx.to_onnx(regressor, ROWS[:1]), ROWS)
    error = np.abs(numbers[:, 0] - regressor.predict(ROWS))
    assert np.quantile(error, 0.9) < 1e-5


def test_a_prediction_does_not_depend_on_its_batch(skl2onnx):
    classifier = small(SparseMLPClassifier, precision="int8").fit(X, LABELS)
    model = skl2onnx.to_onnx(classifier, ROWS[:1], options={"zipmap": False})
    together = run(model, ROWS[:50])[1]
    alone = [run(model, ROWS[i : i + 1])[1][0] for i in range(50)]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-7)


def test_rows_of_zeros(skl2onnx):
    classifier = small(SparseMLPClassifier, precision="int8").fit(X, LABELS)
    check(skl2onnx, classifier, np.zeros_like(ROWS[:3]))


def test_numbers_of_64_bits(skl2onnx):
    check(skl2onnx, small(SparseMLPClassifier).fit(X, LABELS), X)
    check(skl2onnx, small(SparseMLPRegressor).fit(X, TARGET), X)


def test_a_pipeline_with_names_of_classes(skl2onnx):
    pipeline = make_pipeline(StandardScaler(), small(SparseMLPClassifier))
    names = np.array(["a", "b", "c"])[LABELS % 3]
    labels, probabilities = run(
        skl2onnx.to_onnx(pipeline.fit(ROWS, names), ROWS[:1]), ROWS
    )
    assert list(labels) == list(pipeline.predict(ROWS))
    assert set(probabilities[0]) == {"a", "b", "c"}
    expected = pipeline.predict_proba(ROWS)
    actual = [list(row.values()) for row in probabilities]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_options_are_those_of_scikit_learn(skl2onnx):
    classifier = small(SparseMLPClassifier).fit(X, LABELS)

    def outputs(**options):
        return run(skl2onnx.to_onnx(classifier, ROWS[:1], options=options), ROWS)

    assert len(outputs(zipmap="columns")) == 1 + 10
    assert list(outputs(zipmap=False, output_class_labels=True)[2]) == list(range(10))
    np.testing.assert_array_equal(
        outputs(zipmap=False, nocl=True)[0], classifier.predict(ROWS)
    )


@pytest.mark.parametrize("classes", [(0.0, 2.0), (False, True), (0, 2)])
def test_labels_that_are_numbers(skl2onnx, classes):
    y = np.array(classes)[LABELS % 2]
    classifier = small(SparseMLPClassifier).fit(X, y)
    check(skl2onnx, classifier, ROWS)


def test_old_opsets_are_refused(skl2onnx):
    regressor = small(SparseMLPRegressor).fit(X, TARGET)
    with pytest.raises(ValueError, match="target_opset=17; allowed: 18 or later"):
        skl2onnx.to_onnx(regressor, ROWS[:1], target_opset=17)
    skl2onnx.to_onnx(regressor, ROWS[:1], target_opset=18)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_take_the_bytes_of_their_format(skl2onnx, precision):
    classifier = small(
        SparseMLPClassifier, hidden_layer_sizes=(300,), precision=precision
    )
    model = skl2onnx.to_onnx(classifier.fit(X, LABELS), ROWS[:1])
    size = {"float32": 4, "int8": 1}.get(precision, 2)
    n_weights = 64 * 300 + 300 * 10
    assert len(model.SerializeToString()) < size * n_weights + 6000


def test_without_skl2onnx_it_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def missing(name, *args):
        if name == "skl2onnx":
            raise ImportError("No module named 'skl2onnx'")
        return real(name, *args)

    monkeypatch.delitem(sys.modules, "sparsenet._export.to_onnx", raising=False)
    monkeypatch.delattr("sparsenet._export.to_onnx", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install skl2onnx"):
        register_onnx()
