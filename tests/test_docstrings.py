"""Public docstrings pass numpydoc's validation."""

import importlib
import re

import pytest

import sparsenet

ON_CLUSTERS = [
    f"dask.{kind}MLP{task}"
    for kind in ("Sparse", "Tabular")
    for task in ("Classifier", "Regressor")
]


def public(name):
    """What has a name in this package, or in its part for clusters."""
    *module, name = name.split(".")
    if module:
        pytest.importorskip("distributed", reason="Dask is an extra")
    return getattr(importlib.import_module(".".join(["sparsenet", *module])), name)


@pytest.mark.parametrize("name", [*sparsenet.__all__, *ON_CLUSTERS])
def test_docstrings_pass_numpydoc_validation(name):
    validate = pytest.importorskip(
        "numpydoc.validate", reason="numpydoc checks the docstrings"
    ).validate
    documented = public(name)
    methods = []
    if isinstance(documented, type):
        methods = [method for method in vars(documented) if not method.startswith("_")]
    if name in ON_CLUSTERS:
        methods += ["fit", "predict", "score", "to_local"]
    if "SparseMLP" in name:
        methods += ["fit", "coefs_", "predictor", "to_c", "to_sklearn", "topology_"]
    # Methods need no extended summary, example or cross-reference, and a returned
    # value may have a name, as in scikit-learn.
    style = {"ES01", "EX01", "SA01", "RT02"}
    for path in [name, *(f"{name}.{method}" for method in methods)]:
        if not path.endswith("_request"):
            faults = validate(f"sparsenet.{path}")["errors"]
            assert [f for f in faults if f[0] not in style] == []


@pytest.mark.parametrize(
    "name", ["SparseMLPClassifier", "SparseMLPRegressor", *ON_CLUSTERS]
)
def test_references_are_those_that_the_text_names(name):
    text = public(name).__doc__
    listed = re.findall(r"^\.\. \[(\d+)\]", text, re.MULTILINE)
    assert set(re.findall(r"\[(\d+)\]_", text)) == set(listed)
    assert len(set(listed)) == len(listed)
