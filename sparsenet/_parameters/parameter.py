"""What is said of a parameter of the estimators, in one place."""

import textwrap
from typing import NamedTuple

from sparsenet._constraints import Constraint


class Parameter(NamedTuple):
    """A parameter of the estimators; `kind` is its type in numpydoc's words."""

    default: object
    constraint: Constraint
    kind: str
    text: str

    def documentation(self, name):
        """The parameter's entry in a docstring."""
        text = textwrap.indent(textwrap.dedent(self.text).strip(), "    ")
        return f"{name} : {self.kind}, default={self.default!r}\n{text}"


def options(names):
    """The kind of a parameter that is one of some strings."""
    return "{" + ", ".join(map(repr, names)) + "}"
