"""Estimators that take a table as it is: an encoder, and some networks to average."""

from __future__ import annotations

import copy
import inspect
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from sparsenet._base import take_parameters
from sparsenet._constraints import check
from sparsenet._input import refuse_masked
from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor
from sparsenet._tables.columns import check_table, take_rows
from sparsenet._tables.encoder import TableEncoder, without_fitted
from sparsenet._tables.parameters import NETWORK, parameters_of
from sparsenet._tables.recipe import batch_size_of, epochs_of, rewire_interval_of
from sparsenet._validation import check_sample_weight

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from sparsenet._typing import (
        Activation,
        ClassWeight,
        Density,
        Each,
        Floats,
        Precision,
    )
    from sparsenet._untyped import BaseEstimator, ClassifierMixin, RegressorMixin
else:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

#: What all networks have that no parameter says.
FIXED = {
    "solver": "adamw",
    "learning_rate": "flat_cosine",
    "n_iter_no_change": np.inf,  # schedules are to get to their end
}


def with_parameters(cls):
    """Fill the parameters of a class into its docstring, at ``%(parameters)s``."""
    if cls.__doc__:
        table = parameters_of(cls)
        names = inspect.signature(cls).parameters
        entries = "\n\n".join(table[name].documentation(name) for name in names)
        # The papers are listed where networks are documented.
        entries = re.sub(r"\s+\[\d+\]_", "", entries)
        text = inspect.cleandoc(cls.__doc__)
        cls.__doc__ = text % {"parameters": entries} + "\n"
    return cls


@contextmanager
def named_for(estimator):
    """Let errors of its parts name the estimator that a user knows."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:
        message = str(error)
        for part in (TableEncoder, estimator._member_class):
            message = message.replace(part.__name__, type(estimator).__name__)
        if message == str(error):
            raise
        kind = next(
            k for k in (TypeError, ValueError, RuntimeError) if isinstance(error, k)
        )
        raise kind(message) from error


class BaseTabularMLP(BaseEstimator):
    """What classifier and regressor share.

    A subclass says by ``_member_class`` which networks it has, and checks y and turns
    it into what they learn by ``_read_target(y, sample_weight)``.
    """

    if TYPE_CHECKING:
        hidden_layer_sizes: int | Each[int]
        activation: Activation | Each[Activation]
        density: Density
        n_members: int
        encoder: Any
        max_iter: int | str
        batch_size: int | str
        learning_rate_init: float
        weight_decay: float
        dropout: float | Each[float]
        precision: Precision
        time_limit: float | None
        random_state: int | np.random.RandomState | None
        n_threads: int | None
        verbose: bool | int
        encoder_: Any
        n_iter_: int
        members_: list[Any]
        n_features_in_: int
        feature_names_in_: NDArray[Any]

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Encode a table, and train networks on it.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_columns)
            The table, with missing values where there are some.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets: class labels or numbers.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, >= 0 and not all 0. A sample of weight 0 counts as
            absent.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            A parameter, y or a weight is out of bounds, X is no table or holds an
            infinite number, or training diverged. The estimator is as it was before.
        """
        begin = time.perf_counter()
        for name, parameter in parameters_of(type(self)).items():
            check(self, name, getattr(self, name), parameter.constraint)
        # Aside: whatever ends an attempt leaves no trace.
        fitted = object.__new__(type(self))
        vars(fitted).update(without_fitted(self))
        with named_for(self):
            fitted._fit(X, y, sample_weight, begin)
        if isinstance(self.random_state, np.random.RandomState):
            self._seeds(self.random_state)  # only calls that succeed draw from it
        self.__dict__ = vars(fitted)
        return self

    def _seeds(self, generator):
        """One for each network."""
        return generator.randint(2**32, size=int(self.n_members), dtype=np.uint32)

    def _fit(self, X, y, sample_weight, begin):
        """Learn as a new object, which is to take the place of this one."""
        X = check_table(self, X, reset=True)
        if y is None:  # in scikit-learn's words
            validate_data(self, y=None)
        refuse_masked(type(self).__name__, "y", y)
        y = self._checked_target(y)
        check_consistent_length(X, y)
        sample_weight = check_sample_weight(self, sample_weight, len(y))
        encoded = self._encode(X, y, sample_weight)
        target, n_outputs = self._read_target(y, sample_weight)
        self.members_ = self._train(encoded, target, n_outputs, sample_weight, begin)
        self._take_attributes()

    def _take_attributes(self):
        """Those of the networks, for all."""
        self.n_iter_ = max(member.n_iter_ for member in self.members_)

    def _encode(self, X, y, sample_weight):
        """Learn the encoder, of the rows that count, and encode all of them."""
        if self.encoder is None:
            # Whatever scikit-learn's configuration says of other transformers.
            encoder = TableEncoder().set_output(transform="default")
        else:
            encoder = clone(self.encoder)
        self.encoder_ = encoder
        if sample_weight is None or sample_weight.all():
            return self._checked_encoding(encoder.fit_transform(X, y))
        rows = np.flatnonzero(sample_weight)
        encoder.fit(take_rows(X, rows), y[rows])
        return self._checked_encoding(encoder.transform(X))

    def _checked_encoding(self, encoded):
        """What an encoder of the user's puts out, if it is finite numbers."""
        if self.encoder is None:
            return encoded
        try:
            return check_array(encoded, accept_sparse="csr", dtype=(np.float64, "f4"))
        except ValueError as error:
            raise ValueError(
                f"{type(self).__name__}: encoder={type(self.encoder).__name__} puts "
                f"out something else than a matrix of finite numbers: {error}"
            ) from error

    def _train(self, X, y, n_outputs, sample_weight, begin):
        """The networks, one after the other."""
        n_rows = len(y) if sample_weight is None else np.count_nonzero(sample_weight)
        parameters = {name: getattr(self, name) for name in NETWORK}
        parameters["n_threads"], parameters["verbose"] = self.n_threads, self.verbose
        batch_size = batch_size_of(self.batch_size, n_rows)
        n_epochs = epochs_of(self.max_iter, n_rows, n_outputs)
        parameters["batch_size"], parameters["max_iter"] = batch_size, n_epochs
        interval = rewire_interval_of(n_epochs, n_rows, batch_size)
        parameters["rewire_interval"] = interval
        generator = copy.deepcopy(self.random_state)
        seeds = self._seeds(check_random_state(generator))
        members = []
        for number, seed in enumerate(seeds, start=1):
            if self.verbose:
                print(f"Network {number} of {len(seeds)}")
            left = None
            if self.time_limit is not None:
                left = float(self.time_limit) - (time.perf_counter() - begin)
                left = max(left / (len(seeds) - number + 1), 1e-9)
            member = self._member_class(
                **FIXED,
                **parameters,
                **self._of_members(),
                random_state=int(seed),
                time_limit=left,
            )
            member = self._fitted_member(member, X, y, sample_weight)
            members.append(member)
            if member._history.interrupted:
                break
        return members

    def _fitted_member(self, member, X, y, sample_weight):
        return member.fit(X, y, sample_weight)

    def _mean(self, X, method):
        """The mean of what the networks predict for X."""
        check_is_fitted(self)
        model = self._aside()  # a fit in another thread may end meanwhile
        with named_for(self):
            X = check_table(model, X, reset=False)
            encoded = model._checked_encoding(model.encoder_.transform(X))
            total = sum(getattr(member, method)(encoded) for member in model.members_)
        return total / len(model.members_)

    def _aside(self):
        """Another object with the attributes that this one has now."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def _of_members(self):
        """Parameters of the networks that only one of the estimators has."""
        return {}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.multi_output = True
        return tags


@with_parameters
class TabularMLPClassifier(ClassifierMixin, BaseTabularMLP):
    """Classifier for tables as they are: numbers, categories and missing values.

    A `TableEncoder` turns the table into numbers, on which some sparse networks are
    trained, whose probabilities are averaged. Nothing has to be scaled, encoded or
    tuned before.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; the column numbers of a multi-label y.

    encoder_ : TableEncoder
        What turns X into numbers, or the fitted copy of `encoder`.

    members_ : list of SparseMLPClassifier
        The networks.

    n_iter_ : int
        Number of epochs of the network that has most.

    n_features_in_ : int
        Number of columns.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had names and all of them are strings.

    See Also
    --------
    TabularMLPRegressor : The same for numbers as targets.
    SparseMLPClassifier : A single network, on numbers.
    TableEncoder : The encoding alone.

    Notes
    -----
    The networks minimize the log-loss with AdamW and a learning rate that is constant
    in the first half of training and falls to 0 in the second.

    A call of `fit` that raises leaves the estimator as it was. Ctrl-C ends training
    with a warning, and what was learned stays.

    Examples
    --------
    >>> from sparsenet import TabularMLPClassifier
    >>> X = [[2.0, "red"], [None, "red"], [1.0, "blue"], [3.0, "blue"]] * 50
    >>> y = ["stop", "stop", "go", "go"] * 50
    >>> classifier = TabularMLPClassifier(random_state=0).fit(X, y)
    >>> classifier.predict([[2.5, "red"], [2.5, "blue"]])
    array(['stop', 'go'], dtype='<U4')
    """

    _member_class = SparseMLPClassifier

    classes_: NDArray[Any]
    label_smoothing: float
    class_weight: ClassWeight

    # scikit-learn wants each parameter by name.
    def __init__(  # noqa: PLR0913
        self,
        hidden_layer_sizes: int | Each[int] = (192, 192, 192),
        activation: Activation | Each[Activation] = "gelu",
        *,
        density: Density = 0.1,
        n_members: int = 2,
        encoder: Any = None,
        max_iter: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 0.006,
        weight_decay: float = 0.3,
        dropout: float | Each[float] = 0.05,
        label_smoothing: float = 0.02,
        class_weight: ClassWeight = None,
        precision: Precision = "bfloat16",
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        take_parameters(**locals())

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Predict the probability of each class.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_columns)
            The table.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, never 0; each row sums to 1, unless y is
            multi-label.
        """
        return self._mean(X, "predict_proba")

    def predict_log_proba(self, X: ArrayLike) -> Floats:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_columns)
            The table.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; never infinite.
        """
        return np.log(self.predict_proba(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict class labels.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_columns)
            The table.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class; of a multi-label y, 1 for each label that is more
            probable than not.
        """
        probabilities = self.predict_proba(X)
        if self.members_[0]._is_multilabel():
            return (probabilities > 0.5).astype(np.int64)
        return self.classes_[probabilities.argmax(axis=1)]

    def _checked_target(self, y):
        try:
            y = check_array(y, dtype=None, ensure_2d=False, input_name="y")
        except ValueError as error:  # which does not always say of what
            named = str(error).replace("Input contains", "Input y contains")
            raise ValueError(f"{type(self).__name__}: {named}") from error
        check_classification_targets(y)
        return column_or_1d(y, warn=True) if y.ndim == 1 or y.shape[1] == 1 else y

    def _read_target(self, y, sample_weight):
        n_outputs = y.shape[1] if y.ndim == 2 else len(np.unique(y))
        return y, n_outputs

    def _of_members(self):
        names = ("label_smoothing", "class_weight")
        return {name: getattr(self, name) for name in names}

    def _take_attributes(self):
        super()._take_attributes()
        self.classes_ = self.members_[0].classes_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@with_parameters
class TabularMLPRegressor(RegressorMixin, BaseTabularMLP):
    """Regressor for tables as they are: numbers, categories and missing values.

    A `TableEncoder` turns the table into numbers, on which some sparse networks are
    trained, whose predictions are averaged. Nothing has to be scaled, encoded or tuned
    before; targets are standardized inside.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    encoder_ : TableEncoder
        What turns X into numbers, or the fitted copy of `encoder`.

    members_ : list of SparseMLPRegressor
        The networks, which predict standardized targets.

    n_iter_ : int
        Number of epochs of the network that has most.

    n_features_in_ : int
        Number of columns.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had names and all of them are strings.

    See Also
    --------
    TabularMLPClassifier : The same for classes as targets.
    SparseMLPRegressor : A single network, on numbers; it has other losses, too.
    TableEncoder : The encoding alone.

    Notes
    -----
    The networks minimize the squared error with AdamW and a learning rate that is
    constant in the first half of training and falls to 0 in the second. No prediction
    is outside of the range of the training targets.

    A call of `fit` that raises leaves the estimator as it was. Ctrl-C ends training
    with a warning, and what was learned stays.

    Examples
    --------
    >>> from sparsenet import TabularMLPRegressor
    >>> X = [[2.0, "red"], [None, "red"], [1.0, "blue"], [3.0, "blue"]] * 50
    >>> y = [20.0, 20.0, 10.0, 10.0] * 50
    >>> regressor = TabularMLPRegressor(random_state=0).fit(X, y)
    >>> red, blue = regressor.predict([[2.5, "red"], [2.5, "blue"]])
    >>> bool(red > 15 > blue)
    True
    """

    _member_class = SparseMLPRegressor

    # scikit-learn wants each parameter by name.
    def __init__(  # noqa: PLR0913
        self,
        hidden_layer_sizes: int | Each[int] = (192, 192, 192),
        activation: Activation | Each[Activation] = "gelu",
        *,
        density: Density = 0.1,
        n_members: int = 2,
        encoder: Any = None,
        max_iter: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 0.006,
        weight_decay: float = 0.3,
        dropout: float | Each[float] = 0.05,
        precision: Precision = "bfloat16",
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        take_parameters(**locals())

    def predict(self, X: ArrayLike) -> Floats:
        """Predict numbers.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_columns)
            The table.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions, float64.
        """
        standardized = self._mean(X, "predict").astype(np.float64)
        unit = standardized * self._target_scale + self._target_mean
        low, high = self._target_range
        return np.clip(np.clip(unit, -1, 1) * self._target_size, low, high)

    def _checked_target(self, y):
        try:
            y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        except ValueError as error:
            raise ValueError(
                f"{type(self).__name__}: y has something else than finite numbers, "
                f"which a regressor learns: {error}"
            ) from error
        return column_or_1d(y, warn=True) if y.ndim == 1 or y.shape[1] == 1 else y

    def _read_target(self, y, sample_weight):
        if sample_weight is not None:
            sample_weight = sample_weight / sample_weight.max()
            y = y.copy()
            y[sample_weight == 0] = y[sample_weight > 0][0]
        # Of very large or small numbers, squares are infinite or 0.
        size = np.abs(y).max(axis=0)
        size = np.where(size > 0, size, 1.0)
        unit = y / size
        mean = np.average(unit, axis=0, weights=sample_weight)
        squares = np.average((unit - mean) ** 2, axis=0, weights=sample_weight)
        scale = np.where(squares > 0, np.sqrt(squares), 1.0)
        self._target_mean, self._target_scale = mean, scale
        self._target_size = size
        self._target_range = y.min(axis=0), y.max(axis=0)
        return (unit - mean) / scale, 1
