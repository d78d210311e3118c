r"""Networks in C: bytes of flash and RAM, and test accuracy, beside emlearn's.

`to_c` of int8 networks, sparse and dense, and emlearn's file of scikit-learn's dense
network, on digits; and a network for Fashion-MNIST that fits 64 KB. Each file is
compiled alone, for size. Flash is code and constants, without libraries; RAM is static
memory and, at most, the stack of all functions together.

    python benchmarks/export.py
    python benchmarks/export.py --compiler arm-none-eabi-gcc -mcpu=cortex-m4 \
        -mfpu=fpv4-sp-d16 -mfloat-abi=hard
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from common import (
    describe_machine,
    digits,
    fashion_mnist,
    format_layers,
    limit_threads,
    optional_import,
    print_table,
)
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier

FLAGS = ["-std=c99", "-Os", "-ffunction-sections", "-fstack-usage"]
FLASH, STATIC = r"\.(text|rodata|data|ARM)", r"\.(data|bss)"
#: Hidden units and the density of both layers.
DIGITS = [((32,), 1.0), ((64,), 0.3), ((128,), 0.1), ((128,), 0.2)]
EMLEARN = [(16,), (24,), (64,)]
FASHION = {"hidden_layer_sizes": (784, 128), "density": (0.028, 0.115, 1.0)}


def memory(source, compiler):
    """Bytes of flash and RAM of a file in C, by the compiler's and `size`'s word."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "network.c").write_text(source)
        command = [*compiler, *FLAGS, "-c", "network.c"]
        subprocess.run(command, check=True, cwd=directory)
        listed = subprocess.run(
            ["size", "-A", "network.o"],
            check=True,
            cwd=directory,
            capture_output=True,
            text=True,
        )
        usage = Path(directory, "network.su").read_text()
    sections = re.findall(r"^(\.\S+) +(\d+)", listed.stdout, re.MULTILINE)
    flash, static = (
        sum(int(size) for name, size in sections if re.match(kind, name))
        for kind in (FLASH, STATIC)
    )
    stack = sum(int(line.split("\t")[1]) for line in usage.splitlines())
    return flash, static + stack


def emlearn_source(mlp):
    """emlearn's file for scikit-learn's network, and its header's folder."""
    emlearn = optional_import("emlearn")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "network.h")
        emlearn.convert(mlp, method="inline").save(file=str(path), name="network")
        return path.read_text(), f"-I{emlearn.includedir}"


def row(name, models, sizes, X, y):
    """A line of the table: models that differ by their seed, and bytes of the first."""
    accuracies = [100 * model.score(X, y) for model in models]
    flash, ram = sizes
    return name, f"{statistics.mean(accuracies):.1f}", f"{flash:,}", f"{ram:,}"


def on_digits(compiler, seeds):
    X_train, X_test, y_train, y_test = digits()
    training = {"learning_rate_init": 0.01, "max_iter": 100}
    for hidden, density in DIGITS:
        models = [
            SparseMLPClassifier(
                hidden,
                density=[density, max(density, 0.3)],
                precision="int8",
                learning_rate="cosine",
                batch_size=32,
                random_state=seed,
                n_threads=1,
                **training,
            ).fit(X_train, y_train)
            for seed in range(seeds)
        ]
        sizes = memory(models[0].to_c(), compiler)
        name = f"sparsenet {format_layers(64, hidden)}, density {density}"
        yield row(name, models, sizes, X_test, y_test)
    for hidden in EMLEARN if optional_import("emlearn") else ():
        with np.errstate(under="ignore"):  # emlearn makes NumPy raise
            models = [
                MLPClassifier(hidden, random_state=seed, **training).fit(
                    X_train, y_train
                )
                for seed in range(seeds)
            ]
        source, include = emlearn_source(models[0])
        sizes = memory(source, [*compiler, include])
        name = f"emlearn {format_layers(64, hidden)}"
        yield row(name, models, sizes, X_test, y_test)


def on_fashion_mnist(compiler, path, epochs):
    X_train, X_test, y_train, y_test = fashion_mnist(path)
    model = SparseMLPClassifier(
        **FASHION,
        precision="int8",
        learning_rate_init=0.002,
        learning_rate="cosine",
        dropout=0.1,
        batch_size=128,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs + 1,
        random_state=0,
        n_threads=1,
    ).fit(X_train, y_train)
    sizes = memory(model.to_c(), compiler)
    name = f"sparsenet {format_layers(784, FASHION['hidden_layer_sizes'])}"
    yield row(name, [model], sizes, X_test, y_test)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", help="directory of Fashion-MNIST's IDX files")
    parser.add_argument("--epochs", type=int, default=30, help="on Fashion-MNIST")
    parser.add_argument("--seeds", type=int, default=5, help="on digits")
    parser.add_argument(
        "--compiler", nargs=argparse.REMAINDER, default=["gcc"], help="with flags; last"
    )
    args = parser.parse_args(argv)
    if shutil.which(args.compiler[0]) is None:
        raise SystemExit(f"there is no {args.compiler[0]}; --compiler names another")
    describe_machine(1, packages=("emlearn",))
    limit_threads(1)

    header = ("", "accuracy, %", "flash, bytes", "RAM, bytes")
    print(f"digits, means of {args.seeds} seeds")
    print_table(header, on_digits(args.compiler, args.seeds))
    print(f"\nFashion-MNIST, {args.epochs} epochs")
    print_table(header, on_fashion_mnist(args.compiler, args.path, args.epochs))


if __name__ == "__main__":
    main()
