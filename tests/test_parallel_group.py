"""Estimators that a group trains together, as threads."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_csr, random_network
from reference_parallel import group_of_threads, in_threads
from scipy import sparse
from small_estimators import PRECISIONS, X_TEST, X_TRAIN, Y_TEST, Y_TRAIN, same, small

from sparsenet import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._parallel.group import DataParallel, Plan
from sparsenet._parallel.simulation import fit_in_threads
from sparsenet._training_set import TrainingSet
from sparsenet._watchers import Watcher

ROWS, LABELS = np.vstack([X_TRAIN, X_TEST]), np.append(Y_TRAIN, Y_TEST)
NUMBERS = np.sin(ROWS.sum(axis=1))
OPTIONS = {"interval": 4, "learning_rate": 0.7, "momentum": 0.9, "compression": None}
#: An outer step is the members' mean.
MEAN = {"interval": 1, "learning_rate": 1.0, "momentum": 0.0, "compression": None}
SOLVERS = ("adam", "adamw", "sgd", "lbfgs")
each_layout = pytest.mark.parametrize("sparse_rows", [False, True])


def parts_of(sizes, y=LABELS, sparse_rows=False, weighted=False):
    X = sparse.csr_array(ROWS) if sparse_rows else ROWS
    weights = np.random.default_rng(0).uniform(0.1, 2, len(y))
    parts, begin = [], 0
    for size in sizes:
        rows = slice(begin, begin + size)
        parts.append((X[rows], y[rows], weights[rows] if weighted else None))
        begin += size
    return parts


def joined(parts):
    X, y, weights = zip(*parts, strict=True)
    X = sparse.csr_array(sparse.vstack(X)) if sparse.issparse(X[0]) else np.vstack(X)
    return X, np.concatenate(y), None if weights[0] is None else np.concatenate(weights)


def together(estimator, parts, **options):
    """Estimators of all members."""
    classes = np.arange(10) if isinstance(estimator, SparseMLPClassifier) else None
    fitted = fit_in_threads(estimator, parts, classes=classes, **OPTIONS | options)
    return [model for model, _ in fitted]


def learned(model):
    """What has to be the same for all members."""
    network = model._network
    arrays = [a for layer in network.layers for a in (layer.weights, layer.bias)]
    arrays += [coef.indices for coef in network.coefs]
    arrays += [coef.data for coef in network.coefs]
    curves = "loss_", "loss_curve_", "validation_scores_", "validation_loss_curve_"
    return {
        "bits": b"".join(array.tobytes() for array in arrays),
        "n_iter": model.n_iter_,
        "t": model.t_,
        "rounds": model.topology_.rounds,
    } | {name: getattr(model, name, None) for name in curves}


def assert_same(models):
    first, *others = map(learned, models)
    for other in others:
        assert other == first


def rewired(**parameters):
    defaults = {
        "rewire_interval": 5,
        "batch_size": 64,
        "max_iter": 3,
        "learning_rate_init": 0.01,
        "density": 0.3,
    }
    return small(SparseMLPClassifier, **defaults | parameters)


# --- one member --------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("estimator", [SparseMLPClassifier, SparseMLPRegressor])
@each_layout
def test_one_member_learns_what_fit_does(solver, estimator, sparse_rows):
    y = LABELS if estimator is SparseMLPClassifier else NUMBERS
    parts = parts_of([400], y, sparse_rows, weighted=True)
    model = small(estimator, solver=solver, rewire_interval=3)
    (alone,) = together(model, parts)
    assert learned(alone) == learned(model.fit(*parts[0]))


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True, "max_iter": 8},
        {"restore_best": True, "train_scores": True},
        {"ema_decay": 0.9, "dropout": 0.2, "sparse_training": "rigl"},
        {"block_size": 4, "precision": "int8", "sparse_training": "gradual"},
        {"shuffle": False, "batch_size": 7},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_one_member_learns_what_fit_does_with(parameters):
    (part,) = parts_of([400])
    model = small(SparseMLPClassifier, rewire_interval=3, **parameters)
    (alone,) = together(model, [part])
    assert learned(alone) == learned(model.fit(*part))
    assert getattr(alone, "train_scores_", None) == model.train_scores_


def test_one_member_goes_on_as_if_it_had_not_been_broken_off():
    (part,) = parts_of([400])
    options = {"sparse_training": "static"}
    whole = small(SparseMLPClassifier, max_iter=6, **options).fit(*part)
    (begun,) = together(small(SparseMLPClassifier, max_iter=3, **options), [part])
    (ended,) = together(begun.set_params(max_iter=6), [part], goes_on=True)
    assert learned(ended) == learned(whole)


# --- all members have the same bits ------------------------------------------------


@pytest.mark.parametrize("sparse_training", ["set", "rigl", "gradual", "static"])
@pytest.mark.parametrize("precision", PRECISIONS)
@each_layout
@pytest.mark.parametrize("compression", [None, "bfloat16", "int8"])
def test_members_end_with_the_same_bits(
    sparse_training, precision, sparse_rows, compression
):
    model = rewired(sparse_training=sparse_training, precision=precision)
    parts = parts_of([300, 400, 20], sparse_rows=sparse_rows)
    for momentum in (0.0, 0.9):
        models = together(model, parts, compression=compression, momentum=momentum)
        assert_same(models)
        assert (sparse_training == "static") == (not models[0].topology_.rounds)
        assert len(models[0].loss_curve_) == 3


@pytest.mark.parametrize(
    "parameters",
    [
        {"block_size": 4, "sparse_training": "rigl"},
        {"block_size": 4, "sparse_training": "gradual"},
        {"block_size": 4, "sparse_training": "set", "precision": "bfloat16"},
        {"ema_decay": 0.9, "sparse_training": "set"},
        {"ema_decay": 0.9, "sparse_training": "gradual"},
        {"ema_decay": 0.9, "sparse_training": "rigl", "early_stopping": True},
        {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 6},
        {"restore_best": True, "sparse_training": "rigl"},
        {"dropout": 0.3, "sparse_training": "rigl", "precision": "int8"},
        {"solver": "adamw", "max_grad_norm": 0.1, "learning_rate": "cosine"},
        {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1},
        {"solver": "lbfgs"},
        {"density": 1.0, "sparse_training": "static"},
        {"batch_size": "auto"},
        {"batch_size": 5000},
        {"time_limit": 100.0, "learning_rate": "one_cycle"},
        {"train_scores": True, "scoring": "loss", "early_stopping": True},
    ],
    ids=lambda parameters: "-".join(map(str, parameters.values())),
)
@each_layout
@pytest.mark.parametrize("weighted", [False, True])
def test_members_end_with_the_same_bits_with(parameters, sparse_rows, weighted):
    parts = parts_of([500, 600, 697], sparse_rows=sparse_rows, weighted=weighted)
    assert_same(together(rewired(**parameters), parts, compression="bfloat16"))


@each_layout
def test_members_of_a_regression_end_with_the_same_bits(sparse_rows):
    y = np.column_stack([NUMBERS, ROWS[:, 10]])
    parts = parts_of([500, 20, 600], y, sparse_rows)
    model = small(SparseMLPRegressor, early_stopping=True, rewire_interval=3)
    assert_same(together(model, parts))


def test_members_of_text_like_rows_end_with_the_same_bits():
    X = random_csr((900, 2000), 0.005, np.random.RandomState(0))
    y = np.asarray(X[:, :10].sum(axis=1)).ravel()
    parts = [(X[:500], y[:500]), (X[500:], y[500:])]
    for solver, method in [("adam", "rigl"), ("adam", "set"), ("sgd", "rigl")]:
        model = small(
            SparseMLPRegressor,
            solver=solver,
            sparse_training=method,
            ema_decay=0.9,
            rewire_interval=3,
            batch_size=30,
        )
        assert_same(together(model, parts))


@each_layout
def test_members_end_calls_of_partial_fit_with_the_same_bits(sparse_rows):
    models = together(
        rewired(sparse_training="rigl"),
        parts_of([300, 400], sparse_rows=sparse_rows),
        incremental=True,
    )
    assert_same(models)
    members = group_of_threads(2)
    parts = parts_of([200, 150], sparse_rows=sparse_rows)
    again = in_threads(
        lambda model, member, part: model._fit(
            *part, incremental=True, group=DataParallel(member, **OPTIONS)
        ),
        models,
        members,
        parts,
    )
    assert_same(again)
    assert len(again[0].loss_curve_) == 2


def test_a_member_learns_of_classes_that_only_others_have():
    order = np.argsort(LABELS, kind="stable")
    parts = [(ROWS[rows], LABELS[rows]) for rows in np.array_split(order, 3)]
    model = rewired(sparse_training="rigl", batch_size=32, max_iter=20)
    models = together(model, parts, **MEAN)
    assert_same(models)
    assert models[0].score(ROWS, LABELS) > 0.8


def test_a_group_learns_about_as_well_as_one_process():
    model = rewired(max_iter=15)
    models = together(
        model, parts_of([450, 450, 447]), momentum=0.5, compression="int8"
    )
    score = models[0].score(X_TEST, Y_TEST)
    assert score > model.fit(X_TRAIN, Y_TRAIN).score(X_TEST, Y_TEST) - 0.03


# --- the same as one process -------------------------------------------------------


def weights_of(model):
    return np.concatenate(
        [coef.toarray().ravel() for coef in model._network.coefs]
        + model._network.intercepts
    )


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("sizes", [(96, 96), (96, 192), (48, 96, 144)])
@each_layout
def test_the_mean_of_single_steps_is_a_step_on_all_batches(
    momentum, sizes, sparse_rows
):
    parts = parts_of(sizes, sparse_rows=sparse_rows)
    options = {
        "solver": "sgd",
        "momentum": momentum,
        "nesterovs_momentum": momentum > 0,
        "learning_rate_init": 0.2,
        "alpha": 0.0,
        "shuffle": False,
        "sparse_training": "static",
        "density": 0.3,
    }
    n_steps = 3
    batch_size = sum(sizes) // len(sizes) // n_steps
    model = small(SparseMLPClassifier, batch_size=batch_size, **options)
    models = together(model, parts, **MEAN)
    X, y, _ = joined(parts)
    numbers = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    steps = zip(*(np.split(rows, n_steps) for rows in numbers), strict=True)
    order = np.concatenate([rows for step in steps for rows in step])
    model = small(SparseMLPClassifier, batch_size=sum(sizes) // n_steps, **options)
    model.fit(X[order], y[order])
    np.testing.assert_allclose(weights_of(models[0]), weights_of(model), atol=2e-5)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@each_layout
def test_lbfgs_sees_the_rows_of_all_members(alpha, weighted, sparse_rows):
    parts = parts_of([300, 100], sparse_rows=sparse_rows, weighted=weighted)
    model = small(
        SparseMLPClassifier, solver="lbfgs", alpha=alpha, max_iter=8, activation="tanh"
    )
    models = together(model, parts)
    X, y, weights = joined(parts)
    model.fit(X, y, weights)
    assert models[0].loss_ == pytest.approx(model.loss_, rel=1e-4)
    np.testing.assert_allclose(weights_of(models[0]), weights_of(model), atol=2e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_means_over_the_samples_of_all(weighted):
    parts = parts_of([300, 100], weighted=weighted)
    model = rewired(train_scores=True, sparse_training="static", max_iter=2)
    models = together(model, parts)
    X, y, weights = joined(parts)
    assert models[0].train_scores_ == models[1].train_scores_
    expected = models[0].score(X, y, weights)
    assert models[0].train_scores_[-1] == pytest.approx(expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_mean_over_the_samples_of_all(weighted):
    parts = parts_of([300, 100], weighted=weighted)
    options = {"solver": "sgd", "learning_rate_init": 1e-30, "max_iter": 1}
    model = small(SparseMLPClassifier, batch_size=50, alpha=0.0, **options)
    models = together(model, parts)
    model.fit(*joined(parts))
    assert models[0].loss_ == pytest.approx(model.loss_, rel=1e-6)
    assert models[0].t_ == 400


# --- how training ends -------------------------------------------------------------


def errors_of(model, parts, **options):
    """Of each member, none of which closes its connections."""
    return in_threads(
        lambda member, part: copy.deepcopy(model)._fit(
            *part,
            classes=np.arange(10),
            group=DataParallel(member, **OPTIONS | options),
        ),
        group_of_threads(len(parts)),
        parts,
    )


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("compression", [None, "bfloat16", "int8"])
@pytest.mark.parametrize("sparse_training", ["set", "rigl"])
def test_a_loss_that_is_not_finite_ends_all(solver, compression, sparse_training):
    parts = parts_of([300, 400, 100])
    X, *others = parts[1]
    parts[1] = (X * 1e30, *others)
    model = rewired(solver=solver, sparse_training=sparse_training)
    for error in errors_of(model, parts, compression=compression):
        assert type(error) is ValueError
        assert "Training diverged" in str(error)


def test_a_loss_that_is_not_finite_ends_lbfgs_for_all():
    parts = parts_of([300, 400])
    X, *others = parts[1]
    parts[1] = (X * 3e38, *others)
    for error in errors_of(rewired(solver="lbfgs"), parts):
        assert type(error) is ValueError
        assert "Training diverged" in str(error)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_bad_part_is_the_error_and_not_that_a_member_is_lost(early_stopping):
    parts = parts_of([300, 400, 100])
    X, *others = parts[1]
    X = X.copy()
    X[5, 5] = np.nan
    parts[1] = (X, *others)
    with pytest.raises(ValueError, match="NaN"):
        together(rewired(early_stopping=early_stopping), parts)


class Interrupter(Watcher):
    """Asks for an end in one of the epochs."""

    def __init__(self, communicator, epoch):
        self.communicator, self.left = communicator, epoch

    def epoch_started(self, training):
        self.left -= 1
        if self.left == 0:
            self.communicator.interrupt = True


@pytest.mark.parametrize(
    "parameters",
    [
        {"sparse_training": "rigl"},
        {"restore_best": True},
        {"ema_decay": 0.9},
        {"ema_decay": 0.9, "restore_best": True},
    ],
    ids=lambda parameters: "-".join(parameters),
)
@each_layout
def test_an_interrupt_ends_all_with_the_same_bits(parameters, sparse_rows):
    parts = parts_of([500, 600, 697], sparse_rows=sparse_rows)

    def fit(member, part):
        def watch(_):
            return Interrupter(member, 2 if member.rank == 1 else 0)

        group = DataParallel(member, watchers=[watch], **OPTIONS)
        model = rewired(max_iter=10, **parameters)
        return model._fit(*part, classes=np.arange(10), group=group)

    models = in_threads(fit, group_of_threads(3), parts)
    assert [model.n_iter_ for model in models] == [1] * 3
    assert_same(models)


def test_an_interrupt_ends_lbfgs_with_the_same_bits():
    def fit(member, part):
        member.interrupt = member.rank == 1
        group = DataParallel(member, **OPTIONS)
        model = small(SparseMLPClassifier, solver="lbfgs")
        with pytest.raises(KeyboardInterrupt):
            model._fit(*part, group=group)
        return True

    assert in_threads(fit, group_of_threads(2), parts_of([300, 400])) == [True] * 2


# --- steps of an epoch -------------------------------------------------------------


def plans(sizes, batch_size, weights=None):
    """Groups and plans of members with so many rows."""

    def begin(member, size):
        weight = None if weights is None else np.full(size, weights[member.rank])
        data = TrainingSet(np.zeros((size, 1)), np.zeros(size), weight, None, None)
        parameters = SimpleNamespace(batch_size=batch_size)
        training = SimpleNamespace(
            data=data,
            rows=data.rows,
            parameters=parameters,
            network=random_network(seed=0),
        )
        group = DataParallel(member, **OPTIONS)
        return group, group.begin(training)

    return in_threads(begin, group_of_threads(len(sizes)), sizes)


@pytest.mark.parametrize(
    ("sizes", "batch_size", "n_steps", "batch_sizes"),
    [
        ((500, 600, 697), "auto", 3, (200, 200, 233)),
        ((500, 600, 697), 64, 10, (50, 64, 70)),
        ((1000, 1000), 64, 16, (64, 64)),
        ((20, 2000), 100, 11, (2, 182)),
        ((1, 1), 100, 1, (1, 1)),
        ((100, 300), 1000, 1, (200, 300)),
        ((400,), 64, 7, (64,)),
    ],
)
def test_plans_have_as_many_steps_for_all(sizes, batch_size, n_steps, batch_sizes):
    actual = [plan for _, plan in plans(sizes, batch_size)]
    assert actual == [Plan(n_steps, size) for size in batch_sizes]


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=4),
    st.one_of(st.just("auto"), st.integers(1, 350)),
)
@settings(deadline=None, max_examples=60)
def test_all_take_as_many_steps_and_each_row_once_or_more(sizes, batch_size):
    for size, (group, plan) in zip(sizes, plans(sizes, batch_size), strict=True):
        order = np.random.default_rng(0).permutation(size)
        filled = group.fill(order, plan)
        assert -(-len(filled) // plan.batch_size) == plan.n_steps
        np.testing.assert_array_equal(filled[:size], order)
        np.testing.assert_array_equal(filled, np.resize(order, len(filled)))
        # No more rows come again than it takes.
        assert len(filled) == max(size, (plan.n_steps - 1) * plan.batch_size + 1)


def test_shares_are_those_of_the_weights():
    groups = [group for group, _ in plans((100, 300), 10)]
    assert [group.share for group in groups] == [0.25, 0.75]
    groups = [group for group, _ in plans((100, 300), 10, weights=(6.0, 1.0))]
    assert [group.share for group in groups] == pytest.approx([2 / 3, 1 / 3])
    assert [group.n_rows(1) for group in groups] == [400, 400]


def test_a_group_of_one_takes_no_outer_steps():
    ((group, plan),) = plans((100,), 10)
    assert group.local_steps is None
    assert plan == Plan(10, 10)


def test_the_first_member_decides_and_any_may_say_stop():
    def ask(member):
        group = DataParallel(member, **OPTIONS)
        return group.of_first(member.rank + 5), group.any(member.rank == 2)

    assert in_threads(ask, group_of_threads(3)) == [(5.0, True)] * 3


def test_members_shuffle_in_orders_of_their_own():
    def order(member):
        group, network = DataParallel(member, **OPTIONS), SimpleNamespace()
        network.seed, network.n_steps = 3, 2**32 + 7
        state = np.random.RandomState(0)
        return group.generator(state, network).permutation(50).tolist()

    orders = in_threads(order, group_of_threads(3))
    assert orders[0] == np.random.RandomState(0).permutation(50).tolist()
    assert len(set(map(tuple, orders))) == 3


def test_same_seeds_give_the_same_bits_again():
    parts = parts_of([300, 200])
    first, second = (together(rewired(dropout=0.2), parts)[0] for _ in range(2))
    assert same(first, second)
    assert learned(first) == learned(second)
