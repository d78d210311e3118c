"""Weights of samples from those of their classes."""

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from sparsenet._constraints import shown

LABELS = np.arange(2)  # of a column of a multi-label y


def weigh_classes(class_weight, classes, y, sample_weight, name):
    """Multiply the weights of samples by those of their classes.

    Parameters
    ----------
    class_weight : dict, sequence of dict, or 'balanced'
        The parameter of the classifier.
    classes : ndarray of shape (n_classes,)
        All labels; the column numbers of a multi-label y.
    y : ndarray of shape (n_samples,) or (n_samples, n_labels)
    sample_weight : ndarray of shape (n_samples,), float64, or None
        A sample of weight 0 counts as absent.
    name : str
        The estimator, for messages.

    Returns
    -------
    sample_weight : ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        There is no such label, there is not one dict for each label of a multi-label y,
        or a weight is not finite, or none is left.
    """
    factors_of = class_weight
    if not isinstance(class_weight, str):
        factors_of = _by_code(class_weight, classes, y, name)
    # scikit-learn takes the label "1", and 1.5, for the 1 of a dict.
    codes = y if y.ndim == 2 else np.searchsorted(classes, y)
    weights = np.ones(len(y)) if sample_weight is None else sample_weight
    rows = np.flatnonzero(weights)
    factors = compute_sample_weight(factors_of, codes[rows])
    weights = weights.copy()
    with np.errstate(over="ignore"):
        weights[rows] = weights[rows] * factors
    if not np.isfinite(weights).all() or not weights.any():
        raise ValueError(
            f"{name}: class_weight={shown(class_weight)} makes weights of samples from "
            f"{weights.min():.6g} to {weights.max():.6g}; allowed: finite ones, not "
            "all 0"
        )
    return weights


def _by_code(class_weight, classes, y, name):
    """Weights of the labels' numbers, 1 where there is none, checked."""
    is_dict = isinstance(class_weight, dict)
    if y.ndim == 1 and is_dict:
        return _of_labels(class_weight, classes, name)
    if y.ndim == 2 and not is_dict and len(class_weight) == y.shape[1]:
        return [_of_labels(weights, LABELS, name) for weights in class_weight]
    allowed = "one dict for all labels of y"
    if y.ndim == 2:
        allowed = f"a list of {y.shape[1]} dicts, one for each label of y"
    raise ValueError(f"{name}: class_weight={shown(class_weight)}; allowed: {allowed}")


def _of_labels(weights, labels, name):
    labels = labels.tolist()
    unknown = [label for label in weights if label not in labels]
    if unknown:
        raise ValueError(
            f"{name}: class_weight={shown(weights)} has the label {unknown[0]!r}; "
            f"allowed: those of {shown(labels)}"
        )
    return {code: weights.get(label, 1) for code, label in enumerate(labels)}


def class_counts(y, sample_weight):
    """How many samples each class has, of those with a weight.

    Returns all labels and their counts, which may be 0; of a multi-label y, None and an
    array of shape (n_labels, 2).
    """
    counted = np.ones(len(y))
    if sample_weight is not None:
        counted[np.asarray(sample_weight) == 0] = 0
    if y.ndim == 2 and y.shape[1] > 1:
        n_ones = counted @ (y == 1)
        return None, np.column_stack([counted.sum() - n_ones, n_ones])
    classes, codes = np.unique(y, return_inverse=True)
    return classes, np.bincount(codes.ravel(), counted, len(classes))


def balanced_weights(classes, counts):
    """What "balanced" stands for: a dict, or one for each label of a multi-label y.

    `classes` and `counts` are those of `class_counts`, of all samples.
    """
    if classes is None:
        return [balanced_weights(LABELS, of_label) for of_label in counts]
    present = counts > 0
    weights = counts.sum() / (present.sum() * counts[present])
    return dict(zip(classes[present].tolist(), weights.tolist(), strict=True))
