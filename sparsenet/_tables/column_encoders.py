"""Encoders of one column each: what a network sees of a number or a category.

An encoder has a fixed number of columns and, for each value, a fixed number of entries
in them: ``encode(values)`` returns their columns, ascending, and what stands there.
"""

from collections import Counter

import numpy as np
from scipy.special import ndtri

from sparsenet._tables.columns import MISSING

#: Values between whose scores others are interpolated, and the largest score.
N_SCORES, LARGEST = 256, 3.0

#: Larger numbers count as this one, and those nearer to 0 than its inverse as 0:
#: differences of numbers, and slopes between them, are then finite.
BOUND = 1e300


def _bounded(values):
    values = np.clip(values, -BOUND, BOUND)
    return np.where(np.abs(values) < 1 / BOUND, 0.0, values)


class ColumnEncoder:
    """An encoder whose attributes are plain objects."""

    def __repr__(self):
        return f"{type(self).__name__} of {self.n_columns} columns"

    def to_state(self):
        """The attributes, as pickles have them."""
        return vars(self)

    @classmethod
    def from_state(cls, state):
        """The encoder that `to_state` has described."""
        encoder = cls.__new__(cls)
        vars(encoder).update(state)
        return encoder


class NumberEncoder(ColumnEncoder):
    """A number: normalized, whether it is missing, and as hat functions.

    Parameters
    ----------
    n_knots : int
        Largest number of hat functions; below 3 there are none.

    Attributes
    ----------
    values, scores : ndarray
        Some values of training, ascending, and what they are normalized to: what a
        normal distribution has in their place.
    has_missing : bool
        Whether there is a column for missing values: there were some in training.
    knots : ndarray
        Ascending; of fewer than 3 there are no hat functions.
    """

    def __init__(self, n_knots):
        self.n_knots = n_knots

    def fit(self, values):
        present = _bounded(values[~np.isnan(values)])
        self.has_missing = len(present) < len(values)
        distinct, counts = np.unique(present, return_counts=True)
        self.values, self.scores = _normal_scores(distinct, counts)
        knots = _knots(distinct, counts, self.n_knots) if self.n_knots >= 3 else []
        self.knots = np.array(knots if len(knots) >= 3 else [])
        return self

    @property
    def n_columns(self):
        return 1 + self.has_missing + len(self.knots)

    @property
    def n_entries(self):
        """Non-zeros of a value that is not missing, at most."""
        return 3 if len(self.knots) else 1

    def names(self, name):
        """Names of the columns."""
        missing = [f"{name}__missing"] if self.has_missing else []
        return [name, *missing, *(f"{name}__hat{n}" for n in range(len(self.knots)))]

    def encode(self, values):
        missing, values = np.isnan(values), _bounded(values)
        columns = [np.zeros(len(values), np.int32)]
        normalized = np.interp(values, self.values, self.scores)
        entries = [np.where(missing, 0.0, normalized)]
        if self.has_missing:
            columns.append(np.ones(len(values), np.int32))
            entries.append(missing)
        if len(self.knots):
            left, right = self._interval(np.where(missing, self.knots[0], values))
            first = 1 + self.has_missing
            columns += [left + np.int32(first), left + np.int32(first + 1)]
            entries += [np.where(missing, 0, 1 - right), np.where(missing, 0, right)]
        return columns, entries

    def _interval(self, values):
        """The knot at or before each value, and its share of the way to the next."""
        last = len(self.knots) - 1
        position = np.interp(values, self.knots, np.arange(last + 1.0))
        left = np.minimum(position, last - 1).astype(np.int32)
        return left, np.minimum(position - left, 1.0)


def _normal_scores(distinct, counts):
    """Some of the distinct values, ascending, and their normal scores.

    The score of a value is that quantile of the standard normal distribution which is
    the middle of its share of the samples; +-3 at most.
    """
    if len(distinct) < 2:  # a constant says nothing
        return np.zeros(1), np.zeros(1)
    after = np.cumsum(counts)
    middle = (after - counts / 2) / after[-1]
    n = min(len(distinct), N_SCORES)
    # Evenly over the samples, so that no interpolation spans many of them.
    chosen = np.searchsorted(middle, np.linspace(middle[0], middle[-1], n))
    chosen = np.unique(chosen)
    return distinct[chosen], np.clip(ndtri(middle[chosen]), -LARGEST, LARGEST)


def _knots(distinct, counts, n_knots):
    """Where hat functions peak: at frequent values, and at quantiles of the others."""
    if len(distinct) <= n_knots:
        return distinct
    is_frequent = counts >= counts.sum() / n_knots
    frequent = distinct[is_frequent]
    others, counts = distinct[~is_frequent], counts[~is_frequent]
    n_others = max(n_knots - len(frequent), 2)
    after = np.cumsum(counts)
    at = np.searchsorted(after, np.linspace(1, after[-1], n_others))
    return np.unique(np.concatenate([frequent, others[at]]))


class CategoryEncoder(ColumnEncoder):
    """A category: one non-zero, in a place of its own or in that of rare ones.

    Parameters
    ----------
    min_count : int
        Categories with fewer samples are rare.

    Attributes
    ----------
    places : dict
        Number of the column of each category that has one of its own.
    has_rare : bool
        Whether there is a last column, for those that do not. Without it, a category
        that training has not seen has no non-zero.
    """

    def __init__(self, min_count):
        self.min_count = min_count

    def fit(self, values):
        counts = Counter(values.tolist())
        frequent = [c for c, count in counts.items() if count >= self.min_count]
        frequent.sort(key=lambda category: (category is MISSING, category or ""))
        self.places = {category: place for place, category in enumerate(frequent)}
        self.has_rare = len(frequent) < len(counts)
        return self

    def to_state(self):
        # In skops' files, keys are str.
        return vars(self) | {"places": [*self.places]}

    @classmethod
    def from_state(cls, state):
        places = {category: place for place, category in enumerate(state["places"])}
        return super().from_state(state | {"places": places})

    @property
    def n_columns(self):
        return len(self.places) + self.has_rare

    @property
    def n_entries(self):
        """Non-zeros of a value, at most."""
        return 1

    def names(self, name):
        """Names of the columns."""
        own = [
            f"{name}__missing" if category is MISSING else f"{name}={category}"
            for category in self.places
        ]
        return own + [f"{name}__rare"] * self.has_rare

    def encode(self, values):
        other = len(self.places)
        places = list(map(self.places.get, values.tolist()))
        columns = np.array([other if p is None else p for p in places], np.int32)
        if self.has_rare:
            return [columns], [np.ones(len(values))]
        known = columns < other
        return [np.where(known, columns, 0).astype(np.int32)], [known]
