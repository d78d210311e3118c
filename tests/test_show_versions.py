"""The report of the environment."""

import platform

import numpy
import sklearn

import sparsenet
from sparsenet import _show_versions
from sparsenet._kernels import HAS_OPENMP, available_isas, current_isa
from sparsenet._threads import effective_n_threads


def report(capsys):
    sparsenet.show_versions()
    lines = capsys.readouterr().out.splitlines()
    return {name.strip(): value for name, value in (li.split(": ", 1) for li in lines)}


def test_report(capsys):
    found = report(capsys)
    assert found["python"].startswith(platform.python_version())
    assert found["numpy"] == numpy.__version__
    assert found["scikit-learn"] == sklearn.__version__
    assert {"scipy", "joblib", "threadpoolctl", "sparsenet"} <= found.keys()
    assert found["instruction set"] == current_isa()
    assert found["available"] == ", ".join(available_isas())
    assert found["OpenMP"].startswith("yes" if HAS_OPENMP else "no")
    assert found["threads"] == str(effective_n_threads())


def test_a_missing_package_is_reported(capsys, monkeypatch):
    monkeypatch.setattr(_show_versions, "_PACKAGES", ("numpy", "no-such-package"))
    assert report(capsys)["no-such-package"] == "not installed"
