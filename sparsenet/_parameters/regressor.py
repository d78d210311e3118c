"""Parameters that the regressor has for itself."""

import numpy as np

from sparsenet._constraints import Constraint, choice, each, either, in_float32, number
from sparsenet._kernels._dispatch import REGRESSOR_LOSSES
from sparsenet._parameters.parameter import Parameter, options

level = in_float32(number(0, 1, bounds="()"))


def ascends(values):
    """Whether numbers do as the kernels take them, in float32; there are some."""
    values = np.array(values, np.float32)
    return values.size > 0 and bool((np.diff(values) > 0).all())


PARAMETERS = {
    "loss": Parameter(
        "squared_error",
        choice(*REGRESSOR_LOSSES),
        options(REGRESSOR_LOSSES),
        """
    What is minimized, averaged over the outputs.

    - 'squared_error': half the squared error.
    - 'poisson': half the Poisson deviance. Predictions are the exponential of the last
      layer, and targets must be >= 0.
    - 'gamma': half the gamma deviance. Predictions are the exponential of the last
      layer, and targets must be > 0.
    - 'absolute_error': the magnitude of the error, which the median minimizes. Errors
      of 0 have a gradient of 0.
    - 'huber': half the squared error up to `huber_delta`, and beyond, for outliers,
      ``huber_delta * (magnitude of the error - huber_delta / 2)``.
    - 'quantile': the pinball loss, as `sklearn.metrics.mean_pinball_loss`, which the
      quantile of the level `quantile` minimizes. Errors of 0 have a gradient of 0.

    `score`, by which early stopping goes, is R^2 with each of them, unless there are
    several levels.
    """,
    ),
    "huber_delta": Parameter(
        1.0,
        in_float32(number(0, bounds="(]")),
        "float",
        """
    Largest error whose square is what counts, > 0. Used only with ``loss='huber'``
    (Huber, P. J. (1964). "Robust estimation of a location parameter."
    https://doi.org/10.1214/aoms/1177703732).
    """,
    ),
    "quantile": Parameter(
        0.5,
        either(
            level,
            Constraint(
                lambda value: each(level, "").allows(value) and ascends(value),
                "an ascending sequence of such",
            ),
        ),
        "float or array-like of float",
        """
    Share of the targets that predictions should exceed, in (0, 1). Used only with
    ``loss='quantile'`` (Koenker, R., & Bassett, G. (1978). "Regression quantiles."
    https://doi.org/10.2307/1913643).

    With an ascending sequence of levels, for a y of one output, the network has an
    output for each of them and minimizes their mean loss. `predict` returns an array of
    shape (n_samples, n_levels), each row sorted, so that no quantile exceeds one of a
    higher level; that makes none of them worse (Chernozhukov, V., Fernandez-Val, I., &
    Galichon, A. (2010). "Quantile and probability curves without crossing."
    https://doi.org/10.3982/ECTA7880). `score` is the mean over the levels of
    `sklearn.metrics.d2_pinball_score`.
    """,
    ),
}
