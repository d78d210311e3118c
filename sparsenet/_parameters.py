"""The estimators' parameters: default, what is allowed and documentation, in one table.

Docstrings and checks come from the table, and a test holds the signatures against it.
"""

import math
from functools import cache
from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import get_scorer_names

from sparsenet import _classifier_parameters
from sparsenet._constraints import (
    Constraint,
    boolean,
    check,
    choice,
    decay,
    each,
    either,
    fraction,
    in_float32,
    instance,
    integer,
    is_number,
    listing,
    none,
    number,
    share,
    units,
)
from sparsenet._formats import INT8_MAX_TERMS
from sparsenet._kernels._dispatch import (
    ACTIVATIONS,
    FORMATS,
    REGRESSOR_LOSSES,
    SOLVERS,
)
from sparsenet._parameter import Parameter, options
from sparsenet._schedules import SCHEDULES, value_of
from sparsenet._topology import BLOCK_SIZES

level = in_float32(number(0, 1, bounds="()"))
unsmoothed = Constraint(lambda value: value == 0, "0 with loss='focal'")


def ascends(values):
    """Whether numbers do as the kernels take them, in float32; there are some."""
    values = np.array(values, np.float32)
    return values.size > 0 and bool((np.diff(values) > 0).all())


#: In the order of the signatures; an estimator has those that its signature names, and
#: the classifier others of its own.
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
    "hidden_layer_sizes": Parameter(
        (100,),
        either(units, each(units, "a sequence of such")),
        "int or array-like of int",
        """
    Number of units in each hidden layer, each in [1, 2**31 - 1]. An empty sequence
    makes a linear model.
    """,
    ),
    "activation": Parameter(
        "relu",
        either(
            choice(*ACTIVATIONS),
            each(choice(*ACTIVATIONS), "one of them per hidden layer"),
        ),
        "str or array-like of str",
        """
    Activation function of the hidden layers, or one for each of them.

    - 'identity', 'logistic', 'tanh' and 'relu' are those of scikit-learn.
    - 'leaky_relu' has a slope of 0.01 for negative values.
    - 'elu' is ``exp(z) - 1`` for negative values [8]_.
    - 'selu' is ``1.0507 * z`` for positive and ``1.7581 * (exp(z) - 1)`` for negative
      values [9]_.
    - 'silu' is ``z / (1 + exp(-z))`` [6]_.
    - 'gelu' is z times the normal distribution function of z [7]_.
    - 'mish' is ``z * tanh(log(1 + exp(z)))`` [10]_.

    The derivatives of 'silu', 'gelu' and 'mish' take 4 bytes for each unit and sample
    of a mini-batch.
    """,
    ),
    "solver": Parameter(
        "adam",
        choice(*SOLVERS, "lbfgs"),
        options([*SOLVERS, "lbfgs"]),
        """
    How weights are updated: with Adam, 'adam' [1]_, with Adam and a decoupled
    `weight_decay`, 'adamw' [16]_, by stochastic gradient descent, 'sgd', or with
    SciPy's L-BFGS-B, 'lbfgs' [12]_, which looks at all samples in each step and is for
    small data. With 'lbfgs', connections stay as they are drawn, as with
    ``sparse_training='static'``; `precision` has to be 'float32'; and there are no
    mini-batches, learning rates, early stopping, validation samples or `partial_fit`.
    """,
    ),
    "alpha": Parameter(
        0.0001,
        number(0),
        "float",
        """
    Strength of the L2 regularization, >= 0. The loss of a mini-batch contains
    ``alpha / 2 * ||W||^2``, divided by the sum of its sample weights. Not used with
    ``solver='adamw'``, where `weight_decay` takes its place.
    """,
    ),
    "batch_size": Parameter(
        "auto",
        either(choice("auto"), integer(1)),
        "int or 'auto'",
        """
    Size of the mini-batches, >= 1; 'auto' is ``min(200, n_samples)``.
    """,
    ),
    "learning_rate": Parameter(
        "constant",
        either(
            choice("constant", "invscaling", "adaptive", *SCHEDULES),
            Constraint(callable, "a callable"),
        ),
        options(["constant", "invscaling", "adaptive", *SCHEDULES]) + " or callable",
        """
    Schedule of the learning rate.

    - 'constant' is `learning_rate_init` throughout.
    - 'invscaling' is ``learning_rate_init / (t_ + 1) ** power_t`` in each epoch, where
      `t_` counts the training samples seen before it. Used only with ``solver='sgd'``.
    - 'adaptive' starts from `learning_rate_init`, and where training would otherwise
      stop, it divides by 5 and goes on, until it has reached 1e-6. Used only with
      ``solver='sgd'``.

    Others go from step to step, with t from 0, at the first step of a call of `fit`, to
    1, after the steps of `max_iter` epochs; each call of `partial_fit` is an epoch, as
    for `rewire_until`. `learning_rate_init` is multiplied by

    - 'cosine': ``(1 + cos(pi * t)) / 2`` [13]_.
    - 'flat_cosine': 1 up to t = 0.5, and then half a cosine down to 0 [14]_.
    - 'one_cycle': half a cosine from 0.04 up to 1 at t = 0.3, and one down to 4e-6
      [15]_.
    - 'coslog4': ``(1 - cos(2 * pi * log2(1 + 15 * t))) / 2``, four cycles from 0 up to
      1 and back, of which each is twice as long as the one before [14]_.
    - a callable: what it returns for t, a float; >= 0.

    Where training stops early, schedules do not get to their end: choose `max_iter` for
    them, and ``n_iter_no_change=max_iter``.
    """,
    ),
    "learning_rate_init": Parameter(
        0.001,
        number(0, bounds="(]"),
        "float",
        """
    The initial learning rate, > 0. The one that suits a dense network suits a sparse
    one: in a layer of density d, a weight begins at ``d ** -0.9`` times the rate and
    comes down to it as it ages, by a factor of `beta_2` in each step [11]_. That holds
    for initial weights, and with 'adam' and 'adamw' for connections that grow later.
    """,
    ),
    "power_t": Parameter(
        0.5,
        number(0),
        "float",
        """
    Exponent of 'invscaling', >= 0.
    """,
    ),
    "max_iter": Parameter(
        200,
        integer(1),
        "int",
        """
    Largest number of epochs of a call of `fit`, or of iterations of
    ``solver='lbfgs'``, >= 1.
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
    "momentum": Parameter(
        0.9,
        number(0, 1),
        "float",
        """
    Momentum of the updates, in [0, 1]. Used only with ``solver='sgd'``.
    """,
    ),
    "nesterovs_momentum": Parameter(
        True,
        boolean,
        "bool",
        """
    Whether the momentum is Nesterov's. Used only with ``solver='sgd'``.
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
    "beta_1": Parameter(
        0.9,
        decay,
        "float",
        """
    Decay of Adam's estimate of the first moment, in [0, 1).
    """,
    ),
    "beta_2": Parameter(
        0.999,
        decay,
        "float",
        """
    Decay of Adam's estimate of the second moment, in [0, 1).
    """,
    ),
    "epsilon": Parameter(
        1e-08,
        number(2.0**-126),
        "float",
        """
    Number added to Adam's denominator, >= 2**-126, the smallest one of float32.
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
    "max_fun": Parameter(
        15000,
        integer(1),
        "int",
        """
    Largest number of evaluations of the loss, >= 1. Used only with
    ``solver='lbfgs'``.
    """,
    ),
    "density": Parameter(
        "auto",
        either(choice("auto"), fraction, each(fraction, "one per weight matrix")),
        "'auto', float or array-like of float",
        """
    Share of the connections that exist, in (0, 1].

    - 'auto': a hidden unit keeps a tenth of its inputs, but at least 32 of them (all,
      where there are fewer). The output layer is dense.
    - a number: density of all hidden layers together, where a unit keeps at least 8 of
      its inputs. The output layer is dense.
    - a sequence: density of each weight matrix, that of the output layer last.
    """,
    ),
    "density_distribution": Parameter(
        "erdos_renyi",
        choice("erdos_renyi", "uniform"),
        "{'erdos_renyi', 'uniform'}",
        """
    How a number given as `density` is spread over the hidden layers.

    - 'erdos_renyi': a layer's density is proportional to
      ``(n_in + n_out) / (n_in * n_out)``, so that narrow layers are denser [2]_.
    - 'uniform': each has that density.
    """,
    ),
    "block_size": Parameter(
        1,
        Constraint(
            lambda value: is_number(value, Integral) and value in BLOCK_SIZES,
            listing([str(size) for size in BLOCK_SIZES]),
        ),
        "{1, 4}",
        """
    How many neighbouring units of a sparse layer share their inputs. Blocks of 4 are
    chosen, dropped and grown as one, by the sums of their magnitudes [5]_. They are
    multiplied faster and take fewer bytes in a pickle. The first layer of a network
    for sparse X has them where its number of units is a multiple of 4.
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
      and draws as many new ones at random [2]_.
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
    "initial_density": Parameter(
        1.0,
        fraction,
        "float",
        """
    Density of the hidden layers before the first round of 'gradual', in (0, 1]; layers
    start with at least what `density` gives them.
    """,
    ),
    "precision": Parameter(
        "float32",
        choice(*FORMATS),
        options(FORMATS),
        """
    Number format of weights, activations and deltas in the forward and backward pass.
    The optimizer works in float32 in any case.

    - 'float32' rounds nothing.
    - 'float16' has 11 significant bits and holds numbers up to 65,504: X with larger
      ones is refused, and so are models whose weights or activations become larger.
    - 'bfloat16' has 8 significant bits and the range of 'float32'.
    - 'int8' is integers in [-127, 127], times a scale for each unit or sample.
    """,
    ),
    "n_threads": Parameter(
        None,
        either(none, integer(1, 1024)),
        "int or None",
        """
    Number of OpenMP threads, at most 1024. None follows ``OMP_NUM_THREADS``,
    threadpoolctl and the number of cores. Results do not depend on it.
    """,
    ),
    "weight_decay": Parameter(
        0.01,
        number(0),
        "float",
        """
    Share of each weight, times the learning rate, that a step takes away, >= 0. Used
    only with ``solver='adamw'``. Biases do not decay.
    """,
    ),
    "warmup": Parameter(
        0.0,
        number(0, 1, bounds="[)"),
        "float",
        """
    Share of training, as `learning_rate` counts it, in which learning rates are
    multiplied by what rises linearly from 0 to 1, in [0, 1).
    """,
    ),
    "max_grad_norm": Parameter(
        None,
        either(none, in_float32(number(0, bounds="(]"))),
        "float or None",
        """
    Largest norm of a step's gradient, > 0: that of the mean loss of the mini-batch,
    without regularization, by all weights and biases. Larger ones are scaled down to it
    [17]_. None: none are. A step then computes its whole gradient before it uses any.
    """,
    ),
    "ema_decay": Parameter(
        0.0,
        decay,
        "float",
        """
    Decay of a running average of weights and biases, in [0, 1): each step takes so much
    of the average before it, but in step t, from 0, at most ``(1 + t) / (10 + t)``, and
    the rest of the new weights. What `fit` ends with, and early stopping looks at, are
    the averages. 0: there is none. Not available in `partial_fit`.
    """,
    ),
    "dropout": Parameter(
        0.0,
        either(share, each(share, "one per hidden layer")),
        "float or array-like of float",
        """
    Share of each hidden layer's outputs that a training step leaves out, in [0, 1), one
    for all of these layers or one for each. Others are divided by what is left of 1, so
    that predictions leave out none [18]_. Each unit and sample of a step is drawn by a
    function of the seed.
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
    validation score, as `early_stopping` does in any case; on a warm start, if it is
    better than those of the calls before. Without an `X_val`, `validation_fraction` of
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


@cache
def parameters_of(cls):
    """The table of an estimator's class, in the order of its signature."""
    if not issubclass(cls, ClassifierMixin):
        return PARAMETERS
    own = _classifier_parameters.PARAMETERS
    return {name: PARAMETERS[name] for name in PARAMETERS if name not in own} | own


def documentation(cls, names):
    """The entries of some parameters of a class in a docstring."""
    table = parameters_of(cls)
    return "\n\n".join(table[name].documentation(name) for name in names)


def check_parameter(estimator, name):
    """Refuse the value of one parameter if it is out of bounds, as below."""
    constraint = parameters_of(type(estimator))[name].constraint
    check(estimator, name, getattr(estimator, name), constraint)


#: What is allowed where all rows are looked at in each step. Epochs and rounds of
#: rewiring have no place there; "set" is the default, which no one has chosen.
WITH_LBFGS = {
    "precision": ["float32"],
    "sparse_training": ["static", "set"],
    "ema_decay": [0.0],
    "dropout": [0.0],
    "restore_best": [False],
    "train_scores": [False],
}


def check_parameters(estimator):
    """Refuse a parameter that is out of bounds.

    Parameters
    ----------
    estimator : object
        Has the method ``get_params``, as scikit-learn's estimators.

    Raises
    ------
    ValueError
        Names the estimator, the parameter, its value and what is allowed.
    """
    parameters = estimator.get_params(deep=False)
    for name, parameter in parameters_of(type(estimator)).items():
        if name in parameters and name not in ("density", "dropout"):
            check(estimator, name, parameters[name], parameter.constraint)
    if callable(estimator.learning_rate):  # a look at it from afar
        for t in np.linspace(0, 1, 101):
            value_of(estimator.learning_rate, float(t))
    if estimator.loss == "focal":
        check(estimator, "label_smoothing", estimator.label_smoothing, unsmoothed)
    # How many activations and densities there may be depends on how many layers there
    # are.
    n_hidden = len(hidden_layer_sizes(estimator))
    one_each = each(
        choice(*ACTIVATIONS),
        f"one of them per hidden layer ({n_hidden} here)",
        length=n_hidden,
    )
    check(
        estimator,
        "activation",
        estimator.activation,
        either(choice(*ACTIVATIONS), one_each),
    )
    n_matrices = n_hidden + 1
    one_each = each(
        fraction, f"one per weight matrix ({n_matrices} here)", length=n_matrices
    )
    check(
        estimator,
        "density",
        estimator.density,
        either(choice("auto"), fraction, one_each),
    )
    one_each = each(
        share,
        f"one per hidden layer ({n_matrices - 1} here)",
        length=n_matrices - 1,
    )
    check(estimator, "dropout", estimator.dropout, either(share, one_each))
    if estimator.solver == "lbfgs":
        values = parameters | {"dropout": max(dropout(estimator), default=0.0)}
        for name, allowed in WITH_LBFGS.items():
            if values[name] not in allowed:
                raise ValueError(
                    f"{type(estimator).__name__}: {name}={values[name]!r}; allowed "
                    f"with solver='lbfgs': {' or '.join(map(repr, allowed))}"
                )
    if estimator.precision == "int8" and estimator.batch_size != "auto":
        # A weight's gradient is a sum over the batch in 32 bits.
        bound = Constraint(
            lambda value: value <= INT8_MAX_TERMS,
            f"at most {INT8_MAX_TERMS:,} with precision='int8'",
        )
        check(estimator, "batch_size", estimator.batch_size, bound)


def hidden_layer_sizes(estimator):
    """Return the sizes of the hidden layers as a tuple of int."""
    sizes = estimator.hidden_layer_sizes
    return (int(sizes),) if isinstance(sizes, Integral) else tuple(map(int, sizes))


def dropout(estimator):
    """Return the shares of dropout, one for each hidden layer, or () for none."""
    value = estimator.dropout
    if not isinstance(value, Real):
        return tuple(map(float, value))
    return (float(value),) * len(hidden_layer_sizes(estimator)) if value > 0 else ()


def activation(estimator):
    """Return what all hidden layers have, or a tuple of what each has if they differ.

    Without hidden layers, where an empty sequence is allowed, "identity" stands for it.
    """
    value = estimator.activation
    if isinstance(value, str):
        return value
    names = tuple(map(str, value))
    return names if len(set(names)) > 1 else next(iter(names), "identity")


def loss_parameter(estimator, name):
    """Return the parameter of a loss as a float, or a tuple of one for each output."""
    value = getattr(estimator, name)
    return float(value) if isinstance(value, Real) else tuple(map(float, value))


def density(estimator):
    """Return the density as "auto", a float or a tuple of float."""
    value = estimator.density
    if isinstance(value, str):
        return value
    return float(value) if isinstance(value, Real) else tuple(map(float, value))
