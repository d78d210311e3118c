"""What the loop over epochs tells its watchers."""

import re
from itertools import chain, repeat

import numpy as np
import pytest
from scripted_network import FLAT, ScriptedNetwork, run

from sparsenet import SparseMLPClassifier
from sparsenet import _watchers as watchers


class Recorder(watchers.Watcher):
    """Writes down what it is told."""

    def __init__(self, last=None):
        self.events, self.last = [], last

    def started(self, training):
        self.events.append(("started",))

    def rewired(self, training, n_steps, n_changed):
        self.events.append(("rewired", n_steps, n_changed))

    def epoch_ended(self, training, epoch):
        self.events.append(("epoch", epoch))
        training.stop |= epoch.number == self.last

    def stalled(self, training, consequence):
        self.events.append(("stalled", consequence))

    def ended(self, training):
        self.events.append(("ended",))


@pytest.fixture
def recorder(monkeypatch):
    """A watcher that is told of everything, after those of the parameters."""
    recorder = Recorder()
    those = watchers.watchers_of
    monkeypatch.setattr(
        "sparsenet._training.watchers_of",
        lambda training: [*those(training), recorder],
    )
    return recorder


def test_watchers_are_told_of_each_epoch_between_start_and_end(recorder):
    run(ScriptedNetwork(FLAT), n_iter_no_change=2)
    assert [event[0] for event in recorder.events] == [
        "started", *["epoch"] * 3, "stalled", "epoch", "ended",
    ]  # fmt: skip
    epochs = [event[1] for event in recorder.events if event[0] == "epoch"]
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4]
    assert {epoch.loss for epoch in epochs} == {1.0}
    for epoch in epochs:
        assert epoch.n_samples == 40 and epoch.score is None and epoch.density == 1
        assert epoch.samples_per_second * epoch.seconds == pytest.approx(40)


def test_a_watcher_may_end_training(recorder):
    recorder.last = 2
    assert run(ScriptedNetwork(FLAT)).n_iter == 2


def test_the_end_comes_after_ctrl_c_too_but_not_after_an_error(recorder):
    with pytest.warns(UserWarning, match="interrupted"):
        run(ScriptedNetwork([1.0, KeyboardInterrupt()]))
    assert [event[0] for event in recorder.events] == ["started", "epoch", "ended"]
    recorder.events.clear()
    with pytest.raises(ValueError, match="diverged"):
        run(ScriptedNetwork([1.0, np.nan]))
    assert [event[0] for event in recorder.events] == ["started", "epoch"]


def test_scores_and_rounds_of_rewiring_are_told(recorder):
    rng = np.random.default_rng(0)
    X, y = rng.random((200, 20)), np.arange(200) % 3
    model = SparseMLPClassifier(
        (30,), density=0.3, batch_size=50, rewire_interval=2, rewire_until=1.0,
        early_stopping=True, max_iter=4, random_state=0,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, y)
    told = [event[1:] for event in recorder.events if event[0] == "rewired"]
    assert told == model.topology_.rounds and len(told) > 4
    scores = [event[1].score for event in recorder.events if event[0] == "epoch"]
    assert scores == model.validation_scores_
    densities = {event[1].density for event in recorder.events if event[0] == "epoch"}
    assert densities == {model._network.density} and model._network.density < 0.6


def test_an_epoch_without_time_has_no_finite_speed():
    assert watchers.Epoch(1, 0.5, 100, 0.0, 1.0).samples_per_second == np.inf


def test_verbose_prints_epochs_and_why_training_stopped(capsys):
    run(ScriptedNetwork(FLAT), verbose=True, n_iter_no_change=1)
    lines = capsys.readouterr().out.splitlines()
    for number, line in enumerate(lines[:3], 1):
        assert re.fullmatch(
            rf"Iteration {number}, loss = 1\.00000000, [\d,]+ samples/s, density 1, "
            r"at most \d+:\d\d left",
            line,
        )
    assert lines[3:] == [
        "Training loss did not improve more than tol=0.000100 for 1 consecutive "
        "epochs. Stopping.",
    ]


def test_verbose_prints_validation_scores(capsys):
    run(ScriptedNetwork(FLAT, FLAT), verbose=True, early_stopping=True)
    out = capsys.readouterr().out
    assert out.count("Validation score: 1.000000") == 5
    assert "Validation score did not improve" in out


def test_the_last_epoch_leaves_no_time(capsys):
    with pytest.warns(UserWarning, match="Maximum iterations"):
        run(ScriptedNetwork(FLAT), verbose=True, max_iter=2)
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(" left") and second.endswith("density 1")
    run(ScriptedNetwork(FLAT), verbose=True, incremental=True)
    assert " left" not in capsys.readouterr().out


class Clock:
    """A clock that is read once before the first epoch and after each of them."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, iter(seconds)

    def perf_counter(self):
        self.now += next(self.seconds)
        return self.now


def limited(monkeypatch, limit, seconds, **changes):
    """A training whose epochs take so many seconds, and the rates of its steps."""
    monkeypatch.setattr(watchers, "time", Clock(seconds))
    network = ScriptedNetwork(FLAT)
    return network, run(
        network,
        time_limit=limit,
        n_iter_no_change=np.inf,
        learning_rate="cosine",
        **changes,
    )


@pytest.mark.parametrize(("limit", "n_epochs"), [(0.5, 1), (5.5, 5), (1e308, 50)])
def test_training_ends_with_the_last_epoch_there_is_time_for(
    limit, n_epochs, monkeypatch
):
    network, history = limited(monkeypatch, limit, repeat(1.0), rewire_until=0.5)
    assert history.n_iter == n_epochs
    # The schedule comes to its end: at the last epoch there is an epoch of it left.
    expected = 0.05 * (1 + np.cos(np.pi * (n_epochs - 1) / n_epochs))
    if n_epochs > 1:
        assert network.learning_rates[-1] == pytest.approx(expected)
    assert history.rewiring.end == max(1, n_epochs // 2)


def test_a_slow_epoch_does_not_end_training(monkeypatch):
    # The second one takes eight seconds; the others one.
    seconds = chain([0.0, 1.0, 8.0], repeat(1.0))
    _, history = limited(monkeypatch, 20.5, seconds)
    assert history.n_iter == 13


def test_a_number_of_epochs_to_rewire_stays(monkeypatch):
    _, history = limited(monkeypatch, 5.5, repeat(1.0), rewire_until=3)
    assert history.rewiring.end == 3


def test_a_time_limit_does_not_warn_of_convergence():
    run(ScriptedNetwork(FLAT), time_limit=1e-9, n_iter_no_change=np.inf)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7325, "2:02:05")],
)
def test_durations_are_minutes_and_seconds(seconds, words):
    assert watchers._duration(seconds) == words
