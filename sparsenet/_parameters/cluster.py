"""Parameters of estimators that train on a Dask cluster."""

from numbers import Integral

from sparsenet._constraints import (
    Constraint,
    choice,
    either,
    integer,
    is_number,
    none,
    number,
)
from sparsenet._parallel.compression import CODECS
from sparsenet._parameters.parameter import Parameter, options


def _is_range(value):
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(is_number(port, Integral) for port in value)
        and 1 <= value[0] <= value[1] <= 65535
    )


PARAMETERS = {
    "client": Parameter(
        None,
        Constraint(
            lambda value: (
                value is None
                or (hasattr(value, "scheduler_info") and not isinstance(value, type))
            ),
            "a dask.distributed.Client or None",
        ),
        "dask.distributed.Client or None",
        """
    The cluster to train on. None: the client that was made last. Pickles do not hold
    it.
    """,
    ),
    "sync_interval": Parameter(
        20,
        integer(1),
        "int",
        """
    Steps that workers take on their own, >= 1, before they take an outer step together
    [19]_. They also meet before each round of rewiring and at the end of an epoch. 1 is
    for fast networks, 50 for slow ones. A single worker takes none; with
    ``solver='lbfgs'`` workers add up gradients instead.
    """,
    ),
    "outer_learning_rate": Parameter(
        1.0,
        number(0, bounds="(]"),
        "float",
        """
    Factor of the workers' mean change in an outer step, > 0.
    """,
    ),
    "outer_momentum": Parameter(
        0.3,
        number(0, 1, bounds="[)"),
        "float",
        """
    Nesterov's momentum of outer steps, in [0, 1). With 0 and
    ``outer_learning_rate=1``, the new weights are the mean of the workers'.
    """,
    ),
    "compression": Parameter(
        None,
        either(none, choice(*(name for name in CODECS if name))),
        options(name for name in CODECS if name) + " or None",
        """
    In which format workers send what they have changed. Each number takes 1.06 bytes
    with "int8", 2 with "bfloat16" and 4 with None. What rounding leaves out is sent the
    next time.
    """,
    ),
    "on_worker_loss": Parameter(
        "raise",
        choice("raise", "continue"),
        options(["raise", "continue"]),
        """
    What to do when a worker dies: raise RuntimeError, or go on, from the last whole
    epoch, without it and its samples.
    """,
    ),
    "timeout": Parameter(
        300.0,
        number(0, 604_800, bounds="(]"),
        "float",
        """
    Seconds, > 0 and at most a week, for which workers wait for each other before one
    counts as dead: longer than the slowest takes for `sync_interval` steps, to rate its
    validation samples, or with ``solver='lbfgs'`` to see all its rows. The client's
    callbacks have as long.
    """,
    ),
    "ports": Parameter(
        None,
        either(none, Constraint(_is_range, "a pair of ports, the first and the last")),
        "(int, int) or None",
        """
    First and last port that workers may listen on for each other, one each. None: any
    that is free.
    """,
    ),
}
