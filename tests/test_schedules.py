"""Learning-rate schedules: closed forms, warm-up, and what each step gets."""

import math

import numpy as np
import pytest
from problems import random_data, random_network, train
from reference_network import DenseNetwork, reference_step
from scipy.sparse import csr_array
from scripted_network import FLAT, ScriptedNetwork, run

from sparsenet import SparseMLPClassifier, _schedules
from sparsenet._optimizer import Optimizer
from sparsenet._schedules import SCHEDULES, factors

T = np.linspace(0, 1, 1001)


def half_cosine(begin, end, share):
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2


def expected(name, t):
    """Of one t, in other words than the module's."""
    if name == "cosine":
        return math.cos(math.pi * t / 2) ** 2
    if name == "flat_cosine":
        return 1.0 if t <= 0.5 else half_cosine(1, 0, 2 * t - 1)
    if name == "coslog4":
        return math.sin(math.pi * math.log2(1 + 15 * t)) ** 2
    assert name == "one_cycle"
    if t <= 0.3:
        return half_cosine(0.04, 1, t / 0.3)
    return half_cosine(1, 4e-6, (t - 0.3) / 0.7)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_their_formulas(name):
    values = SCHEDULES[name](T)
    np.testing.assert_allclose(values, [expected(name, t) for t in T], atol=1e-12)


def test_one_cycle_has_torchs_corners():
    begin, peak, end = SCHEDULES["one_cycle"](np.array([0, 0.3, 1]))
    np.testing.assert_allclose([begin, peak, end], [1 / 25, 1, 1 / 25e4])


def test_coslog4_has_four_cycles_each_twice_as_long():
    peaks = (2.0 ** np.array([0.5, 1.5, 2.5, 3.5]) - 1) / 15
    valleys = (2.0 ** np.arange(5) - 1) / 15
    np.testing.assert_allclose(SCHEDULES["coslog4"](peaks), 1)
    np.testing.assert_allclose(SCHEDULES["coslog4"](valleys), 0, atol=1e-12)


def test_warmup_rises_linearly_to_the_schedule():
    values = factors("constant", 0.1, 0, 40, 200)
    np.testing.assert_allclose(values[:20], np.arange(1, 21) / 20)
    np.testing.assert_array_equal(values[20:], 1)
    both = factors("cosine", 0.1, 0, 40, 200)
    np.testing.assert_allclose(both, values * factors("cosine", 0.0, 0, 40, 200))


@pytest.mark.parametrize("name", [*SCHEDULES, lambda t: 2 - t])
def test_an_epoch_is_a_part_of_training_and_what_comes_after_is_its_end(name):
    whole = factors(name, 0.25, 0, 60, 60)
    parts = [factors(name, 0.25, begin, 20, 60) for begin in (0, 20, 40)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    later = factors(name, 0.25, 60, 7, 60)
    np.testing.assert_array_equal(later, later[0])
    assert later[0] == (name(1.0) if callable(name) else SCHEDULES[name](1.0))


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
def test_each_step_of_fit_has_its_rate(solver):
    network = ScriptedNetwork(FLAT)
    options = {"max_iter": 4, "batch_size": 16, "n_iter_no_change": np.inf}
    run(network, solver=solver, learning_rate="cosine", warmup=0.25, **options)
    rates = np.concatenate(network.learning_rates)  # 3 steps of 40 samples
    np.testing.assert_array_equal(rates, 0.1 * factors("cosine", 0.25, 0, 12, 12))


def test_calls_of_partial_fit_are_epochs_of_one_training_and_calls_of_fit_are_not():
    options = {"max_iter": 3, "batch_size": 10, "learning_rate": "flat_cosine"}
    network, history = ScriptedNetwork(FLAT), None
    for _ in range(4):
        history = run(network, history, incremental=True, **options)
    rates = np.concatenate(network.learning_rates)
    np.testing.assert_array_equal(rates, 0.1 * factors("flat_cosine", 0, 0, 16, 12))
    network = ScriptedNetwork(FLAT)
    history = run(network, n_iter_no_change=np.inf, **options)
    run(network, history, n_iter_no_change=np.inf, **options)
    first, second = np.split(np.concatenate(network.learning_rates), 2)
    np.testing.assert_array_equal(first, second)


def test_a_schedule_that_has_come_to_its_end_does_not_warn(recwarn):
    run(ScriptedNetwork(FLAT), n_iter_no_change=np.inf, learning_rate="cosine")
    assert not recwarn


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, None, "1", 1j, [1.0]])
def test_what_a_callable_may_not_return_is_refused_before_work_starts(value):
    X, y = random_data(20)

    def schedule(t):
        return 1.0 if t < 0.7 else value

    classifier = SparseMLPClassifier(learning_rate=schedule)
    message = r"^SparseMLPClassifier: learning_rate=.* fails for t=0\.7: .*; allowed: a"
    with pytest.raises(ValueError, match=message):
        classifier.fit(X, y)
    assert not hasattr(classifier, "n_iter_")
    with pytest.raises(ValueError, match="learning_rate returns"):
        _schedules.factors(schedule, 0.0, 0, 10, 10)


@pytest.mark.parametrize("schedule", [object, lambda: 1, lambda t: 1 / 0])
def test_a_callable_that_fails_is_named(schedule):
    classifier = SparseMLPClassifier(learning_rate=schedule)
    message = r"^SparseMLPClassifier: learning_rate=.* fails for t=0: "
    with pytest.raises(ValueError, match=message):
        classifier.fit(*random_data(20))


@pytest.mark.parametrize("sparse_rows", [False, True])
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
def test_steps_with_rates_of_their_own_equal_the_reference(solver, sparse_rows):
    # With sparse rows, absent features catch up on steps of different rates.
    network = random_network(activation="tanh", sparse_rows=sparse_rows)
    twin = DenseNetwork(network)
    X, y = random_data(130)
    X[np.random.default_rng(1).random(X.shape) < 0.9] = 0
    rates = 0.05 * factors("one_cycle", 0.1, 0, 26, 26)
    optimizer = Optimizer(solver, rates, weight_decay=2.0)
    rows = csr_array(X) if sparse_rows else X
    train(network, rows, y, batch_size=5, optimizer=optimizer)
    for step, rate in enumerate(rates):
        rows = slice(5 * step, 5 * step + 5)
        of_step = Optimizer(solver, float(rate), weight_decay=2.0)
        reference_step(twin, X[rows], y[rows], None, of_step, alpha=0.0)
    for layer, coef in enumerate(network.coefs):
        np.testing.assert_allclose(
            coef.toarray().T, twin.weights[layer], rtol=2e-4, atol=2e-5
        )
