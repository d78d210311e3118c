"""Parameters of what a step does: solver, learning rates, regularization."""

from sparsenet._constraints import (
    Constraint,
    boolean,
    choice,
    decay,
    each,
    either,
    in_float32,
    integer,
    none,
    number,
    share,
)
from sparsenet._kernels._dispatch import SOLVERS
from sparsenet._parameters.parameter import Parameter, options
from sparsenet._schedules import SCHEDULES

PARAMETERS = {
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
    "max_fun": Parameter(
        15000,
        integer(1),
        "int",
        """
    Largest number of evaluations of the loss, >= 1. Used only with
    ``solver='lbfgs'``.
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
}
