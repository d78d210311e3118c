"""What a parameter may be: tests together with the words that say what passes them.

scikit-learn's own parameter checker is private, so this is a small one. An error names
the parameter, its value and what is allowed.
"""

import math
import reprlib
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

MAX_UNITS = 2**31 - 1


class Constraint(NamedTuple):
    """A test of a parameter's value, and the words for what passes it."""

    allows: Callable[[object], bool]
    description: str


def plain(value):
    """Python's own number or string of NumPy's, whose type may hold no product."""
    return value.item() if isinstance(value, np.generic) else value


def listing(words):
    """Join words: a; a or b; a, b, or c."""
    *first, last = words
    if len(first) < 2:
        return " or ".join(words)
    return f"{', '.join(first)}, or {last}"


def is_number(value, kind):
    """Whether value is a finite number; True and False are not numbers here."""
    # NumPy's durations are its integers.
    if isinstance(value, (bool, np.timedelta64)) or not isinstance(value, kind):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def number(low, high=math.inf, *, bounds="[]", kind=Real):
    """Allow finite numbers from low to high; `bounds` says which ends belong."""
    noun = "an integer" if kind is Integral else "a number"
    above = ">=" if bounds[0] == "[" else ">"
    if high == math.inf:
        words = f"{noun} {above} {low}"
    else:
        words = f"{noun} in {bounds[0]}{low}, {high}{bounds[1]}"

    def allows(value):
        return (
            is_number(value, kind)
            and (value >= low if bounds[0] == "[" else value > low)
            and (value <= high if bounds[1] == "]" else value < high)
        )

    return Constraint(allows, words)


def integer(low, high=math.inf):
    """Allow integers from low to high, both included."""
    return number(low, high, kind=Integral)


def choice(*options):
    """Allow these strings and nothing else."""
    return Constraint(
        lambda value: isinstance(value, str) and value in options,
        listing([repr(option) for option in options]),
    )


def instance(description, *classes):
    """Allow instances of these classes."""
    return Constraint(lambda value: isinstance(value, classes), description)


def either(*constraints):
    """Allow what any of the constraints allows."""
    return Constraint(
        lambda value: any(constraint.allows(value) for constraint in constraints),
        listing([constraint.description for constraint in constraints]),
    )


def each(constraint, description, length=None):
    """Allow a sequence whose members all pass, of this length if one is given."""

    def allows(value):
        if isinstance(value, np.ndarray):
            value = list(value) if value.ndim == 1 else None
        return (
            isinstance(value, Sequence)
            and not isinstance(value, (str, bytes))
            and (length is None or len(value) == length)
            and all(map(constraint.allows, value))
        )

    return Constraint(allows, description)


def in_float32(constraint):
    """Allow numbers that pass as they are and as kernels, in float32, take them.

    There, what is too near to 1 or 0 would be 1 or 0.
    """

    def allows(value):
        if not constraint.allows(value):
            return False
        with np.errstate(over="ignore"):
            return constraint.allows(float(np.float32(value)))

    return Constraint(allows, f"{constraint.description}, also when rounded to float32")


boolean = instance("a bool", bool, np.bool_)
none = instance("None", type(None))
units = integer(1, MAX_UNITS)
fraction = number(0, 1, bounds="(]")
share = number(0, 1, bounds="[)")
decay = in_float32(number(0, 1, bounds="[)"))


def check(estimator, name, value, constraint):
    if not constraint.allows(value):
        raise ValueError(
            f"{type(estimator).__name__}: {name}={shown(value)}; "
            f"allowed: {constraint.description}"
        )


def shown(value):
    """Return a short representation on one line."""
    return " ".join(reprlib.repr(value).split())
