"""Files live for ever: what older versions have pickled predicts as it did."""

import gzip
import pickle

import numpy as np
import old_pickles
import pytest
import subprocesses
from scipy.sparse import csr_array

from sparsenet import SparseMLPClassifier

FILES = sorted(old_pickles.DIRECTORY.glob("*.gz"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
#: The files are of NumPy 2.
needs_numpy_2 = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.0.0",
    reason="NumPy 1 does not load arrays that NumPy 2 has pickled",
)

#: On ARM64 the portable kernels multiply and add at once.
PREDICT = """
import gzip, pickle, platform, sys
import numpy as np
import old_pickles

same = platform.machine() in ("x86_64", "AMD64")
content = pickle.loads(gzip.decompress(open(sys.argv[1], "rb").read()))
for name, (saved, expected) in content.items():
    model = pickle.loads(saved)
    predicted = old_pickles.output(model, old_pickles.rows_for(name))
    if same:
        np.testing.assert_array_equal(predicted, expected, err_msg=name)
    else:
        np.testing.assert_allclose(predicted, expected, atol=0.01, err_msg=name)
print(len(content))
"""


@each_file
@needs_numpy_2
def test_old_pickles_predict_the_same_bits(path):
    n_models = subprocesses.run(PREDICT, path, SPARSENET_ISA="portable")
    assert int(n_models) > (8 if path.stem.startswith("tables") else 90)


@each_file
@needs_numpy_2
@pytest.mark.filterwarnings("ignore")
def test_training_goes_on_with_old_pickles(path):
    X, y = old_pickles.samples()
    for name, (saved, _) in pickle.loads(gzip.decompress(path.read_bytes())).items():
        if "partial_fit" in name:
            rows = csr_array(X) if name.startswith("csr") else X
            model = pickle.loads(saved).partial_fit(rows, y)
            assert model.n_iter_ == 1 and len(model.loss_curve_) == 2


def test_pickles_name_no_class_but_the_estimators():
    X, y = old_pickles.samples()
    classifier = SparseMLPClassifier(max_iter=1).partial_fit(X, y, classes=range(3))
    for model in classifier, classifier.predictor():
        written = pickle.dumps(model, 0)  # whose names can be read
        assert written.count(b"csparsenet") == 1
        assert f"csparsenet\n{type(model).__name__}\n".encode() in written


# --- skops ---------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "predictor"])
def test_skops_has_to_trust_public_classes_only(container, method):
    skops = pytest.importorskip("skops.io")
    X, y = old_pickles.samples()
    model = SparseMLPClassifier(max_iter=3, random_state=0)
    if method == "partial_fit":
        model.partial_fit(container(X), y, classes=range(3))
    else:
        model.fit(container(X), y)
    model = model.predictor() if method == "predictor" else model
    saved = skops.dumps(model)
    names = skops.get_untrusted_types(data=saved)
    assert names == [f"sparsenet.{type(model).__name__}"]
    loaded = skops.loads(saved, trusted=names)
    np.testing.assert_array_equal(
        loaded.predict_proba(container(X)), model.predict_proba(container(X))
    )


@pytest.mark.filterwarnings("ignore")
def test_a_file_of_skops_runs_nothing():
    """Neither what it was made to call, nor code of this package for strange states."""
    skops = pytest.importorskip("skops.io")
    X, y = old_pickles.samples()
    model = SparseMLPClassifier(max_iter=1).fit(X, y)
    model.classes_ = print
    saved = skops.dumps(model)
    trusted = ["sparsenet.SparseMLPClassifier"]
    with pytest.raises(TypeError, match="print"):
        skops.loads(saved, trusted=trusted)
    model = SparseMLPClassifier(max_iter=1).fit(X, y)
    model._history.rewiring.__dict__["surprise"] = 1
    with pytest.raises(ValueError, match="damaged or foreign sparsenet model"):
        skops.loads(skops.dumps(model), trusted=trusted)
