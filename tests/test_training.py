"""The loop over epochs, on a network that only plays a script."""

import math
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sparsenet._training import TrainingSet, train


class ScriptedNetwork:
    """Gives the losses it is told to, and remembers how it was called.

    Its only weight counts the epochs. A loss may be an exception, which is raised.
    """

    def __init__(self, losses=(), outputs=()):
        self.losses = iter(losses)
        self.outputs = iter(outputs)
        self.weight = 0
        self.orders, self.batch_sizes, self.optimizers = [], [], []
        self.rewirings = []
        self.n_resets = self.n_steps = 0

    def train_epoch(
        self,
        X,
        y,
        sample_weight,
        order,
        *,
        batch_size,
        alpha,
        optimizer,
        n_threads,
        rewiring,
    ):
        self.rewirings.append(rewiring)
        self.n_steps += math.ceil(len(order) / batch_size)
        self.weight += 1
        self.orders.append(order)
        self.batch_sizes.append(batch_size)
        self.optimizers.append(optimizer)
        loss = next(self.losses)
        if isinstance(loss, BaseException):
            raise loss
        return loss

    def predict(self, X, n_threads):
        return np.full((len(X), 1), next(self.outputs), dtype=np.float32)

    def is_rewired(self, rewiring):
        return False

    def reset_optimizer(self):
        self.n_resets += 1

    def snapshot(self):
        return self.weight

    def restore(self, snapshot):
        self.weight = snapshot

    def is_finite(self):
        return math.isfinite(self.weight)

    @property
    def learning_rates(self):
        return [optimizer.learning_rate for optimizer in self.optimizers]


def parameters(**changes):
    defaults = {
        "solver": "adam",
        "alpha": 0.0,
        "batch_size": "auto",
        "learning_rate": "constant",
        "learning_rate_init": 0.1,
        "power_t": 0.5,
        "max_iter": 50,
        "shuffle": True,
        "tol": 1e-4,
        "verbose": False,
        "momentum": 0.9,
        "nesterovs_momentum": True,
        "early_stopping": False,
        "validation_fraction": 0.1,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-8,
        "n_iter_no_change": 3,
        "sparse_training": "static",
        "rewire_interval": 100,
        "rewire_fraction": 0.3,
        "rewire_until": 0.75,
    }
    return SimpleNamespace(**defaults | changes)


def undecided(output):
    return output


def training_set(n_samples=40, classes=None, sample_weight=None):
    X, y = np.zeros((n_samples, 2)), np.zeros((n_samples, 1), dtype=np.float32)
    return TrainingSet(
        X, y, sample_weight, undecided, lambda y, decided, _: decided[0, 0], classes
    )


def run(network, history=None, data=None, incremental=False, **changes):
    return train(
        network,
        data or training_set(),
        parameters(**changes),
        history,
        np.random.RandomState(0),
        fan_ins={},
        n_threads=1,
        incremental=incremental,
    )


FLAT = [1.0] * 1000


def test_training_stops_after_more_than_n_iter_no_change_flat_epochs():
    # The first epoch is an improvement on nothing, four more are not.
    assert run(ScriptedNetwork(FLAT), n_iter_no_change=3).n_iter == 5


def test_an_improvement_smaller_than_tol_does_not_count():
    losses = [1 - 0.01 * epoch for epoch in range(100)]
    history = run(ScriptedNetwork(losses), n_iter_no_change=3, tol=0.02)
    assert history.n_iter == 5
    assert history.best_loss == losses[4]


def test_an_improvement_restarts_the_count():
    losses = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert run(ScriptedNetwork(losses), n_iter_no_change=3).n_iter == 8


def test_n_iter_no_change_infinite_trains_to_max_iter():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(50\) reached"):
        history = run(ScriptedNetwork(FLAT), n_iter_no_change=np.inf)
    assert history.n_iter == 50


def test_history_counts_epochs_and_samples():
    history = run(ScriptedNetwork([3.0, 2.0, *FLAT]), n_iter_no_change=1)
    assert history.loss_curve == [3.0, 2.0, 1.0, 1.0, 1.0]
    assert history.n_iter == 5
    assert history.t == 5 * 40
    assert history.validation_scores is None


def test_constant_learning_rate_is_constant():
    network = ScriptedNetwork(FLAT)
    run(network, solver="sgd")
    assert set(network.learning_rates) == {0.1}


def test_invscaling_divides_by_a_power_of_the_samples_seen():
    network = ScriptedNetwork(FLAT)
    run(network, solver="sgd", learning_rate="invscaling", power_t=0.3)
    expected = [0.1 / (40 * epoch + 1) ** 0.3 for epoch in range(5)]
    np.testing.assert_allclose(network.learning_rates, expected)


def test_adaptive_divides_by_five_down_to_one_millionth():
    network = ScriptedNetwork(FLAT)
    run(network, solver="sgd", learning_rate="adaptive", n_iter_no_change=1)
    # Two flat epochs lower the rate; the very first epoch is an improvement.
    rates = [0.1] + [0.1 / 5**k for k in range(9) for _ in range(2)]
    np.testing.assert_allclose(network.learning_rates, rates)
    assert rates[-3] > 1e-6 > rates[-1]


@pytest.mark.parametrize("schedule", ["invscaling", "adaptive"])
def test_adam_ignores_the_schedule(schedule):
    network = ScriptedNetwork(FLAT)
    run(network, learning_rate=schedule)
    assert network.learning_rates == [0.1] * 5


def test_shuffling_visits_every_row_in_a_new_order():
    network = ScriptedNetwork(FLAT)
    run(network)
    for order in network.orders:
        assert order.dtype == np.int64
        assert sorted(order) == list(range(40))
    assert not np.array_equal(network.orders[0], network.orders[1])


def test_without_shuffling_rows_keep_their_order():
    network = ScriptedNetwork(FLAT)
    run(network, shuffle=False)
    assert all(np.array_equal(order, np.arange(40)) for order in network.orders)


def test_rows_with_zero_weight_are_not_visited():
    network = ScriptedNetwork(FLAT)
    weight = np.tile(np.float32([0, 2]), 20)
    history = run(network, data=training_set(sample_weight=weight))
    assert sorted(network.orders[0]) == list(range(1, 40, 2))
    assert history.t == history.n_iter * 20
    assert network.batch_sizes[0] == 20


@pytest.mark.parametrize(
    ("batch_size", "n_samples", "expected"),
    [("auto", 40, 40), ("auto", 999, 200), (7, 40, 7)],
)
def test_batch_size(batch_size, n_samples, expected):
    network = ScriptedNetwork(FLAT)
    run(network, data=training_set(n_samples), batch_size=batch_size)
    assert set(network.batch_sizes) == {expected}


def test_a_batch_larger_than_the_data_is_clipped_with_a_warning():
    network = ScriptedNetwork(FLAT)
    with pytest.warns(UserWarning, match="batch_size=41 .* clipped to 40"):
        run(network, batch_size=41)
    assert set(network.batch_sizes) == {40}


def test_early_stopping_restores_the_weights_with_the_best_score():
    network = ScriptedNetwork(FLAT, outputs=[0.1, 0.7, 0.6, 0.7, 0.5, 0.4])
    history = run(network, early_stopping=True)
    assert network.weight == 2
    assert history.n_iter == 6
    assert history.best_validation_score == pytest.approx(0.7)
    assert history.validation_scores == pytest.approx([0.1, 0.7, 0.6, 0.7, 0.5, 0.4])
    assert history.best_loss is None


def test_early_stopping_trains_on_the_rows_it_does_not_validate_on():
    network = ScriptedNetwork(FLAT, outputs=FLAT)
    history = run(network, early_stopping=True, validation_fraction=0.25)
    assert {len(set(order)) for order in network.orders} == {30}
    assert len(set(np.concatenate(network.orders))) == 30
    assert history.t == 30 * history.n_iter


@pytest.mark.parametrize("n_classes", [2, 4])
def test_validation_rows_keep_the_shares_of_the_classes(n_classes):
    classes = np.arange(80) % n_classes
    rows, validation = training_set(80, classes).split(0.1, np.random.RandomState(0))
    assert set(np.bincount(classes[validation])) == {8 // n_classes}
    assert sorted([*rows, *validation]) == list(range(80))


@pytest.mark.parametrize(
    "classes",
    [
        pytest.param([0] * 39 + [1], id="a class with one row"),
        pytest.param([*range(20), *range(20)], id="more classes than validation rows"),
    ],
)
def test_validation_rows_are_plain_random_where_stratifying_is_impossible(classes):
    data = training_set(40, np.array(classes))
    rows, validation = data.split(0.1, np.random.RandomState(0))
    assert len(rows) == 36
    assert len(validation) == 4


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.99])
def test_too_few_rows_to_validate_or_train_on_name_the_parameter(fraction):
    with pytest.raises(ValueError, match=f"validation_fraction={fraction}.*allowed"):
        run(ScriptedNetwork(), early_stopping=True, validation_fraction=fraction)


def test_rows_are_rated_in_chunks_with_their_weights():
    seen, decided_of = [], []

    def decide(output):
        decided_of.append(len(output))
        return output[:, 0] > 0.5

    def score(y, decided, sample_weight):
        seen.append((len(y), decided.shape, sample_weight.sum()))
        return 0.5

    n = 3000
    data = TrainingSet(
        np.zeros((n, 1)), np.zeros((n, 1)), np.full(n, 2, np.float32), decide, score
    )
    assert data.rate(ScriptedNetwork(outputs=FLAT), np.arange(2500), 1) == 0.5
    assert decided_of == [1024, 1024, 452]
    assert seen == [(2500, (2500,), 5000)]


def test_interruption_warns_and_keeps_what_was_learned():
    network = ScriptedNetwork([3.0, 2.0, KeyboardInterrupt()])
    with pytest.warns(UserWarning, match="interrupted"):
        history = run(network)
    assert history.loss_curve == [3.0, 2.0]
    assert history.n_iter == 2
    assert network.weight == 3


def test_interruption_with_early_stopping_keeps_the_best():
    network = ScriptedNetwork(
        [1.0] * 3 + [KeyboardInterrupt()], outputs=[0.1, 0.9, 0.2]
    )
    with pytest.warns(UserWarning, match="interrupted"):
        run(network, early_stopping=True)
    assert network.weight == 2


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_training_at_once(loss):
    network = ScriptedNetwork([1.0, loss, 1.0])
    with pytest.raises(ValueError, match=r"epoch 2 .*StandardScaler.*learning_rate"):
        run(network)
    assert network.weight == 2


def test_validation_output_that_is_not_finite_is_divergence():
    with pytest.raises(ValueError, match="diverged"):
        run(ScriptedNetwork(FLAT, outputs=[math.nan]), early_stopping=True)


def test_an_error_while_going_on_leaves_the_history_alone():
    network = ScriptedNetwork([1.0] * 5 + [0.9, 0.8, math.nan])
    history = run(network)
    before = replace(history)
    with pytest.raises(ValueError, match="diverged"):
        run(network, history)
    assert history == before
    assert history.loss_curve == [1.0] * 5


def test_fit_again_goes_on_with_a_new_optimizer():
    network = ScriptedNetwork(FLAT)
    first = run(network)
    second = run(network, first)
    assert network.n_resets == 2
    # The count of flat epochs goes on, so one more is enough.
    assert second.n_iter == 1
    assert second.t == first.t + 40
    assert len(second.loss_curve) == 6


def test_one_increment_is_one_epoch_with_the_same_optimizer():
    network = ScriptedNetwork(FLAT)
    history = run(network, incremental=True)
    n_resets = network.n_resets
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            history = run(network, history, incremental=True)
    assert network.n_resets == n_resets
    assert history.n_iter == 1
    assert history.t == 4 * 40


def test_an_increment_with_another_solver_has_a_new_optimizer():
    network = ScriptedNetwork(FLAT)
    history = run(network, incremental=True)
    n_resets = network.n_resets
    run(network, history, incremental=True, solver="sgd")
    assert network.n_resets == n_resets + 1


def test_increments_go_on_with_the_schedule():
    network, history = ScriptedNetwork(FLAT), None
    schedule = {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1}
    for _ in range(4):
        history = run(network, history, incremental=True, **schedule)
    np.testing.assert_allclose(network.learning_rates, [0.1, 0.1, 0.1, 0.02])


def test_early_stopping_may_be_switched_on_and_off():
    network = ScriptedNetwork(FLAT, outputs=FLAT)
    first = run(network)
    second = run(network, first, early_stopping=True)
    assert second.best_loss is None
    assert second.validation_scores == [1.0] * 5
    third = run(network, second)
    assert third.validation_scores is None
    assert third.best_validation_score is None
    assert third.best_loss == 1.0
    assert third.n_iter == 5


def test_verbose_prints_epochs_and_why_training_stopped(capsys):
    run(ScriptedNetwork(FLAT), verbose=True, n_iter_no_change=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "Iteration 1, loss = 1.00000000",
        "Iteration 2, loss = 1.00000000",
        "Iteration 3, loss = 1.00000000",
        "Training loss did not improve more than tol=0.000100 for 1 consecutive "
        "epochs. Stopping.",
    ]


def test_verbose_prints_validation_scores(capsys):
    run(ScriptedNetwork(FLAT, FLAT), verbose=True, early_stopping=True)
    out = capsys.readouterr().out
    assert out.count("Validation score: 1.000000") == 5
    assert "Validation score did not improve" in out
