"""What a column of a table is read as."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator

from sparsenet._tables.columns import read_table, take_rows

DAY = datetime.date(2020, 1, 1)
DAYS = 18262.0  # from 1970 to 2020


def read(X, kinds=None):
    """Columns of a table, in training or as in training."""
    return read_table(BaseEstimator(), X, reset=True, kinds=kinds)[0]


def kinds_of(X):
    return read_table(BaseEstimator(), X, reset=True)[1]


def assert_column(column, expected):
    expected = np.array(expected)
    if expected.dtype.kind == "f":
        assert column.dtype == np.float64
        np.testing.assert_array_equal(column, expected)
    else:
        assert column.dtype == object
        assert column.tolist() == expected.tolist()


PANDAS = {
    "int": ([1, 2], [1.0, 2.0]),
    "float": ([1.5, np.nan], [1.5, np.nan]),
    "bool": ([True, False], [1.0, 0.0]),
    "nullable int": (pd.array([1, None], dtype="Int64"), [1.0, np.nan]),
    "nullable bool": (pd.array([True, None], dtype="boolean"), [1.0, np.nan]),
    "str": (["a", None], ["a", None]),
    "str and nan": (["a", np.nan], ["a", None]),
    "string": (pd.array(["a", None], dtype="string"), ["a", None]),
    "category": (pd.Categorical(["a", None]), ["a", None]),
    "category of int": (pd.Categorical([3, 4]), ["3", "4"]),
    "category of int and none": (pd.Categorical([3, None]), ["3", None]),
    "category of float": (pd.Categorical([3.0, 0.5]), ["3", "0.5"]),
    "category of bool": (pd.Categorical([True, False]), ["True", "False"]),
    "category of dates": (pd.Categorical([DAY, None]), ["2020-01-01", None]),
    "date": (pd.to_datetime([DAY, None]), [DAYS, np.nan]),
    "date with a zone": (
        pd.to_datetime([DAY, None]).tz_localize("UTC"),
        [DAYS, np.nan],
    ),
    "duration": (pd.to_timedelta([36, None], unit="h"), [1.5, np.nan]),
    "objects of numbers": (np.array([1, None], dtype=object), [1.0, np.nan]),
    "decimals": (np.array([Decimal("1.5"), None], dtype=object), [1.5, np.nan]),
    "objects of bool": (np.array([True, pd.NA], dtype=object), [1.0, np.nan]),
    "objects of dates": (np.array([DAY, pd.NaT], dtype=object), [DAYS, np.nan]),
    "objects of dates and times": (
        np.array([datetime.datetime(2020, 1, 1, 12), None], dtype=object),
        [DAYS + 0.5, np.nan],
    ),
    "objects of durations": (
        np.array([datetime.timedelta(hours=36), None], dtype=object),
        [1.5, np.nan],
    ),
    "NumPy's dates as objects": (
        np.array([np.datetime64("2020-01-01"), np.datetime64("NaT")], dtype=object),
        [DAYS, np.nan],
    ),
    "objects with a zone": (
        pd.date_range("2020", periods=1, tz="US/Pacific").astype(object),
        [DAYS + 8 / 24],
    ),
    "mixed objects": (np.array([1, 2.0, "a"], dtype=object), ["1", "2", "a"]),
    "NumPy's nan among words": (
        np.array(["a", np.float64("nan")], dtype=object),
        ["a", None],
    ),
    "nothing": (np.array([None, None], dtype=object), [np.nan, np.nan]),
}


@pytest.mark.parametrize("kind", PANDAS)
def test_columns_of_pandas(kind):
    values, expected = PANDAS[kind]
    assert_column(read(pd.DataFrame({"name": values}))[0], expected)


@pytest.mark.parametrize("dtype", ["int64[pyarrow]", "string[pyarrow]"])
def test_columns_that_arrow_holds(dtype):
    pytest.importorskip("pyarrow", reason="holds the columns")
    value, expected = (7, [7.0, np.nan]) if "int" in dtype else ("a", ["a", None])
    column = pd.array([value, None], dtype=dtype)
    assert_column(read(pd.DataFrame({"name": column}))[0], expected)


POLARS = {
    "int": (pl.Series([1, None]), [1.0, np.nan]),
    "float": (pl.Series([1.5, None]), [1.5, np.nan]),
    "bool": (pl.Series([True, None]), [1.0, np.nan]),
    "str": (pl.Series(["a", None]), ["a", None]),
    "category": (pl.Series(["a", None], dtype=pl.Categorical), ["a", None]),
    "date": (pl.Series([DAY, None]), [DAYS, np.nan]),
    "duration": (pl.Series([datetime.timedelta(hours=36), None]), [1.5, np.nan]),
    "time": (pl.Series([datetime.time(8), None]), ["08:00:00", None]),
}


@pytest.mark.parametrize("kind", POLARS)
def test_columns_of_polars(kind):
    series, expected = POLARS[kind]
    assert_column(read(pl.DataFrame({"name": series}))[0], expected)


def test_columns_of_arrow():
    pa = pytest.importorskip("pyarrow", reason="is what is read")
    table = pa.table({"number": [1, None], "word": ["a", None]})
    words = pa.array(["a", None]).dictionary_encode()
    table = table.append_column("category", words)
    for column, expected in zip(
        read(table), [[1.0, np.nan], ["a", None], ["a", None]], strict=True
    ):
        assert_column(column, expected)


def test_columns_of_arrays():
    X = np.array([[1, 2], [3, 4]], dtype=np.int8)
    assert kinds_of(X) == ["number", "number"]
    assert_column(read(X)[0], [1.0, 3.0])
    number, word = read(np.array([[1.5, "a"], [None, "b"]], dtype=object))
    assert_column(number, [1.5, np.nan])
    assert_column(word, ["a", "b"])
    # Words that look like numbers are words.
    assert_column(read(np.array([["1"], ["2"]]))[0], ["1", "2"])
    number, word = read([[1.5, "1"], [None, "2"]])
    assert_column(number, [1.5, np.nan])
    assert_column(word, ["1", "2"])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 4], ["3", "4"]),
        ([3.0, np.nan], ["3", None]),
        (pd.array([3, None], dtype="Int64"), ["3", None]),
        (pd.Categorical([3.0, None]), ["3", None]),
        (np.array([3, "a"], dtype=object), ["3", "a"]),
        (np.array([Decimal("2.50"), 2**60], dtype=object), ["2.50", str(2**60)]),
        ([True, False], ["True", "False"]),
        (np.array([True, None], dtype=object), ["True", None]),
        (np.array([DAY, None], dtype=object), ["2020-01-01", None]),
        ([None, None], [None, None]),
    ],
)
def test_a_category_is_the_same_word_in_all_types(values, expected):
    frame = pd.DataFrame({"name": values})
    assert_column(read(frame, kinds=["category"])[0], expected)
    # Alone as among others.
    for row in range(2):
        assert_column(
            read(frame[row : row + 1], ["category"])[0], expected[row : row + 1]
        )


def test_columns_have_the_kind_of_training():
    empty = np.array([None, None], object)
    for kind in ("number", "time", "nothing"):
        table = pd.DataFrame({"name": empty})
        assert_column(read(table, kinds=[kind])[0], [np.nan, np.nan])
    categories = pd.DataFrame({"name": pd.Categorical([1.0, 2.0])})
    assert kinds_of(categories) == ["category"]
    for kind, values, held, allowed in [
        ("number", ["3", "4"], "words", "numbers"),
        ("number", pd.to_datetime([DAY]), "dates or durations", "numbers"),
        ("time", [1, 2], "numbers", "dates or durations"),
        ("time", ["2020-01-01"], "words", "dates or durations"),
    ]:
        message = f"column 'name' of X holds {held}; allowed: {allowed}, as in training"
        with pytest.raises(ValueError, match=message):
            read(pd.DataFrame({"name": values}), kinds=[kind])
    # Anything is allowed where training had nothing.
    words = pd.DataFrame({"name": ["a", "b"]})
    assert_column(read(words, kinds=["nothing"])[0], [np.nan, np.nan])


@pytest.mark.parametrize(
    "nothing",
    [
        pd.DataFrame({"name": [None, None]}),
        pd.DataFrame({"name": [np.nan, np.nan]}),
        pd.DataFrame({"name": pd.to_datetime([None, None])}),
        pd.DataFrame({"name": pd.Categorical([None, None])}),
        pl.DataFrame({"name": [None, None]}),
        np.array([[np.nan], [np.nan]]),
    ],
)
def test_nothing_is_nothing_in_all_containers(nothing):
    assert kinds_of(nothing) == ["nothing"]


@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
def test_infinity_is_refused(infinity):
    table = pd.DataFrame({"a": [1.0], "b": [infinity]})
    with pytest.raises(ValueError, match="column 'b' of X contains infinity; allowed:"):
        read(table)
    with pytest.raises(ValueError, match="column 0 of X contains infinity"):
        read([[infinity]])


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []})])
def test_empty_frames_are_refused(frame):
    with pytest.raises(ValueError, match=r"X has shape \(0, [01]\); allowed: at least"):
        read(frame)


def test_take_rows():
    rows = np.array([2, 0])
    table = {"a": [1, 2, 3]}
    assert take_rows(pd.DataFrame(table), rows)["a"].tolist() == [3, 1]
    assert take_rows(pl.DataFrame(table), rows)["a"].to_list() == [3, 1]
    assert take_rows(np.arange(3)[:, None], rows).tolist() == [[2], [0]]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"a": [1 + 2j]}), "column 'a' of X holds arrays, records or com"),
        (
            pl.DataFrame({"a": [[1, 2]]}, schema={"a": pl.Array(pl.Int8, 2)}),
            "column 'a' of X holds arrays, records or complex numbers; allowed: n",
        ),
        (
            pd.DataFrame({"a": [10**400, 1]}, dtype=object),
            "column 'a' of X contains in",
        ),
        (
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            r"X has the columns \[.a., .a.\]; allowed: different n",
        ),
        (pl.LazyFrame({"a": [1]}), r"X is lazy; allowed: a data frame, X.collect\(\)"),
    ],
)
def test_what_cannot_be_read_is_named(X, message):
    with pytest.raises(ValueError, match=message):
        read(X)


@pytest.mark.filterwarnings("error")
def test_no_type_warns():
    for kind, (values, _) in PANDAS.items():
        read(pd.DataFrame({kind: values}))
        read(pd.DataFrame({kind: values}).to_numpy())
