"""The loop over epochs, on a network that only plays a script."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scripted_network import FLAT, ScriptedNetwork, run, training_set
from sklearn.exceptions import ConvergenceWarning

from sparsenet._training_set import Samples


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


def test_the_best_epoch_may_be_kept_where_the_loss_ends_training():
    network = ScriptedNetwork(FLAT, outputs=[0.1, 0.7, 0.6, 0.7, 0.9])
    history = run(network, restore_best=True)
    assert network.weight == 5 and history.n_iter == 5
    network = ScriptedNetwork(FLAT, outputs=[0.1, 0.7, 0.6, 0.7, 0.5])
    history = run(network, restore_best=True)
    assert network.weight == 2 and history.n_iter == 5
    assert history.best_loss == 1.0 and history.best_validation_score == pytest.approx(
        0.7
    )
    assert history.validation_losses == [2.0] * 5
    assert {len(order) for order in network.orders} == {36}


def test_samples_to_validate_on_leave_all_rows_for_training():
    data, others = training_set(), training_set(7)
    data.validation = Samples(others, others.rows)
    network = ScriptedNetwork(FLAT, outputs=[0.1, 0.7, *FLAT])
    history = run(network, data=data)
    assert history.n_iter == network.weight == 5  # all is as without them
    assert {len(order) for order in network.orders} == {40}
    assert history.validation_scores == pytest.approx([0.1, 0.7, 1, 1, 1])
    network = ScriptedNetwork(FLAT, outputs=[0.1, 0.7, *[0.5] * 9])
    assert run(network, data=data, early_stopping=True).n_iter == 6
    assert network.weight == 2


def test_training_rows_are_rated_after_the_others():
    network = ScriptedNetwork(FLAT, outputs=[0.1, 0.2, 0.3, 0.4, *[0.0] * 9])
    history = run(network, early_stopping=True, train_scores=True)
    assert history.validation_scores[:2] == pytest.approx([0.1, 0.3])
    assert history.train_scores[:2] == pytest.approx([0.2, 0.4])
    assert len(history.train_scores) == history.n_iter


def test_early_stopping_trains_on_the_rows_it_does_not_validate_on():
    network = ScriptedNetwork(FLAT, outputs=FLAT)
    history = run(network, early_stopping=True, validation_fraction=0.25)
    assert {len(set(order)) for order in network.orders} == {30}
    assert len(set(np.concatenate(network.orders))) == 30
    assert history.t == 30 * history.n_iter


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


def test_what_stops_training_may_change_while_scores_go_on():
    network = ScriptedNetwork(FLAT, outputs=FLAT)
    first = run(network, restore_best=True)
    assert first.best_loss == 1.0 and len(first.validation_scores) == 5
    second = run(network, first, early_stopping=True)
    # The count begins anew: no score is better than the best so far.
    assert second.best_loss is None and second.n_iter == 4
    assert len(second.validation_scores) == len(second.validation_losses) == 9
    third = run(network, second, restore_best=True, scoring="loss")
    assert third.best_loss == 1.0 and len(third.validation_scores) == 5
    assert len(first.validation_scores) == 5
