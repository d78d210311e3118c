r"""Samples a second of processes that train one network, against one process.

Fashion-MNIST, 784-1024-1024-10, one thread a process, all on this machine. Each process
has its part of the rows and 128 of them in a step; they meet every ``--intervals``
steps over TCP, or "never": what the machine would allow at most. In each round every
setting is trained once, in turn, so that all see the same machine; ratios are of the
same round. Epochs count from a barrier to the next one, but for the first, which warms
up; what starts the processes does not count.

    python benchmarks/cluster.py
    python benchmarks/cluster.py --random              where there is no Fashion-MNIST
    python benchmarks/cluster.py --precision int8 --intervals 10 --rounds 5

The second table is about traffic: what a process sends for each outer step and each
connection of the network, all messages and biases counted, in each format.

The loop is that of workers of Dask, without Dask: processes are started by Python.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from typing import NamedTuple

from common import (
    PRECISIONS,
    Timing,
    describe_machine,
    fashion_mnist,
    format_layers,
    limit_threads,
    print_table,
    synthetic_images,
)

from sparsenet import SparseMLPClassifier
from sparsenet._parallel.compression import CODECS
from sparsenet._parallel.group import Alone, DataParallel
from sparsenet._parallel.sockets import Listener
from sparsenet._watchers import Watcher

HOST = "127.0.0.1"
#: Seconds without any progress after which a process counts as lost.
TIMEOUT = 120


class Job(NamedTuple):
    """A training: by whom, and how."""

    n_processes: int
    precision: str
    epochs: int
    interval: int | None = None
    compression: str | None = None


class Measured(NamedTuple):
    """What a process tells of a training."""

    seconds: float  # of all epochs but the first
    n_bytes_sent: int
    n_outer_steps: int
    n_connections: int


class Clock(Watcher):
    """Takes the time of epochs, between calls of `wait`."""

    def __init__(self, wait):
        self.wait, self.seconds = wait, []

    def epoch_started(self, training):
        self.wait()
        self.begin = time.perf_counter()

    def epoch_ended(self, training, epoch):
        self.wait()
        self.seconds.append(time.perf_counter() - self.begin)


class TimedAlone(Alone):
    """One process, with the clock of the others."""

    def __init__(self, clock):
        self.clock = clock

    def watchers(self, estimator):
        return [self.clock]


# The processes ------------------------------------------------------------------------


def run_process(rank, pipe, barrier, args):
    """Train what comes through the pipe, until None does."""
    limit_threads(1)
    X, y = read(args)
    pipe.send("ready")
    while (job := pipe.recv()) is not None:
        pipe.send(train(rank, pipe, barrier, X, y, job, args))


def read(args):
    if args.random:
        X, y = synthetic_images(60_000)
    else:
        X, _, y, _ = fashion_mnist(args.path)
    return X[: args.rows], y[: args.rows]


def train(rank, pipe, barrier, X, y, job, args):
    """Train with those others whose rank is below the job's number of processes."""
    clock = Clock(barrier.wait if job.n_processes > 1 else lambda: None)
    if job.interval is None:
        group = TimedAlone(clock)
    else:
        group = DataParallel(
            connect(rank, pipe),
            interval=job.interval,
            learning_rate=1.0,
            momentum=0.3,
            compression=job.compression,
            watchers=[lambda estimator: clock],
        )
    model = SparseMLPClassifier(
        args.hidden,
        density=args.density,
        precision=job.precision,
        batch_size=args.batch_size,
        max_iter=job.epochs,
        n_iter_no_change=job.epochs + 1,
        n_threads=1,
        random_state=0,
    )
    part = slice(rank, None, job.n_processes)
    model._fit(X[part], y[part], None, group=group)
    sent = outer_steps = 0
    if job.interval is not None:
        sent = group.communicator.n_bytes_sent
        outer_steps = group.local_steps.n_outer_steps
        group.communicator.close()
    n_connections = sum(layer.n_connections for layer in model._network.layers)
    return Measured(sum(clock.seconds[1:]), sent, outer_steps, n_connections)


def connect(rank, pipe):
    """Connections with the others, whose addresses come through the pipe."""
    listener = Listener(HOST, b"benchmarks/cluster")
    pipe.send(listener.address)
    return listener.connect(rank, pipe.recv(), TIMEOUT)


class Processes:
    """The processes, each at the other end of a pipe; they have the data already."""

    def __init__(self, args):
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(args.processes, timeout=TIMEOUT)
        self.pipes, self.processes = [], []
        for rank in range(args.processes):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=run_process, args=(rank, theirs, barrier, args), daemon=True
            )
            process.start()
            theirs.close()  # else the end of a process would not be seen
            self.pipes.append(ours)
            self.processes.append(process)
        for pipe in self.pipes:
            pipe.recv()

    def run(self, job):
        """What the first process has measured."""
        pipes = self.pipes[: job.n_processes]
        for pipe in pipes:
            pipe.send(job)
        if job.interval is not None:
            addresses = [pipe.recv() for pipe in pipes]
            for pipe in pipes:
                pipe.send(addresses)
        first, *_ = [pipe.recv() for pipe in pipes]
        return first

    def end(self):
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            pipe.send(None)
            process.join()


# What is measured ---------------------------------------------------------------------


def speeds(processes, n_rows, args):
    """Rows of the first table."""
    jobs = []
    for precision in args.precision:
        jobs.append(Job(1, precision, args.epochs))
        jobs.append(Job(args.processes, precision, args.epochs))
        jobs += [
            Job(args.processes, precision, args.epochs, interval, compression)
            for compression in args.compression
            for interval in args.intervals
        ]
    seconds = {job: [] for job in jobs}
    for _ in range(args.rounds):
        for job in jobs:
            measured = processes.run(job)
            seconds[job].append(measured.seconds / n_rows / (args.epochs - 1))
    timings = {job: Timing(values) for job, values in seconds.items()}
    for job, timing in timings.items():
        alone = timings[Job(1, job.precision, args.epochs)]
        low, high = 1 / max(timing.seconds), 1 / min(timing.seconds)
        yield (
            job.precision,
            job.n_processes,
            job.interval or ("never" if job.n_processes > 1 else ""),
            (job.compression or "float32") if job.interval else "",
            f"{1 / timing.median:,.0f}",
            f"{low:,.0f} - {high:,.0f}",
            f"{timing.times_faster_than(alone):.2f}",
        )


def traffic(processes, args):
    """Rows of the second table, of trainings of one epoch."""
    for compression in CODECS:
        job = Job(args.processes, args.precision[0], 1, args.intervals[0], compression)
        measured = processes.run(job)
        of_step = measured.n_bytes_sent / measured.n_outer_steps
        yield (
            compression or "float32",
            measured.n_outer_steps,
            f"{measured.n_connections:,}",
            f"{of_step / 1e3:,.1f}",
            f"{of_step / measured.n_connections:.3f}",
        )


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--path", help="directory of Fashion-MNIST's IDX files")
    parser.add_argument("--random", action="store_true", help="random images instead")
    parser.add_argument("--rows", type=int, help="only so many")
    parser.add_argument("--intervals", type=int, nargs="+", default=[10, 20, 50])
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        default=["float32", "int8", "bfloat16"],
    )
    parser.add_argument(
        "--compression",
        nargs="+",
        type=lambda name: None if name == "float32" else name,
        choices=list(CODECS),
        default=[None],
        metavar="{float32,bfloat16,int8}",
        help="of the first table",
    )
    parser.add_argument("--hidden", type=int, nargs="+", default=[1024, 1024])
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=128, help="of a process")
    parser.add_argument("--epochs", type=int, default=3, help="with the first one")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.processes < 2 or args.epochs < 2:
        parser.error("there are at least 2 processes, and 2 epochs")
    return args


def main():
    args = arguments()
    describe_machine(1)
    n_rows = min(args.rows or 60_000, 60_000)
    processes = Processes(args)
    print(
        f"{format_layers(784, args.hidden)}, density {args.density:g}, {n_rows:,} "
        f"samples, batch {args.batch_size} a process, a thread each\n"
        "samples a second; vs 1: times faster than one process"
    )
    print_table(
        (
            *("precision", "processes", "interval", "sent as"),
            *("samples/s", "range", "vs 1"),
        ),
        speeds(processes, n_rows, args),
    )
    print(f"\nsent by each process, an outer step every {args.intervals[0]} steps")
    print_table(
        ("sent as", "outer steps", "connections", "KB/step", "bytes/step/connection"),
        traffic(processes, args),
    )
    processes.end()


if __name__ == "__main__":
    main()
