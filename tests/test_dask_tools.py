"""What the user is told of a training on a cluster, and scikit-learn's tools on one."""

import io
import os
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("distributed", reason="Dask is an extra")

import dask.array as da
import joblib
from clusters import cluster_of, comes_true
from dask.distributed import Client, LocalCluster, futures_of, worker_client
from dask_estimators import BOTH, learned, small
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_estimators import LABELS, TARGET, X
from small_estimators import small as local_small

import sparsenet
from sparsenet._threads import effective_n_threads
from sparsenet.dask import SparseMLPClassifier, SparseMLPRegressor, _worker

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
each_task = pytest.mark.parametrize(("estimator", "y"), BOTH)


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as client:
        yield client


# --- what the user is told -----------------------------------------------------------


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_each_epoch_is_printed_where_the_client_is(client, call, capsys):
    model = small(SparseMLPRegressor, client, max_iter=3, verbose=True)
    getattr(model, call)(X, TARGET)
    lines = capsys.readouterr().out.splitlines()
    epochs = [line for line in lines if line.startswith("Iteration ")]
    assert len(epochs) == (3 if call == "fit" else 1)
    assert f"loss = {model.loss_curve_[0]:.8f}" in epochs[0]


def test_an_epoch_is_printed_before_what_it_shows(client, capsys):
    options = {"max_iter": 50, "n_iter_no_change": 1, "tol": 10.0, "verbose": True}
    model = small(SparseMLPRegressor, client, **options).fit(X, TARGET)
    *epochs, last = capsys.readouterr().out.splitlines()
    assert model.n_iter_ == len(epochs) < 50 and "did not improve" in last


@pytest.mark.parametrize("verbose", [False, True])
def test_scorers_may_be_functions_of_a_script(client, verbose):
    """Which workers cannot import."""
    model = small(
        SparseMLPClassifier,
        client,
        verbose=verbose,
        early_stopping=True,
        scoring=lambda estimator, X, y: 0.25,
    ).fit(X, LABELS)
    assert set(model.validation_scores_) == {0.25}


def test_estimators_of_a_cluster_are_not_trained_in_its_tasks(client):
    def train(client=None):
        return SparseMLPClassifier(max_iter=1, client=client).fit(X, LABELS).n_iter_

    with pytest.raises(
        RuntimeError, match=r"in a task of .* sparsenet\.SparseMLPClass"
    ):
        client.submit(train).result()

    def train_beside():
        with worker_client() as client:
            return train(client)

    assert client.submit(train_beside).result() == 1


@pytest.mark.parametrize("asks", [False, True])
def test_no_report_is_lost_that_comes_while_others_are_taken(monkeypatch, asks):
    """The client takes them while the next is written, which takes a while."""
    token, worker, taken = b"", SimpleNamespace(address="here"), []
    member = _worker.Member(listener=None)
    member.answered = SimpleNamespace(clear=lambda: None, wait=lambda timeout: True)
    monkeypatch.setitem(_worker._members, (token, worker.address), member)
    model = SimpleNamespace(_with_network=lambda network, history: "estimator")

    def written(report):
        taken.extend(_worker.take_reports(token, worker))
        return report.event

    monkeypatch.setattr(_worker, "pickle", SimpleNamespace(dumps=written))
    told = SimpleNamespace(log_event=lambda topic, name: None)
    monkeypatch.setattr(_worker, "get_worker", lambda: told)
    reports = "answer" if asks else "yes"
    reporter = _worker.Reporter(model, token, member, reports, timeout=1)
    training = SimpleNamespace(history=None, max_iter=3, rated_network=None, stop=False)
    reporter.started(training)
    reporter.epoch_ended(training, 0)
    taken += _worker.take_reports(token, worker)
    assert taken == ["started", "epoch_ended"]


def keep_output():
    sys.stdout = io.StringIO()


def output_kept():
    output, sys.stdout = sys.stdout.getvalue(), sys.__stdout__
    return output


def test_workers_print_nothing(client):
    client.run(keep_output)
    small(SparseMLPRegressor, client, verbose=True).fit(X, TARGET)
    assert set(client.run(output_kept).values()) == {""}


class Recorder:
    """A callback that notes what it is told, and may end training or change it."""

    def __init__(self, last=None, changes=None):
        self.events, self.scores, self.last, self.changes = [], [], last, changes

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name}")
        if self.changes:
            estimator.set_params(**self.changes)

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.events.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X, y))
        return context.task_name == "epoch" and context.task_id + 1 == self.last


needs_callbacks = pytest.mark.skipif(
    not hasattr(SparseMLPClassifier, "set_callbacks"),
    reason="scikit-learn has callbacks since 1.9",
)


@needs_callbacks
@pytest.mark.filterwarnings("ignore")
@each_task
@pytest.mark.parametrize("lazy", [False, True])
def test_a_callback_may_end_training(client, estimator, y, lazy):
    samples = X, y
    if lazy:
        samples = da.from_array(X, chunks=(100, -1)), da.from_array(y, chunks=100)
    recorder = Recorder(last=3)
    model = small(estimator, client, max_iter=20).set_callbacks(recorder)
    assert model.fit(*samples).n_iter_ == len(model.loss_curve_) == 3
    epochs = ["begin epoch", "end epoch"] * 3
    assert recorder.events == [*("setup", "begin fit", *epochs, "end fit", "teardown")]
    assert recorder.scores[-1] == recorder.scores[-2] == model.score(X, y)
    assert len(set(recorder.scores)) > 1


@needs_callbacks
@pytest.mark.filterwarnings("ignore")
def test_the_client_keeps_no_samples_for_callbacks(client):
    samples = client.persist(
        [da.from_array(X, chunks=(100, -1)), da.from_array(LABELS, chunks=100)]
    )
    keys = {future.key for future in futures_of(samples)}
    small(SparseMLPClassifier, client).set_callbacks(Recorder()).fit(*samples)
    assert keys <= client.futures.keys()
    del samples
    assert comes_true(lambda: keys.isdisjoint(client.futures))


@needs_callbacks
@pytest.mark.filterwarnings("ignore")
def test_what_callbacks_see_is_what_is_learned(client):
    recorder = Recorder()
    plain = small(SparseMLPClassifier, client).fit(X, LABELS)
    told = small(SparseMLPClassifier, client).set_callbacks(recorder).fit(X, LABELS)
    assert learned(told) == learned(plain)
    told.partial_fit(X, LABELS)
    assert recorder.events.count("end epoch") == 6
    lbfgs = small(SparseMLPClassifier, client, solver="lbfgs", density=0.3)
    lbfgs.set_callbacks(recorder := Recorder()).fit(X, LABELS)
    assert recorder.events == ["setup", "begin fit", "end fit", "teardown"]


@needs_callbacks
@pytest.mark.filterwarnings("ignore")
def test_a_callback_that_changes_a_parameter_is_an_error(client):
    recorder = Recorder(changes={"learning_rate_init": 0.1})
    model = small(SparseMLPClassifier, client).set_callbacks(recorder)
    with pytest.raises(ValueError, match="SparseMLPClassifier: a callback has changed"):
        model.fit(X, LABELS)
    assert not hasattr(model, "n_iter_") and recorder.events[-1] == "teardown"
    assert small(SparseMLPClassifier, client).fit(X, LABELS).n_iter_ == 5


@needs_callbacks
@pytest.mark.filterwarnings("ignore")
@each_task
def test_scoring_monitor_has_a_score_for_each_epoch(client, estimator, y):
    from sklearn.callback import ScoringMonitor

    scoring = "accuracy" if estimator is SparseMLPClassifier else "r2"
    monitor = ScoringMonitor(scoring=scoring)
    model = small(estimator, client).set_callbacks(monitor).fit(X, y)
    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in epochs] == list(range(5))
    np.testing.assert_allclose(epochs[-1][scoring], model.score(X, y))


# --- in scikit-learn's tools ---------------------------------------------------------


def test_pipelines_and_searches_take_estimators_of_a_cluster(client):
    model = small(SparseMLPClassifier, client, max_iter=20)
    pipeline = make_pipeline(StandardScaler(), model)
    assert cross_val_score(pipeline, X, LABELS, cv=2).min() > 0.5
    search = GridSearchCV(pipeline, {"sparsemlpclassifier__alpha": [0, 1e-3]}, cv=2)
    search.fit(X, LABELS)
    assert search.best_estimator_[-1].client is client


def threads_and_place(main, estimator, X, y):
    """What a task of a search finds where it runs."""
    return {
        "accuracy": estimator.score(X, y),
        "threads": effective_n_threads(),
        "elsewhere": os.getpid() != main,
    }


@pytest.mark.parametrize("context", [joblib.parallel_backend, joblib.parallel_config])
def test_tasks_of_a_search_on_workers_take_a_thread_each(client, context):
    options = {"max_iter": 20, "learning_rate_init": 0.01, "rewire_interval": 5}
    model = local_small(sparsenet.SparseMLPClassifier, **options)
    search = GridSearchCV(
        model,
        {"alpha": [0, 1e-3]},
        cv=2,
        scoring=partial(threads_and_place, os.getpid()),
        refit="accuracy",
    )
    with client.as_current(), context("dask"):
        search.fit(X, LABELS)
    assert search.best_score_ > 0.5
    assert list(search.cv_results_["mean_test_threads"]) == [1, 1]
    assert list(search.cv_results_["mean_test_elsewhere"]) == [1, 1]


def test_halving_searches_run_on_workers(client):
    options = {"max_iter": 20, "learning_rate_init": 0.01, "rewire_interval": 5}
    model = local_small(sparsenet.SparseMLPClassifier, **options)
    grid = {"alpha": [0, 1e-4, 1e-3]}
    search = HalvingGridSearchCV(model, grid, cv=2, random_state=0)
    with client.as_current(), joblib.parallel_backend("dask"):
        search.fit(X, LABELS)
    assert search.best_score_ > 0.5


def test_tasks_of_workers_that_are_threads_take_a_thread_each(monkeypatch):
    """Whose environment no nanny has prepared."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=False,
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        Client(cluster) as threads,
    ):
        with joblib.parallel_backend("dask"):
            tasks = (joblib.delayed(effective_n_threads)() for _ in range(2))
            assert joblib.Parallel()(tasks) == [1, 1]
        assert threads.submit(effective_n_threads, pure=False).result() == 1
