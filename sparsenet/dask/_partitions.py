"""Partitions of Dask collections, with their targets and weights, where they lie."""

from typing import NamedTuple

import dask
import numpy as np
from dask.array import Array, concatenate, from_delayed
from dask.base import is_dask_collection
from sklearn.utils import gen_even_slices

from sparsenet._constraints import shown
from sparsenet._input import refuse_masked
from sparsenet._parallel.arrays import stacked
from sparsenet._tables.columns import take_rows

#: The columns of `Rows`, as users know them.
OF_TRAINING = "X", "y", "sample_weight"
OF_VALIDATION = "X_val", "y_val", "sample_weight_val"


class Rows(NamedTuple):
    """Rows of a table with what belongs to them, in one place."""

    X: object
    y: object
    sample_weight: object = None


def is_collection(*values):
    """Whether any of them is one of Dask's."""
    return any(is_dask_collection(value) for value in values)


def in_memory_parts(X, y, sample_weight, n_parts):
    """`Rows` of about equal length, of what is in this process."""
    return [
        Rows(
            *(
                None if value is None else take_rows(value, rows)
                for value in (X, y, sample_weight)
            )
        )
        for rows in gen_even_slices(len(y), min(n_parts, len(y)))
    ]


def delayed_parts(name, X, y, sample_weight, labels):
    """The partitions of X, of y and of the weights, if there are some, delayed.

    Raises
    ------
    TypeError
        One of them is not a Dask collection, or not one of rows.
    ValueError
        They have different numbers of partitions.
    """
    columns = []
    for label, value in zip(labels, (X, y, sample_weight), strict=True):
        if value is None and label == labels[2]:
            continue
        # Bags and delayed objects are of no shape; the latter have any attribute.
        has_rows = hasattr(type(value), "ndim") and value.ndim in (1, 2)
        if not is_dask_collection(value) or not has_rows:
            raise TypeError(
                f"{name}: {label} is of type {type(value).__name__}; allowed: a Dask "
                f"array or data frame, since another of {', '.join(labels)} is one"
            )
        columns.append(value)
    columns = _with_equal_chunks(columns)
    parts = [_delayed(column) for column in columns]
    lengths = [len(of_column) for of_column in parts]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{name}: {', '.join(labels[: len(parts)])} have {lengths} partitions; "
            "allowed: as many of each, with the same rows"
        )
    return parts


def _with_equal_chunks(columns):
    """Arrays whose rows are cut as those of the first one, where that is known."""
    first = columns[0]
    if not isinstance(first, Array) or any(map(np.isnan, first.chunks[0])):
        return columns
    return [
        column.rechunk({0: first.chunks[0]})
        if isinstance(column, Array) and column.shape[:1] == first.shape[:1]
        else column
        for column in columns
    ]


def _delayed(column):
    """The partitions of an array, whole rows each, or of a frame."""
    if isinstance(column, Array):
        if column.ndim > 1:
            column = column.rechunk(dict.fromkeys(range(1, column.ndim), -1))
        return column.to_delayed().ravel().tolist()
    return column.to_delayed()


def n_weighted(rows, name, labels):
    """How many rows have a weight; refuses partitions as `check_rows` does."""
    check_rows(name, rows, labels)
    if rows.sample_weight is None:
        return len(rows.y)
    return int(np.count_nonzero(rows.sample_weight))


def check_rows(name, rows, labels=OF_TRAINING):
    """Refuse a partition whose parts have different rows, or masked values.

    Joined with others, it would show neither.
    """
    n_rows = rows.X.shape[0]
    for label, values in zip(labels, rows, strict=True):
        if values is None:
            continue
        refuse_masked(name, label, values)
        n_values = values.shape[0] if hasattr(values, "shape") else len(values)
        if n_values != n_rows:
            raise ValueError(
                f"{name}: a partition of {labels[0]} has {n_rows} rows, and that of "
                f"{label} {n_values}; allowed: as many"
            )


def names_of(name, parts):
    """Names of the columns, or None; refuses partitions that have different ones."""
    names = {
        tuple(map(str, rows.X.columns)) if hasattr(rows.X, "columns") else None
        for rows in parts
    }
    if len(names) > 1:
        raise ValueError(
            f"{name}: partitions of X have the columns {shown(sorted(names, key=str))};"
            " allowed: the same, in the same order"
        )
    return names.pop()


def joined(parts):
    """`Rows` of all parts of a worker, in their order."""
    parts = [rows for rows in parts if len(rows.y)] or parts[:1]
    X, y, sample_weight = zip(*parts, strict=True)
    return Rows(_joined(X), _joined(y), _joined(sample_weight))


def _joined(parts):
    if parts[0] is None or len(parts) == 1:
        return parts[0]
    if hasattr(parts[0], "iloc"):
        import pandas as pd

        return pd.concat(parts)
    return stacked(parts)


def by_worker(name, client, futures):
    """Futures of partitions by the address of a worker that holds each.

    Where several do, the one with fewest of them so far.
    """
    parts = {}
    holders = client.who_has(futures)
    for future in futures:
        addresses = holders[future.key]
        if not addresses:
            raise RuntimeError(f"{name}: workers have lost data before training")
        address = min(addresses, key=lambda a: (len(parts.get(a, ())), a))
        parts.setdefault(address, []).append(future)
    return parts


def map_rows(model, method, X, dtype, shape):
    """A Dask array of what a model's method returns for each partition of X.

    `dtype` and `shape` are those of one row.
    """
    model = dask.delayed(model, pure=False)  # sent once, not with each partition
    predict = dask.delayed(_predict, pure=False)
    lengths = X.chunks[0] if isinstance(X, Array) else [np.nan] * X.npartitions
    blocks = [
        from_delayed(predict(model, method, part, dtype, shape), (n, *shape), dtype)
        for n, part in zip(lengths, _delayed(X), strict=True)
    ]
    return concatenate(blocks, allow_unknown_chunksizes=True)


def _predict(model, method, rows, dtype, shape):
    if rows.shape[0] == 0:
        return np.empty((0, *shape), dtype)
    return getattr(model, method)(rows).astype(dtype, copy=False)
