"""The estimators of a cluster: their parameters, and what they learn in memory."""

import copy
import inspect
import math
import pickle

import numpy as np
import pytest

pytest.importorskip("distributed", reason="Dask is an extra")

import dask.array as da
from clusters import cluster_of
from dask_estimators import BOTH, in_threads, learned, small
from scipy import sparse
from sklearn.base import clone
from small_estimators import LABELS, TARGET, X_VAL, Y_VAL, X, others
from small_estimators import small as local_small

import sparsenet
from sparsenet._parameters.cluster import PARAMETERS
from sparsenet.dask import SparseMLPClassifier, SparseMLPRegressor
from sparsenet.dask._partitions import in_memory_parts

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LOCAL = {
    SparseMLPClassifier: sparsenet.SparseMLPClassifier,
    SparseMLPRegressor: sparsenet.SparseMLPRegressor,
}
each_estimator = pytest.mark.parametrize("estimator", LOCAL)
each_task = pytest.mark.parametrize(("estimator", "y"), BOTH)
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2, len(X))


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as client:
        yield client


@pytest.fixture(scope="module")
def single():
    """The client of a cluster with one worker."""
    with cluster_of(1) as client:
        yield client


# --- parameters ----------------------------------------------------------------------


@each_estimator
def test_constructors_are_those_of_local_ones_and_the_clusters(estimator):
    own = inspect.signature(LOCAL[estimator]).parameters
    signature = inspect.signature(estimator).parameters
    assert list(signature) == [*own, *PARAMETERS]
    for name, parameter in own.items():
        assert signature[name].default == parameter.default
        assert signature[name].kind == parameter.kind
    for name, entry in PARAMETERS.items():
        assert signature[name].default == entry.default
        assert signature[name].kind == inspect.Parameter.KEYWORD_ONLY
        assert f"\n{name} : " in estimator.__doc__
    defaults = {name: parameter.default for name, parameter in signature.items()}
    assert estimator().get_params() == defaults


@each_estimator
def test_constructors_take_what_local_ones_do(estimator):
    first, *_ = inspect.signature(estimator).parameters
    model = estimator("given", activation="tanh", alpha=0, sync_interval=7)
    assert (getattr(model, first), model.activation) == ("given", "tanh")
    assert (model.alpha, model.sync_interval) == (0, 7)
    with pytest.raises(TypeError, match="sync_intervals"):
        estimator(sync_intervals=7)
    with pytest.raises(TypeError, match="positional"):
        estimator(*"abcd")


@each_estimator
def test_clones_and_copies_keep_the_client(estimator, client):
    model = small(estimator, client, compression="int8")
    assert "compression='int8'" in repr(model) and "client=" in repr(model)
    for other in (clone(model), copy.copy(model), copy.deepcopy(model)):
        assert type(other) is estimator
        assert other.get_params() == model.get_params()
        assert other.client is client
    assert clone(model).set_params(outer_momentum=0).outer_momentum == 0


@each_task
def test_copies_of_what_is_fitted_predict_and_pickles_leave_the_client(
    estimator, y, client
):
    model = small(estimator, client, max_iter=2).fit(X, y)
    copied, loaded = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    assert copied.client is client and loaded.client is None
    assert loaded.get_params() == model.get_params() | {"client": None}
    for other in (copied, loaded):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    assert not hasattr(clone(model), "n_iter_")
    assert model.client is client
    rows = da.from_array(X, chunks=(100, -1))
    np.testing.assert_array_equal(loaded.predict(rows).compute(), model.predict(X))


def test_copies_that_learned_in_parts_go_on_with_the_same_bits(client):
    model = small(SparseMLPClassifier, client)
    model.partial_fit(X, LABELS, classes=np.arange(10))
    loaded = pickle.loads(pickle.dumps(model)).set_params(client=client)
    copied = copy.deepcopy(model)
    expected = learned(model.partial_fit(X, LABELS))
    assert learned(loaded.partial_fit(X, LABELS)) == expected
    assert learned(copied.partial_fit(X, LABELS)) == expected


REFUSED = {
    "client": ["tcp://127.0.0.1:8786", 1, True],
    "sync_interval": [0, -1, 2.0, True, None, "20"],
    "outer_learning_rate": [0, -1.0, math.nan, math.inf, True, None, "1"],
    "outer_momentum": [1, -0.1, 1.5, math.nan, None, False],
    "compression": ["fp8", "INT8", 8, True],
    "on_worker_loss": ["ignore", None, True],
    "timeout": [0, -1, math.nan, math.inf, None, "300"],
    "ports": [
        80,
        "8000-9000",
        (8000,),
        (0, 10),
        (9000, 8000),
        (8000, 65536),
        (8000.0, 9000),
        (1, 2, 3),
    ],
}


def test_every_parameter_of_the_cluster_is_checked():
    assert set(REFUSED) == set(PARAMETERS)


@each_estimator
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in REFUSED for value in REFUSED[name]]
)
def test_bad_values_are_refused_before_any_work(estimator, name, value):
    model = estimator(**{name: value})
    message = rf"^{estimator.__name__}: {name}=.*; allowed: "
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            call(None, None)


@each_task
def test_what_a_local_estimator_refuses_is_refused(estimator, y, client):
    local, model = local_small(LOCAL[estimator]), small(estimator, client)
    hole = X.copy()
    hole[3, 4] = np.nan
    for arguments in [
        (X, None),
        (hole, y),
        (X[:, 0], y),
        (X, y[:-1]),
        (X, y, WEIGHTS[:-1]),
        (X, y, -WEIGHTS),
        (X, y, 0.0),
    ]:
        with pytest.raises(ValueError) as expected:
            local.fit(*arguments)
        with pytest.raises(ValueError) as error:
            model.fit(*arguments)
        assert str(error.value) == str(expected.value)
        assert not hasattr(model, "n_iter_")
    with pytest.raises(ValueError, match=f"{estimator.__name__}: y_val must be passed"):
        model.fit(X, y, X_val=X)


# --- what is learned -----------------------------------------------------------------

# Each pair of values of two columns is in some row.
COMBINATIONS = [
    ("classifier", "set", None, 0.0, "float32", np.asarray),
    ("regressor", "set", "int8", 0.5, "int8", sparse.csr_array),
    ("classifier", "set", "bfloat16", 0.5, "int8", np.asarray),
    ("regressor", "rigl", None, 0.5, "int8", np.asarray),
    ("classifier", "rigl", "int8", 0.0, "float32", sparse.csr_array),
    ("regressor", "rigl", "bfloat16", 0.0, "float32", np.asarray),
    ("classifier", "gradual", None, 0.5, "float32", sparse.csr_array),
    ("regressor", "gradual", "int8", 0.0, "float32", np.asarray),
    ("classifier", "gradual", "bfloat16", 0.0, "int8", sparse.csr_array),
    ("classifier", "rigl", "int8", 0.5, "int8", np.asarray),
]


@pytest.mark.parametrize(
    ("task", "sparse_training", "compression", "momentum", "precision", "container"),
    COMBINATIONS,
)
def test_workers_learn_what_threads_do(
    client, task, sparse_training, compression, momentum, precision, container
):
    estimator, y = BOTH[task == "regressor"]
    rows = container(X)
    model = small(
        estimator,
        client,
        sparse_training=sparse_training,
        compression=compression,
        outer_momentum=momentum,
        precision=precision,
    )
    expected = in_threads(model, in_memory_parts(rows, y, None, 2))
    assert model.fit(rows, y) is model
    assert learned(model) == learned(expected)
    np.testing.assert_array_equal(model.predict(rows), expected.predict(rows))
    assert type(model.predict(rows)) is np.ndarray


@each_task
@pytest.mark.parametrize(
    "parameters",
    [
        {"ema_decay": 0.9, "dropout": 0.2},
        {"early_stopping": True, "restore_best": True, "max_iter": 8},
        {"train_scores": True, "solver": "sgd", "learning_rate": "cosine"},
        {"outer_learning_rate": 0.7, "sync_interval": 1, "block_size": 4},
        {"max_grad_norm": 0.1, "solver": "adamw", "warmup": 0.2, "shuffle": False},
        {"density": 1.0, "sparse_training": "static"},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_workers_learn_what_threads_do_with(client, estimator, y, parameters):
    model = small(estimator, client, **parameters)
    parts = in_memory_parts(X, y, WEIGHTS, 2)
    expected = in_threads(model, parts)
    model.fit(X, y, sample_weight=WEIGHTS)
    assert learned(model) == learned(expected)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@each_task
def test_calls_go_on_from_each_other(client, estimator, y):
    parts = in_memory_parts(X, y, None, 2)
    model = small(estimator, client, warm_start=True, sparse_training="static")
    first = in_threads(model, parts)
    assert learned(model.fit(X, y)) == learned(first)
    second = in_threads(model, parts)
    assert learned(model.fit(X, y)) == learned(second)
    third = in_threads(model, parts, incremental=True)
    assert learned(model.partial_fit(X, y)) == learned(third)
    assert learned(first) != learned(second) != learned(third)


def test_parts_that_lack_classes_are_learned(client):
    order = np.argsort(LABELS, kind="stable")
    rows, labels, words = X[order], LABELS[order], np.array(list("abcdefghij"))
    model = small(SparseMLPClassifier, client).fit(rows, words[labels])
    assert list(model.classes_) == list("abcdefghij")
    assert set(model.predict(rows)) <= set(words)
    parts = in_memory_parts(rows, labels, None, 2)
    other = small(SparseMLPClassifier, client)
    for _ in range(2):
        call = {"incremental": True, "classes": np.arange(12)}
        expected = in_threads(other, parts, **call)
        other.partial_fit(rows, labels, classes=np.arange(12))
        assert learned(other) == learned(expected)
        assert other.predict_proba(rows).shape == (300, 12)


def test_first_parts_need_classes(client):
    model = small(SparseMLPClassifier, client)
    message = "SparseMLPClassifier: classes must be passed on the first call"
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, LABELS)
    with pytest.raises(ValueError, match="SparseMLPClassifier: partial_fit does not"):
        model.set_params(early_stopping=True).partial_fit(X, LABELS, classes=range(10))
    assert not hasattr(model.set_params(solver="lbfgs"), "partial_fit")


@pytest.mark.filterwarnings("ignore:batch_size", "ignore:sparse_training")
def test_more_workers_than_rows(client):
    model = small(SparseMLPRegressor, client).fit(X[:1], TARGET[:1])
    assert model.predict(X).shape == (300,)
    model = small(SparseMLPClassifier, client, batch_size="auto")
    assert model.fit(X[:3], LABELS[:3]).predict(X[:3]).shape == (3,)


@each_task
@pytest.mark.parametrize("weight", [None, WEIGHTS])
def test_lbfgs_comes_close_to_a_local_fit(client, estimator, y, weight):
    options = {"solver": "lbfgs", "max_iter": 10, "density": 0.3}
    local = local_small(LOCAL[estimator], **options).fit(X, y, weight)
    model = small(estimator, client, **options).fit(X, y, weight)
    np.testing.assert_allclose(model.loss_, local.loss_, rtol=0.01)
    assert model.n_iter_ == local.n_iter_ and not hasattr(model, "loss_curve_")
    np.testing.assert_allclose(
        getattr(model, "predict_proba", model.predict)(X),
        getattr(local, "predict_proba", local.predict)(X),
        atol=0.02,
    )


@each_task
def test_validation_samples_are_rated(client, estimator, y):
    validation = others(LOCAL[estimator])
    weight = np.linspace(0.5, 2, len(X_VAL))
    model = small(estimator, client, sparse_training="static")
    model.fit(X, y, **validation, sample_weight_val=weight)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 5
    if estimator is SparseMLPClassifier:
        score = model.score(X_VAL, Y_VAL, weight)
        np.testing.assert_allclose(model.validation_scores_[-1], score)
    plain = small(estimator, client, sparse_training="static").fit(X, y)
    assert model.loss_curve_ == plain.loss_curve_


@each_task
def test_the_best_epoch_is_restored(client, estimator, y):
    model = small(
        estimator,
        client,
        max_iter=30,
        restore_best=True,
        scoring="loss",
        learning_rate_init=0.03,
    )
    model.fit(X, y, **others(LOCAL[estimator]))
    best = int(np.argmax(model.validation_scores_))
    assert best < 29
    assert model.best_validation_score_ == model.validation_scores_[best]


def test_a_time_limit_ends_all_workers_after_the_same_epoch(client):
    limited = small(SparseMLPClassifier, client, max_iter=10**6, time_limit=1e-9)
    limited.fit(X, LABELS)
    assert limited.n_iter_ == 1 and len(limited.loss_curve_) == 1


def test_convergence_warnings_come_to_the_client(client):
    model = small(SparseMLPClassifier, client, max_iter=2)
    with pytest.warns(UserWarning, match="Maximum iterations") as caught:
        model.fit(X, LABELS)
    assert {warning.filename for warning in caught} == {__file__}
    assert len(caught) == 1


# --- one worker ----------------------------------------------------------------------


@each_task
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"early_stopping": True, "train_scores": True},
        {"sparse_training": "rigl", "precision": "int8", "compression": "int8"},
        {"sparse_training": "gradual", "ema_decay": 0.9, "outer_momentum": 0.9},
        {"solver": "lbfgs", "density": 1.0},
        {"random_state": np.random.RandomState(3), "dropout": 0.5},
        {"random_state": None},
    ],
    ids=lambda parameters: " ".join(map(str, parameters)) or "defaults",
)
@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["", "weighted"])
def test_one_worker_learns_what_a_local_estimator_does(
    single, estimator, y, parameters, weight
):
    model = small(estimator, single, **copy.deepcopy(parameters))
    local = small(estimator, None, **copy.deepcopy(parameters)).to_local()
    local.set_params(n_threads=1)
    for _ in range(2):  # a generator has gone on
        np.random.seed(5)
        local.fit(X, y, weight)
        np.random.seed(5)
        model.fit(X, y, weight)
        assert learned(model) == learned(local)
    np.testing.assert_array_equal(model.predict(X), local.predict(X))
    if isinstance(model.random_state, np.random.RandomState):
        assert model.random_state.randint(1000) == local.random_state.randint(1000)


@each_task
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("random_state", [0, np.random.RandomState(0)], ids=type)
def test_one_worker_goes_on_as_a_local_estimator_does(
    single, estimator, y, container, random_state
):
    rows, parameters = container(X), {"warm_start": True}
    models = [
        small(estimator, single, random_state=copy.deepcopy(random_state), **parameters)
    ]
    models.append(models[0].to_local().set_params(n_threads=1))
    models[1].random_state = copy.deepcopy(random_state)
    for call in ("fit", "fit", "partial_fit", "partial_fit", "fit"):
        assert learned(getattr(models[0], call)(rows, y)) == learned(
            getattr(models[1], call)(rows, y)
        )


def test_one_worker_balances_classes_as_a_local_estimator_does(single):
    words, weight = np.array(list("abcdefghij"))[LABELS], WEIGHTS.copy()
    weight[LABELS == 3] = 0  # a class that counts as absent
    weight[::5] = 0
    labels = np.column_stack([LABELS < 3, LABELS % 2, LABELS > 5]).astype(int)
    for y in (words, labels, LABELS < 2):
        for weights in (None, weight):
            model = small(SparseMLPClassifier, single, class_weight="balanced")
            local = model.to_local().set_params(n_threads=1)
            model.fit(X, y, weights)
            assert learned(model) == learned(local.fit(X, y, weights))
            assert model.class_weight == "balanced"
            assert model.to_local().class_weight == "balanced"


def test_workers_balance_the_classes_of_all(client, single):
    """So do two workers that have different classes, of one step each."""
    order = np.argsort(LABELS, kind="stable")
    options = {"batch_size": 300, "max_iter": 1, "shuffle": False}
    options |= {"sync_interval": 1, "outer_momentum": 0, "solver": "sgd"}
    options |= {"sparse_training": "static", "class_weight": "balanced"}
    rare = np.where(LABELS < 8, 0, LABELS)
    together, alone = (
        small(SparseMLPClassifier, one, **options).fit(X[order], rare[order])
        for one in (client, single)
    )
    np.testing.assert_allclose(together.loss_, alone.loss_, rtol=1e-5)
    for one, other in zip(together.coefs_, alone.coefs_, strict=True):
        np.testing.assert_allclose(one.toarray(), other.toarray(), atol=1e-6)


def test_one_worker_learns_targets_of_all_kinds(single):
    labels = np.column_stack([LABELS < 3, LABELS % 2]).astype(int)
    numbers = np.column_stack([TARGET, X.mean(axis=1)])
    for estimator, y in (
        (SparseMLPClassifier, labels),
        (SparseMLPRegressor, numbers),
        (SparseMLPClassifier, LABELS < 5),
        (SparseMLPClassifier, np.zeros(300)),
    ):
        model = small(estimator, single)
        local = model.to_local().set_params(n_threads=1)
        assert learned(model.fit(X, y)) == learned(local.fit(X, y))
        np.testing.assert_array_equal(model.predict(X), local.predict(X))


# --- random states -------------------------------------------------------------------


def test_without_a_random_state_each_fit_is_another(client):
    np.random.seed(0)
    models = [
        small(SparseMLPRegressor, client, random_state=None).fit(X, TARGET)
        for _ in range(2)
    ]
    assert learned(models[0]) != learned(models[1])
    np.random.seed(0)
    again = small(SparseMLPRegressor, client, random_state=None).fit(X, TARGET)
    assert learned(again) == learned(models[0]) and again.random_state is None


def test_a_generator_goes_on_from_fit_to_fit(client):
    generator = np.random.RandomState(0)
    model = small(SparseMLPRegressor, client, random_state=generator)
    first = learned(model.fit(X, TARGET))
    assert first == learned(clone(model).set_params(random_state=0).fit(X, TARGET))
    assert learned(model.fit(X, TARGET)) != first
    assert model.random_state is generator


# --- local estimators ----------------------------------------------------------------


@each_task
def test_a_local_estimator_is_left(client, estimator, y):
    model = small(estimator, client, warm_start=True).fit(X, y)
    local = model.to_local()
    assert type(local) is LOCAL[estimator]
    names = inspect.signature(type(local)).parameters
    assert local.get_params() == {name: getattr(model, name) for name in names}
    assert set(vars(local)).isdisjoint(PARAMETERS)
    assert learned(local) == learned(model)
    np.testing.assert_array_equal(local.predict(X), model.predict(X))
    loaded = pickle.loads(pickle.dumps(local))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    before = learned(model)
    local.partial_fit(X, y).fit(X, y)
    assert local.t_ > model.t_ and learned(model) == before
    unfitted = small(estimator, client).to_local()
    assert not hasattr(unfitted, "n_iter_") and unfitted.fit(X, y).n_iter_ == 5


def test_what_local_estimators_offer_is_there(client):
    model = small(SparseMLPClassifier, client).fit(X, LABELS)
    local = model.to_local()
    np.testing.assert_array_equal(model.predictor().predict(X), local.predict(X))
    np.testing.assert_array_equal(
        model.hidden_activations(X), local.hidden_activations(X)
    )
    np.testing.assert_array_equal(
        model.feature_importances_, local.feature_importances_
    )
    assert model.to_c() == local.to_c()
