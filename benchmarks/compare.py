"""Two commits against each other: what has become faster or slower.

    python benchmarks/compare.py HEAD~10
    python benchmarks/compare.py v0.1.0 HEAD --rounds 20 --jobs step predict

Builds both (a few minutes), and lets them take turns, a job at a time, in a process
each: the ratio of neighbours in time tells what means over minutes hide on a machine
whose clock moves. One thread. SPARSENET_ISA holds for both. Older commits skip what
they do not have.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]


# In the process of a commit ----------------------------------------------------------


def jobs():
    """name: a function without arguments. Each takes about a tenth of a second."""
    from common import PRECISIONS, synthetic_images
    from scipy import sparse
    from sklearn.datasets import load_digits

    from sparsenet import SparseMLPClassifier

    def network(**parameters):
        standard = {
            "hidden_layer_sizes": (1024, 1024),
            "density": 0.1,
            "sparse_training": "static",
            "batch_size": 128,
            "max_iter": 1,
            "random_state": 0,
            "n_threads": 1,
        }
        return SparseMLPClassifier(**standard | parameters)

    X, y = synthetic_images(128 * 20)
    made = {}
    for precision in PRECISIONS:
        model = network(precision=precision)
        made[f"step, {precision}"] = partial(model.fit, X, y)
        fitted = network(precision=precision).fit(X[:256], y[:256])
        made[f"predict, {precision}"] = partial(fitted.predict, X)
        if hasattr(fitted, "predictor"):
            made[f"one row, {precision}"] = partial(one_by_one, fitted.predictor(), X)
        small = network(
            hidden_layer_sizes=(100,), density=1.0, batch_size=200, max_iter=10,
            precision=precision,
        )  # fmt: skip
        made[f"digits, {precision}"] = partial(small.fit, *load_digits(return_X_y=True))
    for name, options in {
        "blocks": {"block_size": 4},
        "dense": {"density": 1.0},
        "rewired": {"sparse_training": "set", "rewire_interval": 5},
    }.items():
        made[f"step, {name}"] = partial(network(**options).fit, X[:1280], y[:1280])
    rows = sparse.random_array(
        (4000, 50_000), density=0.002, format="csr", dtype=np.float32,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    labels = np.arange(4000) % 20
    for density in (1.0, 0.1):
        model = network(hidden_layer_sizes=(100,), density=density, batch_size=200)
        made[f"sparse rows, density {density:g}"] = partial(model.fit, rows, labels)
    return made


def one_by_one(predictor, X):
    for i in range(200):
        predictor.predict_proba(X[i : i + 1])


def serve():
    """Print the names of the jobs; then do those asked for, and print their seconds."""
    import warnings

    warnings.simplefilter("ignore")
    made = jobs()
    for job in made.values():
        job()  # once, not timed
    print("|".join(made), flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        made[line.strip()]()
        print(time.perf_counter() - begin, flush=True)


# Beside both -------------------------------------------------------------------------


class Build:
    """A commit, installed into a folder, and the process that does its jobs."""

    def __init__(self, commit, folder):
        source, target = folder / f"{commit}-source", folder / commit
        git = ["git", "-C", str(ROOT)]
        archive = subprocess.check_output([*git, "archive", "--format=tar", commit])
        source.mkdir()
        subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*install, "--target", target, source], check=True)
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def jobs(self):
        return self.process.stdout.readline().strip().split("|")

    def seconds(self, job):
        print(job, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", help="commit to compare with")
    parser.add_argument("new", nargs="?", default="HEAD")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--jobs", nargs="+", default=[""], help="parts of their names")
    args = parser.parse_args()
    from common import describe_machine, limit_threads, print_table

    limit_threads(1)
    describe_machine(1)
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "rev-parse", "--short"]
        names = [
            subprocess.check_output([*git, commit], text=True).strip()
            for commit in (args.old, args.new)
        ]
        old, new = builds = [Build(name, Path(folder)) for name in names]
        both = [set(build.jobs()) for build in builds]
        rows = []
        for job in sorted(set.intersection(*both)):
            if not any(part in job for part in args.jobs):
                continue
            pairs = [
                (old.seconds(job), new.seconds(job))
                if turn % 2
                else (new.seconds(job), old.seconds(job))[::-1]
                for turn in range(args.rounds)
            ]
            before, after = map(statistics.median, zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            slower = "slower" if ratio < 0.98 else ""
            rows.append(
                (
                    job,
                    f"{before * 1e3:.1f}",
                    f"{after * 1e3:.1f}",
                    f"{ratio:.2f}",
                    slower,
                )
            )
        print_table(("ms", *names, "times faster", ""), rows)
        for build in builds:
            build.process.kill()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        sys.path.insert(0, sys.argv[2])
        serve()
    else:
        main()
