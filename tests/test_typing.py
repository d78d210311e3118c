"""Types of the public names: what type checkers say, and that they are true."""

import inspect
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import sparsenet
from sparsenet import SparseMLPClassifier, SparseMLPRegressor, _parameters, _typing
from sparsenet._base import BaseSparseMLP
from sparsenet._docstrings import SHARED
from sparsenet._topology import BLOCK_SIZES

SCRIPT = Path(__file__).parent / "user_script.py"
README = Path(__file__).parent.parent / "README.md"
PACKAGES = Path(sparsenet.__file__).parent.parent
ESTIMATORS = [SparseMLPClassifier, SparseMLPRegressor]
CHECKERS = {
    # scikit-learn has no types of its own.
    "mypy": [
        "--strict",
        "--follow-imports=silent",
        "--disable-error-code=import-untyped",
    ],
    "pyright": ["--pythonpath", sys.executable],
}


def check_types(checker, folder, *arguments):
    """Run a type checker in a folder without modules."""
    pytest.importorskip(checker, reason=f"{checker} checks the types")
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(PACKAGES), *filter(None, sys.path)]),
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",  # that there is a newer one
    }
    if PACKAGES.name != "site-packages":  # where mypy looks in any case
        environment["MYPYPATH"] = str(PACKAGES)
    done = subprocess.run(
        [sys.executable, "-m", checker, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("checker", CHECKERS)
def test_type_checkers_have_no_objection_to_what_users_write(checker, tmp_path):
    readme = tmp_path / "readme.py"
    examples = re.findall(
        r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S
    )
    readme.write_text("".join(examples), encoding="utf-8")
    check_types(checker, tmp_path, *CHECKERS[checker], SCRIPT, readme)


def test_all_types_of_public_names_are_known(tmp_path):
    check_types("pyright", tmp_path, "--verifytypes", "sparsenet", "--ignoreexternal")


@pytest.mark.filterwarnings("ignore")
def test_what_users_write_runs():
    matplotlib = pytest.importorskip("matplotlib", reason="there are plots")
    with matplotlib.rc_context({"backend": "agg"}):
        runpy.run_path(str(SCRIPT), run_name="__main__")


def literals(hint):
    """The values that a type lists."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    return set().union(*map(literals, get_args(hint)))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_types_list_the_values_that_are_allowed(estimator):
    # Only type checkers import the names of annotations.
    hints = get_type_hints(estimator.__init__, vars(_typing) | {"np": np})
    for name, parameter in _parameters.parameters_of(estimator).items():
        listed = literals(hints[name])
        assert all(map(parameter.constraint.allows, listed))
        if name != "scoring":  # any str
            allowed = re.findall(r"'(\w+)'", parameter.constraint.description)
            assert listed == set(allowed) | set(
                BLOCK_SIZES if name == "block_size" else ()
            )


def declared(cls):
    """The annotations of a class and of those that it is made of."""
    annotations = {}
    for base in reversed(cls.__mro__):
        annotations |= inspect.get_annotations(base)
    return annotations


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parameters_are_attributes_of_the_same_types(estimator):
    annotations = declared(estimator)
    for name, parameter in inspect.signature(estimator).parameters.items():
        assert annotations[name] == parameter.annotation


def test_fitted_attributes_have_types():
    documented = set(re.findall(r"^(\w+_) :", SHARED["attributes"], re.MULTILINE))
    typed = {name for name in declared(BaseSparseMLP) if name.endswith("_")}
    members = vars(BaseSparseMLP).items()
    properties = {name for name, member in members if isinstance(member, property)}
    assert documented == typed | {name for name in properties if name.endswith("_")}
