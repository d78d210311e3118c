"""Multi-layer perceptrons with sparse weights behind scikit-learn's interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils.multiclass import type_of_target, unique_labels

from sparsenet._base import BaseSparseMLP, if_learns_in_parts, take_parameters
from sparsenet._class_weight import weigh_classes
from sparsenet._constraints import shown
from sparsenet._docstrings import with_shared_sections
from sparsenet._kernels._dispatch import CLASSIFIER_LOSSES
from sparsenet._outputs import ClassifierOutputs, RegressorOutputs
from sparsenet._predictor import ClassifierPredictor, RegressorPredictor
from sparsenet._state import DAMAGED

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from sparsenet._typing import (
        Activation,
        ClassifierLoss,
        ClassWeight,
        Density,
        DensityDistribution,
        Each,
        Floats,
        LearningRate,
        MatrixLike,
        Precision,
        RegressorLoss,
        Scoring,
        Solver,
        SparseTraining,
    )
    from sparsenet._untyped import (
        ClassifierMixin,
        MLPClassifier,
        MLPRegressor,
        RegressorMixin,
    )
else:
    from sklearn.base import ClassifierMixin, RegressorMixin

#: Losses of targets with a bound: whether a target is allowed, and which ones are.
RANGES = {
    "poisson": (lambda y: y >= 0, "numbers >= 0"),
    "gamma": (lambda y: y > 0, "numbers > 0"),
}


@with_shared_sections
class SparseMLPClassifier(ClassifierMixin, ClassifierOutputs, BaseSparseMLP):
    """Multi-layer perceptron classifier with sparse weights.

    Minimizes `loss`, by default the log-loss. It takes the parameters of scikit-learn's
    `MLPClassifier`, and those that say how sparse the weights are and in which number
    format they compute.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; the column numbers of a multi-label y.

    %(attributes)s

    See Also
    --------
    SparseMLPRegressor : Multi-layer perceptron regressor with sparse weights.
    sklearn.neural_network.MLPClassifier : Multi-layer perceptron with dense weights.

    Notes
    -----
    A multi-label y is a matrix of zeros and ones. Early stopping stratifies the
    validation samples by class if there are enough of each, but not with such a y.

    %(notes)s

    References
    ----------
    %(references)s

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sparsenet import SparseMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> classifier = SparseMLPClassifier((256, 256), density=0.2, random_state=0)
    >>> classifier.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True
    >>> classifier.predict_proba(X_test).shape
    (450, 10)
    """

    _predictor_class = ClassifierPredictor

    loss: ClassifierLoss
    label_smoothing: float
    focal_gamma: float
    class_weight: ClassWeight
    classes_: NDArray[Any]

    if TYPE_CHECKING:

        def predictor(self, n_threads: int | None = 1) -> ClassifierPredictor: ...

        def to_sklearn(self) -> MLPClassifier: ...

        def score(
            self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
        ) -> float: ...

    # scikit-learn wants each parameter by name.
    def __init__(  # noqa: PLR0913
        self,
        hidden_layer_sizes: int | Each[int] = (100,),
        activation: Activation | Each[Activation] = "relu",
        *,
        solver: Solver = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: LearningRate = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        density: Density = "auto",
        density_distribution: DensityDistribution = "erdos_renyi",
        block_size: Literal[1, 4] = 1,
        sparse_training: SparseTraining = "set",
        rewire_interval: int = 100,
        rewire_fraction: float = 0.3,
        rewire_until: float = 0.75,
        initial_density: float = 1.0,
        precision: Precision = "float32",
        n_threads: int | None = None,
        weight_decay: float = 0.01,
        warmup: float = 0.0,
        max_grad_norm: float | None = None,
        ema_decay: float = 0.0,
        dropout: float | Each[float] = 0.0,
        scoring: Scoring = None,
        restore_best: bool = False,
        train_scores: bool = False,
        time_limit: float | None = None,
        loss: ClassifierLoss = "log_loss",
        label_smoothing: float = 0.0,
        focal_gamma: float = 2.0,
        class_weight: ClassWeight = None,
    ) -> None:
        take_parameters(**locals())

    @if_learns_in_parts
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Update the model with one epoch over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The class labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, >= 0 and not all 0. A sample of weight 0 counts as
            absent.

        classes : array-like of shape (n_classes,), default=None
            All classes that y will ever have. Needed in the first call, unless y is
            multi-label; may be left out later.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def decision_function(self, X: MatrixLike) -> Floats:
        """Compute the logits: what the output layer puts out before its activation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            With two classes, positive where the second one is more probable; in
            multi-label classification, where a label is more probable than not; else
            one for each class, largest for the most probable one.
        """
        return self._aside()._logits(X)

    def predict(self, X: MatrixLike) -> NDArray[Any]:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class; in multi-label classification, 1 for each label
            that is more probable than not.
        """
        return self._aside()._labels(X)  # a fit in another thread may end meanwhile

    def predict_proba(self, X: MatrixLike) -> Floats:
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probability of each class, in the order of `classes_`, never 0.
        """
        return self._aside()._probabilities(X)

    def predict_log_proba(self, X: MatrixLike) -> Floats:
        """Predict logarithms of probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithm of `predict_proba`, never infinite.
        """
        return np.log(self.predict_proba(X))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_network" in state:
            n_classes = 2 if self.out_activation_ == "logistic" else 1
            n_classes = self.n_outputs_ if self.n_outputs_ > 1 else n_classes
            if len(self.classes_) != n_classes:
                raise ValueError(
                    f"{DAMAGED}: classes_ has {len(self.classes_)} classes, but its "
                    f"network {n_classes}"
                )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _encode_target(self, y, resume, incremental, classes):
        name = type(self).__name__
        y_type = type_of_target(y, input_name="y", raise_unknown=True)
        multilabel = y_type == "multilabel-indicator"
        if not multilabel and y_type not in ("binary", "multiclass"):
            raise ValueError(
                f"{name}: Unknown label type: {y_type}; allowed: one class label per "
                "sample, or a matrix of zeros and ones for multi-label classification"
            )
        if multilabel and not np.isin(y, (0, 1)).all():
            raise ValueError(
                f"{name}: y is a matrix of the values {np.unique(y)}; allowed: 0 and 1"
            )
        if resume and multilabel != self._is_multilabel():
            raise ValueError(
                f"{name}: y is {'' if multilabel else 'not '}multi-label, unlike that "
                "of the call before; warm_start and partial_fit cannot change this"
            )
        present = np.arange(y.shape[1]) if multilabel else np.unique(y)
        if classes is not None:
            classes = self._checked_classes(classes, present if multilabel else None)
            if resume and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"{name}: classes={classes}; allowed: {self.classes_}, as in the "
                    "call before"
                )
        if not resume:
            if incremental and classes is None and not multilabel:
                raise ValueError(
                    f"{name}: classes must be passed on the first call to partial_fit"
                )
            self.classes_ = present if classes is None else classes
        # Only partial_fit, and one of several processes, may see some of the classes.
        all_present = multilabel or not (incremental or classes is not None)
        if np.setdiff1d(present, self.classes_).size or (
            all_present and len(present) != len(self.classes_)
        ):
            if all_present:  # in scikit-learn's words
                raise ValueError(
                    f"{name}: warm_start can only be used where `y` has the same "
                    f"classes as in the previous call to fit. Previously got "
                    f"{self.classes_}, `y` has {present}"
                )
            raise ValueError(
                f"{name}: y has the classes {present}; allowed: those among "
                f"{self.classes_}"
            )
        if multilabel:
            return _as_float32(y), self._loss("logistic"), y.shape[1], None
        codes = np.searchsorted(self.classes_, y).astype(np.int32)
        if len(self.classes_) == 2:
            return _as_float32(codes), self._loss("logistic"), 1, codes
        # A single class is a softmax, too: certain, with nothing to learn.
        return codes, self._loss("softmax"), len(self.classes_), codes

    def _checked_classes(self, classes, outputs):
        """The labels of all classes, sorted; of a multi-label y, `outputs`."""
        name = type(self).__name__
        try:
            unique_labels(classes)
            checked = np.unique(classes)  # of their own type
        except (ValueError, TypeError) as error:  # TypeError: None among texts
            raise ValueError(
                f"{name}: classes={shown(classes)}; allowed: the labels of all "
                f"classes, one-dimensional: {error}"
            ) from error
        if outputs is not None and not np.array_equal(checked, outputs):
            raise ValueError(
                f"{name}: classes={shown(classes)}, but y is multi-label; allowed: "
                f"None, or the numbers of its {len(outputs)} columns"
            )
        return checked

    def _loss(self, out_activation):
        return CLASSIFIER_LOSSES[self.loss, out_activation]

    def _training_weight(self, y, sample_weight, incremental):
        class_weight, name = self.class_weight, type(self).__name__
        if class_weight is None:
            return sample_weight
        if incremental and isinstance(class_weight, str):
            raise ValueError(
                f"{name}: class_weight={class_weight!r}; allowed in partial_fit, where "
                "not all samples are known: None, or weights such as those of "
                "sklearn.utils.class_weight.compute_class_weight"
            )
        return weigh_classes(class_weight, self.classes_, y, sample_weight, name)

    def _score_decided(self, y, decided, sample_weight):
        correct = decided == y
        if correct.ndim == 2:
            correct = correct.all(axis=1)
        return np.average(correct, weights=sample_weight)


@with_shared_sections
class SparseMLPRegressor(RegressorMixin, RegressorOutputs, BaseSparseMLP):
    """Multi-layer perceptron regressor with sparse weights.

    Minimizes `loss`, by default the squared error. It takes the parameters of
    scikit-learn's `MLPRegressor`, and those that say how sparse the weights are and in
    which number format they compute.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    %(attributes)s

    See Also
    --------
    SparseMLPClassifier : Multi-layer perceptron classifier with sparse weights.
    sklearn.neural_network.MLPRegressor : Multi-layer perceptron with dense weights.

    Notes
    -----
    With k outputs, the gradient of the squared error is that of `loss_`;
    scikit-learn's is k times as large.

    %(notes)s

    References
    ----------
    %(references)s

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from sklearn.model_selection import train_test_split
    >>> from sparsenet import SparseMLPRegressor
    >>> X, y = make_friedman1(1000, random_state=0)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> regressor = SparseMLPRegressor(
    ...     hidden_layer_sizes=(256, 256), density=0.2, random_state=0
    ... )
    >>> regressor.fit(X_train, y_train).score(X_test, y_test) > 0.9
    True
    """

    _predictor_class = RegressorPredictor

    loss: RegressorLoss
    huber_delta: float
    quantile: float | Each[float]

    if TYPE_CHECKING:

        def predictor(self, n_threads: int | None = 1) -> RegressorPredictor: ...

        def to_sklearn(self) -> MLPRegressor: ...

    # scikit-learn wants each parameter by name.
    def __init__(  # noqa: PLR0913
        self,
        loss: RegressorLoss = "squared_error",
        hidden_layer_sizes: int | Each[int] = (100,),
        activation: Activation | Each[Activation] = "relu",
        *,
        solver: Solver = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: LearningRate = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        density: Density = "auto",
        density_distribution: DensityDistribution = "erdos_renyi",
        block_size: Literal[1, 4] = 1,
        sparse_training: SparseTraining = "set",
        rewire_interval: int = 100,
        rewire_fraction: float = 0.3,
        rewire_until: float = 0.75,
        initial_density: float = 1.0,
        precision: Precision = "float32",
        n_threads: int | None = None,
        weight_decay: float = 0.01,
        warmup: float = 0.0,
        max_grad_norm: float | None = None,
        ema_decay: float = 0.0,
        dropout: float | Each[float] = 0.0,
        scoring: Scoring = None,
        restore_best: bool = False,
        train_scores: bool = False,
        time_limit: float | None = None,
        huber_delta: float = 1.0,
        quantile: float | Each[float] = 0.5,
    ) -> None:
        take_parameters(**locals())

    @if_learns_in_parts
    def partial_fit(
        self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Update the model with one epoch over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, >= 0 and not all 0. A sample of weight 0 counts as
            absent.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: MatrixLike) -> Floats:
        """Predict target values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted values; those of each level of `quantile`, if it is a
            sequence.
        """
        return self._aside()._numbers(X)

    def score(
        self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Rate predictions by R^2, or those of several quantiles by the D^2 of each.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            R^2, `sklearn.metrics.r2_score`. If `quantile` is a sequence, the mean of
            `sklearn.metrics.d2_pinball_score` over its levels.
        """
        model = self._aside()
        return model._score_decided(y, model.predict(X), sample_weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss in RANGES
        return tags

    def _encode_target(self, y, resume, incremental, classes):
        y = _as_float32(y)
        name = type(self).__name__
        if not np.isfinite(y).all():
            raise ValueError(f"{name}: y has values too large for float32")
        if self.loss in RANGES:
            is_allowed, allowed = RANGES[self.loss]
            if not is_allowed(y).all():
                raise ValueError(
                    f"{name}: y has the value {y.min()}; allowed: {allowed}, since "
                    f"loss={self.loss!r}"
                )
        levels = self._loss_parameter(self.loss).get("quantile")
        if isinstance(levels, tuple):
            if y.shape[1] > 1:
                raise ValueError(
                    f"{name}: y has {y.shape[1]} outputs; allowed: 1, since "
                    f"quantile={shown(self.quantile)} is a sequence"
                )
            y = np.repeat(y, len(levels), axis=1)
        return y, self.loss, y.shape[1], None

    def _score_decided(self, y, decided, sample_weight):
        levels = self._levels()
        if levels is None:
            return r2_score(y, decided, sample_weight=sample_weight)
        of_levels = np.broadcast_to(np.reshape(y, (len(y), -1)), decided.shape)
        return np.mean(
            [
                d2_pinball_score(*columns, sample_weight=sample_weight, alpha=level)
                for *columns, level in zip(of_levels.T, decided.T, levels, strict=True)
            ]
        )


def _as_float32(y):
    """Return y as `Network.train_epoch` takes it, of shape (n_samples, n_outputs)."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(y.reshape(len(y), -1), dtype=np.float32)
