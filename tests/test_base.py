"""A call changes an estimator wholly or not at all; copies and pickles lose nothing."""

import copy
import pickle
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
import subprocesses
from interruptions import Interrupted
from scipy import sparse
from sklearn.datasets import load_digits

from sparsenet import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._formats import PRECISIONS
from sparsenet._kernels._dispatch import SOLVERS
from sparsenet._kernels.train import memory
from sparsenet._network import Network
from sparsenet._state import checksum

X, LABELS = load_digits(return_X_y=True)
X, LABELS = X[:300] / 16, LABELS[:300]
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
pytestmark = pytest.mark.filterwarnings("ignore")


def classifier(**options):
    settings = {
        "hidden_layer_sizes": (40, 24),
        "density": 0.3,
        "batch_size": 50,
        "max_iter": 3,
        "rewire_interval": 4,
        "random_state": 0,
        "n_threads": 1,
    }
    return SparseMLPClassifier(**settings | options)


def taught(container=np.asarray, calls=2, **options):
    """A classifier after some calls of partial_fit."""
    model = classifier(**options)
    for _ in range(calls):
        model.partial_fit(container(X), LABELS, classes=np.arange(10))
    return model


def bits(model):
    """A checksum of all that a call may change."""
    state = vars(model).copy()
    network = state.pop("_network", None)
    if network is not None:
        network = network.with_pickles(True).__getstate__()
    random_states = [
        value.get_state(legacy=False)
        for value in state.values()
        if isinstance(value, np.random.RandomState)
    ]
    plain = {n: v for n, v in state.items() if not isinstance(v, np.random.RandomState)}
    return checksum([plain, random_states, network])


# --- failed calls ------------------------------------------------------------------


def calls_to_interrupt(container):
    """Pairs of a model and a call that trains it."""
    rows = container(X)
    gradual = {"sparse_training": "gradual", "rewire_until": 2}
    return {
        "fit": (classifier(), lambda m: m.fit(rows, LABELS)),
        "refit": (taught(container), lambda m: m.fit(rows, LABELS)),
        "warm": (
            taught(container, warm_start=True, max_iter=1, precision="int8"),
            lambda m: m.fit(rows, LABELS),
        ),
        "first part": (
            classifier(),
            lambda m: m.partial_fit(rows, LABELS, classes=np.arange(10)),
        ),
        "part": (
            taught(container, precision="bfloat16"),
            lambda m: m.partial_fit(rows, LABELS),
        ),
        "other solver": (
            taught(container).set_params(solver="sgd"),
            lambda m: m.partial_fit(rows, LABELS),
        ),
        "pruning": (
            taught(container, calls=1, **gradual),
            lambda m: m.partial_fit(rows, LABELS),
        ),
        "early stopping": (
            classifier(early_stopping=True, max_iter=2),
            lambda m: m.fit(rows, LABELS),
        ),
        "validation": (
            taught(container, max_iter=2).set_params(
                restore_best=True, scoring="accuracy", train_scores=True
            ),
            lambda m: m.fit(rows, LABELS, X_val=rows[:40], y_val=LABELS[:40]),
        ),
        "generator": (
            classifier(random_state=np.random.RandomState(3), max_iter=1),
            lambda m: m.fit(rows, LABELS),
        ),
    }


@each_container
@pytest.mark.parametrize("kind", calls_to_interrupt(np.asarray))
def test_ctrl_c_at_any_line_leaves_all_or_nothing(container, kind):
    start, call = calls_to_interrupt(container)[kind]
    uninterrupted = copy.deepcopy(start)
    with Interrupted(10**9) as count:
        call(uninterrupted)
    assert count.n_lines > 200
    ends = set()
    rng = np.random.default_rng(0)
    chosen = rng.choice(count.n_lines, 120, replace=False)
    for n in sorted({*chosen, *range(count.n_lines - 40, count.n_lines)}):
        model = copy.deepcopy(start)
        before = bits(model)
        with Interrupted(int(n)) as interruption:
            try:
                call(model)
            except KeyboardInterrupt:
                ends.add("raised")
            else:
                ends.add("returned")
        assert interruption.where is not None
        if not hasattr(model, "_network") or bits(model) == before:
            assert bits(model) == before, interruption.where
            continue
        # Ended in time with what was learned until then: it is as good as any other.
        network = model._network
        assert network.is_finite()
        assert len({layer.n_moments for layer in network.layers}) == 1
        assert len(model.loss_curve_) == len(start.__dict__.get("loss_curve_", [])) * (
            kind not in ("fit", "refit", "validation")
        ) + (model.n_iter_)
        again = pickle.loads(pickle.dumps(model))
        model.set_params(early_stopping=False, restore_best=False)
        for _ in range(2):
            model.partial_fit(container(X), LABELS)
        assert model._network.is_finite()
        assert np.isfinite(model.predict_proba(container(X))).all()
        again.predict_proba(container(X))
    assert ends == {"raised", "returned"}


@each_container
def test_a_second_ctrl_c_leaves_the_estimator_as_it_was(container):
    """The first one ends training, the second one comes while that is handled."""
    model = taught(container)
    before = bits(model)
    attempts = 0
    original = Network.train_epoch
    with pytest.MonkeyPatch.context() as patch:

        def interrupted(*arguments, **options):
            original(*arguments, **options)
            raise KeyboardInterrupt

        patch.setattr(Network, "train_epoch", interrupted)
        patch.setattr(Network, "is_finite", interrupted_is_finite)
        for method in (model.fit, model.partial_fit):
            with pytest.raises(KeyboardInterrupt):
                method(container(X), LABELS)
            attempts += 1
            assert bits(model) == before
    assert attempts == 2


def interrupted_is_finite(network):
    raise KeyboardInterrupt


@each_precision
@each_container
def test_a_lack_of_memory_leaves_the_estimator_as_it_was(precision, container):
    rows = container(X)
    model = taught(container, precision=precision, sparse_training="rigl")
    before = bits(model)
    expected = copy.deepcopy(model).partial_fit(rows, LABELS)
    n, failures = 0, 0
    while True:
        memory.fail_after(n)
        try:
            model.partial_fit(rows, LABELS)
        except MemoryError:
            failures += 1
        else:
            break
        finally:
            memory.fail_after(-1)
        assert bits(model) == before
        n += 1
    assert failures > 20
    assert bits(model) == bits(expected)


@pytest.mark.parametrize("random_state", [0, np.random.RandomState(0)], ids=type)
def test_a_failed_call_draws_no_random_numbers(random_state):
    first = classifier(random_state=copy.deepcopy(random_state))
    second = classifier(random_state=copy.deepcopy(random_state))
    for model in (first, second):
        model.partial_fit(X, LABELS, classes=np.arange(10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "is_finite", lambda network: False)  # when all is done
        with pytest.raises(ValueError, match="diverged"):
            second.partial_fit(X, LABELS)
    for model in (first, second):
        model.partial_fit(X, LABELS)
    assert bits(first) == bits(second)


def test_a_generator_is_drawn_from_by_every_successful_call():
    generator = np.random.RandomState(0)
    first = classifier(random_state=generator).fit(X, LABELS)
    second = classifier(random_state=generator).fit(X, LABELS)
    assert (first.predict_proba(X) != second.predict_proba(X)).any()
    state = generator.get_state()[1].copy()
    second.partial_fit(X, LABELS)
    assert (generator.get_state()[1] != state).any() or generator.get_state()[2]


# --- another thread ----------------------------------------------------------------


@pytest.mark.parametrize("fitted_on", [np.asarray, sparse.csr_array])
def test_predictions_while_another_thread_refits_are_those_before_or_after(fitted_on):
    """Of another width, with other classes."""
    narrow, wide = fitted_on(X[:, :20]), fitted_on(np.hstack([X, X]))
    model = classifier(max_iter=2).fit(narrow, LABELS % 3)
    expected = model.predict(narrow)
    seen, stop = [], threading.Event()

    def predict():
        while not stop.is_set():
            try:
                seen.append(model.predict(narrow))
            except ValueError as error:
                assert "20" in str(error)  # the new width was asked for
                seen.append(None)

    thread = threading.Thread(target=predict)
    thread.start()
    for _ in range(10):
        model.fit(wide, LABELS)
        model.fit(narrow, LABELS % 3)
    stop.set()
    thread.join()
    assert any(labels is not None for labels in seen)
    for labels in seen:
        if labels is not None:
            np.testing.assert_array_equal(labels, expected)


@each_precision
@each_container
@pytest.mark.parametrize("n_columns", [1, 63, 65, 5000])
def test_a_changed_number_of_features_is_no_way_into_the_network(
    precision, container, n_columns
):
    model = classifier(precision=precision).fit(container(X), LABELS)
    model.n_features_in_ = n_columns
    other = container(np.ones((30, n_columns)))
    for call in (
        lambda: model.predict(other),
        lambda: model.predict_proba(other),
        lambda: model.score(other, LABELS[:30]),
        lambda: model.partial_fit(other, LABELS[:30]),
        lambda: model.set_params(warm_start=True).fit(other, LABELS[:30]),
    ):
        with pytest.raises(ValueError, match=f"{n_columns} (columns|features)"):
            call()


@each_container
def test_changed_classes_are_no_way_into_the_network(container):
    model = taught(container)
    model.classes_ = np.arange(50)
    with pytest.raises(ValueError, match="n_outputs=50; allowed: 10"):
        model.partial_fit(container(X), np.arange(300) % 50)
    model._structure["n_outputs"] = 50
    with pytest.raises(ValueError, match="class codes"):
        model.partial_fit(container(X), np.arange(300) % 50)


@each_container
def test_a_number_of_threads_is_checked_before_a_prediction(container):
    model = taught(container).set_params(n_threads=10**6)
    with pytest.raises(ValueError, match="n_threads=1000000; allowed"):
        model.predict(container(X))


# --- copies ------------------------------------------------------------------------


def through_joblib(model, tmp_path):
    joblib.dump(model, tmp_path / "model.joblib")
    return joblib.load(tmp_path / "model.joblib")


def through_a_map(model, tmp_path):
    joblib.dump(model, tmp_path / "model.joblib")
    return joblib.load(tmp_path / "model.joblib", mmap_mode="r")


COPIES = {
    "copy": lambda model, _: copy.copy(model),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "joblib": through_joblib,
    "map": through_a_map,
}


@each_precision
@each_container
@pytest.mark.parametrize("sparse_training", ["static", "set", "gradual"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("block_size", [1, 4])
def test_copies_between_parts_go_on_to_the_same_bits(
    precision, container, sparse_training, solver, block_size, tmp_path
):
    rows = container(X)
    model = taught(
        container, precision=precision, sparse_training=sparse_training,
        solver=solver, block_size=block_size, max_iter=8,
    )  # fmt: skip
    copies = {how: make(model, tmp_path) for how, make in COPIES.items()}
    before = bits(model)
    for how, other in copies.items():
        assert bits(other) == before, how
    model.partial_fit(rows, LABELS).partial_fit(rows, LABELS)
    after = bits(model)
    for how, other in copies.items():
        assert bits(other) == before, how  # shares nothing that training changes
        other.partial_fit(rows, LABELS).partial_fit(rows, LABELS)
        assert bits(other) == after, how


@each_precision
@each_container
def test_a_copy_after_fit_goes_on_like_the_original(precision, container):
    model = classifier(precision=precision).fit(container(X), LABELS)
    for other in (copy.copy(model), copy.deepcopy(model)):
        other.partial_fit(container(X), LABELS)
        expected = copy.deepcopy(model).partial_fit(container(X), LABELS)
        assert bits(other) == bits(expected)


def test_a_regressor_that_learns_in_parts_loses_nothing_in_a_pickle():
    y = np.sin(X.sum(axis=1))
    model = SparseMLPRegressor(hidden_layer_sizes=(40,), precision="int8")
    for _ in range(5):
        model.partial_fit(X, y)
    other = pickle.loads(pickle.dumps(model))
    for one in (model, other):
        for _ in range(5):
            one.partial_fit(X, y)
    assert bits(model) == bits(other)


@each_precision
@each_container
def test_pickles_after_fit_are_small_and_after_parts_whole(precision, container):
    def size(model):
        return len(pickle.dumps(model._network))

    model = classifier(precision=precision).fit(container(X), LABELS)
    n = model._network.n_connections
    small = size(model)
    stored = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}[precision]
    assert small < (stored + 2.6) * n + 3000
    model.partial_fit(container(X), LABELS)
    whole = size(model)
    masters = 0 if precision == "float32" else 4
    # Two moments, and where connections change two bytes of age.
    assert small + (8 + masters) * n < whole < small + (10.5 + masters) * n + 3000
    assert size(model.set_pickle(training_state=False)) < small + 50
    model.partial_fit(container(X), LABELS)
    assert size(model) < small + 50  # the choice stays
    assert abs(size(model.set_pickle(training_state="auto")) - whole) < 50
    assert abs(size(model.fit(container(X), LABELS)) - small) < 50
    assert size(model.set_pickle(training_state=True)) > small + (8 + masters) * n


@each_container
def test_a_choice_before_fit_holds_after_it(container):
    model = classifier(precision="int8").set_pickle(training_state=True)
    model.fit(container(X), LABELS)
    other = pickle.loads(pickle.dumps(model))
    for one in (model, other):
        one.partial_fit(container(X), LABELS)
    assert bits(model) == bits(other)


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_a_choice_must_be_true_false_or_auto(value):
    with pytest.raises(ValueError, match=r"training_state=.*; allowed: True, False or"):
        classifier().set_pickle(training_state=value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_features_in_", 65),
        ("n_outputs_", 11),
        ("n_layers_", 3),
        ("out_activation_", "logistic"),
        ("classes_", np.arange(9)),
    ],
)
def test_a_pickle_whose_attributes_contradict_its_network_is_refused(name, value):
    model = classifier().fit(X, LABELS)
    setattr(model, name, value)
    saved = pickle.dumps(model)
    with pytest.raises(ValueError, match=f"damaged or foreign .*{name}"):
        pickle.loads(saved)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("classes_", lambda model: model.classes_.__setitem__(1, 18)),
        ("_random_state", lambda model: model._random_state.rand()),
        ("_history", lambda model: setattr(model._history, "t", 7)),
        ("_structure", lambda model: model._structure.update(density=0.5)),
        ("alpha", lambda model: model.set_params(alpha=1e-155)),
    ],
)
def test_a_pickle_whose_attributes_have_changed_is_refused(name, change):
    model = taught()
    state = copy.deepcopy(model).__getstate__()
    classifier().__setstate__(state)
    changed = copy.deepcopy(model)
    change(changed)
    state = state | {name: vars(changed)[name]}
    with pytest.raises(ValueError, match="checksum of its attributes"):
        classifier().__setstate__(state)


def test_a_checksum_asks_nothing_of_other_objects():
    class Other(SparseMLPClassifier):
        def __init__(self, helper=None):
            super().__init__(hidden_layer_sizes=(8,), max_iter=2)
            self.helper = helper

    model = Other(helper=object()).fit(X, LABELS)
    state = model.__getstate__() | {"helper": object(), "extra": object()}
    other = Other()
    other.__setstate__(state)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_labels_of_any_kind_are_covered(tmp_path):
    for labels in (LABELS.astype(str), LABELS.astype(str).astype(object), LABELS > 4):
        model = through_joblib(classifier().fit(X, labels), tmp_path)
        assert set(model.predict(X)) <= set(labels)


# --- what others do meanwhile ------------------------------------------------------


class Meddler:
    """Standard output that changes an estimator while it prints its progress."""

    def __init__(self, model):
        self.model = model

    def write(self, _):
        self.model.set_params(alpha=0.5)
        self.model.note = "mine"
        self.model.set_pickle(training_state=True)

    def flush(self):
        pass


def test_what_is_set_during_a_fit_stays(monkeypatch):
    model = classifier(verbose=True)
    monkeypatch.setattr("sys.stdout", Meddler(model))
    model.fit(X, LABELS)
    monkeypatch.undo()
    assert model.alpha == 0.5 and model.note == "mine"
    assert model._network.pickles_training


class Fitter:
    """Fits a model while it prints: on other columns and classes, once."""

    def __init__(self, model):
        self.model, self.is_done = model, False

    def write(self, text):
        if not self.is_done:
            self.is_done = True
            self.model.set_params(early_stopping=True)
            self.model.fit(X[:, :5], LABELS == 0)

    def flush(self):
        pass


def test_what_is_learned_is_of_one_fit(monkeypatch):
    """Of the one that ends last, where another one was begun in the meantime."""
    model = classifier(verbose=True)
    monkeypatch.setattr("sys.stdout", Fitter(model))
    model.fit(X, LABELS)
    monkeypatch.undo()
    assert model.early_stopping  # a parameter that is set in the meantime stays
    expected = classifier().fit(X, LABELS)
    np.testing.assert_array_equal(model.classes_, expected.classes_)
    assert model.n_features_in_ == X.shape[1]
    assert model.validation_scores_ is None
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_attributes_that_a_fit_takes_away_are_gone():
    pandas = pytest.importorskip("pandas")
    model = classifier().fit(pandas.DataFrame(X).add_prefix("pixel"), LABELS)
    assert hasattr(model, "feature_names_in_")
    model.fit(X, LABELS)
    assert not hasattr(model, "feature_names_in_")


def test_lists_of_losses_are_the_users():
    model = taught(rewire_interval=2, max_iter=6)
    model.loss_curve_.clear()
    expected = taught(rewire_interval=2, max_iter=6)
    for one in (model, expected):
        one.partial_fit(X, LABELS)
    assert model.topology_.rounds == expected.topology_.rounds
    assert model.loss_curve_ == expected.loss_curve_


def test_generators_of_every_kind_are_taken():
    for bits in (np.random.MT19937(0), np.random.PCG64(0)):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            model = classifier(random_state=np.random.RandomState(bits))
            model.fit(X, LABELS).partial_fit(X, LABELS)


SIGNALLED = """
import signal, warnings
import numpy as np
from test_base import LABELS, X, classifier

warnings.simplefilter("ignore")
rng, halves, armed = np.random.default_rng(0), 0, False

def interrupt(*_):
    if armed:
        raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
rows, labels = X[:40], LABELS[:40]
model = classifier(hidden_layer_sizes=(8,), random_state=np.random.RandomState(0))
model.partial_fit(rows, labels, classes=np.arange(10))
for _ in range(1500):
    network, before = model._network, model.random_state.get_state()
    raised = False
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(5e-5, 2e-3))
        model.partial_fit(rows, labels)
        armed = False
    except KeyboardInterrupt:
        armed, raised = False, True
    signal.setitimer(signal.ITIMER_REAL, 0)
    after = model.random_state.get_state()
    drawn = after[2] != before[2] or (after[1] != before[1]).any()
    halves += raised and drawn != (model._network is not network)
print("halves:", halves)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer signals")
def test_signals_at_any_time_leave_all_or_nothing():
    assert subprocesses.run(SIGNALLED) == "halves: 0\n"


def test_a_thread_that_fits_does_not_disturb_warnings_of_another():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(sparse_training="static", tol=10.0, max_iter=30).fit(X, LABELS)
