"""Dynamic sparse training behind the two estimators."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from small_estimators import BOTH, PRECISIONS, share_inputs, small
from small_estimators import X as X_SMALL

from sparsenet import SparseMLPClassifier, SparseMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
METHODS = ("static", "set", "rigl", "gradual")
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_method = pytest.mark.parametrize("sparse_training", METHODS)
each_container = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
#: Of the second layer of `network`.
FAN_IN = 21
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)


def network(**options):
    settings = {
        "hidden_layer_sizes": (120, 100),
        "density": 0.2,
        "max_iter": 12,
        "batch_size": 50,
        "rewire_interval": 20,
        "learning_rate_init": 0.003,
        "random_state": 0,
    }
    return SparseMLPClassifier(**settings | options)


def connections(model):
    return [matrix.indices for matrix in model.coefs_[:2]]


@each_precision
@each_method
@each_container
@pytest.mark.parametrize("block_size", [1, 4])
def test_every_method_learns_in_every_format(
    precision, sparse_training, container, block_size
):
    model = network(
        precision=precision, sparse_training=sparse_training, block_size=block_size
    )
    model.fit(container(X_train), y_train)
    assert model.score(container(X_test), y_test) > 0.85
    # A number of connections for each unit, or, of sparse X, for each feature.
    static = clone(model).set_params(sparse_training="static", max_iter=1)
    static.fit(container(X_train), y_train)
    for layer, expected in zip(
        model.topology_.layers, static.topology_.layers, strict=True
    ):
        assert layer.n_connections == expected.n_connections
        by_feature = layer.n_inputs == 64 and container is not np.asarray
        fan = "fan_out" if by_feature else "fan_in"
        np.testing.assert_array_equal(getattr(layer, fan), getattr(expected, fan))
    for coef in model.coefs_[:2]:
        assert share_inputs(coef) == (block_size == 4)
    # Until 0.75 * 12 * 27 steps, or until nothing is left to prune.
    n_rounds = {"static": 0, "gradual": 10}.get(sparse_training, 12)
    assert len(model.topology_.rounds) == n_rounds


@each_method
@each_container
def test_results_do_not_depend_on_threads(sparse_training, container):
    models = [
        network(
            hidden_layer_sizes=(400, 300), sparse_training=sparse_training,
            batch_size=300, rewire_interval=3, max_iter=4, n_threads=n_threads,
        ).fit(container(X_train), y_train)
        for n_threads in (1, 3)
    ]  # fmt: skip
    for first, second in zip(models[0].coefs_, models[1].coefs_, strict=True):
        np.testing.assert_array_equal(first.indices, second.indices)
        np.testing.assert_array_equal(first.data, second.data)
    assert models[0].topology_.rounds == models[1].topology_.rounds


@each_method
@pytest.mark.parametrize(("estimator", "target"), BOTH)
@each_container
def test_partial_fits_are_the_epochs_of_a_fit(
    sparse_training, estimator, target, container
):
    options = {"density": 0.3, "rewire_interval": 2, "sparse_training": sparse_training}
    rows = container(X_SMALL)
    whole = small(estimator, max_iter=5, **options).fit(rows, target)
    epochs = small(estimator, max_iter=5, **options)
    classes = {"classes": np.unique(target)} if estimator is SparseMLPClassifier else {}
    for _ in range(5):
        epochs.partial_fit(rows, target, **classes)
    assert epochs.topology_.rounds == whole.topology_.rounds
    for actual, expected in zip(epochs.coefs_, whole.coefs_, strict=True):
        np.testing.assert_array_equal(actual.indices, expected.indices)
        np.testing.assert_array_equal(actual.data, expected.data)


def test_the_schedule_survives_a_pickle():
    model = network(max_iter=4).partial_fit(X_train, y_train, classes=np.arange(10))
    model.partial_fit(X_train, y_train)
    model = pickle.loads(pickle.dumps(model))
    for _ in range(3):
        model.partial_fit(X_train, y_train)
    # 27 steps an epoch; 3 of 4 epochs.
    assert [step for step, _ in model.topology_.rounds] == [20, 40, 60, 80]


def test_each_fit_is_a_training_of_its_own():
    model = network(max_iter=4, warm_start=True).fit(X_train, y_train)
    assert [step for step, _ in model.topology_.rounds] == [20, 40, 60, 80]
    before = connections(model)
    model.fit(X_train, y_train)  # its steps are 109 to 216, of which 81 rewire
    assert [step for step, _ in model.topology_.rounds][4:] == [109, 129, 149, 169, 189]
    changed = [
        np.mean(now != then)
        for now, then in zip(connections(model), before, strict=True)
    ]
    assert min(changed) > 0


@pytest.mark.parametrize("sparse_training", ["set", "rigl", "gradual"])
def test_epochs_one_by_one_are_rewired_like_one_fit_of_all(sparse_training):
    """`rewire_until` as a number of epochs counts over all calls."""
    options = {"sparse_training": sparse_training, "rewire_until": 6, "solver": "sgd"}
    whole = network(max_iter=8, **options).fit(X_train, y_train)
    steps = [step for step, _ in whole.topology_.rounds]
    # Until the end of the sixth epoch; pruning is done a round before.
    n_rounds = 7 if sparse_training == "gradual" else 8
    assert steps == [20 * (number + 1) for number in range(n_rounds)]
    warm = network(max_iter=1, warm_start=True, **options)
    parts = network(max_iter=3, **options)
    for _ in range(8):
        warm.fit(X_train, y_train)
        parts.partial_fit(X_train, y_train, classes=np.arange(10))
    for model in (warm, parts):
        assert [step for step, _ in model.topology_.rounds] == steps
        expected = [layer.n_connections for layer in whole.topology_.layers]
        assert [la.n_connections for la in model.topology_.layers] == expected
    # With a share of training, each call learns connections, too.
    warm = network(max_iter=1, warm_start=True, sparse_training=sparse_training)
    for _ in range(8):
        warm.fit(X_train, y_train)
    if sparse_training != "gradual":  # which ends with each call
        assert len(warm.topology_.rounds) >= len(steps)


def test_a_method_may_change_between_calls():
    model = network(max_iter=4, warm_start=True, sparse_training="static")
    model.fit(X_train, y_train)
    before = connections(model)
    model.set_params(sparse_training="rigl").fit(X_train, y_train)
    assert any((a != b).any() for a, b in zip(before, connections(model), strict=True))
    model.set_params(sparse_training="static").partial_fit(X_train, y_train)
    assert model.score(X_test, y_test) > 0.9


@each_precision
@each_container
@pytest.mark.parametrize("sparse_training", ["set", "gradual"])
def test_early_stopping_restores_connections_too(precision, container, sparse_training):
    model = network(
        early_stopping=True, precision=precision, sparse_training=sparse_training,
        max_iter=15, n_iter_no_change=15, rewire_until=1.0, rewire_fraction=1.0,
    )  # fmt: skip
    seen = []
    snapshot = model_snapshot(seen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparsenet._network.Network.snapshot", snapshot)
        model.fit(container(X_train), y_train)
    best = seen[-1]
    for actual, expected in zip(model.coefs_, best, strict=True):
        np.testing.assert_array_equal(actual.indices, expected.indices)
        np.testing.assert_array_equal(actual.data, expected.data)
    assert model.score(container(X_test), y_test) > 0.9
    fan_in = model.topology_.layers[1].fan_in
    assert (fan_in == FAN_IN).all()  # also pruned, where it was pruned
    model.set_params(early_stopping=False).partial_fit(container(X_train), y_train)
    assert model.score(container(X_test), y_test) > 0.9


def model_snapshot(seen):
    """Network.snapshot that keeps what users see of it."""
    from sparsenet._network import Network

    original = Network.snapshot

    def snapshot(self):
        seen.append(self.coefs)
        return original(self)

    return snapshot


def test_pruning_is_not_cut_short_by_convergence():
    model = network(
        sparse_training="gradual", tol=10.0, n_iter_no_change=1, max_iter=12
    ).fit(X_train, y_train)
    # The tenth and last round is in the eighth epoch, whose loss is the first to count.
    assert model.n_iter_ == 10
    assert model.best_loss_ == min(model.loss_curve_[7:])
    assert (model.topology_.layers[1].fan_in == FAN_IN).all()
    static = clone(model).set_params(sparse_training="static").fit(X_train, y_train)
    assert static.n_iter_ == 3


def test_a_training_of_a_step_is_pruned():
    model = network(sparse_training="gradual", max_iter=1, batch_size=150)
    model.fit(X_train[:150], y_train[:150])
    assert (model.topology_.layers[1].fan_in == FAN_IN).all()
    model = network(sparse_training="gradual", max_iter=5, rewire_until=0.01)
    model.fit(X_train, y_train)
    assert (model.topology_.layers[1].fan_in == FAN_IN).all()


def test_a_call_of_partial_fit_is_an_epoch_whatever_its_length():
    model = network(sparse_training="gradual", max_iter=10, rewire_interval=10)
    for _ in range(3):
        model.partial_fit(X_train, y_train, classes=np.arange(10))
    left = model.topology_.layers[1].fan_in.max()
    assert left > FAN_IN
    model.partial_fit(X_train[:100], y_train[:100])  # two steps
    assert FAN_IN < model.topology_.layers[1].fan_in.max() <= left
    for n in (1347, 400, 10, 1347):
        model.partial_fit(X_train[:n], y_train[:n])
    assert (model.topology_.layers[1].fan_in == FAN_IN).all()  # 0.75 of 10 epochs
    n_rounds = len(model.topology_.rounds)
    model.partial_fit(X_train, y_train)
    assert len(model.topology_.rounds) == n_rounds


def warnings_of(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    texts = [str(w.message) for w in caught if w.category is UserWarning]
    return [text for text in texts if "sparse_training" in text]


@pytest.mark.parametrize("sparse_training", METHODS)
def test_a_first_call_without_rounds_says_so(sparse_training):
    options = {"sparse_training": sparse_training, "rewire_interval": 100}
    model = network(max_iter=200, **options)
    call = partial(model.partial_fit, X_train, y_train, classes=np.arange(10))
    expected = sparse_training in ("set", "rigl")
    (text,) = warnings_of(call) if expected else ["", *warnings_of(call)]
    assert ("call 4 like it" in text) == expected
    assert warnings_of(call) == []  # once is enough
    for max_iter, has_rounds in ((1, False), (4, False), (5, True), (50, True)):
        model = network(max_iter=max_iter, **options)
        texts = warnings_of(partial(model.fit, X_train, y_train))
        assert len(texts) == (expected and not has_rounds)
        assert bool(model.topology_.rounds) == (
            sparse_training == "gradual" or (has_rounds and expected)
        )
    dense = network(max_iter=1, density=1.0, **options)
    assert warnings_of(partial(dense.fit, X_train, y_train)) == []


def test_a_network_that_is_sparse_already_is_not_pruned():
    model = network(sparse_training="set", warm_start=True).fit(X_train, y_train)
    n_rounds = len(model.topology_.rounds)
    model.set_params(sparse_training="gradual", tol=10.0, n_iter_no_change=1)
    model.fit(X_train, y_train)
    assert model.n_iter_ <= 3  # convergence counts from the first epoch on
    assert len(model.topology_.rounds) == n_rounds


def test_gradual_may_start_sparse():
    model = network(sparse_training="gradual", initial_density=0.5, max_iter=8)
    model.partial_fit(X_train, y_train, classes=np.arange(10))
    first = model.topology_.layers
    assert 0.2 < first[1].density < 0.5
    for _ in range(7):
        model.partial_fit(X_train, y_train)
    assert (model.topology_.layers[1].fan_in == FAN_IN).all()
    # It does not start with less than it ends with.
    model = network(sparse_training="gradual", density=0.4, initial_density=0.1)
    layers = model.fit(X_train, y_train).topology_.layers
    assert sum(layer.n_connections for layer in layers[:2]) == pytest.approx(
        0.4 * (64 * 120 + 120 * 100), rel=0.02
    )
    assert model.topology_.rounds == []


def test_uniform_distribution_gives_layers_the_same_density():
    model = network(density_distribution="uniform", density=0.25)
    layers = model.fit(X_train, y_train).topology_.layers
    assert layers[0].density == 0.25 == layers[1].density


def test_a_sparse_output_layer_is_rewired_too():
    model = network(density=[0.3, 0.3, 0.5]).fit(X_train, y_train)
    assert all(n > 0 for n in model.topology_.rounds[0][1])
    assert model.topology_.layers[1].fan_out.min() > 0


def test_a_dense_network_has_nothing_to_rewire():
    model = network(density=1.0).fit(X_train, y_train)
    assert model.topology_.rounds == []
    static = network(density=1.0, sparse_training="static").fit(X_train, y_train)
    np.testing.assert_array_equal(model.predict_proba(X), static.predict_proba(X))


def test_grid_search_over_method_and_density():
    grid = {"sparse_training": METHODS, "density": [0.15, 0.4]}
    search = GridSearchCV(network(max_iter=4), grid, cv=2, n_jobs=2)
    search.fit(X_train, y_train)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(X_test, y_test) > 0.85


def test_pruning_that_fails_leaves_the_estimator_as_it_was():
    rng = np.random.default_rng(0)
    model = SparseMLPRegressor(
        hidden_layer_sizes=(40,), sparse_training="gradual", density=0.3, max_iter=4,
        warm_start=True, rewire_interval=2, batch_size=20, random_state=0,
    )  # fmt: skip
    rows, target = rng.standard_normal((200, 30)), rng.standard_normal(200)
    model.partial_fit(rows, target)
    n_connections, expected = model.coefs_[0].nnz, model.predict(rows)
    assert 40 * 9 < n_connections < 40 * 30
    with pytest.raises(ValueError, match="diverged"):
        model.partial_fit(rows * 1e30, target)
    assert model.coefs_[0].nnz == n_connections
    np.testing.assert_array_equal(model.predict(rows), expected)
    for _ in range(3):
        model.partial_fit(rows, target)
    assert model.coefs_[0].nnz == 40 * 9


def test_the_same_seed_rewires_in_the_same_way():
    first, second, other = (
        connections(network(random_state=seed).fit(X_train, y_train))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first[1], second[1])
    assert (first[1] != other[1]).any()
