r"""How many times faster than one worker k of them should be: a forecast, not measured.

It comes from times of this machine, one thread a process, and from assumed networks:

    outer step = all-reduce + rest + 2 (k - 1) / k x bytes x 8 / bandwidth + 2 x latency
    speed-up   = k x interval x step / (interval x step + outer step)

    step        a training step, measured without rewiring
    all-reduce  of all weights and biases, by two processes over loopback, measured as
                all_reduce.py does: encoding, decoding, sums and the system's copies
    rest        of an outer step, measured: what the weights have changed by, momentum,
                new weights
    bytes       the encoded weights and biases
    interval    training steps from one outer step to the next

Assumed: all workers have equal work and are equally fast, so that none waits for
another; each has a link of its own, which sends and receives at once; nobody computes
while numbers travel. The arithmetic of an all-reduce is taken to be that of two
workers, whatever k: what many connections cost beyond one is left out, while copies
over loopback count besides the link. A single worker takes no outer steps. Samples a
second are compared, where each worker has batches of its own: what that does to
accuracy is the subject of local_steps.py.

    python benchmarks/cluster_speedup.py
    python benchmarks/cluster_speedup.py --latency 0.02 --networks 1024-1024:0.1
"""

from __future__ import annotations

import argparse
import statistics
from typing import NamedTuple

from all_reduce import measure
from cluster import Clock, TimedAlone
from common import (
    describe_machine,
    format_layers,
    interleave,
    limit_threads,
    print_table,
    synthetic_images,
)

from sparsenet import SparseMLPClassifier
from sparsenet._parallel.communicator import ThreadCommunicator
from sparsenet._parallel.compression import CODECS
from sparsenet._parallel.local_steps import LocalSteps, parameters_of

FORMATS = (None, "int8")
WORKERS = (1, 2, 4, 8, 16, 32, 64)


class Shape(NamedTuple):
    """The hidden layers of a network, and their density."""

    hidden: tuple[int, ...]
    density: float

    @classmethod
    def read(cls, words):
        sizes, _, density = words.partition(":")
        return cls(tuple(map(int, sizes.split("-"))), float(density))

    def __str__(self):
        return f"{format_layers(784, self.hidden)}, density {self.density:g}"


NETWORKS = [
    Shape((1024, 1024), 0.1),
    Shape((4096, 4096), 0.1),
    Shape((4096, 4096), 0.5),
]


class Parts(NamedTuple):
    """What was measured of a network: seconds, but for the first two."""

    n_connections: int
    n_bytes: dict[str | None, int]  # by the format
    step: float
    all_reduce: dict[str | None, float]
    rest: float

    def lines(self, shape):
        """Rows of the first table, one for each format."""
        for name in FORMATS:
            times = self.step, self.all_reduce[name], self.rest
            yield (
                str(shape),
                f"{self.n_connections:,}",
                name or "float32",
                f"{self.n_bytes[name] / 1e6:.2f}",
                *(f"{1e3 * seconds:.2f}" for seconds in times),
            )


class Silent(ThreadCommunicator):
    """The one member of a group, whose sums take no time."""

    def all_reduce(self, values, codec=None, residuals=None):
        return values


def parts_of(shape, args):
    """Measure a network; returns its `Parts`."""
    X, y = synthetic_images(args.batch_size * args.steps)
    clock = Clock(lambda: None)
    model = SparseMLPClassifier(
        shape.hidden,
        density=shape.density,
        sparse_training="static",
        batch_size=args.batch_size,
        max_iter=1 + args.rounds,  # the first epoch warms up
        n_iter_no_change=2 + args.rounds,
        n_threads=1,
        random_state=0,
    )
    model._fit(X, y, None, group=TimedAlone(clock))
    network = model._network
    values = parameters_of(network)
    return Parts(
        sum(layer.n_connections for layer in network.layers),
        {name: len(CODECS[name].encode(values)) for name in FORMATS},
        statistics.median(clock.seconds[1:]) / args.steps,
        {name: seconds_of_all_reduce(name, len(values), args) for name in FORMATS},
        seconds_of_rest(network, args),
    )


def seconds_of_all_reduce(name, n_values, args):
    measured, reason = measure(f"sparsenet, {name or 'float32'}", n_values, args)
    if measured is None:
        raise SystemExit(f"the all-reduce of {n_values:,} numbers {reason}")
    return statistics.median(measured["seconds"])


def seconds_of_rest(network, args):
    """Seconds of an outer step without its all-reduce."""
    (alone,) = Silent.group(1)
    local_steps = LocalSteps(alone, 1.0, 1, 1.0, 0.3, None)
    local_steps.begin(network)

    def step():
        local_steps.last = None  # as if the network had been trained
        local_steps.step(network)

    return interleave({"rest": step}, 1, args.repeats)["rest"].median


def speed_up(n_workers, interval, parts, name, gigabits, latency):
    """How many times more samples a second than one worker.

    `name` is that of the format; links have so many Gbit/s and seconds of latency.
    """
    if n_workers == 1:
        return 1.0
    share = 2 * (n_workers - 1) / n_workers
    travel = share * parts.n_bytes[name] * 8 / (gigabits * 1e9) + 2 * latency
    training = interval * parts.step
    outer = parts.all_reduce[name] + parts.rest + travel
    return n_workers * training / (training + outer)


def forecasts(parts, args):
    """Rows of a network's table."""
    for gigabits in args.gigabits:
        for interval in args.intervals:
            for name in FORMATS:
                link = parts, name, gigabits, args.latency / 1e3
                factors = [speed_up(k, interval, *link) for k in args.workers]
                yield (
                    f"{gigabits:g} Gbit/s",
                    interval,
                    name or "float32",
                    *(f"{factor:.2f}" for factor in factors),
                )


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--networks",
        type=Shape.read,
        nargs="+",
        default=NETWORKS,
        metavar="HIDDEN:DENSITY",
        help="default: 1024-1024:0.1 4096-4096:0.1 4096-4096:0.5",
    )
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--intervals", type=int, nargs="+", default=[1, 20, 50])
    parser.add_argument("--gigabits", type=float, nargs="+", default=[1, 10, 100])
    parser.add_argument("--latency", type=float, default=0.1, help="ms; default: 0.1")
    parser.add_argument("--batch-size", type=int, default=128, help="of a worker")
    parser.add_argument("--steps", type=int, default=20, help="in an epoch")
    parser.add_argument("--rounds", type=int, default=3, help="epochs that are timed")
    parser.add_argument("--repeats", type=int, default=30, help="of an outer step")
    parser.add_argument("--warm-up", type=int, default=5, help="before those repeats")
    return parser.parse_args()


def main():
    args = arguments()
    describe_machine(1)
    limit_threads(1)
    measured = {shape: parts_of(shape, args) for shape in args.networks}
    print(
        f"measured here: ms, medians; batch {args.batch_size}, float32, a thread a "
        "process; all-reduce by two processes"
    )
    header = "connections", "sent as", "MB", "step", "all-reduce", "rest"
    lines = [line for shape, parts in measured.items() for line in parts.lines(shape)]
    print_table(("", *header), lines)
    for shape, parts in measured.items():
        print(
            f"\n{shape}: times faster than one worker, by number of workers\n"
            f"a forecast for equal work; latency {args.latency:g} ms"
        )
        print_table(
            ("link", "interval", "sent as", *args.workers), forecasts(parts, args)
        )


if __name__ == "__main__":
    main()
