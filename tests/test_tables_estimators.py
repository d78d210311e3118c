"""The estimators of tables."""

import copy
import inspect
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_wine, make_friedman1
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.preprocessing import StandardScaler

from sparsenet import TableEncoder, TabularMLPClassifier, TabularMLPRegressor
from sparsenet._formats import PRECISIONS
from sparsenet._tables.parameters import parameters_of

BOTH = [TabularMLPClassifier, TabularMLPRegressor]


def mixed(n_samples=300, seed=0):
    """A table with numbers, words and gaps; labels and numbers that follow from it."""
    rng = np.random.default_rng(seed)
    size, age = rng.normal(size=n_samples), rng.exponential(size=n_samples)
    color = rng.choice(["red", "blue", "green"], size=n_samples).astype(object)
    number = np.where(color == "red", 3.0, 1.0) * np.abs(size) + age
    label = np.where(number > 2, "large", "small")
    color[::17] = None
    age[::13] = np.nan
    return pd.DataFrame({"size": size, "age": age, "color": color}), label, number


TABLE, LABELS, NUMBERS = mixed()
CASES = [(TabularMLPClassifier, LABELS), (TabularMLPRegressor, NUMBERS)]


def small(estimator, **parameters):
    defaults = {"hidden_layer_sizes": (32,), "max_iter": 10, "random_state": 0}
    return estimator(**defaults | parameters)


def test_a_table_is_learned_as_it_is():
    for cls, y in CASES:
        X_train, X_test, y_train, y_test = train_test_split(TABLE, y, random_state=0)
        model = cls(random_state=0).fit(X_train, y_train)
        assert model.score(X_test, y_test) > 0.8


def test_plain_numbers_are_learned():
    for cls, (X, y), least in [
        (TabularMLPClassifier, load_wine(return_X_y=True), 0.9),
        (TabularMLPRegressor, make_friedman1(500, noise=1.0, random_state=0), 0.85),
    ]:
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        assert cls(random_state=0).fit(X_train, y_train).score(X_test, y_test) > least


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("cls", "y"), CASES)
def test_predictions_are_the_mean_of_the_networks(cls, y, precision):
    model = small(cls, n_members=3, precision=precision).fit(TABLE, y)
    encoded = model.encoder_.transform(TABLE)
    assert len(model.members_) == 3
    if cls is TabularMLPRegressor:
        of_each = [member.predict(encoded) for member in model.members_]
        mean = np.mean(of_each, axis=0) * NUMBERS.std() + NUMBERS.mean()
        expected = np.clip(mean, NUMBERS.min(), NUMBERS.max())
        np.testing.assert_allclose(model.predict(TABLE), expected, rtol=1e-6)
    else:
        of_each = [member.predict_proba(encoded) for member in model.members_]
        probabilities = model.predict_proba(TABLE)
        np.testing.assert_allclose(probabilities, np.mean(of_each, axis=0), rtol=1e-6)
        np.testing.assert_array_equal(
            model.predict(TABLE), model.classes_[probabilities.argmax(axis=1)]
        )
        np.testing.assert_allclose(
            np.exp(model.predict_log_proba(TABLE)), probabilities, rtol=1e-6
        )
    weights = [member.coefs_[0].toarray() for member in model.members_]
    assert not np.array_equal(weights[0], weights[1])


@pytest.mark.parametrize(("cls", "y"), CASES)
def test_results_do_not_depend_on_threads_batch_or_frame(cls, y):
    expected = small(cls, n_threads=1).fit(TABLE, y).predict(TABLE)
    other = small(cls, n_threads=2).fit(TABLE, y)
    np.testing.assert_array_equal(other.predict(TABLE), expected)
    one_by_one = [other.predict(TABLE[row : row + 1])[0] for row in range(20)]
    np.testing.assert_array_equal(one_by_one, expected[:20])
    table = pl.DataFrame({n: list(TABLE[n].replace({np.nan: None})) for n in TABLE})
    np.testing.assert_array_equal(small(cls).fit(table, y).predict(table), expected)


@pytest.mark.parametrize(("cls", "y"), CASES)
def test_copies_predict_the_same(cls, y):
    model = small(cls).fit(TABLE, y)
    expected = model.predict(TABLE)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict(TABLE), expected)


@pytest.mark.parametrize(("cls", "y"), CASES)
def test_files_name_public_classes_only(cls, y):
    skops = pytest.importorskip("skops.io", reason="is what writes files")
    model = small(cls).fit(TABLE, y)
    saved = skops.dumps(model)
    names = skops.get_untrusted_types(data=saved)
    assert set(names) == {
        f"sparsenet.{cls.__name__}",
        f"sparsenet.{cls._member_class.__name__}",
        "sparsenet.TableEncoder",
    }
    loaded = skops.loads(saved, trusted=names)
    np.testing.assert_array_equal(loaded.predict(TABLE), model.predict(TABLE))
    names = set(re.findall(rb"sparsenet[\w.]*", pickle.dumps(model)))
    assert names <= {b"sparsenet"}


def test_scale_and_place_of_targets_do_not_matter():
    expected = small(TabularMLPRegressor).fit(TABLE, NUMBERS).predict(TABLE)
    model = small(TabularMLPRegressor).fit(TABLE, NUMBERS * 2.0**40)
    np.testing.assert_allclose(model.predict(TABLE), expected * 2.0**40, rtol=1e-5)
    constant = small(TabularMLPRegressor).fit(TABLE, np.full(len(TABLE), 7.0))
    np.testing.assert_array_equal(constant.predict(TABLE), np.full(len(TABLE), 7.0))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [1e-300, 1e-163, 1e153, 1e307])
def test_targets_of_any_size(unit):
    expected = small(TabularMLPRegressor).fit(TABLE, NUMBERS).predict(TABLE)
    weights = np.full(len(TABLE), 1e300)
    model = small(TabularMLPRegressor).fit(TABLE, NUMBERS * unit, weights)
    np.testing.assert_allclose(model.predict(TABLE) / unit, expected, rtol=1e-3)


def test_targets_of_different_sizes():
    units = np.array([1.0, 1e-250])
    model = small(TabularMLPRegressor, max_iter=40)
    predicted = model.fit(TABLE, NUMBERS[:, None] * units).predict(TABLE) / units
    assert r2_score(NUMBERS, predicted[:, 0]) > 0.7
    assert r2_score(NUMBERS, predicted[:, 1]) > 0.7


def test_predictions_stay_in_the_range_of_training():
    model = small(TabularMLPRegressor, max_iter=1, learning_rate_init=1.0)
    predicted = model.fit(TABLE, NUMBERS).predict(TABLE)
    assert predicted.min() >= NUMBERS.min() and predicted.max() <= NUMBERS.max()


def test_several_targets():
    both = np.column_stack([NUMBERS, 100 - NUMBERS])
    model = small(TabularMLPRegressor, max_iter=40).fit(TABLE, both)
    assert model.predict(TABLE).shape == both.shape
    assert model.score(TABLE, both) > 0.7
    labels = np.column_stack([LABELS == "large", LABELS == "small"]).astype(int)
    model = small(TabularMLPClassifier, max_iter=40).fit(TABLE, labels)
    assert model.predict(TABLE).shape == labels.shape
    assert model.score(TABLE, labels) > 0.7


@pytest.mark.parametrize(("cls", "y"), CASES)
def test_samples_of_weight_0_are_absent(cls, y):
    weights = np.ones(len(TABLE))
    weights[::3] = 0
    model = small(cls).fit(TABLE, y, weights)
    other = small(cls).fit(TABLE[weights > 0].reset_index(drop=True), y[weights > 0])
    predicted, expected = model.predict(TABLE), other.predict(TABLE)
    if cls is TabularMLPRegressor:  # the mean of targets is one with weights
        np.testing.assert_allclose(predicted, expected, rtol=1e-12)
    else:
        np.testing.assert_array_equal(predicted, expected)


def test_a_failed_call_draws_no_random_numbers():
    generator = np.random.RandomState(0)
    model = small(TabularMLPRegressor, random_state=generator)
    with pytest.raises(ValueError, match="diverged"):
        model.set_params(learning_rate_init=1e30).fit(TABLE, NUMBERS)
    model.set_params(learning_rate_init=0.006).fit(TABLE, NUMBERS)
    other = np.random.RandomState(0)
    small(TabularMLPRegressor, random_state=other).fit(TABLE, NUMBERS)
    assert generator.randint(2**31) == other.randint(2**31)
    assert generator.randint(2**31) != np.random.RandomState(0).randint(2**31)


def test_classes_of_weight_0_are_classes():
    weights = np.where(LABELS == "large", 1.0, 0.0)
    model = small(TabularMLPClassifier, class_weight={"small": 2.0})
    model.fit(TABLE, LABELS, weights)
    assert model.classes_.tolist() == ["large", "small"]
    assert model.predict_proba(TABLE).shape == (len(TABLE), 2)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_the_configuration_of_transformers_does_not_matter(output):
    expected = small(TabularMLPRegressor).fit(TABLE, NUMBERS).predict(TABLE)
    with config_context(transform_output=output), warnings.catch_warnings():
        warnings.simplefilter("error")
        model = small(TabularMLPRegressor).fit(TABLE, NUMBERS)
        np.testing.assert_array_equal(model.predict(TABLE), expected)


def test_subclasses_may_have_parameters_of_their_own():
    class Mine(TabularMLPRegressor):
        def __init__(self, extra=1):
            super().__init__((16,), max_iter=2)
            self.extra = extra

    assert Mine().fit(TABLE, NUMBERS).predict(TABLE).shape == NUMBERS.shape


def test_errors_name_the_estimator_that_users_know():
    model = small(TabularMLPRegressor).fit(TABLE, NUMBERS)
    with pytest.raises(ValueError, match=r"^TabularMLPRegressor: column 'size' of X"):
        model.predict(TABLE.assign(size="large"))
    with pytest.raises(ValueError, match=r"^TabularMLPRegressor: column 'size' of X"):
        model.fit(TABLE.assign(size=np.inf), NUMBERS)


def test_errors_of_an_encoder_blame_the_encoder():
    model = small(TabularMLPClassifier, encoder=SimpleImputer(strategy="most_frequent"))
    message = r"^TabularMLPClassifier: encoder=SimpleImputer puts out something else"
    with pytest.raises(ValueError, match=message):
        model.fit(TABLE, LABELS)


def test_errors_of_targets_name_y():
    missing = LABELS.astype(object)
    missing[0] = np.nan
    with pytest.raises(
        ValueError, match=r"^TabularMLPClassifier: Input y contains NaN"
    ):
        small(TabularMLPClassifier).fit(TABLE, missing)
    with pytest.raises(ValueError, match=r"^TabularMLPRegressor: y has something else"):
        small(TabularMLPRegressor).fit(TABLE, LABELS)


def test_verbose_says_which_network(capsys):
    small(TabularMLPRegressor, verbose=True, max_iter=1).fit(TABLE, NUMBERS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Network 1 of 2" and lines[1].startswith("Iteration 1")
    assert lines[2] == "Network 2 of 2" and len(lines) == 4


def test_weights_and_class_weights_count():
    rare = np.where(LABELS == "large", 20.0, 1.0)
    plain = small(TabularMLPClassifier).fit(TABLE, LABELS).predict(TABLE)
    weighted = small(TabularMLPClassifier).fit(TABLE, LABELS, rare).predict(TABLE)
    of_class = small(TabularMLPClassifier, class_weight={"large": 20.0})
    for predicted in (weighted, of_class.fit(TABLE, LABELS).predict(TABLE)):
        assert (predicted == "large").sum() > (plain == "large").sum()


def test_another_encoder():
    X, y = load_wine(return_X_y=True)
    model = small(TabularMLPClassifier, encoder=StandardScaler()).fit(X, y)
    assert isinstance(model.encoder_, StandardScaler)
    assert not hasattr(model.encoder, "mean_")  # a copy is fitted
    assert model.score(X, y) > 0.9
    model.set_params(encoder=TableEncoder(n_knots=0)).fit(X, y)
    assert model.members_[0].n_features_in_ == 13


def test_tools_of_scikit_learn():
    model = small(TabularMLPClassifier)
    assert len(cross_validate(model, TABLE, LABELS, cv=2)["test_score"]) == 2
    search = GridSearchCV(model, {"dropout": [0.0, 0.1], "n_members": [1]}, cv=2)
    assert search.fit(TABLE, LABELS).best_params_["n_members"] == 1
    calibrated = CalibratedClassifierCV(model, cv=2).fit(TABLE, LABELS)
    assert calibrated.predict_proba(TABLE).shape == (len(TABLE), 2)
    found = permutation_importance(
        model.fit(TABLE, LABELS), TABLE, LABELS, n_repeats=2, random_state=0
    )
    assert found.importances_mean.shape == (3,)


class StoppedClock:
    """A clock that goes on by a second when it is read."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 1
        return self.now


@pytest.mark.parametrize(("cls", "y"), CASES)
def test_networks_share_the_time_there_is(cls, y, monkeypatch):
    monkeypatch.setattr("sparsenet._tables.estimators.time", StoppedClock())
    given = []
    member = cls._member_class

    class Recorded(member):
        def fit(self, *args):
            given.append(self.time_limit)
            return super().fit(*args)

    Recorded.__init__ = member.__init__
    monkeypatch.setattr(cls, "_member_class", Recorded)
    small(cls, n_members=4, time_limit=41.0, max_iter=1).fit(TABLE, y)
    # 40 s are left for four of them, then 39 for three, ...
    assert given == [10, 13, 19, 37]
    small(cls, n_members=2, time_limit=1e-9, max_iter=1).fit(TABLE, y)
    assert given[4:] == [1e-9, 1e-9]


def test_ctrl_c_leaves_what_was_learned(monkeypatch):
    calls = []
    fit = TabularMLPClassifier._member_class.fit

    def interrupted(self, *args):
        calls.append(self)
        fit(self, *args)
        self._history.interrupted = True
        return self

    monkeypatch.setattr(TabularMLPClassifier._member_class, "fit", interrupted)
    model = small(TabularMLPClassifier, n_members=5).fit(TABLE, LABELS)
    assert len(calls) == len(model.members_) == 1
    assert model.predict(TABLE).shape == LABELS.shape


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_members": 0}, "n_members=0; allowed: an integer >= 1"),
        ({"max_iter": 0}, "max_iter=0; allowed: 'auto' or an integer >= 1"),
        ({"encoder": 7}, "encoder=7; allowed: None or an object with fit_transform"),
        ({"time_limit": -1}, "time_limit=-1; allowed: None or a number > 0"),
        ({"density": 2.0}, "density=2.0; allowed: "),
        ({"precision": "int4"}, "precision='int4'; allowed: "),
        ({"dropout": [0.1] * 7}, "dropout=\\[0.1, .*\\]; allowed: "),
    ],
)
@pytest.mark.parametrize(("cls", "y"), CASES)
def test_bad_parameters_leave_the_estimator_as_it_was(cls, y, changes, message):
    model = small(cls).fit(TABLE, y)
    expected = model.predict(TABLE)
    with pytest.raises(ValueError, match=f"{cls.__name__}: {message}"):
        model.set_params(**changes).fit(TABLE, y)
    np.testing.assert_array_equal(model.predict(TABLE), expected)


def test_bad_input_is_named():
    model = small(TabularMLPRegressor)
    with pytest.raises(NotFittedError):
        model.predict(TABLE)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(TABLE, NUMBERS[:-1])
    with pytest.raises(ValueError, match="TabularMLPRegressor: sample_weight has"):
        model.fit(TABLE, NUMBERS, [-1.0] * len(TABLE))
    with pytest.raises(ValueError, match="TabularMLPClassifier: class_weight="):
        small(TabularMLPClassifier, class_weight={"?": 2.0}).fit(TABLE, LABELS)
    model.fit(TABLE, NUMBERS)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(TABLE.rename(columns={"size": "length"}))


def test_a_second_fit_forgets_the_names_of_the_first():
    model = small(TabularMLPRegressor).fit(TABLE, NUMBERS)
    assert model.feature_names_in_.tolist() == ["size", "age", "color"]
    model.fit(np.eye(20), np.arange(20.0))
    assert not hasattr(model, "feature_names_in_") and model.n_features_in_ == 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(np.eye(20))


@pytest.mark.parametrize("cls", BOTH)
def test_the_table_of_parameters_is_that_of_the_signature(cls):
    table = parameters_of(cls)
    signature = inspect.signature(cls).parameters
    assert {name: p.default for name, p in signature.items()} == {
        name: parameter.default for name, parameter in table.items()
    }
    for parameter in table.values():
        assert parameter.constraint.allows(parameter.default)
    for name in table:
        assert f"\n{name} : " in inspect.getdoc(cls)
