"""What a network is trained on, and how its output is rated."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from sparsenet._network import Data

# How many rows of X are copied at a time when validation rows are predicted.
CHUNK = 1024


class TrainingError(ValueError):
    """Training cannot begin, or go on; whose it is, the estimator knows."""


def divergence(what):
    """The error of a training whose loss, weights or predictions are not finite."""
    return TrainingError(
        f"Training diverged: {what} not finite. Try features of similar scale "
        "(StandardScaler) or a smaller learning_rate_init; alpha, weight_decay, and "
        "weights of samples far from 1 may be the cause, too"
    )


class Rating(NamedTuple):
    """How good a network is on some samples: higher scores and lower losses are."""

    score: float
    loss: float


@dataclass
class TrainingSet:
    """What a network is trained on, and how its output is rated.

    Rows are named by their numbers, so that X is never copied. Rows with zero weight
    are left out from the start: they train as if they were not there.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_samples, n_features)
        float32 or float64.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        As `Network.train_epoch` takes it.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights in training.
    decide : callable
        ``decide(output)`` turns what the network puts out for some rows into what is
        predicted of y.
    score : callable
        ``score(y, decided, sample_weight)`` rates that; higher is better.
    classes : ndarray of shape (n_samples,) or None
        Classes whose shares the validation rows keep.
    given : tuple
        X and y as scorers and callbacks are to see them: data frames, labels.
    scorer : callable, "loss" or None
        ``scorer(network, X, y, sample_weight)`` rates a network on samples as they were
        given; "loss" is minus the mean loss. None: `score` does.
    validation : Samples or None
        What to validate on, if not on some of these rows.
    rated_weight : ndarray of shape (n_samples,) or None
        Weights by which rows are rated.
    logits : bool, default=False
        Whether `decide` takes the network's logits, not its outputs.

    Attributes
    ----------
    rows : int64 array
        Numbers of the rows with a weight.
    mean_weight : float
        Of these rows, in training. `sample_weight` is divided by it, and float32: a
        factor that all weights have in common must not take them to the limits of
        float32. What is added to sums of weighted losses has to be divided by it, too.
    """

    X: object
    y: np.ndarray
    sample_weight: np.ndarray | None
    decide: Callable
    score: Callable
    classes: np.ndarray | None = None
    given: tuple | None = None
    scorer: Callable | str | None = None
    validation: "Samples | None" = None
    rated_weight: np.ndarray | None = None
    logits: bool = False
    rows: np.ndarray = field(init=False)
    mean_weight: float = field(init=False, default=1.0)

    def __post_init__(self):
        if self.sample_weight is None:
            self.rows = np.arange(len(self.y), dtype=np.int64)
        else:
            self.rows = np.flatnonzero(self.sample_weight).astype(np.int64)
            self.sample_weight, self.mean_weight = _scaled(self.sample_weight)

    def split(self, validation_fraction, random_state):
        """Split the rows at random into those to train on and those to validate on.

        They are stratified by class unless a class has a single row, or there are
        more classes than rows on one side.
        """
        n_rows = len(self.rows)
        n_validation = math.ceil(validation_fraction * n_rows)
        n_training = n_rows - n_validation
        if n_validation < 2 or n_training < 1:
            raise TrainingError(
                "The validation set is too small: early_stopping or restore_best with "
                f"validation_fraction={validation_fraction} splits "
                f"{n_rows} rows into {n_training} to train and {n_validation} to "
                "validate on; allowed: at least 1 and 2"
            )
        classes = None
        if self.classes is not None:
            classes = self.classes[self.rows]
            counts = np.unique(classes, return_counts=True)[1]
            if counts.min() < 2 or len(counts) > min(n_training, n_validation):
                classes = None
        return train_test_split(
            self.rows,
            test_size=n_validation,
            stratify=classes,
            random_state=random_state,
        )

    def rate(self, network, rows, n_threads):
        """Rate the network on some rows, which are predicted once."""
        weights = self.weights_of(rows)
        in_loss = None if weights is None else _scaled(weights)[0]
        decided, loss = [], 0.0
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            of_chunk = None if in_loss is None else in_loss[start : start + CHUNK]
            data = Data(self.X[chunk], self.y[chunk], of_chunk)
            output, sum_of_losses = network.predict_with_loss(
                data, n_threads, self.logits
            )
            if not np.isfinite(output).all():
                raise divergence("the predictions are")
            loss += sum_of_losses
            if self.scorer is None:
                decided.append(self.decide(output))
        loss /= len(rows) if in_loss is None else float(in_loss.sum(dtype=np.float64))
        if self.scorer is None:
            score = float(self.score(self.y[rows], np.concatenate(decided), weights))
        elif self.scorer == "loss":
            score = -loss
            if not math.isfinite(score):
                raise divergence("the loss of the samples that are rated is")
        else:
            score = self.scorer(network, *self.as_given(rows))
        return Rating(score, loss)

    def as_given(self, rows):
        """X, y and weights (or None) of some rows, for scorers and callbacks."""
        X, y = self.given
        if len(rows) < len(y):
            X, y = X.iloc[rows] if hasattr(X, "iloc") else X[rows], y[rows]
        return X, y, self.weights_of(rows)

    def weight_of(self, rows):
        """Sum of the weights of some rows in training, as they were given."""
        if self.sample_weight is None:
            return float(len(rows))
        scaled = self.sample_weight[rows].sum(dtype=np.float64)
        return float(scaled * self.mean_weight)

    def rated_weight_of(self, rows):
        """Sum of the weights by which some rows are rated."""
        weights = self.weights_of(rows)
        return float(len(rows) if weights is None else weights.sum())

    def weights_of(self, rows):
        """Weights by which some rows are rated, or None."""
        return None if self.rated_weight is None else self.rated_weight[rows]


def _scaled(weights):
    """Divide weights, not all zero, by the mean of the others; returns that, too."""
    largest = weights.max()
    weights = weights / largest  # a sum cannot overflow then
    mean = weights.sum() / np.count_nonzero(weights)
    return (weights / mean).astype(np.float32), float(largest * mean)


class Samples(NamedTuple):
    """Some rows of a training set."""

    data: TrainingSet
    rows: np.ndarray

    def rate(self, network, n_threads):
        """Rate the network on them."""
        return self.data.rate(network, self.rows, n_threads)


def batch_size_of(batch_size, n_rows):
    """Rows of a mini-batch, by the parameter."""
    return min(200 if isinstance(batch_size, str) else int(batch_size), n_rows)
