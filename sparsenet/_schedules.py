"""Learning-rate schedules: what rates are multiplied by at each share t of training."""

import numpy as np

from sparsenet._constraints import number, shown

AT_LEAST_0 = number(0)


def cosine(t):
    """Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts."""
    return 0.5 * (1 + np.cos(np.pi * t))


def flat_cosine(t):
    """RealMLP's flat_cos: Holzmüller et al. 2024, arXiv:2407.04491."""
    return np.where(t < 0.5, 1.0, cosine(2 * t - 1))


def coslog4(t):
    """Four cycles, each twice as long as the one before: ibid."""
    return 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t)))


def one_cycle(t):
    """Smith & Topin 2018, arXiv:1708.07120, with torch's figures: from 1/25 of the
    rate up to it within 0.3 of training, and down to 4e-6 of it.
    """
    peak, first, last = 0.3, 1 / 25, 1 / 25e4
    up = 1 + (first - 1) * cosine(t / peak)
    down = last + (1 - last) * cosine((t - peak) / (1 - peak))
    return np.where(t < peak, up, down)


SCHEDULES = {
    "cosine": cosine,
    "flat_cosine": flat_cosine,
    "one_cycle": one_cycle,
    "coslog4": coslog4,
}


def is_schedule(learning_rate):
    """Whether a value of the parameter says how rates go over all of training."""
    return callable(learning_rate) or learning_rate in SCHEDULES


def factors(learning_rate, warmup, begin, n_steps, total):
    """What the rate of some steps is multiplied by.

    Parameters
    ----------
    learning_rate : str or callable
        The parameter of that name.
    warmup : float
        Share of training in which factors rise linearly from 0.
    begin : int
        Steps of training before these.
    n_steps : int
    total : int
        Steps of training. What comes after it is as its end.

    Returns
    -------
    float64 array of shape (n_steps,)

    Raises
    ------
    ValueError
        A callable has returned something else than a finite number >= 0.
    """
    steps = begin + np.arange(n_steps)
    t = np.minimum(steps / total, 1.0)
    if callable(learning_rate):
        values = np.array([value_of(learning_rate, float(at)) for at in t])
    elif learning_rate in SCHEDULES:
        values = SCHEDULES[learning_rate](t)
    else:
        values = np.ones(n_steps)
    if warmup > 0:
        values = values * np.minimum((steps + 1) / (warmup * total), 1.0)
    return values


def value_of(schedule, t):
    """What a callable returns for one t, if that is what `factors` says."""
    value = schedule(t)
    if not AT_LEAST_0.allows(value):
        raise ValueError(
            f"learning_rate returns {shown(value)} for t={t:g}; allowed: "
            f"{AT_LEAST_0.description}"
        )
    return float(value)
