"""Memory of training a big, thin layer, and size of a pickle.

1. Peak resident memory of a process that trains a layer from 65,536 inputs to 65,536
   units at density 1e-4, one process for each number format.
2. Bytes of a pickled 784-1024-1024-10 classifier, hidden layers of density 0.1, for
   each connection.

    python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import pickle
import resource
import subprocess
import sys
from pathlib import Path

from common import (
    PRECISIONS,
    describe_machine,
    limit_threads,
    n_cores,
    print_table,
    synthetic_images,
)
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier

MIB = 2**20


def peak_memory():
    """Most bytes that this process has had in memory at one time."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: after fork and exec, that starts from the parent's peak.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def n_connections(model):
    return sum(coef.nnz for coef in model.coefs_)


def train_wide(args):
    """What the child process does: one epoch; prints its peak, before and after."""
    limit_threads(args.threads)
    before = peak_memory()
    X, y = synthetic_images(args.rows, n_features=args.width, n_classes=2)
    with_data = peak_memory()
    model = SparseMLPClassifier(
        hidden_layer_sizes=(args.width,),
        density=args.density,
        precision=args.child,
        batch_size=128,
        max_iter=1,
        random_state=0,
        n_threads=args.threads,
    ).fit(X, y)
    print(before, with_data, peak_memory(), n_connections(model))


def wide_layer(args):
    rows = []
    for precision in PRECISIONS:
        command = [sys.executable, __file__, "--child", precision]
        for name in ("width", "density", "rows", "threads"):
            command += [f"--{name}", str(getattr(args, name))]
        output = subprocess.run(command, check=True, capture_output=True, text=True)
        *peaks, connections = map(int, output.stdout.split())
        rows.append(
            (
                f"sparsenet {precision}",
                f"{connections:,}",
                *(f"{peak / MIB:,.0f}" for peak in peaks),
            )
        )
    dense = 4 * args.width**2 / MIB
    print(
        f"{args.width} -> {args.width}, density {args.density}, {args.rows} rows: peak "
        f"MiB of the process\n(one float32 matrix of that shape: {dense:,.0f} MiB)"
    )
    print_table(("", "connections", "imported", "with X", "trained"), rows)


def pickles(args):
    X, y = synthetic_images(512)
    parameters = {"hidden_layer_sizes": (1024, 1024), "max_iter": 1, "random_state": 0}
    models = {"scikit-learn float32": MLPClassifier(**parameters).fit(X, y)}
    for block_size in (1, 4):
        for precision in PRECISIONS:
            name = f"sparsenet {precision}, block_size {block_size}"
            models[name] = SparseMLPClassifier(
                **parameters, density=0.1, block_size=block_size, precision=precision
            ).fit(X, y)
    rows = []
    for name, model in models.items():
        n_bytes = len(pickle.dumps(model))
        if isinstance(model, MLPClassifier):
            connections = sum(coef.size for coef in model.coefs_)
        else:
            connections = n_connections(model)
        rows.append(
            (name, f"{connections:,}", f"{n_bytes:,}", f"{n_bytes / connections:.2f}")
        )
    print("784-1024-1024-10, density 0.1: the pickle")
    print_table(("", "connections", "bytes", "bytes/connection"), rows)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=65_536)
    parser.add_argument("--density", type=float, default=1e-4)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--threads", type=int, default=n_cores())
    parser.add_argument("--child", choices=PRECISIONS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        train_wide(args)
        return
    describe_machine(args.threads)
    wide_layer(args)
    print()
    pickles(args)


if __name__ == "__main__":
    main()
