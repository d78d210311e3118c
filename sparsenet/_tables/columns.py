"""Reads a table: each column is one of numbers, of times or of categories."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from numbers import Real

import narwhals as nw
import numpy as np
from sklearn.utils.validation import validate_data

from sparsenet._constraints import shown
from sparsenet._input import refuse_masked

#: What stands for a missing category; no str is equal to it.
MISSING = None

#: Kinds of columns; of "nothing" all values are missing.
NUMBER, TIME, CATEGORY, NOTHING = "number", "time", "category", "nothing"
HOLDS = {NUMBER: "numbers", TIME: "dates or durations", CATEGORY: "words"}

DAY = np.timedelta64(1, "D")


def check_table(estimator, X, *, reset):
    """Check that X is a table of the right columns, but not what stands in them.

    Parameters
    ----------
    estimator : object
        Gets or has scikit-learn's attributes about X; named by messages.
    X : data frame or array-like of shape (n_samples, n_columns)
    reset : bool
        Whether to learn those attributes from X, or to check X against them.

    Returns
    -------
    data frame or ndarray of shape (n_samples, n_columns)
        X itself if it is a data frame.

    Raises
    ------
    ValueError
        X is no table, has masked values, or other columns than in training.
    """
    name = type(estimator).__name__
    if nw.dependencies.is_into_dataframe(X):
        names = list(X.column_names if hasattr(X, "column_names") else X.columns)
        if len(set(names)) < len(names):
            raise ValueError(
                f"{name}: X has the columns {shown(names)}; allowed: different names"
            )
        return validate_data(estimator, X, reset=reset, skip_check_array=True)
    if nw.dependencies.is_polars_lazyframe(X):
        raise ValueError(f"{name}: X is lazy; allowed: a data frame, X.collect()")
    refuse_masked(name, "X", X)
    if isinstance(X, (list, tuple)):
        X = np.array(X, dtype=object)  # a single word would make all numbers words
    return validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)


def read_table(estimator, X, *, reset, kinds=None):
    """Check a table, and split it into columns.

    Parameters
    ----------
    estimator, X, reset
        As of `check_table`. Data frames are those of pandas, polars, pyarrow and others
        that narwhals knows.
    kinds : list of str, default=None
        What each column has to be: that of training. None: what it is.

    Returns
    -------
    columns : list of ndarray of shape (n_samples,)
        float64 for numbers, where nan is missing, and for times: dates in days since
        1970, durations in days. object for categories, of str, where `MISSING` is
        missing.
    kinds : list of str

    Raises
    ------
    ValueError
        As `check_table`; a number is infinite, or a column holds something that it did
        not in training.
    """
    X = check_table(estimator, X, reset=reset)
    name = type(estimator).__name__
    if nw.dependencies.is_into_dataframe(X):
        names, read = _columns_of_frame(name, X)
    else:
        names, read = range(X.shape[1]), [(column, False) for column in X.T]
    if not read or not len(read[0][0]):
        shape = (len(read[0][0]) if read else 0, len(read))
        raise ValueError(
            f"{name}: X has shape {shape}; allowed: at least 1 row and 1 column"
        )
    columns, found = [], []
    for number, (column_name, (values, is_categorical)) in enumerate(
        zip(names, read, strict=True)
    ):
        where = f"{name}: column {column_name!r} of X"
        if values.ndim != 1 or values.dtype.kind in "cV":
            raise ValueError(
                f"{where} holds arrays, records or complex numbers; allowed: numbers, "
                "words, dates and durations"
            )
        kind, values = _understood(values, is_categorical)
        wanted = kind if kinds is None else kinds[number]
        if wanted == NOTHING:
            column = np.full(len(values), np.nan)
        elif wanted == CATEGORY:
            column = _words(values)
        elif kind in (wanted, NOTHING):
            column = _numbers(values)
        else:
            raise ValueError(
                f"{where} holds {HOLDS[kind]}; allowed: {HOLDS[wanted]}, as in training"
            )
        if wanted != CATEGORY and np.isinf(column).any():
            raise ValueError(f"{where} contains infinity; allowed: numbers and nan")
        columns.append(column)
        found.append(wanted)
    return columns, found


def take_rows(X, rows):
    """Some rows of a table, by their numbers."""
    if nw.dependencies.is_into_dataframe(X):
        return nw.from_native(X, eager_only=True)[rows].to_native()
    return X[rows]


def _columns_of_frame(name, X):
    """Names of the columns, their values, and whether each is of categories."""
    frame, columns = nw.from_native(X, eager_only=True), []
    for column_name, column in zip(frame.columns, frame.iter_columns(), strict=True):
        try:
            is_categorical = column.dtype in (nw.Categorical, nw.Enum)
            # pandas' categories may be numbers; others are str.
            if is_categorical and not nw.dependencies.is_pandas_like_dataframe(X):
                column = column.cast(nw.String)
            columns.append((np.asarray(column.to_numpy()), is_categorical))
        except Exception as error:  # a type that this version cannot convert
            raise ValueError(
                f"{name}: column {column_name!r} of X cannot be read: {error}"
            ) from error
    return frame.columns, columns


def _understood(values, is_categorical):
    """The kind of a column's values, and the values in one of NumPy's types."""
    kind = values.dtype.kind
    if kind in "biufmM":
        found = TIME if kind in "mM" else NUMBER
        if (np.isnat if kind in "mM" else np.isnan)(values).all():
            found = NOTHING
    else:
        values = values.astype(object, copy=False)
        found = _kind_of_objects(values)
    return CATEGORY if is_categorical and found != NOTHING else found, values


def _kind_of_objects(values):
    types = set(map(type, values.tolist()))
    if str in types:
        return CATEGORY
    known = list(filter(_is_known, values.tolist()))
    if not known:
        return NOTHING
    if all(
        isinstance(v, (date, timedelta, np.datetime64, np.timedelta64)) for v in known
    ):
        return TIME
    is_number = all(isinstance(v, (Real, Decimal, np.bool_)) for v in known)
    return NUMBER if is_number else CATEGORY


def _is_known(value):
    """Whether an object is none of None, nan, and pandas' NA and NaT."""
    if isinstance(value, Decimal):
        return not value.is_nan()
    if isinstance(value, (float, np.floating, np.datetime64, np.timedelta64)):
        return bool(value == value)
    return value is not None and type(value).__name__ not in ("NAType", "NaTType")


def _numbers(values):
    """Values as float64; nan where there is none."""
    if values.dtype.kind in "mM":
        return _days(values)
    if values.dtype != object:
        with np.errstate(over="ignore"):  # long double; it is refused as infinite
            return values.astype(np.float64, copy=False)
    return np.array([_number(v) if _is_known(v) else np.nan for v in values.tolist()])


def _number(value):
    if isinstance(value, timedelta):
        return value / timedelta(days=1)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime):
        zone = None if value.tzinfo is None else UTC
        return (value - datetime(1970, 1, 1, tzinfo=zone)) / timedelta(days=1)
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return float(_days(np.array([value]))[0])
    try:
        return float(value)
    except OverflowError:  # an integer beyond all floats
        return np.inf


def _days(values):
    """NumPy's times as days, nan where there is none."""
    epoch = np.datetime64(0, "s")
    return (values - epoch if values.dtype.kind == "M" else values) / DAY


def _words(values):
    """Values as str, the same for an integer in all types; `MISSING` where none is."""
    if values.dtype == object:
        types = set(map(type, values.tolist()))
        if types <= {str, type(MISSING)}:
            return values
    if values.dtype.kind in "mM":  # finer ones become integers
        values = values.astype(f"{values.dtype.kind}8[us]").astype(object)
    words = [
        v if type(v) is str else _word(v) if _is_known(v) else MISSING
        for v in values.tolist()
    ]
    return np.array(words, dtype=object)


def _word(value):
    if isinstance(value, (float, np.floating, Decimal)) and value % 1 == 0:
        return str(int(value))
    return str(value)
