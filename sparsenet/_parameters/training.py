"""Parameters of the course of training: epochs, validation, rewiring, threads."""

import math
from numbers import Integral, Real

import numpy as np
from sklearn.metrics import get_scorer_names

from sparsenet._constraints import (
    Constraint,
    boolean,
    choice,
    either,
    fraction,
    instance,
    integer,
    is_number,
    none,
    number,
)
from sparsenet._parameters.parameter import Parameter

PARAMETERS = {
    "max_iter": Parameter(
        200,
        integer(1),
        "int",
        """
    Largest number of epochs of a call of `fit`, or of iterations of
    ``solver='lbfgs'``, >= 1.
    """,
    ),
    "time_limit": Parameter(
        None,
        either(none, number(0, bounds="(]")),
        "float or None",
        """
    Seconds that a call of `fit` may train, > 0: it ends after the last epoch that it
    expects to have time for, but not before the first one, and schedules of learning
    rates and `rewire_until` end with it. What it learns then depends on the machine.
    None: there is no limit. Not available in `partial_fit`.
    """,
    ),
    "shuffle": Parameter(
        True,
        boolean,
        "bool",
        """
    Whether to visit the samples in a new random order in each epoch.
    """,
    ),
    "random_state": Parameter(
        None,
        either(
            none,
            integer(0, 2**32 - 1),
            instance("a numpy.random.RandomState", np.random.RandomState),
        ),
        "int, RandomState instance or None",
        """
    Draws the connections, the initial weights, the validation samples of early
    stopping and the order of samples. An int makes `fit` reproducible, with any number
    of threads. From a RandomState only calls that succeed draw.
    """,
    ),
    "tol": Parameter(
        0.0001,
        number(0),
        "float",
        """
    An epoch is an improvement if the training loss falls, or the validation score
    rises, by at least so much, >= 0.
    """,
    ),
    "verbose": Parameter(
        False,
        either(boolean, integer(0)),
        "bool or int",
        """
    Whether to print the progress of training.
    """,
    ),
    "warm_start": Parameter(
        False,
        boolean,
        "bool",
        """
    Whether `fit` goes on from the weights and connections of the last call, with a new
    optimizer, or starts anew.
    """,
    ),
    "early_stopping": Parameter(
        False,
        boolean,
        "bool",
        """
    Whether to set validation samples aside, unless `fit` gets some as `X_val`, to stop
    when their score no longer improves, and to keep the connections and weights with
    the best score. Not available in `partial_fit`.
    """,
    ),
    "validation_fraction": Parameter(
        0.1,
        number(0, 1, bounds="[)"),
        "float",
        """
    Share of the samples that `early_stopping` or `restore_best` sets aside, in [0, 1).
    Used only without an `X_val`.
    """,
    ),
    "n_iter_no_change": Parameter(
        10,
        either(
            integer(1),
            Constraint(lambda v: isinstance(v, Real) and v == math.inf, "numpy.inf"),
        ),
        "int or numpy.inf",
        """
    Training stops after more than so many epochs in a row without improvement.
    """,
    ),
    "sparse_training": Parameter(
        "set",
        choice("static", "set", "rigl", "gradual"),
        "{'static', 'set', 'rigl', 'gradual'}",
        """
    How the connections of sparse layers change during training. Their number does not,
    but with 'gradual'.

    - 'static': not at all; they are drawn at random.
    - 'set': in each round, every unit drops the connections with the smallest weights
      and draws as many new ones at random [2]_. In a first layer for a sparse X every
      feature does so that a mini-batch has held since the last round.
    - 'rigl': it draws those where the gradient of the last mini-batch is largest
      instead [3]_. Where there is no gradient, connections stay: those of a unit that
      is dead, and those of features of a sparse X that the mini-batch lacks.
    - 'gradual': training starts with `initial_density` and every round prunes the
      smallest weights of each unit, until `density` is reached [4]_. Time and memory
      are those of the denser network at first.
    """,
    ),
    "rewire_interval": Parameter(
        100,
        integer(1),
        "int",
        """
    Steps (mini-batches) from one round to the next, >= 1, counted over all calls. A
    round that would come after `rewire_until` comes at the beginning of the next call.
    A first call without any round warns.
    """,
    ),
    "rewire_fraction": Parameter(
        0.3,
        fraction,
        "float",
        """
    Share of the connections that are replaced, in (0, 1]. It falls with each round, to
    0 along half a cosine wave. Used only with 'set' and 'rigl'.
    """,
    ),
    "rewire_until": Parameter(
        0.75,
        Constraint(
            lambda value: (
                is_number(value, Real)
                and (value >= 1 if isinstance(value, Integral) else 0 < value <= 1)
            ),
            "a float in (0, 1] or an integer >= 1",
        ),
        "float or int",
        """
    When connections begin to stay as they are.

    - a float in (0, 1]: after this share of training. Each call of `fit` is a training
      of `max_iter` epochs, on a warm start, too. A call of `partial_fit` is an epoch,
      however many samples it has, of the training that the last call of `fit` began or,
      without one, the first call of `partial_fit`.
    - an int >= 1: after so many epochs, counted from the first call on and over all
      calls. Where `fit` is called with few epochs at a time, this makes a schedule as
      long as all of them; and where 'gradual' is to be done after many calls.
    """,
    ),
    "n_threads": Parameter(
        None,
        either(none, integer(1, 1024)),
        "int or None",
        """
    Number of OpenMP threads, at most 1024. None follows ``OMP_NUM_THREADS``,
    threadpoolctl, joblib's workers and the number of cores. Results do not depend on
    it.
    """,
    ),
    "scoring": Parameter(
        None,
        either(
            none,
            choice("loss"),
            Constraint(
                lambda value: isinstance(value, str) and value in get_scorer_names(),
                "a name of sklearn.metrics.get_scorer_names()",
            ),
            Constraint(callable, "a callable"),
        ),
        "str, callable or None",
        """
    By what samples are rated after an epoch; higher is better.

    - None: by `score`, the accuracy or R^2.
    - 'loss': by minus the loss, which is in `validation_loss_curve_` in any case.
    - a name of :func:`sklearn.metrics.get_scorer_names`, or a callable
      ``scorer(estimator, X, y)``: by that scorer of scikit-learn. `estimator` predicts
      with the network as it is at that moment, X and y are as they were passed to
      `fit`, and where there are sample weights, they are passed as `sample_weight`.
      Scorers predict once more what `validation_loss_curve_` has predicted.
    """,
    ),
    "restore_best": Parameter(
        False,
        boolean,
        "bool",
        """
    Whether to keep, at the end, the connections and weights of the epoch with the best
    validation score, as `early_stopping` does in any case; on a warm start, those of
    the calls before if no epoch is better. Without an `X_val`, `validation_fraction` of
    the samples are set aside. Not available in `partial_fit`.
    """,
    ),
    "train_scores": Parameter(
        False,
        boolean,
        "bool",
        """
    Whether to rate the training samples, too, after each epoch, which costs a
    prediction of all of them.
    """,
    ),
}
