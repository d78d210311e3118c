"""What the loop over epochs tells its watchers."""

import re

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


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7325, "2:02:05")],
)
def test_durations_are_minutes_and_seconds(seconds, words):
    assert watchers._duration(seconds) == words
