"""Weights of classes."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils.class_weight import compute_sample_weight
from small_estimators import LABELS, PRECISIONS, X

from sparsenet import SparseMLPClassifier
from sparsenet._class_weight import weigh_classes

pytestmark = pytest.mark.filterwarnings("ignore")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])

WEIGHT = np.random.default_rng(0).uniform(0.5, 2, len(LABELS))
NAMES = LABELS.astype(str)
MULTILABEL = np.c_[LABELS > 4, LABELS % 2].astype(int)


def classifier(**options):
    settings = {"hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0}
    return SparseMLPClassifier(**settings | options)


def weigh(class_weight, y, sample_weight=None):
    classes = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
    return weigh_classes(class_weight, classes, y, sample_weight, "Name")


# --- the weights -------------------------------------------------------------------


@pytest.mark.parametrize("sample_weight", [None, WEIGHT])
@pytest.mark.parametrize(
    ("class_weight", "y"),
    [
        ("balanced", LABELS),
        ("balanced", LABELS % 7 == 0),
        ("balanced", NAMES),
        ("balanced", MULTILABEL),
        (dict.fromkeys(range(10), 2) | {3: 0.5}, LABELS),
        ({True: 3, False: 0.5}, LABELS > 4),
        ([{0: 1, 1: 2}, {0: 3, 1: 0.25}], MULTILABEL),
    ],
)
def test_weights_are_those_of_scikit_learn(class_weight, y, sample_weight):
    factors = compute_sample_weight(class_weight, y)
    expected = factors if sample_weight is None else factors * sample_weight
    actual = weigh(class_weight, y, sample_weight)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [str, float, lambda label: label / 4, np.int64])
def test_labels_of_any_kind_have_their_own_weights(kind):
    y = np.array([kind(label) for label in LABELS.tolist()])
    weights = weigh({kind(label): 1 + label for label in range(10)}, y)
    np.testing.assert_array_equal(weights, 1 + LABELS)


def test_labels_that_are_lacking_have_weight_1():
    np.testing.assert_array_equal(weigh({}, LABELS), np.ones(len(LABELS)))
    np.testing.assert_array_equal(weigh({4: 3}, LABELS), 1 + 2 * (LABELS == 4))
    np.testing.assert_array_equal(weigh([{1: 3}, {}], MULTILABEL), 1 + 2 * (LABELS > 4))


def test_products_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="from 0 to inf; allowed: finite ones, not"):
        weigh({0: 1e200, 1: 0}, LABELS, np.full(len(LABELS), 1e200))


def test_samples_without_weight_are_not_counted():
    present = np.arange(len(LABELS)) % 3 > 0
    weights = weigh("balanced", LABELS, present.astype(np.float32))
    expected = compute_sample_weight("balanced", LABELS[present])
    np.testing.assert_allclose(weights[present], expected, rtol=1e-6)
    assert not weights[~present].any()


@pytest.mark.parametrize(
    ("class_weight", "y", "message"),
    [
        ({10: 1}, LABELS, "has the label 10; allowed: those of [0, 1, 2,"),
        ({"a": 1}, LABELS, "has the label 'a'; allowed: those of"),
        ({3: 1}, NAMES, "has the label 3; allowed: those of ['0', '1',"),
        ([{0: 1}], LABELS, "[{0: 1}]; allowed: one dict for all labels of y"),
        ({0: 1}, MULTILABEL, "{0: 1}; allowed: a list of 2 dicts, one for each"),
        ([{0: 1}], MULTILABEL, "allowed: a list of 2 dicts, one for each label of y"),
        ([{}, {2: 1}], MULTILABEL, "has the label 2; allowed: those of [0, 1]"),
        (dict.fromkeys(range(10), 0), LABELS, "from 0 to 0; allowed: finite ones"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_is_wrong_is_refused_before_work_starts(class_weight, y, message, method):
    model = classifier(warm_start=True)
    model.partial_fit(X, y, classes=None if y.ndim == 2 else np.unique(y))
    before = model.predict_proba(X)
    model.set_params(class_weight=class_weight)
    with pytest.raises(
        ValueError, match=r"^SparseMLPClassifier: class_weight="
    ) as info:
        getattr(model, method)(X, y)
    assert message in str(info.value)
    np.testing.assert_array_equal(model.predict_proba(X), before)


# --- what they do in training ------------------------------------------------------


@each_precision
@each_container
@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.1, 1: 5, 2: 0}])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_they_multiply_the_weights_of_samples(
    class_weight, precision, container, n_threads
):
    y, options = LABELS % 3, {"precision": precision, "n_threads": n_threads}
    weighed = classifier(class_weight=class_weight, **options)
    weighed.fit(container(X), y, WEIGHT)
    product = weigh(class_weight, y, WEIGHT)
    expected = classifier(**options)
    # A class without weight is absent, but known.
    expected.partial_fit(container(X), y, product, classes=[0, 1, 2])
    first = classifier(**options, class_weight=None)
    first.fit(container(X), y, product)
    assert weighed.loss_curve_ == first.loss_curve_
    assert weighed.loss_curve_[0] == expected.loss_curve_[0]
    np.testing.assert_array_equal(
        weighed.predict_proba(container(X)), first.predict_proba(container(X))
    )


def test_a_class_without_weight_is_never_predicted():
    model = classifier(class_weight={3: 0}, max_iter=60, learning_rate_init=0.01)
    predicted = model.fit(X, LABELS).predict(X)
    assert 3 not in predicted and len(model.classes_) == 10
    others = LABELS != 3
    assert np.mean(predicted[others] == LABELS[others]) > 0.9


def test_labels_of_a_multi_label_y_are_weighed_on_their_own():
    rare = np.c_[LABELS == 0, LABELS == 1].astype(int)
    options = {"max_iter": 20, "learning_rate_init": 0.001}
    plain, weighed = (
        classifier(class_weight=class_weight, **options).fit(X, rare).predict_proba(X)
        for class_weight in (None, [{1: 30}, {}])
    )
    assert weighed[:, 0].mean() > plain[:, 0].mean() + 0.1


def test_calls_of_partial_fit_may_lack_classes():
    model = classifier(class_weight={0: 2, 9: 3}, random_state=1)
    few = LABELS < 4
    model.partial_fit(X[few], LABELS[few], classes=np.arange(10))
    expected = classifier(random_state=1)
    weight = 1.0 + (LABELS[few] == 0)
    expected.partial_fit(X[few], LABELS[few], weight, classes=np.arange(10))
    assert model.loss_curve_ == expected.loss_curve_


def test_partial_fit_cannot_balance_what_it_has_not_seen():
    model = classifier(class_weight="balanced")
    message = "^SparseMLPClassifier: class_weight='balanced'; allowed in partial_fit"
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, LABELS, classes=np.arange(10))
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize("sample_weight", [None, WEIGHT])
def test_scores_do_not_depend_on_them(sample_weight, monkeypatch):
    """Early stopping goes by the user's own weights."""
    seen = []
    original = SparseMLPClassifier._score_decided

    def remember(self, y, decided, weight):
        seen.append((y, decided, weight))
        return original(self, y, decided, weight)

    monkeypatch.setattr(SparseMLPClassifier, "_score_decided", remember)
    model = classifier(class_weight="balanced", early_stopping=True, max_iter=2)
    model.fit(X, LABELS, sample_weight)
    for (y, decided, weight), score in zip(seen, model.validation_scores_, strict=True):
        assert (weight is None) == (sample_weight is None)
        assert weight is None or np.isin(weight, WEIGHT).all()
        assert score == pytest.approx(np.average(y == decided, weights=weight))


def test_they_may_change_between_calls():
    model = classifier(warm_start=True).fit(X, LABELS)
    model.set_params(class_weight="balanced").fit(X, LABELS)
    model.set_params(class_weight={1: 2}).partial_fit(X, LABELS)
