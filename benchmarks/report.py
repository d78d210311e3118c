"""Measure every figure of the documentation, and write its page of benchmarks.

    python benchmarks/report.py                    all of them, half an hour
    python benchmarks/report.py prediction digits  these; the others stay as they were
    python benchmarks/report.py --page             the page only

What a benchmark prints goes into ``doc/benchmarks/NAME.txt``, with the day, the commit
and the machine; ``doc/benchmarks.md`` shows all of these files, and ``doc/pictures.py``
draws ``doc/accuracy_over_time.json``. Peers (torch, onnxruntime) are compared with if
they are installed in the same environment.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
DOC = FOLDER.parent / "doc"
#: name: (title, the program and its arguments)
REPORTS = {
    "accuracy_over_time": (
        "Accuracy against seconds",
        "accuracy_over_time.py --result doc/accuracy_over_time.json",
    ),
    "training_step": ("A training step", "training_step.py --steps 40 --epochs 2"),
    "training_step_blocks": (
        "A training step, with blocks",
        "training_step.py --block-size 4 --steps 40 --epochs 2",
    ),
    "training_step_dense": (
        "A training step of dense layers",
        "training_step.py --density 1 --steps 20 --epochs 2",
    ),
    "digits": ("A small network", "training_step.py --digits"),
    "prediction": ("Prediction", "prediction.py"),
    "prediction_blocks": ("Prediction, with blocks", "prediction.py --block-size 4"),
    "formats": (
        "Accuracy of the number formats",
        "accuracy.py --threads 1",
    ),
    "memory": ("Memory and pickles", "memory.py"),
    "sparse_rows": ("Sparse rows", "sparse_rows.py"),
    "text": ("Text, against linear models", "text.py --sets words"),
    "many_classes": ("Many classes", "many_classes.py"),
    "tables": (
        "Tables, against boosted trees",
        "tables.py report tables.jsonl --result doc/tables.json",
    ),
    "table_ingredients": (
        "Tables: what each ingredient brings",
        "table_ingredients.py ingredients.jsonl --report",
    ),
    "table_members": (
        "Tables: networks that share their weights, and such that do not",
        "table_members.py members.jsonl --report",
    ),
    "cluster": (
        "Processes that train one network",
        "cluster.py --precision float32 --rounds 7 --epochs 4",
    ),
    "cluster_speedup": ("Many workers, by calculation", "cluster_speedup.py"),
    "local_steps": (
        "Accuracy of many workers, by simulation",
        "local_steps.py --seeds 2 --epochs 8 --intervals 1 10 50 "
        "--json doc/local_steps.json",
    ),
    "all_reduce": ("Sums over processes", "all_reduce.py"),
    "kernels": ("Kernels alone", "kernels.py --op spmm sddmm"),
    "compare": ("This version against an earlier one", "compare.py 315db0a"),
}
#: Those with a picture by ``doc/pictures.py``, and what it shows.
DRAWN = {
    "accuracy_over_time": "The accuracies of this table against its seconds",
    "tables": "Errors of the last part against seconds, and mean ranks",
    "local_steps": "Accuracy, and log loss, against the number of workers",
}
#: Those that read 20 Newsgroups: from --texts, where it cannot be downloaded.
OF_TEXTS = {"accuracy_over_time", "text"}


def measure(name, extra):
    """Run a benchmark, and keep what it prints."""
    _, command = REPORTS[name]
    program, *arguments = command.split()
    print(f"== {name}: {command}", flush=True)
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", str(FOLDER / program), *arguments, *extra],
        check=True, text=True, stdout=subprocess.PIPE, cwd=FOLDER.parent,
    ).stdout  # fmt: skip
    print(printed, flush=True)
    (DOC / "benchmarks").mkdir(exist_ok=True)
    (DOC / "benchmarks" / f"{name}.txt").write_text(printed)


def page():
    """The page, of all files that there are."""
    lines = [
        "# Benchmarks",
        "",
        "Measured by `python benchmarks/report.py`, which also writes this page: what",
        "each program prints, with its day, its commit and its machine. Ratios are of",
        "one run; compare no milliseconds of one block with those of another.",
        "",
    ]
    for name, (title, command) in REPORTS.items():
        path = DOC / "benchmarks" / f"{name}.txt"
        if not path.exists():
            continue
        about = ast.get_docstring(ast.parse((FOLDER / command.split()[0]).read_text()))
        lines += [
            f"## {title}",
            "",
            about.partition("\n\n")[0].replace("``", "`"),
            "",
            "```text",
            f"$ python benchmarks/{command}",
            path.read_text().rstrip(),
            "```",
            "",
        ]
        if name in DRAWN:
            lines += [f"![{DRAWN[name]}](pictures/{name}.svg)", ""]
    (DOC / "benchmarks.md").write_text("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(REPORTS), metavar="NAME")
    parser.add_argument("--page", action="store_true", help="measure nothing")
    parser.add_argument("--texts", help="file of texts, instead of 20 Newsgroups")
    args = parser.parse_args()
    for name in [] if args.page else args.names:
        if name not in REPORTS:
            parser.error(f"NAME {name!r}; allowed: {', '.join(REPORTS)}")
        texts = args.texts and name in OF_TEXTS
        measure(name, ["--texts", args.texts] if texts else [])
    page()


if __name__ == "__main__":
    main()
