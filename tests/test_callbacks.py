"""What scikit-learn's callbacks are told."""

import pickle

import numpy as np
import pytest
import subprocesses
from interruptions import Interrupted
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_estimators import BOTH, LABELS, PRECISIONS, X, small

from sparsenet import SparseMLPClassifier, SparseMLPRegressor

callback = pytest.importorskip(
    "sklearn.callback", reason="scikit-learn has callbacks since 1.9"
)
pytestmark = pytest.mark.filterwarnings("ignore")


class Recorder:
    """A callback that writes down what it is told, and may end training.

    Parameters
    ----------
    last : int, default=None
        Epoch after which training is to end.
    error : tuple of (str, BaseException), default=None
        Event that raises, and what.
    """

    def __init__(self, last=None, error=None):
        self.events, self.models, self.last, self.error = [], [], last, error

    def note(self, event, context):
        self.events.append((event, context.task_name, context.task_id))
        if self.error is not None and self.error[0] == event:
            raise self.error[1]

    def setup(self, estimator, context):
        self.max_subtasks = context.max_subtasks
        self.note("setup", context)

    def teardown(self, estimator, context):
        self.fitted_at_the_end = hasattr(estimator, "n_iter_")
        self.note("teardown", context)

    def on_fit_task_begin(self, estimator, context):
        self.note("begin", context)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.models.append((fitted_estimator, X, y, metadata))
        self.note("end", context)
        return context.task_name == "epoch" and context.task_id + 1 == self.last


class Saver(Recorder):
    """One that pickles what is trained."""

    def on_fit_task_end(self, estimator, context):
        assert len(estimator.topology_.layers) == 2
        others, self.models = self.models, []
        self.models = [*others, pickle.dumps(estimator)]


class Plain(Recorder):
    """One that asks for nothing."""

    def on_fit_task_end(self, estimator, context):
        self.note("end", context)


@pytest.mark.parametrize(("estimator", "y"), BOTH)
def test_a_fit_is_a_task_and_each_epoch_one_of_it(estimator, y):
    recorder = Plain()
    model = small(estimator, max_iter=3).set_callbacks(recorder).fit(X, y)
    assert recorder.events == [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        *[
            (event, "epoch", number)
            for number in range(3)
            for event in ("begin", "end")
        ],
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]
    assert recorder.max_subtasks == 3 and recorder.fitted_at_the_end
    assert not hasattr(model, "_callback_fit_ctx")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("refit", [False, True])
def test_models_predict_with_the_network_as_it_was(precision, container, refit):
    recorder, rows = Recorder(), container(X)
    model = small(SparseMLPClassifier, max_iter=3, precision=precision)
    if refit:  # on other columns and classes
        model.fit(X[:, :20], LABELS % 3)
    weight = np.linspace(1, 2, len(X))
    model.set_callbacks(recorder).fit(rows, LABELS, sample_weight=weight)
    *epochs, last = recorder.models
    for number, (fitted, seen, y, metadata) in enumerate(epochs, 1):
        expected = small(SparseMLPClassifier, max_iter=number, precision=precision)
        expected.set_params(rewire_until=3).fit(rows, LABELS, sample_weight=weight)
        np.testing.assert_array_equal(
            fitted.predict_proba(rows), expected.predict_proba(rows)
        )
        assert fitted.n_iter_ == number and fitted.loss_curve_ == expected.loss_curve_
        assert seen.shape == X.shape and (y == LABELS).all()
        np.testing.assert_allclose(metadata["sample_weight"], weight, rtol=1e-6)
    np.testing.assert_array_equal(last[0].predict(rows), model.predict(rows))


def test_callbacks_may_save_what_is_trained():
    """Also in a first fit, which has no history yet."""
    saver = Saver()
    small(SparseMLPClassifier).set_callbacks(saver).fit(X, LABELS)
    assert saver.models
    for content in saver.models:
        assert pickle.loads(content).predict(X).shape == LABELS.shape


def test_callbacks_see_the_samples_that_are_trained_on():
    pandas = pytest.importorskip("pandas")
    recorder, words = Recorder(), np.array(list("abcdefghij"))
    model = small(SparseMLPClassifier, early_stopping=True).set_callbacks(recorder)
    model.fit(pandas.DataFrame(X).add_prefix("p"), words[LABELS])
    *epochs, last = recorder.models
    for _, frame, y, metadata in epochs:
        assert len(frame) == 270 and metadata is None
        np.testing.assert_array_equal(y, words[LABELS][frame.index])
    assert len(last[1]) == 300


def test_a_callback_may_end_training():
    recorder = Recorder(last=2)
    model = small(SparseMLPClassifier, max_iter=20).set_callbacks(recorder)
    assert model.fit(X, LABELS).n_iter_ == 2


def test_a_callback_may_change_the_learning_rate():
    class Cooling(Plain):
        def on_fit_task_begin(self, estimator, context):
            estimator.set_params(learning_rate_init=1e-30)

    model = small(SparseMLPClassifier, alpha=0).set_callbacks(Cooling())
    model.fit(X, LABELS, X_val=X, y_val=LABELS)
    assert len(set(model.validation_loss_curve_)) == 1
    assert model.learning_rate_init == 1e-30


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": [0.5]},  # of three hidden layers
        {"learning_rate_init": -1.0},
        {"learning_rate": "none"},
        {"max_grad_norm": "1"},
        {"beta_1": 1.5},
    ],
    ids=str,
)
def test_what_a_callback_sets_is_checked(changes):
    class Careless(Plain):
        def on_fit_task_end(self, estimator, context):
            estimator.set_params(**changes)

    model = small(SparseMLPClassifier, hidden_layer_sizes=(16, 16, 16))
    model.set_callbacks(Careless())
    with pytest.raises(ValueError, match=f"{next(iter(changes))}="):
        model.fit(X, LABELS)
    assert not hasattr(model, "loss_curve_")


def test_what_a_call_is_built_on_stays_whatever_a_callback_sets():
    class Careless(Plain):
        def on_fit_task_begin(self, estimator, context):
            estimator.set_params(solver="lbfgs", batch_size=1, hidden_layer_sizes=3)

    plain = small(SparseMLPClassifier).fit(X, LABELS)
    model = small(SparseMLPClassifier).set_callbacks(Careless()).fit(X, LABELS)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))


def test_a_part_is_a_task_of_one_epoch():
    recorder = Plain()
    model = small(SparseMLPRegressor).set_callbacks(recorder)
    model.partial_fit(X, LABELS).partial_fit(X, LABELS)
    assert recorder.max_subtasks == 1
    assert [event for event, *_ in recorder.events].count("teardown") == 2
    assert recorder.events.count(("end", "epoch", 0)) == 2


def test_lbfgs_is_one_task():
    recorder = Recorder()
    model = small(SparseMLPRegressor, solver="lbfgs").set_callbacks(recorder)
    model.fit(X, LABELS)
    assert [event for event, *_ in recorder.events] == [
        "setup", "begin", "end", "teardown",
    ]  # fmt: skip
    fitted, *_ = recorder.models[0]
    np.testing.assert_array_equal(fitted.predict(X), model.predict(X))


@pytest.mark.parametrize("event", ["setup", "begin", "end", "teardown"])
@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit()], ids=repr)
def test_a_callback_that_raises_leaves_the_estimator_as_it_was(event, error):
    recorder = Plain(error=(event, error))
    model = small(SparseMLPClassifier, warm_start=True).fit(X, LABELS)
    model.set_callbacks(recorder)
    before = vars(model).copy()
    with pytest.raises(type(error)):
        model.fit(X, LABELS)
    assert vars(model) == before
    assert recorder.events[-1][0] == "teardown"


def test_ctrl_c_tears_down_and_leaves_all_or_nothing():
    def model(recorder):
        return small(SparseMLPClassifier, max_iter=2).set_callbacks(recorder)

    with Interrupted(10**9) as count:
        model(Plain()).fit(X, LABELS)
    rng = np.random.default_rng(0)
    for n in rng.choice(count.n_lines - 10, 100, replace=False):
        recorder = Plain()
        one = model(recorder)
        with Interrupted(int(n)) as interruption:
            try:
                one.fit(X, LABELS)
            except KeyboardInterrupt:
                pass
        events = [event for event, *_ in recorder.events]
        assert events.count("teardown") == events.count("setup"), interruption.where
        assert not hasattr(one, "_callback_fit_ctx")
        if hasattr(one, "_network"):
            assert np.isfinite(one.predict_proba(X)).all()


def test_warnings_still_point_to_the_call_of_fit():
    model = small(SparseMLPClassifier).set_callbacks(Plain())
    with pytest.warns(UserWarning, match="Maximum iterations") as caught:
        model.fit(X, LABELS)
    assert {warning.filename for warning in caught} == {__file__}


def test_clones_share_callbacks_and_pickles_have_their_own():
    recorder = Plain()
    model = small(SparseMLPClassifier).set_callbacks(recorder).fit(X, LABELS)
    n_events = len(recorder.events)
    clone(model).fit(X, LABELS)
    assert len(recorder.events) == 2 * n_events
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    other.fit(X, LABELS)
    assert len(recorder.events) == 2 * n_events
    fitted = Recorder()
    model.set_callbacks(fitted).fit(X, LABELS)
    kept = pickle.loads(pickle.dumps(fitted.models[0][0].set_callbacks()))
    assert kept.n_iter_ == 1


@pytest.mark.parametrize(("estimator", "y"), BOTH)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_scoring_monitor_has_a_score_for_each_epoch(estimator, y, container):
    scoring = "accuracy" if estimator is SparseMLPClassifier else "r2"
    monitor = callback.ScoringMonitor(scoring=scoring)
    model = small(estimator, train_scores=True).set_callbacks(monitor)
    model.fit(container(X), y)
    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in epochs] == list(range(5))
    scores = [row[scoring] for row in epochs]
    np.testing.assert_allclose(scores, model.train_scores_, rtol=1e-5)


def test_scoring_monitor_sees_each_fit_of_a_search():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = small(SparseMLPClassifier, max_iter=2).set_callbacks(monitor)
    pipeline = make_pipeline(StandardScaler(), model)
    grid = {"sparsemlpclassifier__alpha": [0, 1e-3]}
    GridSearchCV(pipeline, grid, cv=2).fit(X, LABELS)
    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(epochs) == (2 * 2 + 1) * 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_progress_bar_shows_a_search_and_its_epochs(capsys, n_jobs):
    pytest.importorskip("rich", reason="progress bars need rich")
    bar = callback.ProgressBar(max_propagation_depth=None)
    model = small(SparseMLPClassifier, max_iter=2)
    search = GridSearchCV(model, {"alpha": [0, 1e-3]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(bar).fit(X, LABELS)
    out = capsys.readouterr().out
    assert "GridSearchCV" in out and "SparseMLPClassifier - fit" in out
    model.set_callbacks(callback.ProgressBar()).fit(X, LABELS)
    assert "100%" in capsys.readouterr().out


WITHOUT = """
import sys, warnings
import sklearn.datasets, sklearn.model_selection, sklearn.neural_network
warnings.simplefilter("ignore")
sys.modules["sklearn.callback"] = None  # for those who ask from now on
from small_estimators import LABELS, X, small
from sparsenet import SparseMLPClassifier
model = small(SparseMLPClassifier, early_stopping=True).fit(X, LABELS)
model.set_params(early_stopping=False).partial_fit(X, LABELS)
print(hasattr(model, "set_callbacks"), model.predict(X).shape)
"""


def test_an_older_scikit_learn_has_no_callbacks():
    assert subprocesses.run(WITHOUT) == "False (300,)\n"
