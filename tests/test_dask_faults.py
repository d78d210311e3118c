"""What goes wrong on a cluster, and what is left then."""

import os
import signal
import socket
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("distributed", reason="Dask is an extra")

import dask.array as da
import dask.dataframe as dd
import pandas as pd
from clusters import cluster_of, comes_true, open_trainings, trainings_of
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_digits

import sparsenet
from sparsenet._parallel.communicator import ThreadCommunicator
from sparsenet._parallel.group import DataParallel
from sparsenet.dask import SparseMLPClassifier, TabularMLPClassifier, _worker
from sparsenet.dask._partitions import by_worker
from sparsenet.dask._reports import Reports
from sparsenet.dask._training import ClusterTraining
from sparsenet.dask._worker import Outcome

X, LABELS = load_digits(return_X_y=True)
X = X / 16
LONG = {"max_iter": 100_000, "n_iter_no_change": 100_000, "sparse_training": "static"}


needs_callbacks = pytest.mark.skipif(
    not hasattr(SparseMLPClassifier, "set_callbacks"),
    reason="scikit-learn has callbacks since 1.9",
)


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as client:
        yield client


@pytest.fixture
def parts(client):
    """Samples of which each worker has some."""
    client.wait_for_workers(2, timeout=60)
    addresses = sorted(client.nthreads())
    halves = [slice(0, 900), slice(900, None)]

    def array(values):
        futures = [
            client.scatter(values[rows], workers=[address], hash=False)
            for rows, address in zip(halves, addresses, strict=True)
        ]
        return da.concatenate(
            [
                da.from_delayed(future, values[rows].shape, values.dtype)
                for future, rows in zip(futures, halves, strict=True)
            ]
        )

    return array(X), array(LABELS)


def small(client, **parameters):
    defaults = {"hidden_layer_sizes": (32,), "density": 0.3, "random_state": 0}
    return SparseMLPClassifier(client=client, timeout=20, **defaults | parameters)


@contextmanager
def in_training(client, function, *arguments):
    """While entered, another thread calls a function as soon as two workers train."""

    def wait():
        deadline = time.monotonic() + 60
        while sum(trainings_of(client).values()) < 2:
            if time.monotonic() > deadline:
                return  # there is no training: the test fails for that
            time.sleep(0.05)
        time.sleep(0.5)
        function(*arguments)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()  # it would kill a worker of the next test


def lazy():
    """Samples that workers can compute anew, unlike `parts`."""
    return da.from_array(X, chunks=(450, -1)), da.from_array(LABELS, chunks=450)


def is_usable(client):
    client.wait_for_workers(2, timeout=60)
    model = small(client, max_iter=2).fit(X, LABELS)
    predicted = model.predict(da.from_array(X, chunks=(450, -1)))
    assert predicted.compute().shape == LABELS.shape
    assert open_trainings(client) == 0


def kill_a_worker(client):
    """One that trains, if any does."""
    pids, n_open = client.run(os.getpid), trainings_of(client)
    address = max(pids, key=lambda address: (n_open[address], address))
    os.kill(pids[address], signal.SIGKILL)
    return address


def test_a_lost_worker_is_an_error(client, parts):
    model = small(client, **LONG)
    message = "SparseMLPClassifier: training has lost a"
    with (
        in_training(client, kill_a_worker, client),
        pytest.raises(RuntimeError, match=message),
    ):
        model.fit(*parts)
    assert not hasattr(model, "classes_")
    is_usable(client)


def test_training_goes_on_without_a_lost_worker(client, parts):
    model = small(
        client,
        max_iter=400,
        n_iter_no_change=400,
        on_worker_loss="continue",
        sparse_training="static",
        hidden_layer_sizes=(512, 512),
    )
    message = (
        r"\(the one at tcp://\S+ is gone\) and goes on with 1 of 2, after epoch \d"
    )
    with (
        in_training(client, kill_a_worker, client),
        pytest.warns(RuntimeWarning, match=message) as caught,
    ):
        model.fit(*parts)
    assert caught.pop(RuntimeWarning).filename == __file__
    assert model.n_iter_ == len(model.loss_curve_) == 400
    assert np.isfinite(model.loss_curve_).all() and model.loss_ < model.loss_curve_[0]
    is_usable(client)


@pytest.mark.parametrize(
    ("on_worker_loss", "n_workers"), [("raise", 2), ("continue", 3)]
)
def test_a_worker_whose_data_can_be_computed_anew_is_lost_too(
    n_workers, on_worker_loss
):
    """Its task waits, for a worker that does not come back."""
    with cluster_of(n_workers) as client:
        model = small(
            client,
            max_iter=400,
            n_iter_no_change=400,
            sparse_training="static",
            hidden_layer_sizes=(512, 512),
            on_worker_loss=on_worker_loss,
            sync_interval=10_000,
        )
        with in_training(client, kill_a_worker, client):
            if on_worker_loss == "raise":
                with pytest.raises(RuntimeError, match=r"has lost a worker .* is gone"):
                    model.fit(*lazy())
            else:
                with pytest.warns(RuntimeWarning, match=r"goes on with \d of \d"):
                    model.fit(*lazy())
                assert model.n_iter_ == 400


def test_tables_go_on_without_a_lost_worker():
    """Also the next network, which has its partitions no more."""
    with cluster_of(2) as client:
        model = TabularMLPClassifier(
            (512, 512),
            max_iter=300,
            random_state=0,
            client=client,
            on_worker_loss="continue",
        )
        with (
            in_training(client, kill_a_worker, client),
            pytest.warns(
                RuntimeWarning, match="^TabularMLP.* goes on with 1"
            ) as caught,
        ):
            model.fit(*lazy())
        assert caught.pop(RuntimeWarning).filename == __file__
        assert [member.n_iter_ for member in model.members_] == [300, 300]


def test_tasks_that_are_cancelled_with_a_lost_worker_are_begun_anew(client):
    """They had waited for what only it had."""
    training = ClusterTraining(small(client), None)
    there, gone = min(client.nthreads()), "tcp://127.0.0.1:1"
    futures = [training.task(there, time.sleep, 1) for _ in range(2)]
    client.cancel(futures)
    training.addresses, lost = [there, gone], []
    results = training._results(futures, lost)
    assert lost == [gone]
    assert results == {there: Outcome(lost=f"the one at {gone} is gone")}
    training.addresses = [there, there]
    with pytest.raises(RuntimeError, match="SparseMLPClassifier: the training was can"):
        training._results(futures, [])


def neighbouring_ports():
    """Two that are free, below those that systems give out themselves."""
    for port in range(22_400, 32_000, 2):
        with suppress(OSError):
            for number in (port, port + 1):
                socket.create_server(("127.0.0.1", number)).close()
            return port, port + 1
    pytest.fail("no two ports are free")


def test_ports_are_free_again_after_a_loss_before_training(client, parts):
    """One for each worker: those of an attempt before are closed."""
    ports = neighbouring_ports()
    training = ClusterTraining(small(client, ports=ports), None)
    members = by_worker("", client, training.partitions(*parts, None))
    training.addresses = sorted(members)
    for _ in range(2):
        lost = []
        found = training._results(training._describe(members), lost)
        assert lost == []
        assert {d.address[1] for d in found.values()} == {*ports}
    training.on_workers(_worker.end)
    assert open_trainings(client) == 0


@pytest.mark.parametrize("on_worker_loss", ["raise", "continue"])
def test_workers_that_only_lose_each_other_do_not_try_for_ever(
    client, parts, on_worker_loss
):
    """The timeout is shorter than an epoch, and all are still there."""
    model = small(
        client,
        on_worker_loss=on_worker_loss,
        hidden_layer_sizes=(2048, 2048),
        sync_interval=10_000,
    )
    model.timeout = 1e-3
    message = r"all there have lost each other .* timeout=0\.001 s"
    with pytest.raises(RuntimeError, match=message):
        model.fit(*parts)
    is_usable(client)


def test_time_limits_hold_over_a_loss(client, parts):
    training = ClusterTraining(small(client, time_limit=10.0), None)
    training.local = SimpleNamespace(n_iter_=2)
    training.estimator.on_worker_loss = "continue"
    training.addresses = sorted(client.nthreads())
    training.survivors = {training.addresses[0]: Outcome(n_epochs=2)}
    training.checkpoint = SimpleNamespace(n_iter_=3)
    members = dict.fromkeys(training.addresses)
    with pytest.warns(RuntimeWarning, match="goes on with 1 of 2, after epoch 3"):
        left = training._after_loss(members, Outcome(lost="it is gone"), 4.0)
    assert list(left) == training.addresses[:1]
    assert training.local.time_limit == 6.0 and training.goes_on


def test_the_last_epoch_outlives_the_first_worker(client, parts, monkeypatch):
    """It may end while it hands over what was learned."""
    model = small(client, max_iter=3, on_worker_loss="continue")
    choose, calls = ClusterTraining._choose, []

    def without_first(self, outcomes, lost):
        calls.append(outcomes)
        if len(calls) == 1:
            del outcomes[self.addresses[0]]
            lost.append(self.addresses[0])
        return choose(self, outcomes, lost)

    monkeypatch.setattr(ClusterTraining, "_choose", without_first)
    with pytest.warns(RuntimeWarning, match="goes on with 1 of 2, after epoch 3"):
        model.fit(*parts)
    assert model.n_iter_ == len(model.loss_curve_) == 3


@needs_callbacks
def test_classes_of_a_lost_worker_stay():
    with cluster_of(2) as client:
        order = np.argsort(LABELS, kind="stable")
        model = small(
            client, max_iter=5, on_worker_loss="continue", class_weight="balanced"
        )
        model.set_callbacks(AtEpoch(2, kill_a_worker, client))
        with pytest.warns(RuntimeWarning, match="goes on with 1 of 2"):
            model.fit(X[order], LABELS[order])
        assert model.classes_.tolist() == list(range(10)) and model.n_iter_ == 5
        assert model.class_weight == "balanced"


@pytest.fixture
def heard_ctrl_c():
    """SIGINT as a terminal sends it: programs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_ctrl_c")
def test_ctrl_c_leaves_what_was_learned(client, parts, monkeypatch):
    model, tell = small(client, verbose=True, **LONG), Reports._tell

    def interrupted(self, report):
        tell(self, report)
        if report.event == "epoch_ended" and report.history.n_epochs == 20:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    monkeypatch.setattr(Reports, "_tell", interrupted)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(*parts)
    assert 20 <= model.n_iter_ < 100_000
    assert model.score(*parts) > 0.5
    is_usable(client)


def test_a_restarted_cluster_is_an_error():
    with cluster_of(2) as client:
        with (
            in_training(client, client.restart),
            pytest.raises(RuntimeError, match="SparseMLPClassifier: "),
        ):
            small(client, **LONG).fit(X, LABELS)
        is_usable(client)


@pytest.mark.usefixtures("heard_ctrl_c")
def test_ctrl_c_before_there_is_anything_to_keep(client, parts):
    """Dask ends workers of whose tasks a KeyboardInterrupt comes."""
    before = client.run(os.getpid)
    model = small(client, solver="lbfgs", hidden_layer_sizes=(2048, 2048), density=1.0)
    many = [da.concatenate([part] * 15) for part in parts]
    with (
        in_training(client, os.kill, os.getpid(), signal.SIGINT),
        suppress(KeyboardInterrupt),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UserWarning)
        model.fit(*many)
        assert model.n_iter_ < 200
    assert client.run(os.getpid) == before
    is_usable(client)


def test_a_full_port_range_is_an_error(client, parts):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"no port .* ports=\({port}, {port}\)"):
            small(client, ports=(port, port)).fit(*parts)
    is_usable(client)


def test_ports_of_a_range_are_taken(client, parts, monkeypatch):
    ports, describe = [], ClusterTraining._results

    def results(self, futures, lost):
        found = describe(self, futures, lost)
        ports.extend(d.address[1] for d in found.values() if hasattr(d, "address"))
        return found

    monkeypatch.setattr(ClusterTraining, "_results", results)
    assert small(client, ports=(22_300, 22_399), max_iter=2).fit(*parts).n_iter_ == 2
    assert len(ports) == 2 and all(22_300 <= port <= 22_399 for port in ports)


def test_workers_of_another_version_are_refused(client, parts, monkeypatch):
    monkeypatch.setattr(sparsenet, "__version__", "9.9")
    with pytest.raises(RuntimeError, match=r"client has sparsenet 9\.9, but workers"):
        small(client).fit(*parts)


def test_two_trainings_take_turns(client, parts):
    scores, n_open = [], []

    def fit():
        scores.append(small(client, max_iter=50).fit(*parts).score(*parts))

    threads = [threading.Thread(target=fit) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        n_open.append(open_trainings(client))
    assert max(n_open) == 2  # the parts of one
    assert len(scores) == 2 and scores[0] == scores[1]


def test_an_error_of_one_worker_is_the_users(client):
    labels = LABELS.astype(float)
    bad = X.copy()
    bad[1500, 3] = np.nan
    parts = da.from_array(bad, chunks=(900, -1)), da.from_array(labels, chunks=900)
    with pytest.raises(ValueError, match="X contains NaN"):
        small(client).fit(*parts)
    for _ in range(2):
        with pytest.raises(ValueError, match="Training diverged"):
            small(client, learning_rate_init=1e30).fit(X, LABELS)
    del parts
    assert comes_true(lambda: not any(client.run(n_data).values()))
    assert open_trainings(client) == 0


def n_data(dask_worker):
    return len(dask_worker.data)


def test_data_that_cannot_be_computed_is_an_error(client):
    def fails(block):
        raise OSError("no such file")

    lost = da.from_array(X, chunks=(450, -1)).map_blocks(fails, meta=X[:0])
    with pytest.raises(OSError, match="no such file"):
        small(client).fit(lost, da.from_array(LABELS, chunks=450))


class AtEpoch:
    """A callback that calls a function at the end of an epoch, counted from 1."""

    def __init__(self, number, function, *arguments):
        self.number, self.told = number, []
        self.function, self.arguments = function, arguments

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.told.append(context.task_id + 1)
            if len(self.told) == self.number:
                self.function(*self.arguments)


def interrupt():
    raise KeyboardInterrupt


@needs_callbacks
def test_ctrl_c_in_a_callback_leaves_what_was_learned(client):
    model = small(client, max_iter=50).set_callbacks(AtEpoch(3, interrupt))
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, LABELS)
    assert 3 <= model.n_iter_ < 50
    is_usable(client)


@needs_callbacks
def test_validation_and_callbacks_go_on_without_a_lost_worker():
    with cluster_of(2) as client:
        callback = AtEpoch(3, kill_a_worker, client)
        model = small(
            client, max_iter=6, on_worker_loss="continue", restore_best=True
        ).set_callbacks(callback)
        with pytest.warns(RuntimeWarning, match="goes on with 1 of 2, after epoch 3"):
            model.fit(X, LABELS)
        assert callback.told == [1, 2, 3, 4, 5, 6]
        assert len(model.validation_scores_) == model.n_iter_ == 6


def test_rows_set_aside_stay_so_after_a_loss():
    options = {"interval": 5, "learning_rate": 1.0, "momentum": 0.0}
    local = small(None, early_stopping=True, max_iter=2).to_local()
    for split in None, (np.arange(800), np.arange(800, 900)):
        (member,) = ThreadCommunicator.group(1)
        group = DataParallel(member, compression=None, **options)
        group.kept_split = split
        local._fit(X[:900], LABELS[:900], None, group=group)
        rows, others = group.kept_split  # that a worker hands to its next part
        assert len(rows) + len(others) == len({*rows.tolist(), *others.tolist()}) == 900
        assert split is None or (rows is split[0] and others is split[1])


def test_workers_that_stand_aside_leave_nothing_open(client, parts):
    weight = np.where(np.arange(len(X)) < 900, 1.0, 0.0)
    model = small(client, max_iter=2)
    assert model.fit(X, LABELS, sample_weight=weight).n_iter_ == 2
    assert open_trainings(client) == 0


def test_empty_partitions_are_passed_by(client, parts):
    some = parts[0][:900][parts[1][:900] < 0]
    whole = da.concatenate([some, parts[0]]), da.concatenate([parts[1][:0], parts[1]])
    model = small(client, max_iter=2).fit(*parts)
    assert model.predict(whole[0]).compute().shape == LABELS.shape
    frame = dd.from_pandas(
        pd.DataFrame(X).add_prefix("x").assign(y=LABELS), npartitions=3
    )
    frame = frame[frame["y"] < 10].persist()
    frame = dd.concat([frame[frame["y"] > 10], frame])
    model = small(client, max_iter=2).fit(frame.drop(columns="y"), frame["y"])
    assert model.predict(frame.drop(columns="y")).compute().shape == LABELS.shape


def test_a_client_that_is_not_the_default_one():
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        parts = da.from_array(X, chunks=(900, -1)), da.from_array(LABELS, chunks=900)
        model = small(client, max_iter=2).fit(*parts)
        assert model.score(*parts) == model.score(X, LABELS)
