"""What the two estimators share: checking, building a network, training, predicting."""

from __future__ import annotations

import copy
import operator
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_regressor
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sparsenet import _parameters, _topology, _validation
from sparsenet._callbacks import callbacks_told
from sparsenet._connectivity import LayerTopology, Topology, feature_importances
from sparsenet._constraints import check, integer, plain, shown
from sparsenet._export.mixin import ExportMixin
from sparsenet._input import (
    check_dense_row_lengths,
    in_rows,
    is_data_frame,
    read_X,
    read_X_y,
)
from sparsenet._kernels._dispatch import (
    LOSS_CHOICES,
    LOSS_PARAMETERS,
    OUT_ACTIVATIONS,
)
from sparsenet._lbfgs import ROWS_AT_ONCE, train_full_batch
from sparsenet._network import Network
from sparsenet._outputs import Outputs
from sparsenet._parallel.group import Alone
from sparsenet._parameters.declared import DeclaredParameters
from sparsenet._pickled import FITTED, PickledMixin
from sparsenet._scoring import scorer_of
from sparsenet._threads import effective_n_threads
from sparsenet._training import optimizer_of, train
from sparsenet._training_set import (
    Samples,
    TrainingError,
    TrainingSet,
    batch_size_of,
)

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from sparsenet._predictor import ClassifierPredictor, RegressorPredictor
    from sparsenet._typing import Floats, MatrixLike, Method
    from sparsenet._untyped import BaseEstimator, CallbackSupportMixin, csc_array
else:
    from sklearn.base import BaseEstimator

    from sparsenet._callbacks import CallbackSupportMixin

NO_SAMPLES = _validation.ValidationSamples()
ALONE = Alone()

# What ends with a choice of weights, from which a next part would not go on.
NOT_IN_PARTS = ("early_stopping", "restore_best", "ema_decay", "time_limit")

# Fitted attributes that a training on all rows at once does not have.
OF_EPOCHS = (
    "best_loss_",
    "loss_curve_",
    "validation_scores_",
    "best_validation_score_",
    "validation_loss_curve_",
    "train_scores_",
)


#: What belongs together: a fit sets all of it, or takes it away.
LEARNED = {
    *(set(FITTED) - {"_pickled_training_state"}),
    *("_network", "classes_", "feature_names_in_", "n_iter_", "t_", "loss_"),
    *OF_EPOCHS,
}


def take_parameters(self, **parameters):
    """What a constructor does with its ``locals()``: set each parameter."""
    for name, value in parameters.items():
        setattr(self, name, value)


def if_learns_in_parts(method: Method) -> Method:
    """`available_if`, which is the method itself to type checkers."""
    return available_if(_learns_in_parts)(method)


def _learns_in_parts(estimator):
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers; "
            "solver='lbfgs' is not stochastic"
        )
    return True


class BaseSparseMLP(
    DeclaredParameters,
    Outputs,
    PickledMixin,
    ExportMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    """What classifier and regressor share: all but the targets.

    A subclass defines ``_encode_target(y, resume, incremental, classes)``, which
    checks y and returns it as `Network.train_epoch` takes it, the loss, the number of
    outputs and the classes to stratify by, ``_score_decided(y, decided,
    sample_weight)``, and by `Outputs` ``_decide(output)``, which turns what the network
    puts out, or its logits where ``_decides_by_logits``, into what is predicted of such
    y.
    """

    # What a fit sets, beside the properties below.
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    validation_loss_curve_: list[float] | None
    train_scores_: list[float] | None
    t_: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    n_iter_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str

    # By these names scikit-learn routes metadata.
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the model to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets: class labels or numbers.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, >= 0 and not all 0. A sample of weight 0 counts as
            absent.

        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Samples that are rated after each epoch (`validation_scores_` and
            `validation_loss_curve_`), and by which `early_stopping` and `restore_best`
            go. They are not trained on. In a `Pipeline`, ``transform_input=["X_val"]``
            transforms them like `X`.

        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets; all class labels have to be among those of `y`.

        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        samples = _validation.ValidationSamples(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, samples)

    def predictor(
        self, n_threads: int | None = 1
    ) -> ClassifierPredictor | RegressorPredictor:
        """Return what this estimator needs to predict, and nothing else.

        It is immutable: later training of the estimator does not change it. Threads may
        share it. A pickle of it needs no estimator, and `pickle.loads` checks it.

        Parameters
        ----------
        n_threads : int or None, default=1
            Threads of a call on many rows; None: as None means for this estimator.

        Returns
        -------
        predictor : ClassifierPredictor or RegressorPredictor
            Has `predict`, and for a classifier `predict_proba`, `predict_log_proba` and
            `decision_function`, with the results of this estimator.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        ValueError
            `n_threads` is no number of threads.
        """
        check_is_fitted(self)
        allowed = _parameters.parameters_of(type(self))["n_threads"].constraint
        check(self, "n_threads", n_threads, allowed)
        return self._predictor_class._of(self._aside(), plain(n_threads))

    def hidden_activations(self, X: MatrixLike, layer: int = -1) -> Floats:
        """Compute the activations of a hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        layer : int, default=-1
            Which hidden layer, as an index of a Python list of them.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
            Activation of each unit, of the type of X.

        Raises
        ------
        ValueError
            There is no such layer.
        """
        check_is_fitted(self)
        model = self._aside()  # a fit in another thread may end meanwhile
        layer = model._hidden_layer(layer)
        X = model._check_rows(X)
        n_threads = model._call_threads()
        activations = model._network.hidden_activations(X, layer, n_threads)
        return model._finite(activations).astype(X.dtype, copy=False)

    def _hidden_layer(self, layer):
        """The number of a hidden layer, counted from 0."""
        n_hidden = len(self._network.layer_sizes) - 2
        if n_hidden == 0:
            raise ValueError(
                f"{type(self).__name__}: layer={shown(layer)}; the network "
                "has no hidden layers"
            )
        allowed = integer(-n_hidden, n_hidden - 1)
        check(self, "layer", layer, allowed)
        return int(layer) % n_hidden

    @property
    def coefs_(self) -> list[csc_array | Any]:
        """Weight matrices, made anew at each access; sparse unless all are dense."""
        # Any is an ndarray: a union of both would want a test at each use.
        check_is_fitted(self)
        coefs = self._network.coefs
        if any(layer.is_sparse for layer in self._network.layers):
            return coefs
        return [coef.toarray(order="C").astype(self._dtype) for coef in coefs]

    @property
    def intercepts_(self) -> list[Floats]:
        """Biases as arrays, made anew at each access."""
        check_is_fitted(self)
        return [bias.astype(self._dtype) for bias in self._network.intercepts]

    @property
    def topology_(self) -> Topology:
        """Connections of each layer, and how training has changed them."""
        check_is_fitted(self)
        layers = [LayerTopology.of(weights) for weights in self._network.coefs]
        # In a callback of a first fit there is no history yet.
        rounds = [] if self._history is None else self._history.rewiring.rounds
        return Topology(layers, list(rounds))

    @property
    def feature_importances_(self) -> NDArray[np.float64]:
        """Share of each feature in the magnitudes of the first layer's weights."""
        check_is_fitted(self)
        return feature_importances(self)

    @property
    def _dtype(self):
        """As scikit-learn: that of X in the last fit, where all layers are dense."""
        dense = not any(layer.is_sparse for layer in self._network.layers)
        return getattr(self, "_fitted_dtype", "float32") if dense else "float32"

    # What code that was written for scikit-learn's MLP reads of its private attributes.

    @property
    def _optimizer(self):
        return optimizer_of(self, self._history, 1, max_iter=self.max_iter)

    @property
    def _no_improvement_count(self):
        return self._history.no_improvement_count

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_network")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _aside(self):
        """Another object with the attributes that this one has now."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def _with_network(self, network, history=None):
        """An estimator like this one that predicts with a network, come so far."""
        model = self._aside()
        model._network = network
        if history is not None:
            model._set_history(history)
        return model

    def _fit(
        self,
        X,
        y,
        sample_weight,
        validation=NO_SAMPLES,
        *,
        incremental=False,
        classes=None,
        group=ALONE,
    ):
        """Check everything and train, aside of this object, which becomes the result.

        Whatever ends an attempt leaves no trace, and another thread that predicts
        meanwhile has the model from before.
        """
        self._check_call(validation, incremental)
        result, before = self._aside(), vars(self).copy()
        data, network, fan_ins = result._prepare(
            X, y, sample_weight, validation, incremental, classes, group.goes_on
        )
        result._network, result._trained_in_parts = network, incremental
        try:
            result._train(data, fan_ins, incremental, group)
        except TrainingError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from error
        self._take_over(result, before)
        return self

    def _check_call(self, validation, incremental):
        """Refuse parameters, before samples are looked at."""
        _parameters.check_parameters(self)
        for name in NOT_IN_PARTS if incremental else ():
            if getattr(self, name):
                raise ValueError(
                    f"{type(self).__name__}: partial_fit does not support "
                    f"{name}={getattr(self, name)!r}"
                )
        validation.check(self)

    def _train(self, data, fan_ins, incremental, group):
        """Train the network, and keep what came of it."""
        # As they were checked, whatever a callback does to those of the estimator.
        parameters, network = _parameters.snapshot(self), self._network
        n_threads = parameters.n_threads
        n_threads = effective_n_threads(n_threads or group.n_threads)
        is_lbfgs = parameters.solver == "lbfgs"
        n_epochs = 0 if is_lbfgs else 1 if incremental else parameters.max_iter
        with callbacks_told(self, data, n_epochs, self._with_network) as watchers:
            if is_lbfgs:
                history = train_full_batch(
                    network, data, parameters, self._history, n_threads, group
                )
            else:
                history = train(
                    network,
                    data,
                    parameters,
                    self._history,
                    self._random_state,
                    fan_ins=fan_ins,
                    n_threads=n_threads,
                    incremental=incremental,
                    watchers=[*watchers, *group.watchers(self)],
                    group=group,
                )
            self._set_history(history)

    def _take_over(self, result, before):
        """Let all that a call has changed take effect at once.

        What somebody else has set on this object in the meantime stays, but for what
        another fit has learned.
        """
        lost = (before.keys() | LEARNED) - vars(result).keys()
        attributes = {n: value for n, value in vars(self).items() if n not in lost}
        result._pickled_training_state = attributes.get(
            "_pickled_training_state", "auto"
        )
        result._choose_pickle()
        for name, value in vars(result).items():
            if name in LEARNED or name not in before or before[name] is not value:
                attributes[name] = value
        generator = result._random_state
        drawn = generator.get_state(legacy=False)
        if isinstance(self.random_state, np.random.RandomState):
            generator = self.random_state
        # A single call, in C: Python looks at signals after each call.
        deque(
            map(
                operator.call,
                (
                    partial(setattr, self, "__dict__", attributes),
                    partial(generator.set_state, drawn),
                ),
            ),
            maxlen=0,
        )

    def _own_random_state(self, go_on=False):
        """A generator for one call, which draws from no other one if it fails."""
        given = self.random_state
        if isinstance(given, np.random.RandomState):
            return copy.deepcopy(given)
        if go_on:
            return copy.deepcopy(self._random_state)
        if given is None:
            given = np.random.randint(2**32, dtype=np.uint32)
        return np.random.RandomState(given)

    def _set_history(self, history):
        self._history = history
        self.n_iter_, self.t_ = history.n_iter, history.t
        if history.solver == "lbfgs":
            # As scikit-learn: it has no epochs.
            self.loss_ = history.loss
            for name in OF_EPOCHS:
                vars(self).pop(name, None)
            return
        self.loss_ = history.loss_curve[-1] if history.loss_curve else np.nan
        self.best_loss_ = history.best_loss
        # Copies: users may change them, and epochs are counted by the history's.
        self.loss_curve_ = [*history.loss_curve]
        self.validation_scores_ = copy.copy(history.validation_scores)
        self.best_validation_score_ = history.best_validation_score
        self.validation_loss_curve_ = copy.copy(history.validation_losses)
        self.train_scores_ = copy.copy(history.train_scores)

    def _prepare(
        self, X, y, sample_weight, validation, incremental, classes, goes_on=False
    ):
        """Return the training set, the network to go on with or a new one, and its
        fan-ins before and after training.
        """
        resume = hasattr(self, "_network") and (
            incremental or self.warm_start or goes_on
        )
        is_sparse = resume and self._network.sparse_rows
        given, X, y = self._read(X, y, reset=not resume, sparse_rows=is_sparse)
        self._fitted_dtype = X.dtype.name
        labels = y
        y, loss, n_outputs, strata = self._encode_target(
            labels, resume, incremental, classes
        )
        sample_weight = _validation.check_sample_weight(self, sample_weight, X.shape[0])
        in_training = self._training_weight(labels, sample_weight, incremental)
        data = self._training_set(
            (given, labels), X, y, strata, in_training, sample_weight
        )
        go_on = goes_on or (incremental and resume)
        self._random_state = self._own_random_state(go_on)
        structure = self._structure_for(loss, n_outputs)
        if resume:
            self._check_same_structure(structure)
        else:
            self.n_outputs_ = n_outputs
            self.out_activation_ = OUT_ACTIVATIONS[loss]
        if validation.X_val is not None:
            is_sparse = is_sparse or (not resume and issparse(X))
            data.validation = self._read_validation(validation, is_sparse)
        network, fan_ins = self._network_for(structure, X, resume)
        return data, network, fan_ins

    def _read(self, X, y, *, reset, sparse_rows):
        """Check X and y; returns X as scorers are to see it, and both as arrays.

        With `sparse_rows`, X becomes CSR.
        """
        checked, y = read_X_y(
            self,
            X,
            y,
            self.precision,
            reset=reset,
            multi_output=True,
            y_numeric=is_regressor(self),
        )
        given = X if is_data_frame(X) else checked
        if sparse_rows:
            checked = in_rows(self, checked, self.precision)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return given, checked, y

    def _read_validation(self, samples, sparse_rows):
        """Check samples to validate on like those to train on."""
        try:
            given, X, labels = self._read(
                samples.X_val, samples.y_val, reset=False, sparse_rows=sparse_rows
            )
            # As in a later call, which need not have all classes.
            y, _, n_outputs, strata = self._encode_target(labels, True, True, None)
            if n_outputs != self.n_outputs_:
                raise ValueError(
                    f"y has {n_outputs} outputs; allowed: {self.n_outputs_}"
                )
            weight = _validation.check_sample_weight(
                self, samples.sample_weight_val, X.shape[0]
            )
            data = self._training_set((given, labels), X, y, strata, weight, weight)
            if len(data.rows) < 2:
                raise ValueError(
                    f"X has {len(data.rows)} samples of weight > 0; allowed: at least 2"
                )
        except ValueError as error:
            name = f"{type(self).__name__}: "
            raise ValueError(
                f"{name}X_val, y_val and sample_weight_val have to be like the "
                f"training samples: {str(error).removeprefix(name)}"
            ) from error
        return Samples(data, data.rows)

    def _training_set(self, given, X, y, strata, sample_weight, rated_weight):
        """X and y as the network takes them, and as they were `given`."""
        return TrainingSet(
            X,
            y,
            sample_weight,
            self._decide,
            self._score_decided,
            strata,
            given,
            scorer_of(self, self._with_network),
            rated_weight=rated_weight,
            logits=self._decides_by_logits,
        )

    def _training_weight(self, y, sample_weight, incremental):
        """Weights of the samples in training, from those that the user gives."""
        return sample_weight

    def _structure_for(self, loss, n_outputs):
        """What a network is built with, and later calls cannot change."""
        return {
            "hidden_layer_sizes": _parameters.hidden_layer_sizes(self),
            "activation": _parameters.activation(self),
            "density": _parameters.density(self),
            "density_distribution": plain(self.density_distribution),
            "block_size": plain(self.block_size),
            "precision": plain(self.precision),
            "loss": loss,
            "n_outputs": n_outputs,
        } | self._loss_parameter(loss)

    def _loss_parameter(self, loss):
        """The parameter that shapes the loss, by name, if there is one."""
        name = LOSS_PARAMETERS.get(loss)
        return {} if name is None else {name: _parameters.loss_parameter(self, name)}

    def _network_for(self, structure, X, resume):
        """Return a copy of the network to go on with, or a new one, and its fan-ins."""
        loss, n_outputs = structure["loss"], structure["n_outputs"]
        layer_sizes = (X.shape[1], *structure["hidden_layer_sizes"], n_outputs)
        fan_ins = self._fan_ins(layer_sizes)
        sparse_rows = self._network.sparse_rows if resume else issparse(X)
        is_static = self.sparse_training == "static"
        if not (resume and is_static):
            _validation.check_network_size(
                self,
                layer_sizes,
                fan_ins["final" if resume else "initial"],
                batch_size=self._rows_of_a_step(X.shape[0]),
                n_threads=effective_n_threads(self.n_threads),
                sparse_rows=sparse_rows,
                dealt=is_static,
            )
        if resume:
            return self._network.copy(), fan_ins
        self._structure = structure
        self._history = None
        self.n_layers_ = len(layer_sizes)
        network = Network(
            layer_sizes,
            activation=structure["activation"],
            loss=loss,
            loss_parameter=structure.get(LOSS_PARAMETERS.get(loss), 0.0),
            precision=structure["precision"],
            fan_ins=fan_ins["initial"],
            block_size=self.block_size,
            sparse_rows=sparse_rows,
            random_state=self._random_state,
        )
        return network, fan_ins

    def _rows_of_a_step(self, n_rows):
        """Rows whose activations and deltas are in memory together, at most."""
        if self.solver == "lbfgs":
            return min(ROWS_AT_ONCE, n_rows)
        return batch_size_of(self.batch_size, n_rows)

    def _fan_ins(self, layer_sizes):
        """Connections of a unit in each layer, at the start and the end of training."""
        distribution = self.density_distribution
        final = _topology.fan_ins(_parameters.density(self), layer_sizes, distribution)
        initial = final
        if self.sparse_training == "gradual":
            first = float(self.initial_density)
            initial = _topology.fan_ins(first, layer_sizes, distribution)
            initial = list(map(max, initial, final))
        return {"initial": tuple(initial), "final": tuple(final)}

    def _check_same_structure(self, structure):
        for name, value in structure.items():
            allowed = self._structure[name]
            if name == "loss":
                value, allowed = LOSS_CHOICES[value], LOSS_CHOICES[allowed]
            if value != allowed:
                raise ValueError(
                    f"{type(self).__name__}: {name}={value!r}; allowed: {allowed!r}, "
                    "since warm_start and partial_fit go on training the network that "
                    "was built with it"
                )

    def _check_rows(self, X):
        check_is_fitted(self)
        if self.n_threads is not None:
            _parameters.check_parameter(self, "n_threads")
        X = read_X(self, X, self._network.precision)
        if self._network.sparse_rows:
            check_dense_row_lengths(self, X, self._network.precision)
        return X

    def _call_threads(self):
        return effective_n_threads(self.n_threads)
