"""Bad data raises before work starts, names what is wrong and leaves no trace."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from problems import random_csr
from scipy import sparse

from sparsenet import SparseMLPClassifier, SparseMLPRegressor, prune

RNG = np.random.RandomState(0)
X = RNG.rand(30, 4)
LABELS = np.arange(30) % 3
NUMBERS = X.sum(axis=1)
BOTH = [(SparseMLPClassifier, LABELS), (SparseMLPRegressor, NUMBERS)]

few_examples = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def small(estimator, **parameters):
    defaults = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
    return estimator(**defaults | parameters)


@pytest.fixture(autouse=True)
def _quiet(recwarn):
    """Two epochs are not enough; what the tests show needs no more."""


@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("integer", [np.int8, np.uint8, np.int16])
def test_numbers_and_strings_of_numpy_are_like_pythons(estimator, y, integer):
    """A product of 100 epochs and 4 steps is more than 8 bits hold."""
    given = {
        "max_iter": integer(100),
        "batch_size": integer(8),
        "rewire_interval": integer(5),
        "rewire_until": np.float16(0.5),
        "learning_rate_init": np.float16(2.0**-7),
        "density": np.float16(0.5),
        "precision": np.str_("int8"),
        "activation": np.str_("tanh"),
        "solver": np.str_("sgd"),
        "learning_rate": np.str_("cosine"),
        "early_stopping": np.bool_(False),
    }
    plain = {name: value.item() for name, value in given.items()}
    model, expected = (small(estimator, **p).fit(X, y) for p in (given, plain))
    assert model.loss_curve_ == expected.loss_curve_
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    assert pickle.loads(pickle.dumps(model))._network.precision == "int8"
    model, expected = (
        prune(m, p["density"], precision=p["precision"]).predict(X)
        for m, p in ((model, given), (expected, plain))
    )
    np.testing.assert_array_equal(model, expected)


@pytest.mark.parametrize("name", ["max_iter", "hidden_layer_sizes", "n_threads"])
def test_durations_are_no_numbers(name):
    with pytest.raises(ValueError, match=f"^SparseMLPClassifier: {name}=.*; allowed"):
        small(SparseMLPClassifier, **{name: np.timedelta64(3)}).fit(X, LABELS)


@few_examples
@given(
    bad=st.sampled_from([math.nan, math.inf, -math.inf]),
    row=st.integers(0, 29),
    column=st.integers(0, 3),
    container=st.sampled_from([np.array, sparse.csr_array, sparse.csc_matrix]),
    which=st.sampled_from(BOTH),
)
def test_a_value_that_is_not_finite_is_refused_anywhere_in_X(
    bad, row, column, container, which
):
    estimator, y = which
    damaged = X.copy()
    damaged[row, column] = bad
    with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
        small(estimator).fit(container(damaged), y)
    fitted = small(estimator).fit(X, y)
    with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
        fitted.predict(container(damaged))


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_values_beyond_float32_are_refused_in_prediction(estimator, y):
    fitted = small(estimator).fit(X, y)
    with pytest.raises(ValueError, match="X has values too large"):
        fitted.predict(X * 1e60)


@few_examples
@given(shape=hnp.array_shapes(min_dims=0, max_dims=4, max_side=5))
def test_X_that_is_no_matrix_of_the_right_width_is_refused(shape):
    fitted = small(SparseMLPRegressor).fit(X, NUMBERS)
    if len(shape) != 2 or shape[1] != 4:
        with pytest.raises((ValueError, TypeError)):
            fitted.predict(np.zeros(shape))


@few_examples
@given(n=st.integers(0, 60).filter(lambda n: n != 30), which=st.sampled_from(BOTH))
def test_y_of_another_length_is_refused(n, which):
    estimator, y = which
    with pytest.raises(ValueError, match=r"inconsistent|sample"):
        small(estimator).fit(X, np.resize(y, n))


@few_examples
@given(
    weights=hnp.arrays(
        np.float64, st.integers(28, 32), elements=st.sampled_from([0, 1, -1, math.nan])
    )
)
def test_sample_weights_are_one_number_per_row_none_negative_some_positive(weights):
    classifier = small(SparseMLPClassifier)
    good = len(weights) == 30 and (weights >= 0).all() and weights.any()
    if good:
        classifier.fit(X, LABELS, sample_weight=weights)
    else:
        with pytest.raises(ValueError, match="sample_weight"):
            classifier.fit(X, LABELS, sample_weight=weights)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (NUMBERS, "Unknown label type: continuous; allowed"),
        (np.c_[LABELS, LABELS], "Unknown label type: multiclass-multioutput"),
        (np.c_[NUMBERS, NUMBERS], "Unknown label type: continuous-multioutput"),
        (
            np.c_[LABELS > 0, LABELS > 1] * 2 - 1,
            r"y is a matrix of the values \[-1  1\]",
        ),
        (np.where(LABELS, math.nan, 1.0), "y contains NaN"),
        (np.array([{}] * 30), "label type"),
        (None, "y cannot be None|requires y"),
    ],
)
def test_targets_that_are_no_classes_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        small(SparseMLPClassifier).fit(X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(LABELS, math.nan, 1.0), "y contains NaN"),
        (np.where(LABELS, math.inf, 1.0), "y contains infinity"),
        (NUMBERS * 1e300, "y has values too large for float32"),
        (np.array(["a"] * 30), "could not convert string"),
        (np.zeros((30, 2, 2)), "dim"),
    ],
)
def test_targets_that_are_no_numbers_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        small(SparseMLPRegressor).fit(X, y)


def test_poisson_refuses_a_negative_target():
    with pytest.raises(ValueError, match=r"y has the value -0\.5; .*poisson"):
        small(SparseMLPRegressor, loss="poisson").fit(X, np.where(LABELS, 1, -0.5))


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": (2**31 - 1, 2**31 - 1)},
        {"hidden_layer_sizes": (10**6,) * 3, "density": 1.0},
    ],
)
def test_an_absurd_network_is_refused(parameters):
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=.*density=.*allowed"):
        small(SparseMLPClassifier, **parameters).fit(X, LABELS)


@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_parameter_out_of_bounds_is_refused_when_training(estimator, y, method):
    with pytest.raises(ValueError, match=rf"{estimator.__name__}: density=2; allowed"):
        getattr(small(estimator, density=2), method)(X, y)


def test_the_first_partial_fit_needs_the_classes():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small(SparseMLPClassifier).partial_fit(X, LABELS)


def test_partial_fit_refuses_an_unseen_label():
    classifier = small(SparseMLPClassifier).partial_fit(X, LABELS, classes=[0, 1, 2])
    with pytest.raises(
        ValueError, match=r"y has the classes .*3.*allowed: .*\[0 1 2\]"
    ):
        classifier.partial_fit(X, LABELS + 1)
    with pytest.raises(
        ValueError, match=r"y has the classes .*a.*allowed: .*\[0 1 2\]"
    ):
        classifier.partial_fit(X, np.array(list("ab" * 15)))


def test_partial_fit_refuses_other_classes():
    classifier = small(SparseMLPClassifier).partial_fit(X, LABELS, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"classes=\[0 1\]; allowed: \[0 1 2\]"):
        classifier.partial_fit(X, LABELS % 2, classes=[0, 1])


def test_partial_fit_refuses_labels_outside_of_classes_at_once():
    with pytest.raises(ValueError, match=r"y has the classes .*allowed"):
        small(SparseMLPClassifier).partial_fit(X, LABELS, classes=[0, 1])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 1, 2, math.nan], r"classes=\[0, 1, 2, nan\]; .* contains NaN"),
        ([0, 1, 2, math.inf], r"classes=.*inf\]; .* contains infinity"),
        (["0", "1", None], "classes=.*None.*; allowed: the labels of all classes"),
        ([[0, 1, 2]], r"classes=\[\[0, 1, 2\]\]; .* one-dimensional"),
        (3, "classes=3; allowed: the labels of all classes, one-dimensional"),
    ],
)
def test_partial_fit_refuses_what_are_no_classes(classes, message):
    estimator = small(SparseMLPClassifier)
    with pytest.raises(ValueError, match="^SparseMLPClassifier: " + message):
        estimator.partial_fit(X, LABELS, classes=classes)
    assert not hasattr(estimator, "classes_")


def test_classes_keep_their_type():
    labels = np.array(list("abc"), dtype=object)
    estimator = small(SparseMLPClassifier)
    estimator.partial_fit(X, labels[LABELS], classes=labels)
    assert estimator.classes_.dtype == object


def test_partial_fit_refuses_classes_that_are_not_columns():
    Y = np.eye(3, dtype=int)[LABELS]
    message = r"classes=\[0, 1\], but y is multi-label; allowed: None, .* 3 columns"
    with pytest.raises(ValueError, match=message):
        small(SparseMLPClassifier).partial_fit(X, Y, classes=[0, 1])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(LABELS, np.eye(3, dtype=int)[LABELS], id="classes, then matrix"),
        pytest.param(np.eye(3, dtype=int)[LABELS], LABELS, id="matrix, then classes"),
    ],
)
def test_partial_fit_refuses_another_kind_of_target(first, second):
    classifier = small(SparseMLPClassifier).partial_fit(X, first, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="multi-label"):
        classifier.partial_fit(X, second)


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_partial_fit_refuses_early_stopping(estimator, y):
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        small(estimator, early_stopping=True).partial_fit(X, y)


def test_warm_start_refuses_other_classes():
    classifier = small(SparseMLPClassifier, warm_start=True).fit(X, LABELS)
    for other in (LABELS + 1, LABELS % 2):
        with pytest.raises(ValueError, match=r"Previously got \[0 1 2\]"):
            classifier.fit(X, other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", (9,)),
        ("hidden_layer_sizes", (8, 8)),
        ("activation", "tanh"),
        ("density", 0.5),
        ("block_size", 4),
        ("precision", "int8"),
        ("loss", "poisson"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_refuses_another_structure(name, value, method):
    regressor = small(SparseMLPRegressor, warm_start=True).fit(X, NUMBERS)
    regressor.set_params(**{name: value})
    with pytest.raises(ValueError, match=rf"SparseMLPRegressor: {name}=.*; allowed: "):
        getattr(regressor, method)(X, NUMBERS)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_numpys_block_size_is_as_good_as_pythons(dtype, convert):
    options = {"hidden_layer_sizes": (300, 20), "density": 0.9, "precision": "int8"}
    options |= {"sparse_training": "static", "batch_size": 4, "max_iter": 2}
    X_wide = np.tile(X, 10)
    fitted = [
        SparseMLPRegressor(**options, block_size=size, random_state=0)
        .fit(convert(X_wide), NUMBERS)
        .predict(convert(X_wide))
        for size in (4, dtype(4))
    ]
    np.testing.assert_array_equal(*fitted)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_refuses_other_numbers_of_features_and_outputs(method):
    regressor = small(SparseMLPRegressor, warm_start=True).fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 4"):
        getattr(regressor, method)(X[:, :3], NUMBERS)
    with pytest.raises(ValueError, match="n_outputs=2; allowed: 1"):
        getattr(regressor, method)(X, np.c_[NUMBERS, NUMBERS])


def test_a_size_that_is_written_otherwise_is_the_same_structure():
    regressor = small(SparseMLPRegressor, warm_start=True).fit(X, NUMBERS)
    regressor.set_params(hidden_layer_sizes=np.array([8])).fit(X, NUMBERS)
    regressor.set_params(hidden_layer_sizes=8).fit(X, NUMBERS)


def same_state(before, after):
    """Whether two dicts of attributes hold the very same objects."""
    return before.keys() == after.keys() and all(
        before[name] is after[name] for name in before
    )


@pytest.mark.parametrize(
    ("X_bad", "y_bad", "weight"),
    [
        pytest.param(np.ones((30, 7)), LABELS, np.zeros(30), id="weights all zero"),
        pytest.param(np.ones((30, 7)), NUMBERS, None, id="no classes"),
        pytest.param(np.full((30, 4), math.nan), LABELS, None, id="nan"),
    ],
)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(X_bad, y_bad, weight):
    fresh = small(SparseMLPClassifier)
    before = vars(fresh).copy()
    with pytest.raises(ValueError):
        fresh.fit(X_bad, y_bad, sample_weight=weight)
    assert same_state(before, vars(fresh))

    fitted = small(SparseMLPClassifier).fit(X, LABELS)
    before, expected = vars(fitted).copy(), fitted.predict_proba(X)
    with pytest.raises(ValueError):
        fitted.fit(X_bad, y_bad, sample_weight=weight)
    assert same_state(before, vars(fitted))
    np.testing.assert_array_equal(fitted.predict_proba(X), expected)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_training_that_diverges_says_so_and_leaves_the_estimator_as_it_was(
    estimator, y, method
):
    # float32 has such numbers, but not their sums: the first loss is not finite.
    huge = X * (1e38 / np.abs(X).max())
    fresh = small(estimator)
    with pytest.raises(ValueError, match=r"StandardScaler"):
        fresh.fit(huge, y)
    assert not hasattr(fresh, "coefs_")

    fitted = small(estimator, warm_start=True).fit(X, y)
    expected, loss_curve = fitted.predict(X), list(fitted.loss_curve_)
    with pytest.raises(ValueError, match=r"StandardScaler"):
        getattr(fitted, method)(huge, y)
    np.testing.assert_array_equal(fitted.predict(X), expected)
    assert fitted.loss_curve_ == loss_curve
    assert fitted.partial_fit(X, y).t_ == 90


# --- sparse X ----------------------------------------------------------------------


def damaged_sparse(kind, damage):
    """X with a damage that making a matrix would have found; no row is empty."""
    matrix = kind(X)
    assert matrix.nnz == 120
    if damage == "negative":
        matrix.indices[7] = -1
    elif damage == "too large":
        matrix.indices[7] = matrix.shape[1 if matrix.format == "csr" else 0]
    elif damage == "decreasing":
        matrix.indptr[2] = matrix.indptr[1] - 1
    else:
        matrix.indptr[-1] += 5
    return matrix


def train_on(estimator, method, bad, y):
    classifier = isinstance(estimator, SparseMLPClassifier)
    known = {"classes": [0, 1, 2]} if classifier and method == "partial_fit" else {}
    return getattr(estimator, method)(bad, y, **known)


each_container = pytest.mark.parametrize(
    "kind",
    [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.csc_matrix],
)


@each_container
@pytest.mark.parametrize("damage", ["negative", "too large", "decreasing", "beyond"])
@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_sparse_X_out_of_bounds_is_refused(kind, damage, estimator, y):
    name = kind.__name__[:3].upper()
    message = rf"{estimator.__name__}: X is not a valid {name} matrix of shape"
    for method in ("fit", "partial_fit"):
        fresh = small(estimator)
        before = vars(fresh).copy()
        with pytest.raises(ValueError, match=message):
            train_on(fresh, method, damaged_sparse(kind, damage), y)
        assert same_state(before, vars(fresh))
    for first in (X, sparse.csr_array(X)):
        fitted = small(estimator).fit(first, y)
        expected = fitted.predict(X)
        with pytest.raises(ValueError, match=message):
            fitted.predict(damaged_sparse(kind, damage))
        with pytest.raises(ValueError, match=message):
            train_on(fitted, "partial_fit", damaged_sparse(kind, damage), y)
        np.testing.assert_array_equal(fitted.predict(X), expected)


@each_container
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_sparse_X_that_is_not_finite_is_refused(kind, bad, estimator, y):
    matrix = kind(X)
    matrix.data[50] = bad
    message = "X contains (NaN|infinity)"
    for method in ("fit", "partial_fit"):
        fresh = small(estimator)
        with pytest.raises(ValueError, match=message):
            train_on(fresh, method, matrix, y)
        assert not hasattr(fresh, "coefs_")
    fitted = small(estimator).fit(sparse.csr_array(X), y)
    with pytest.raises(ValueError, match=message):
        fitted.predict(matrix)


def in_disorder(X):
    """CSR with every entry in two parts, in random order within its row."""
    coo = sparse.coo_array(X)
    row, column = np.tile(coo.row, 2), np.tile(coo.col, 2)
    order = np.lexsort((np.random.default_rng(0).random(len(row)), row))
    data = np.tile(coo.data / 2, 2)[order]
    indptr = np.searchsorted(row[order], np.arange(X.shape[0] + 1))
    return sparse.csr_array((data, column[order], indptr), shape=X.shape)


@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_unsorted_and_repeated_entries_are_those_of_canonical_X(
    estimator, y, precision
):
    canonical = sparse.csr_array(np.where(X > 0.3, X, 0))
    disorder = in_disorder(canonical)
    arrays = (disorder.data, disorder.indices, disorder.indptr)
    copies = [array.copy() for array in arrays]
    assert (np.diff(disorder.indices[: disorder.indptr[1]]) <= 0).any()
    settings = {"precision": precision, "hidden_layer_sizes": (8, 8)}
    expected = small(estimator, **settings).fit(canonical, y).partial_fit(canonical, y)
    actual = small(estimator, **settings).fit(disorder, y).partial_fit(disorder, y)
    for a, e in zip(actual.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(
            sparse.csr_array(a).toarray(), sparse.csr_array(e).toarray()
        )
    np.testing.assert_array_equal(actual.predict(disorder), expected.predict(canonical))
    # Not a byte of what the user passed has changed, or moved.
    for array, copy, now in zip(
        arrays, copies, (disorder.data, disorder.indices, disorder.indptr), strict=True
    ):
        assert np.shares_memory(array, now)
        np.testing.assert_array_equal(now, copy)


@pytest.mark.parametrize("gaps", ["data", "indices", "indptr"])
def test_arrays_with_gaps_are_read_like_others(gaps):
    X = random_csr((70, 30), 0.2, 0)
    y = np.arange(70.0)
    arrays = {name: getattr(X, name) for name in ("data", "indices", "indptr")}
    other = 7 * arrays[gaps] if gaps == "data" else np.zeros_like(arrays[gaps])
    arrays[gaps] = np.column_stack([arrays[gaps], other])[:, 0]
    assert not arrays[gaps].flags.c_contiguous
    apart = X.copy()
    for name, array in arrays.items():
        setattr(apart, name, array)
    expected, actual = (small(SparseMLPRegressor).fit(rows, y) for rows in (X, apart))
    np.testing.assert_array_equal(actual.predict(apart), expected.predict(X))
    # The same value everywhere may lie in one place.
    ones = sparse.csr_array(
        (np.broadcast_to(1.0, X.nnz), X.indices, X.indptr), shape=X.shape
    )
    np.testing.assert_array_equal(
        expected.predict(ones), expected.predict((X != 0).astype(float))
    )


def with_index(X, form, number):
    """X in some format, a column number (of a block, in BSR) replaced."""
    X = X.asformat(form, copy=True)
    if form == "lil":
        X.rows[3] = [number]
        X.data[3] = [1.0]
    elif form == "coo":
        X.col[3] = number
    else:
        X.indices[3] = number
    return X


@pytest.mark.parametrize("form", ["csr", "csc", "bsr", "coo", "lil"])
@pytest.mark.parametrize("number", [-1, 70, 10**8])
def test_numbers_out_of_range_are_refused_in_every_format(form, number):
    X = sparse.csr_matrix(np.random.default_rng(0).random((64, 40)))
    y = np.arange(64.0)
    bad = with_index(X, form, number)
    message = r"X is not a valid \w+ matrix of shape \(64, 40\)"
    fitted = small(SparseMLPRegressor).fit(X, y)
    fresh = small(SparseMLPRegressor)
    for call in (lambda: fresh.fit(bad, y), lambda: fitted.predict(bad)):
        with pytest.raises(ValueError, match=message):
            call()
    assert not hasattr(fresh, "coefs_")


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("value", [1e39, -1e39])
def test_numbers_beyond_float32_are_refused_before_training(as_given, value):
    X, y = np.eye(5), np.arange(5.0)
    fitted = small(SparseMLPRegressor).fit(as_given(X), y)
    expected = fitted.predict(as_given(X))
    X_bad = X.copy()
    X_bad[2, 2] = value
    for call in (small(SparseMLPRegressor).fit, fitted.partial_fit):
        with pytest.raises(ValueError, match=r"X has a value of magnitude 1e\+39"):
            call(as_given(X_bad), y)
    np.testing.assert_array_equal(fitted.predict(as_given(X)), expected)
    fitted.fit(as_given(X.astype(np.float32)), y)


def test_a_row_number_out_of_range_is_refused():
    X = random_csr((64, 40), 0.2, 0).tocoo()
    X.row[3] = 64
    with pytest.raises(ValueError, match="not a valid COO matrix"):
        small(SparseMLPRegressor).fit(X, np.arange(64.0))


def test_entries_behind_the_last_row_stay():
    X = random_csr((64, 40), 0.2, 0)
    expected = X.toarray()
    X.data, X.indices = (np.append(a, a[:9]) for a in (X.data, X.indices))
    model = small(SparseMLPRegressor).fit(X, np.arange(64.0))
    assert len(X.data) == len(X.indices) == X.nnz + 9
    np.testing.assert_array_equal(
        model.predict(X), model.predict(sparse.csr_array(expected))
    )


def test_int8_refuses_a_row_too_long_for_its_sums():
    n, y = 2**16 + 1, np.arange(3.0)
    X = sparse.csr_array(np.eye(3, n))
    longest, too_long = np.ones((3, n)), np.ones((3, n))
    longest[:, 0] = 0
    too_long[:2, 5:] = 0  # the last row only
    longest, too_long = sparse.csr_array(longest), sparse.csr_array(too_long)
    message = r"X has a row of 65,537 non-zeros; allowed: at most 65,536 with .*int8"
    settings = {"hidden_layer_sizes": (2,), "max_iter": 1}
    for method in ("fit", "partial_fit"):
        fresh = small(SparseMLPRegressor, precision="int8", **settings)
        with pytest.raises(ValueError, match=message):
            getattr(fresh, method)(too_long, y)
        assert not hasattr(fresh, "coefs_")
    fitted = small(SparseMLPRegressor, precision="int8", **settings).fit(X, y)
    with pytest.raises(ValueError, match=message):
        fitted.predict(too_long)
    # A network of sparse rows takes dense ones, too, and sums their non-zeros.
    for X_dense in (too_long.toarray(), np.ones((3, n))):
        with pytest.raises(ValueError, match=message):
            fitted.partial_fit(X_dense, y)
        with pytest.raises(ValueError, match=message):
            fitted.predict(X_dense)
    fitted.partial_fit(longest, y).predict(longest)
    fitted.partial_fit(longest.toarray(), y).predict(longest.toarray())
    small(SparseMLPRegressor, **settings).fit(too_long, y).predict(too_long)


def test_arrays_put_in_the_place_of_sparse_ones_are_looked_at_anew():
    rng = np.random.default_rng(0)
    columns = rng.permutation(2000)
    X = random_csr((300, 2000), 0.02, rng)
    y = rng.random(300)
    assert X.has_canonical_format  # SciPy remembers
    X.indices = columns[X.indices].astype(np.int32)
    expected = X.toarray()
    network = small(SparseMLPRegressor, hidden_layer_sizes=(32,), density=1.0)
    np.testing.assert_allclose(
        network.fit(X, y).predict(X), network.fit(expected, y).predict(expected), 1e-4
    )


@pytest.mark.parametrize(
    "texts", [["a text", "another"] * 15, np.array([["a", 1.5], ["b", 2]] * 15, object)]
)
def test_texts_are_refused_without_being_quoted(texts):
    with pytest.raises(ValueError, match=r"Classifier: X has text; .* OneHotEncoder"):
        small(SparseMLPClassifier).fit(texts, LABELS)
    model = small(SparseMLPClassifier).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"X has text; allowed: numbers\. Tfidf"):
        model.predict(texts)
