r"""Milliseconds of an all-reduce of float32 numbers by two processes, over loopback.

This package's communicator, in each of its formats, against what there is already:

    mpi4py  Allreduce over TCP, and as MPI does it on one machine, by shared memory.
            Processes of MPI are started by ``mpiexec``: inside of Dask, the cluster
            itself would have to be started by dask-mpi.
    Gloo    torch.distributed; it sums in place, so a copy is part of its time.
    Dask    the connections of its workers, ``distributed.comm``: each process sends
            all its numbers to the other one, which is the fewest messages. They are
            awaited at once; a thread of a worker would wait for its event loop too.

    python benchmarks/all_reduce.py
    python benchmarks/all_reduce.py --sizes 186000 2000000
    python benchmarks/all_reduce.py --peer-python VENV/bin/python

MPI and Gloo are looked for in ``--peer-python``, which needs NumPy but no sparsenet,
and ``mpiexec`` beside it, then on the path. Each process calls one all-reduce after the
other, and the first one's times are printed. Lossy formats make up for what they have
rounded, as they do in training.
"""

from __future__ import annotations

# Nothing else: this file is also run by a Python that has the peers, but no sparsenet.
import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

N_PROCESSES = 2
HOST = "127.0.0.1"
#: Seconds after which a process that waits for the other one gives up.
TIMEOUT = 60
#: MPI's own choice on one machine is shared memory; other MPIs than Open MPI ignore it.
OVER_TCP = {
    "OMPI_MCA_pml": "ob1",
    "OMPI_MCA_btl": "self,tcp",
    "OMPI_MCA_btl_tcp_if_include": "lo",
}
#: Open MPI refuses to be run by root, whom a container may have for its only user.
AS_ROOT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_ALLOW_RUN_AS_ROOT": "1",
    "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}


# What each process does ---------------------------------------------------------------


def sparsenet_group(codec, rank, folder):
    from sparsenet._parallel.compression import CODECS, Residuals
    from sparsenet._parallel.sockets import Listener

    listener = Listener(HOST, b"all_reduce")
    ports = exchange(folder, rank, listener.address[1])
    addresses = [(HOST, port) for port in ports]
    communicator = listener.connect(rank, addresses, TIMEOUT)
    codec = CODECS[codec]
    residuals = Residuals() if codec.is_lossy else None
    return rank, lambda values: communicator.all_reduce(values, codec, residuals)


def mpi_group(rank, folder):
    from mpi4py import MPI

    group = MPI.COMM_WORLD
    if group.size != N_PROCESSES:
        raise SystemExit("mpiexec belongs to another MPI than mpi4py")

    def reduce(values):
        sums = np.empty_like(values)
        group.Allreduce(values, sums)
        return sums

    return group.rank, reduce


def gloo_group(rank, folder):
    import torch
    from torch import distributed

    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/gloo",
        rank=rank,
        world_size=N_PROCESSES,
        timeout=timedelta(seconds=TIMEOUT),
    )

    def reduce(values):
        sums = torch.from_numpy(values).clone()
        distributed.all_reduce(sums)
        return sums.numpy()

    return rank, reduce


def dask_group(rank, folder):
    from distributed.comm import connect, listen
    from distributed.protocol import to_serialize

    loop = asyncio.new_event_loop()

    async def meet():
        if rank == 1:
            return await connect(exchange(folder, rank, "")[0], timeout=TIMEOUT)
        accepted = loop.create_future()

        async def accept(comm):
            accepted.set_result(comm)

        async with listen(f"tcp://{HOST}:0", accept) as listener:
            exchange(folder, rank, listener.contact_address)
            return await accepted

    comm = loop.run_until_complete(meet())

    async def swap(values):
        sent = comm.write({"values": to_serialize(values)})
        received, _ = await asyncio.gather(comm.read(), sent)
        return values + received["values"]

    return rank, lambda values: loop.run_until_complete(swap(values))


def exchange(folder, rank, message):
    """What the processes have to say, by their ranks, before they have connections."""
    path = Path(folder, f"{rank}.new")
    path.write_text(json.dumps(message))
    path.rename(path.with_suffix(".json"))
    paths = [Path(folder, f"{other}.json") for other in range(N_PROCESSES)]
    end = time.monotonic() + TIMEOUT
    while not all(other.exists() for other in paths):
        if time.monotonic() > end:
            raise SystemExit("the other process did not come")
        time.sleep(0.01)
    return [json.loads(other.read_text()) for other in paths]


class Peer(NamedTuple):
    """What is measured: ``connect(rank, folder)`` returns the rank and a function."""

    connect: object
    package: str
    is_mpi: bool = False
    environment: dict = {}  # noqa: RUF012 - nobody changes it
    tolerance: float = 1e-6
    is_ours: bool = False  # is run by this Python


PEERS = {
    "sparsenet, float32": Peer(
        partial(sparsenet_group, None), "sparsenet", is_ours=True
    ),
    "sparsenet, bfloat16": Peer(
        partial(sparsenet_group, "bfloat16"), "sparsenet", tolerance=0.1, is_ours=True
    ),
    "sparsenet, int8": Peer(
        partial(sparsenet_group, "int8"), "sparsenet", tolerance=0.2, is_ours=True
    ),
    "mpi4py, TCP": Peer(mpi_group, "mpi4py", True, OVER_TCP),
    "mpi4py, shared memory": Peer(mpi_group, "mpi4py", True),
    "torch, Gloo": Peer(gloo_group, "torch"),
    "Dask's comms": Peer(dask_group, "distributed", is_ours=True),
}


def run_process(args):
    """Be one of the two processes; the first one prints what it has measured."""
    peer, size = PEERS[args.run], args.sizes[0]
    rank, reduce = peer.connect(args.rank, args.folder)
    arrays = [
        np.random.default_rng(r).standard_normal(size, np.float32)
        for r in range(N_PROCESSES)
    ]
    values, seconds = arrays[rank], []
    for _ in range(args.warm_up + args.repeats):
        start = time.perf_counter()
        sums = reduce(values)
        seconds.append(time.perf_counter() - start)
    if abs(sums - sum(arrays)).max() > peer.tolerance:
        raise SystemExit("the sums are wrong")
    if rank == 0:
        seconds = seconds[args.warm_up :]
        version = import_module(peer.package).__version__
        print(json.dumps({"version": version, "seconds": seconds}))


# What starts them ---------------------------------------------------------------------


def measure(name, size, args):
    """Version and seconds of each all-reduce of a peer, or in words why there is none.

    Returns a pair of them, of which one is None.
    """
    peer = PEERS[name]
    python = sys.executable if peer.is_ours else args.peer_python
    if not has(python, peer.package):
        return None, "not installed"
    if peer.is_mpi and args.mpiexec is None:
        return None, "mpiexec is not installed"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(python, __file__, "--run", name, "--folder", folder),
            *("--sizes", size, "--repeats", args.repeats, "--warm-up", args.warm_up),
        ]
        if peer.is_mpi:
            binding = "--bind-to", "none"  # as the others are not bound to a core
            commands = [[args.mpiexec, "-n", N_PROCESSES, *binding, *command]]
        else:
            commands = [[*command, "--rank", r] for r in range(N_PROCESSES)]
        return run_all(commands, peer.environment)


def has(python, package):
    """Whether a Python has a package, which is not loaded: that may take seconds."""
    code = f"import importlib.util as u, sys; sys.exit(not u.find_spec('{package}'))"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def run_all(commands, environment):
    """Start processes, and wait for all; returns as `measure`."""
    as_root = AS_ROOT if os.name == "posix" and os.geteuid() == 0 else {}
    one_thread = {"OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            list(map(str, command)),
            env=os.environ | one_thread | as_root | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        ends = [process.communicate(timeout=10 * TIMEOUT) for process in processes]
    except subprocess.TimeoutExpired:
        return None, "failed: it did not end"
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, ends, strict=True):
        if process.returncode:
            lines = errors.strip().splitlines() or ["without a word"]
            return None, f"failed: {lines[-1]}"
    lines = [line for line in ends[0][0].splitlines() if line.startswith("{")]
    return json.loads(lines[0]), None


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[186_000])
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--mpiexec", help="default: beside --peer-python, or on PATH")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    for name in ("--run", "--folder"):  # of the processes that this one starts
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.mpiexec is None:
        beside = Path(args.peer_python).with_name("mpiexec")
        args.mpiexec = beside if beside.exists() else shutil.which("mpiexec")
    return args


def main():
    args = arguments()
    if args.run:
        run_process(args)
        return
    from common import describe_machine, print_table

    describe_machine(1)
    print(
        f"ms per all-reduce of float32 numbers, {N_PROCESSES} processes, loopback; "
        f"{args.repeats} repetitions"
    )
    rows = []
    for size in args.sizes:
        for name in args.peers:
            measured, reason = measure(name, size, args)
            if measured is None:
                rows.append((name, f"{size:,}", "", "", "", reason))
                continue
            percentiles = np.percentile(measured["seconds"], (50, 10, 90))
            cells = [f"{1e3 * seconds:.2f}" for seconds in percentiles]
            rows.append((name, f"{size:,}", *cells, measured["version"]))
    print_table(("", "numbers", "median", "10 %", "90 %", "version"), rows)


if __name__ == "__main__":
    main()
