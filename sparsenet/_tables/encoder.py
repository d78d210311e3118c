"""Turns a table into the matrix that a network reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse import csr_array, vstack
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from sparsenet._constraints import boolean, check, choice, either, integer, shown
from sparsenet._tables.column_encoders import CategoryEncoder, NumberEncoder
from sparsenet._tables.columns import CATEGORY, read_table
from sparsenet._tables.recipe import n_knots_of

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from sparsenet._untyped import BaseEstimator, TransformerMixin
else:
    from sklearn.base import BaseEstimator, TransformerMixin


#: Share of non-zeros below which a matrix in CSR is cheaper to train on. With 0.5 %
#: (identifiers) a fit takes 0.55 of the time of a dense one, with 8 to 12 % 1.4 to 1.7.
SPARSE_BELOW = 0.02

ROWS_AT_ONCE = 2**14


def without_fitted(estimator):
    """The attributes of an estimator that a fit has not set."""
    return {n: value for n, value in vars(estimator).items() if not n.endswith("_")}


def _class_for(kind):
    return CategoryEncoder if kind == CATEGORY else NumberEncoder


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode numbers, categories and missing values as one matrix.

    A number becomes a scaled number and, unless `n_knots` is 0, *hat functions* of it:
    piecewise-linear ones, of which a value lies on at most two. With them, a network
    learns jagged functions of a number as fast as smooth ones.

    Parameters
    ----------
    n_knots : int or 'auto', default='auto'
        Largest number of hat functions of a column of numbers, >= 0. Their peaks are at
        frequent values and at quantiles of the others; columns with fewer than 3
        different numbers have none. 'auto': 256 over the number of such columns, but
        at least 8 and at most 24; of small tables no more than one for each 256
        samples, but 4.

    min_count : int, default=5
        Categories with fewer samples than this, >= 1, are encoded as one.

    sparse_output : bool or 'auto', default='auto'
        Whether the matrix is sparse. 'auto': where less than 2 % of it are non-zeros.
        For `set_output` with data frames, False.

    Attributes
    ----------
    columns_ : list
        Encoder of each column.

    kinds_ : list of {'number', 'time', 'category', 'nothing'}
        What each column holds; 'nothing' if all of it is missing in training.

    sparse_output_ : bool
        Whether the matrix is sparse.

    n_features_in_ : int
        Number of columns.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had names and all of them are strings.

    See Also
    --------
    sklearn.preprocessing.SplineTransformer : Hat functions as splines of degree 1.
    sklearn.preprocessing.OneHotEncoder : One column for each category.

    Notes
    -----
    A number becomes its normal score: that quantile of the standard normal distribution
    which is the middle of its share of the training samples, at most 3, interpolated
    between 256 of the numbers. Hat functions span what the piecewise-linear encoding of
    [1]_ spans, but at most two are non-zero.

    A column is one of numbers if its type is numeric or boolean, or if it holds nothing
    but numbers; dates and durations count in days. All others are categories, by what
    ``str`` makes of their values; whole numbers are written without decimals.

    Missing numbers are encoded as a column of their own, if there are any in training,
    and as 0; missing categories are a category. A category that training has not seen
    counts as a rare one; where there are no rare ones, all its columns are 0.

    References
    ----------
    .. [1] Gorishniy, Y., Rubachev, I., & Babenko, A. (2022). "On embeddings for
           numerical features in tabular deep learning." NeurIPS.
           https://arxiv.org/abs/2203.05556

    Examples
    --------
    >>> from sparsenet import TableEncoder
    >>> encoder = TableEncoder(n_knots=3, min_count=1)
    >>> encoder.fit_transform([[0.0, "a"], [1.0, "b"], [2.0, None]]).round(2)
    array([[-0.97,  1.  ,  0.  ,  0.  ,  1.  ,  0.  ,  0.  ],
           [ 0.  ,  0.  ,  1.  ,  0.  ,  0.  ,  1.  ,  0.  ],
           [ 0.97,  0.  ,  0.  ,  1.  ,  0.  ,  0.  ,  1.  ]], dtype=float32)
    """

    n_knots: int | Literal["auto"]
    min_count: int
    sparse_output: bool | Literal["auto"]
    columns_: list[Any]
    kinds_: list[str]
    sparse_output_: bool
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        *,
        n_knots: int | Literal["auto"] = "auto",
        min_count: int = 5,
        sparse_output: bool | Literal["auto"] = "auto",
    ) -> None:
        self.n_knots = n_knots
        self.min_count = min_count
        self.sparse_output = sparse_output

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the columns of a table.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_columns)
            The table: a data frame of pandas, polars or pyarrow, or an array.

        y : object, default=None
            Not used.

        Returns
        -------
        self : object
            The fitted encoder.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: ArrayLike, y: Any = None) -> Any:
        """Learn the columns of a table, and encode it.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_columns)
            The table: a data frame of pandas, polars or pyarrow, or an array.

        y : object, default=None
            Not used.

        Returns
        -------
        X_new : ndarray or csr_array of shape (n_samples, n_encoded)
            The encoded table, in float32.

        Raises
        ------
        ValueError
            A parameter is out of bounds, X is no table, or a number is infinite. The
            encoder is as it was before.
        """
        check(self, "n_knots", self.n_knots, either(choice("auto"), integer(0)))
        check(self, "min_count", self.min_count, integer(1))
        of_output = either(choice("auto"), boolean)
        check(self, "sparse_output", self.sparse_output, of_output)
        # Aside: an error leaves this object as it was.
        fitted = object.__new__(type(self))
        vars(fitted).update(without_fitted(self))
        encoded = fitted._fit(X)
        self.__dict__ = vars(fitted)
        return encoded

    def _fit(self, X):
        columns, self.kinds_ = read_table(self, X, reset=True)
        n_knots = self.n_knots
        if n_knots == "auto":
            n_numbers = sum(kind != CATEGORY for kind in self.kinds_)
            n_knots = n_knots_of(len(columns[0]), n_numbers)
        self.columns_ = [
            CategoryEncoder(self.min_count).fit(column)
            if kind == CATEGORY
            else NumberEncoder(n_knots).fit(column)
            for column, kind in zip(columns, self.kinds_, strict=True)
        ]
        self.sparse_output_ = self.sparse_output
        if self.sparse_output == "auto":
            n_entries = sum(encoder.n_entries for encoder in self.columns_)
            n_columns = sum(encoder.n_columns for encoder in self.columns_)
            self.sparse_output_ = n_entries < SPARSE_BELOW * n_columns
        return self._encode(columns)

    def transform(self, X: ArrayLike) -> Any:
        """Encode a table.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_columns)
            A table with the columns of the training samples.

        Returns
        -------
        X_new : ndarray or csr_array of shape (n_samples, n_encoded)
            The encoded table, in float32.

        Raises
        ------
        ValueError
            X has other columns than in training, a number is infinite, or a column of
            numbers or of times holds something else.
        """
        check_is_fitted(self)
        columns, _ = read_table(self, X, reset=False, kinds=self.kinds_)
        return self._encode(columns)

    def _encode(self, columns):
        """The encoded table, made of some rows at a time."""
        n_rows = len(columns[0])
        shape = n_rows, sum(encoder.n_columns for encoder in self.columns_)
        encoded = [] if self.sparse_output_ else np.zeros(shape, np.float32)
        for rows in gen_batches(n_rows, ROWS_AT_ONCE):
            places, entries = self._entries([column[rows] for column in columns])
            if not self.sparse_output_:
                encoded[np.arange(rows.start, rows.stop)[:, None], places] = entries
                continue
            begins = np.arange(0, entries.size + 1, entries.shape[1])
            part = (entries.ravel(), places.ravel(), begins)
            encoded.append(csr_array(part, shape=(len(entries), shape[1])))
            encoded[-1].eliminate_zeros()
        if not self.sparse_output_:
            return encoded
        return csr_array(vstack(encoded, format="csr"))  # SciPy 1.11 makes a matrix

    def _entries(self, columns):
        """Where each row may have non-zeros, ascending, and what stands there."""
        offset, places, entries = 0, [], []
        for encoder, column in zip(self.columns_, columns, strict=True):
            of_column = encoder.encode(column)
            places += [place + np.int32(offset) for place in of_column[0]]
            entries += of_column[1]
            offset += encoder.n_columns
        return np.column_stack(places), np.column_stack(entries).astype(np.float32)

    def __getstate__(self) -> dict[str, Any]:
        """With plain objects in the place of private ones."""
        state = super().__getstate__()
        if "columns_" in state:
            columns = [column.to_state() for column in self.columns_]
            state = state | {"columns_": columns}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = state.copy()
        if "columns_" in state:
            columns = zip(state["columns_"], state["kinds_"], strict=True)
            state["columns_"] = [
                _class_for(kind).from_state(column) for column, kind in columns
            ]
        super().__setstate__(state)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns of the encoded table.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of the table; None: `feature_names_in_`, or x0, x1, ...

        Returns
        -------
        names : ndarray of str
            The name of a column of the table, and what is encoded of it.

        Raises
        ------
        ValueError
            `input_features` are not as many as the columns, or not
            `feature_names_in_`.
        """
        check_is_fitted(self)
        known = getattr(self, "feature_names_in_", None)
        given = known if input_features is None else np.asarray(input_features)
        if given is None:
            given = [f"x{number}" for number in range(self.n_features_in_)]
        if len(given) != self.n_features_in_ or (
            known is not None and not np.array_equal(given, known)
        ):
            raise ValueError(
                f"{type(self).__name__}: input_features={shown(list(given))}; allowed: "
                f"the {self.n_features_in_} names of the columns, as in training"
            )
        names = [
            name
            for column, encoder in zip(given, self.columns_, strict=True)
            for name in encoder.names(column)
        ]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags
