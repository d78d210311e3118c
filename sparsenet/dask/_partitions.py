"""Partitions of Dask collections, with their targets and weights, where they lie."""

from typing import NamedTuple

import dask
import numpy as np
from dask.array import Array, concatenate, from_delayed
from dask.base import is_dask_collection
from sklearn.utils import gen_even_slices

from sparsenet._parallel.arrays import stacked
from sparsenet._tables.columns import take_rows


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


def delayed_parts(name, X, y, sample_weight, labels=("X", "y", "sample_weight")):
    """A delayed `Rows` for each partition of Dask collections.

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
        if not is_dask_collection(value) or not hasattr(value, "to_delayed"):
            raise TypeError(
                f"{name}: {label} is {type(value)}; allowed: a Dask array or data "
                f"frame, as {labels[0]} is, for each of {', '.join(labels)}"
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
    rows = dask.delayed(Rows, pure=False)
    return [rows(*of_part) for of_part in zip(*parts, strict=True)]


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


def n_weighted(rows):
    """How many rows have a weight."""
    if rows.sample_weight is None:
        return len(rows.y)
    return int(np.count_nonzero(rows.sample_weight))


def check_lengths(name, rows):
    """Refuse a partition of X that has other rows than that of y."""
    n_rows, n_targets = rows.X.shape[0], len(rows.y)
    if n_rows != n_targets:
        raise ValueError(
            f"{name}: a partition of X has {n_rows} rows, and that of y {n_targets}; "
            "allowed: as many"
        )


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


def by_worker(client, futures):
    """Futures of partitions by the address of a worker that holds each.

    Where several do, the one with fewest of them so far.
    """
    parts = {}
    holders = client.who_has(futures)
    for future in futures:
        addresses = holders[future.key]
        if not addresses:
            raise RuntimeError("workers have lost data before training")
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
