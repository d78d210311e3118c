"""Scorers of scikit-learn, for networks that are still being trained."""

from numbers import Real

import numpy as np
from sklearn.metrics import check_scoring

from sparsenet._constraints import is_number, shown


def scorer_of(estimator, with_network):
    """What the estimator's parameter `scoring` asks for, as `TrainingSet` takes it.

    Parameters
    ----------
    estimator : object
        Has the parameter; named by messages.
    with_network : callable
        ``with_network(network)`` is a fitted estimator that predicts with it.

    Returns
    -------
    scorer : callable, "loss" or None

    Raises
    ------
    ValueError
        `scoring` is a metric, which is called otherwise than a scorer.
    """
    scoring = estimator.scoring
    if scoring is None or (isinstance(scoring, str) and scoring == "loss"):
        return scoring
    name = f"{type(estimator).__name__}: scoring={shown(scoring)}"
    try:
        scorer = check_scoring(estimator, scoring)
    except ValueError as error:
        raise ValueError(f"{name}; allowed: a scorer: {error}") from error

    def score(network, X, y, sample_weight):
        options = {} if sample_weight is None else {"sample_weight": sample_weight}
        try:
            value = scorer(with_network(network), X, y, **options)
        except Exception as error:
            error.add_note(f"{name} has failed on samples that it was to rate")
            raise
        if isinstance(value, (np.ndarray, np.generic)) and value.size == 1:
            value = value.item()
        if not is_number(value, Real):
            raise ValueError(
                f"{name} returned {shown(value)}; allowed: a finite number"
            )
        return float(value)

    return score
