"""Predictors: what a fitted estimator needs to predict, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

import numpy as np

from sparsenet._input import read_rows
from sparsenet._kernels._dispatch import LOSS_CHOICES, REGRESSOR_LOSSES
from sparsenet._outputs import ClassifierOutputs, Outputs, RegressorOutputs
from sparsenet._pickled import network_of
from sparsenet._state import DAMAGED, checksum
from sparsenet._threads import effective_n_threads

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from sparsenet._typing import Floats, Rows


class BasePredictor(Outputs):
    """What predictors of classes and of numbers share."""

    __slots__ = (
        "_network",
        "classes_",
        "n_features_in_",
        "n_outputs_",
        "n_threads",
        "out_activation_",
    )
    n_features_in_: int
    n_outputs_: int
    n_threads: int | None
    out_activation_: str

    @classmethod
    def _of(cls, estimator, n_threads):
        """The predictor of a fitted estimator."""
        predictor = object.__new__(cls)
        classes = getattr(estimator, "classes_", None)
        predictor._take(estimator._network, n_threads, classes)
        return predictor

    def _take(self, network, n_threads, classes):
        self._set(
            _network=network.for_prediction(),
            n_features_in_=network.layer_sizes[0],
            n_outputs_=network.layer_sizes[-1],
            n_threads=n_threads,
            out_activation_=network.out_activation,
        )

    def _set(self, **values):
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> Never:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self._network.layer_sizes))
        return (
            f"<{type(self).__name__} {sizes}, {self._network.precision}, "
            f"n_threads={self.n_threads}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        classes = getattr(self, "classes_", None)
        state = {"n_threads": self.n_threads, "classes": classes}
        network = self._network.__getstate__()
        return state | {"network": network, "checksum": checksum(state)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = state.copy()
        network, expected = network_of(state.pop("network")), state.pop("checksum")
        if checksum(state) != expected:
            raise ValueError(f"{DAMAGED}: the checksum of its attributes is another")
        n_threads = state["n_threads"]
        if n_threads is not None and type(n_threads) is not int:
            raise ValueError(f"{DAMAGED}: n_threads is {n_threads!r}")
        is_of_classes = network.loss not in REGRESSOR_LOSSES
        if is_of_classes != isinstance(self, ClassifierOutputs):
            raise ValueError(f"{DAMAGED}: its loss is {LOSS_CHOICES[network.loss]!r}")
        self._take(network, **state)

    def _check_rows(self, X):
        return read_rows(self, X, self._network)

    def _call_threads(self):
        return effective_n_threads(self.n_threads)


class ClassifierPredictor(ClassifierOutputs, BasePredictor):
    """Predicts as the fitted classifier did that made it, but sooner.

    `SparseMLPClassifier.predictor` makes it: immutable, safe to share between threads,
    and all that has to be pickled where a model only predicts. Its results are those of
    the classifier, to the last bit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; the column numbers of a multi-label y.

    n_features_in_ : int
        Columns of X.

    n_outputs_ : int
        Units of the output layer.

    n_threads : int or None
        Threads of a call.

    out_activation_ : str
        Activation of the output layer.

    See Also
    --------
    SparseMLPClassifier.predictor : Makes a predictor.
    RegressorPredictor : That of a regressor.

    Notes
    -----
    It takes X as it is or says why not, and converts no numbers: rows are arrays of
    float32 or float64, or sparse matrices of SciPy. Names of columns are not looked at.

    Every call has memory of its own, and no thread waits for another. Calls of more
    than some 20 microseconds release the GIL.

    Examples
    --------
    >>> import pickle
    >>> from sklearn.datasets import load_digits
    >>> from sparsenet import SparseMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = SparseMLPClassifier((64,), precision="int8", random_state=0)
    >>> predictor = classifier.fit(X, y).predictor()
    >>> predictor
    <ClassifierPredictor 64-64-10, int8, n_threads=1>
    >>> in_service = pickle.loads(pickle.dumps(predictor))
    >>> in_service.predict(X[:1])
    array([0])
    """

    __slots__ = ()
    classes_: NDArray[Any]

    def _take(self, network, n_threads, classes):
        super()._take(network, n_threads, classes)
        classes = np.array(classes)
        classes.flags.writeable = False
        self._set(classes_=classes)

    def predict(self, X: Rows) -> NDArray[Any]:
        """Predict class labels.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Finite numbers, float32 or float64.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            As `SparseMLPClassifier.predict`.

        Raises
        ------
        TypeError
            X is something else than an array or sparse matrix of float32 or float64.
        ValueError
            X has no rows, another number of columns, or values that are not finite or
            too large for the network.
        """
        return self._labels(X)

    def predict_proba(self, X: Rows) -> Floats:
        """Predict probabilities.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Finite numbers, float32 or float64.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            As `SparseMLPClassifier.predict_proba`.

        Raises
        ------
        TypeError, ValueError
            As `predict`.
        """
        return self._probabilities(X)

    def predict_log_proba(self, X: Rows) -> Floats:
        """Predict logarithms of probabilities.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Finite numbers, float32 or float64.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            As `SparseMLPClassifier.predict_log_proba`.

        Raises
        ------
        TypeError, ValueError
            As `predict`.
        """
        return np.log(self._probabilities(X))

    def decision_function(self, X: Rows) -> Floats:
        """Compute the logits.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Finite numbers, float32 or float64.

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            As `SparseMLPClassifier.decision_function`.

        Raises
        ------
        TypeError, ValueError
            As `predict`.
        """
        return self._logits(X)


class RegressorPredictor(RegressorOutputs, BasePredictor):
    """Predicts as the fitted regressor did that made it, but sooner.

    `SparseMLPRegressor.predictor` makes it: immutable, safe to share between threads,
    and all that has to be pickled where a model only predicts. Its results are those of
    the regressor, to the last bit.

    Attributes
    ----------
    n_features_in_ : int
        Columns of X.

    n_outputs_ : int
        Units of the output layer.

    n_threads : int or None
        Threads of a call.

    out_activation_ : str
        Activation of the output layer.

    See Also
    --------
    SparseMLPRegressor.predictor : Makes a predictor.
    ClassifierPredictor : That of a classifier, with notes that hold here, too.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from sparsenet import SparseMLPRegressor
    >>> X, y = make_friedman1(500, random_state=0)
    >>> regressor = SparseMLPRegressor(max_iter=10, random_state=0).fit(X, y)
    >>> predictor = regressor.predictor()
    >>> bool((predictor.predict(X) == regressor.predict(X)).all())
    True
    """

    __slots__ = ()

    def predict(self, X: Rows) -> Floats:
        """Predict target values.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Finite numbers, float32 or float64.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            As `SparseMLPRegressor.predict`.

        Raises
        ------
        TypeError
            X is something else than an array or sparse matrix of float32 or float64.
        ValueError
            X has no rows, another number of columns, or values that are not finite or
            too large for the network.
        """
        return self._numbers(X)
