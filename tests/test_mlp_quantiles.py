"""Several quantiles at once."""

import copy
import pickle

import numpy as np
import pytest
from problems import random_data, random_network
from saved_networks import assert_refused
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import d2_pinball_score, mean_pinball_loss
from small_estimators import PRECISIONS

from sparsenet import SparseMLPRegressor, prune

pytestmark = pytest.mark.filterwarnings("ignore")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])

LEVELS = (0.1, 0.5, 0.9)


def random_problem(n=1500):
    """Targets that spread the more, the larger the first feature is."""
    rng = np.random.default_rng(0)
    inputs = rng.uniform(0, 1, (n, 5))
    return inputs, inputs[:, 1] + inputs[:, 0] * rng.standard_normal(n)


INPUTS, Y = random_problem()


def quantiles(levels=LEVELS, **options):
    settings = {"hidden_layer_sizes": (32,), "random_state": 0, "max_iter": 40}
    settings |= {"sparse_training": "static", "learning_rate_init": 0.005}
    return SparseMLPRegressor("quantile", quantile=levels, **settings | options)


def mean_score(y, predicted, sample_weight=None):
    scores = [
        d2_pinball_score(y, column, sample_weight=sample_weight, alpha=level)
        for column, level in zip(predicted.T, LEVELS, strict=True)
    ]
    return np.mean(scores)


# --- what is learned ---------------------------------------------------------------


@each_precision
@each_container
def test_a_share_of_the_targets_is_below_each_quantile(precision, container):
    model = quantiles(precision=precision).fit(container(INPUTS), Y)
    predicted = model.predict(container(INPUTS))
    assert predicted.shape == (len(Y), 3) and model.n_outputs_ == 3
    below = (Y[:, np.newaxis] < predicted).mean(axis=0)
    np.testing.assert_allclose(below, LEVELS, atol=0.07)


@each_precision
def test_the_loss_is_the_mean_over_the_levels(precision):
    weight = np.random.default_rng(1).uniform(0.1, 2, len(Y))
    model = quantiles(precision=precision, alpha=0, max_iter=3).fit(INPUTS, Y, weight)
    # An epoch that changes nothing any more.
    model.set_params(warm_start=True, learning_rate_init=1e-30, max_iter=1)
    model.fit(INPUTS, Y, weight)
    outputs = model._network.predict(INPUTS, 1)  # as they are, not sorted
    losses = [
        mean_pinball_loss(Y, column, sample_weight=weight, alpha=level)
        for column, level in zip(outputs.T, LEVELS, strict=True)
    ]
    assert model.loss_ == pytest.approx(np.mean(losses), rel=1e-5)


def test_quantiles_do_not_cross_and_none_is_worse_for_it():
    model = quantiles(np.linspace(0.05, 0.95, 19), max_iter=1).fit(INPUTS, Y)
    outputs, predicted = model._network.predict(INPUTS, 1), model.predict(INPUTS)
    assert (np.diff(outputs, axis=1) < 0).any()
    np.testing.assert_array_equal(predicted, np.sort(outputs, axis=1))
    sides = [
        np.mean(
            [
                mean_pinball_loss(Y, column, alpha=level)
                for column, level in zip(columns.T, model.quantile, strict=True)
            ]
        )
        for columns in (predicted, outputs)
    ]
    assert sides[0] < sides[1]


def test_one_level_in_a_sequence_is_that_level_with_an_axis():
    one, alone = (quantiles(level, max_iter=3).fit(INPUTS, Y) for level in ([0.3], 0.3))
    assert one.loss_curve_ == alone.loss_curve_
    np.testing.assert_array_equal(one.predict(INPUTS)[:, 0], alone.predict(INPUTS))
    assert one.predict(INPUTS).shape == (len(Y), 1)
    assert one.score(INPUTS, Y) == pytest.approx(
        d2_pinball_score(Y, alone.predict(INPUTS), alpha=0.3)
    )


@each_precision
def test_threads_and_batches_change_nothing(precision):
    options = {"hidden_layer_sizes": (256, 128), "max_iter": 2, "precision": precision}
    one, two = (
        quantiles(**options, n_threads=n).fit(INPUTS, Y).predict(INPUTS) for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
    model = quantiles(**options).fit(INPUTS, Y)
    alone = [model.predict(INPUTS[i : i + 1]) for i in range(20)]
    np.testing.assert_array_equal(np.concatenate(alone), one[:20])


# --- scores ------------------------------------------------------------------------


def test_the_score_is_the_mean_over_the_levels():
    weight = np.random.default_rng(1).uniform(0.1, 2, len(Y))
    model = quantiles(max_iter=10).fit(INPUTS, Y)
    predicted = model.predict(INPUTS)
    assert model.score(INPUTS, Y) == pytest.approx(mean_score(Y, predicted))
    expected = mean_score(Y, predicted, weight)
    assert model.score(INPUTS, Y, weight) == pytest.approx(expected)
    assert model.score(INPUTS, Y[:, np.newaxis], weight) == pytest.approx(expected)


def test_early_stopping_goes_by_that_score(monkeypatch):
    rated = []
    original = SparseMLPRegressor._score_decided

    def remember(self, y, decided, sample_weight):
        rated.append((y[:, 0], decided))
        return original(self, y, decided, sample_weight)

    monkeypatch.setattr(SparseMLPRegressor, "_score_decided", remember)
    model = quantiles(early_stopping=True, max_iter=5).fit(INPUTS, Y)
    expected = [mean_score(*pair) for pair in rated]
    np.testing.assert_allclose(model.validation_scores_, expected)


# --- what is refused, and what stays -----------------------------------------------


def test_several_outputs_cannot_have_several_levels():
    message = r"y has 2 outputs; allowed: 1, since quantile=\(0.1, 0.5, 0.9\)"
    with pytest.raises(ValueError, match=message):
        quantiles().fit(INPUTS, np.c_[Y, Y])


@pytest.mark.parametrize("other", [0.5, (0.1, 0.5), (0.1, 0.5, 0.8)])
def test_going_on_refuses_other_levels(other):
    model = quantiles(max_iter=2, warm_start=True).fit(INPUTS, Y)
    before = model.predict(INPUTS)
    model.set_params(quantile=other)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"allowed: (3|\(0.1, 0.5, 0.9\)), since"):
            call(INPUTS, Y)
    with pytest.raises(ValueError, match=r"^prune: quantile=.*allowed: \(0.1, 0.5"):
        prune(model, 0.5)
    np.testing.assert_array_equal(model.predict(INPUTS), before)
    model.set_params(quantile=np.array(LEVELS)).partial_fit(INPUTS, Y)


@each_precision
def test_copies_and_pickles_go_on_with_the_levels(precision):
    model = quantiles(list(LEVELS), precision=precision, max_iter=2)
    assert clone(model).quantile == list(LEVELS)
    model.fit(INPUTS, Y).set_pickle(training_state=True)
    others = pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
    model.partial_fit(INPUTS, Y)
    for other in others:
        other.partial_fit(INPUTS, Y)
        assert other.loss_curve_ == model.loss_curve_
        np.testing.assert_array_equal(other.predict(INPUTS), model.predict(INPUTS))
    pruned = prune(model, 0.5)
    assert pruned.predict(INPUTS).shape == (len(Y), 3)


@pytest.mark.parametrize(
    "value", [LEVELS, [], [*LEVELS, 0.95], [0.1, 0.5, 1], [0.1, 0.5, np.nan], "123"]
)
def test_a_pickle_with_other_kinds_of_levels_is_damaged(value):
    network = random_network(loss="quantile", parameter=LEVELS)
    assert pickle.loads(pickle.dumps(network)).loss_parameter == LEVELS
    assert_refused(
        network,
        lambda state, _: state.update(loss_parameter=value),
        "parameter of the loss",
    )


def test_a_pickle_of_one_level_for_all_outputs_is_a_number():
    network = random_network(loss="quantile")
    assert type(network.__getstate__()["loss_parameter"]) is float
    X, _ = random_data(10)
    copied = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(copied.predict(X, 1), network.predict(X, 1))
