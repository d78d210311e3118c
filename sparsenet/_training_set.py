"""What a network is trained on, and how its output is rated."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.model_selection import train_test_split

# How many rows of X are copied at a time when validation rows are predicted.
CHUNK = 1024


def divergence(what):
    """The error of a training whose loss, weights or predictions are not finite."""
    return ValueError(
        f"Training diverged: {what} not finite. Try features of similar scale "
        "(StandardScaler) or a smaller learning_rate_init"
    )


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
        Weights in training, float32.
    decide : callable
        ``decide(output)`` turns what the network puts out for some rows into what is
        predicted of y.
    score : callable
        ``score(y, decided, sample_weight)`` rates that; higher is better.
    classes : ndarray of shape (n_samples,) or None
        Classes whose shares the validation rows keep.
    rated_weight : ndarray of shape (n_samples,) or None
        Weights by which rows are rated.
    logits : bool, default=False
        Whether `decide` takes the network's logits, not its outputs.
    """

    X: object
    y: np.ndarray
    sample_weight: np.ndarray | None
    decide: Callable
    score: Callable
    classes: np.ndarray | None = None
    rated_weight: np.ndarray | None = None
    logits: bool = False
    rows: np.ndarray = field(init=False)

    def __post_init__(self):
        if self.sample_weight is None:
            self.rows = np.arange(len(self.y), dtype=np.int64)
        else:
            self.rows = np.flatnonzero(self.sample_weight).astype(np.int64)

    def split(self, validation_fraction, random_state):
        """Split the rows at random into those to train on and those to validate on.

        They are stratified by class unless a class has a single row, or there are
        more classes than rows on one side.
        """
        n_rows = len(self.rows)
        n_validation = math.ceil(validation_fraction * n_rows)
        n_training = n_rows - n_validation
        if n_validation < 2 or n_training < 1:
            raise ValueError(
                "The validation set is too small: early_stopping with "
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
        """Score the network on some rows."""
        decided = []
        for start in range(0, len(rows), CHUNK):
            chunk = self.X[rows[start : start + CHUNK]]
            output = network.predict(chunk, n_threads, self.logits)
            if not np.isfinite(output).all():
                raise divergence("the predictions are")
            decided.append(self.decide(output))
        weights = None if self.rated_weight is None else self.rated_weight[rows]
        return float(self.score(self.y[rows], np.concatenate(decided), weights))
