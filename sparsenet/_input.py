"""Reads X: every check of it is made here, for training, prediction and plots."""

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils.validation import validate_data

from sparsenet._formats import INT8_MAX_TERMS, LARGEST
from sparsenet._kernels.train.input import are_rows, is_finite

# What scikit-learn's `validate_data` is to make of X.
INPUT = {"accept_sparse": "csr", "dtype": (np.float64, np.float32), "order": "C"}
FLOATS = frozenset(map(np.dtype, INPUT["dtype"]))


def read_X(estimator, X, precision):
    """Check X of a fitted estimator.

    Parameters
    ----------
    estimator : object
        Has scikit-learn's attributes about X; named by messages.
    X : object
        What the user passed.
    precision : str
        Number format of the network that is to read X.

    Returns
    -------
    ndarray or csr_array of shape (n_samples, n_features)
        float32 or float64, C-contiguous; CSR in canonical format. X itself or a view
        of it, where it is so already.

    Raises
    ------
    ValueError
        X is no matrix of finite numbers of the right width, or has masked ones, its
        indices or row pointers are out of bounds, or int8 products of a row could
        overflow.
    """
    # scikit-learn would return such X as it is, after 45 microseconds (Zen 5): longer
    # than most networks take for a row. All other X it converts, refuses or warns of.
    if not hasattr(estimator, "feature_names_in_") and are_rows(
        X, estimator.n_features_in_
    ):
        return X
    refuse_masked(type(estimator).__name__, "X", X)
    refuse_times(estimator, "X", X)
    X = _check_sparse(estimator, X)
    X = _validate(estimator, X, reset=False)
    return _as_kernels_read_it(estimator, X, precision)


def read_rows(predictor, X, network):
    """Check X of a predictor, which converts no numbers.

    Parameters
    ----------
    predictor : object
        Named by messages.
    X : object
        What the user passed.
    network : Network
        That is to read X.

    Returns
    -------
    ndarray or csr_array of shape (n_samples, n_features)
        As from `read_X`.

    Raises
    ------
    TypeError
        X is no array or sparse matrix of float32 or float64.
    ValueError
        As `read_X`.
    """
    n_features = network.layer_sizes[0]
    if not are_rows(X, n_features):
        X = _checked_rows(predictor, X, n_features, network.precision)
    if network.sparse_rows:
        check_dense_row_lengths(predictor, X, network.precision)
    return X


def _checked_rows(predictor, X, n_features, precision):
    name = type(predictor).__name__
    allowed = "an array or sparse matrix of float32 or float64"
    if not (isinstance(X, np.ndarray) or issparse(X)):
        raise TypeError(
            f"{name}: X is of type {type(X).__name__}; allowed: {allowed}, such as "
            "numpy.asarray(X, dtype=numpy.float32)"
        )
    refuse_masked(name, "X", X)
    if X.dtype not in FLOATS:
        raise TypeError(
            f"{name}: X has the dtype {X.dtype}; allowed: {allowed}, such as "
            "X.astype(numpy.float32)"
        )
    if X.ndim != 2:
        raise ValueError(
            f"{name}: X has shape {X.shape}; allowed: (n_samples, {n_features}). A "
            "single row x is X = x.reshape(1, -1)"
        )
    if X.shape[1] != n_features or X.shape[0] == 0:
        raise ValueError(
            f"{name}: X has shape {X.shape}; allowed: at least 1 row, and {n_features} "
            "columns, as in training"
        )
    if issparse(X):
        X = _as_kernels_read_it(
            predictor, _check_sparse(predictor, X).tocsr(), precision
        )
    else:
        X = np.require(np.asarray(X), requirements=["C", "ALIGNED"])
    if not is_finite(X.data if issparse(X) else X):
        raise ValueError(f"{name}: X contains NaN or infinity; allowed: finite numbers")
    return X


def read_X_y(estimator, X, y, precision, *, reset, **options):
    """Check X and y for training.

    Parameters
    ----------
    estimator, X, precision
        As in `read_X`.
    y : object
        What the user passed.
    reset : bool
        Whether the estimator takes number and names of the features from X.
    **options
        Further ones of scikit-learn's `validate_data`, for y.

    Returns
    -------
    X : ndarray or csr_array of shape (n_samples, n_features)
        As from `read_X`.
    y : ndarray
        As `validate_data` returns it, never sparse.

    Raises
    ------
    ValueError
        As `read_X`; or X has a number that the number format does not hold, or y is
        not as the options want it.
    """
    refuse_masked(type(estimator).__name__, "X", X)
    refuse_masked(type(estimator).__name__, "y", y)
    refuse_times(estimator, "X", X)
    if options.get("y_numeric"):
        refuse_times(estimator, "y", y)
    X = _check_sparse(estimator, X)
    X, y = _validate(estimator, X, y, reset=reset, **options)
    X = _as_kernels_read_it(estimator, X, precision)
    _check_range(estimator, X, precision)
    return X, y.toarray() if issparse(y) else y


def is_data_frame(X):
    """Whether X is a data frame, whose rows `iloc` or an index takes.

    That is so for those of pandas and of polars.
    """
    return hasattr(X, "iloc") or hasattr(X, "iter_rows")


def in_rows(estimator, X, precision):
    """X as CSR, for a network of sparse rows that is to be trained."""
    if not issparse(X):
        X = csr_array(X)
        _check_row_lengths(estimator, X, precision)
    return X


def check_dense_row_lengths(estimator, X, precision):
    """Refuse dense rows that a network of sparse rows could not sum up."""
    if not issparse(X):
        _check_row_lengths(estimator, X, precision)


def refuse_times(estimator, name, values):
    """Refuse dates and durations, which NumPy would convert to counts of their unit.

    Parameters
    ----------
    estimator : object
        Named by messages.
    name : str
        Of the values.
    values : object
        What the user passed.

    Raises
    ------
    ValueError
        There are some.
    """
    first = values
    while isinstance(first, (list, tuple)) and len(first) > 0:
        first = first[0]
    if hasattr(first, "dtype"):
        types = [first.dtype]
    else:
        types = getattr(first, "dtypes", ())
    for dtype in types:
        # NumPy's and pandas' types have a kind, those of polars the method.
        if getattr(dtype, "kind", "O") in "mM" or (
            hasattr(dtype, "is_temporal") and dtype.is_temporal()
        ):
            raise ValueError(
                f"{type(estimator).__name__}: {name} has values of the type {dtype}; "
                "allowed: numbers, such as the seconds or days since some date"
            )


def refuse_masked(estimator_name, name, values):
    """Refuse masked values, in whose place NumPy would take what their memory holds.

    Parameters
    ----------
    estimator_name : str
        For messages.
    name, values
        As of `refuse_times`.

    Raises
    ------
    ValueError
        There are some.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"{estimator_name}: {name} has masked values; allowed: an array without "
            f"them, such as {name}.filled(0)"
        )


def _as_kernels_read_it(estimator, X, precision):
    if X.dtype not in FLOATS:
        # scikit-learn's check returns sparse data frames of bool as they are.
        X = X.astype(np.float64)
    if not issparse(X):
        return X
    # Without the flags that SciPy keeps: arrays may have been put in their place,
    # also such as have gaps, which kernels do not know.
    arrays = map(np.ascontiguousarray, (X.data, X.indices, X.indptr))
    X = csr_array(tuple(arrays), shape=X.shape)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    _check_row_lengths(estimator, X, precision)
    return X


def _validate(estimator, *data, **options):
    """scikit-learn's `validate_data`, which quotes whole texts where it finds one."""
    try:
        return validate_data(estimator, *data, **INPUT, **options)
    except ValueError as error:
        if "could not convert string" not in str(error):
            raise
        raise ValueError(
            f"{type(estimator).__name__}: X has text; allowed: numbers. "
            "TfidfVectorizer makes rows of texts, OneHotEncoder columns of categories"
        ) from error


def _check_sparse(estimator, X):
    """Refuse sparse X whose indices or row pointers are out of bounds.

    Other X is returned as it is. Formats that do not store columns by number become
    CSR; X is never changed.
    """
    if not issparse(X):
        return X
    if X.ndim != 2:
        raise ValueError(
            f"{type(estimator).__name__}: X has shape {X.shape}; allowed: (n_samples, "
            "n_features)"
        )
    if X.format not in ("csr", "csc", "bsr", "coo"):
        X = X.tocsr()
    try:
        if X.format == "coo":
            for numbers, size in zip((X.row, X.col), X.shape, strict=True):
                if len(numbers) and not 0 <= numbers.min() <= numbers.max() < size:
                    raise ValueError("row and column numbers must be within its shape")
        else:
            # In another object: the check drops what lies behind the last entry.
            arrays = type(X)((X.data, X.indices, X.indptr), shape=X.shape)
            arrays.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(
            f"{type(estimator).__name__}: X is not a valid {X.format.upper()} "
            f"matrix of shape {X.shape}: {error}"
        ) from error
    return X


def _check_range(estimator, X, precision):
    """Refuse X with numbers beyond those of the number format.

    Prediction needs no such pass over X: there they make outputs that are not numbers.
    """
    values, limit = X.data if issparse(X) else X, LARGEST[precision]
    # float32 values are all within the limits but for float16's.
    if not values.size or (values.dtype == np.float32 and precision != "float16"):
        return
    largest = max(values.max(), -values.min())
    if largest > limit:
        format = "float16" if precision == "float16" else "float32"
        raise ValueError(
            f"{type(estimator).__name__}: X has a value of magnitude {largest:.6g}; "
            f"allowed: at most {limit:.6g}, the largest {format}. Scale the features, "
            "for example with StandardScaler"
        )


def _check_row_lengths(estimator, X, precision):
    """Refuse rows whose sums of int8 products over non-zeros would not fit 32 bits."""
    if precision != "int8" or min(X.shape) == 0:
        return
    if issparse(X):
        longest = int(np.diff(X.indptr).max())
    elif X.shape[1] > INT8_MAX_TERMS:
        longest = int(np.count_nonzero(X, axis=1).max())
    else:
        return
    if longest > INT8_MAX_TERMS:
        raise ValueError(
            f"{type(estimator).__name__}: X has a row of {longest:,} non-zeros; "
            f"allowed: at most {INT8_MAX_TERMS:,} with precision='int8'"
        )
