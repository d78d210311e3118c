"""Milliseconds of a whole training step, against torch and scikit-learn.

784-1024-1024-10, ReLU, Adam, batches of 128, hidden layers of density 0.1, one thread:

    python benchmarks/training_step.py
    python benchmarks/training_step.py --density 1.0    dense layers
    python benchmarks/training_step.py --scaling        2 threads against 1, batch 256
    python benchmarks/training_step.py --digits         an epoch of a small net

An estimator is timed through its public interface: a ``fit`` of a few epochs,
initialization, validation of X and all other overhead included, divided by its number
of steps. torch runs the usual loop over the same rows: shuffle, gather the batch,
forward, backward, optimizer. Its dense network is the same size, its Adam the fastest
of its three implementations. Every round starts from new weights: a network trained on
and on fits its rows until gradients are denormal numbers, which slow the peers down
threefold (sparsenet and, told to, torch flush them to zero).
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import pairwise

import numpy as np
import roofline
from common import (
    PRECISIONS,
    describe_machine,
    fastest,
    format_layers,
    interleave,
    limit_threads,
    optional_import,
    print_table,
    synthetic_images,
)
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from sparsenet import SparseMLPClassifier

TORCH_ADAM = {
    "for-loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True, "fused": False},
    "fused": {"foreach": False, "fused": True},
}


def untrained(estimator_class, epochs, **parameters):
    """An estimator whose fit trains for so many epochs, from the start."""
    return estimator_class(
        max_iter=epochs, tol=0.0, n_iter_no_change=epochs, random_state=0, **parameters
    )


def sparsenet_models(epochs, **parameters):
    return {
        precision: untrained(
            SparseMLPClassifier,
            epochs,
            precision=precision,
            sparse_training="static",  # sparse_training.py times the rest
            **parameters,
        )
        for precision in PRECISIONS
    }


def shares(model, X, seconds, n_threads):
    """Of what cores can do, by a fitted model that takes so long for an epoch."""
    work = roofline.training_work(model, X)
    return roofline.limits().shares(work, seconds, n_threads)


def torch_jobs(args, X, y, dtype):
    """The training loop once for each of torch's Adams; `dtype` is that of autocast."""
    torch = args.torch
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def job(implementation):
        torch.manual_seed(0)
        layers = []
        for n_in, n_out in pairwise((X.shape[1], *args.hidden)):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        network = torch.nn.Sequential(*layers, torch.nn.Linear(args.hidden[-1], 10))
        optimizer = torch.optim.Adam(network.parameters(), **implementation)
        for _ in range(args.epochs):
            total_loss = 0.0
            for rows in torch.randperm(len(X)).split(args.batch):
                with torch.autocast(
                    "cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"
                ):
                    logits = network(X[rows])
                    loss = torch.nn.functional.cross_entropy(logits, y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total_loss += loss.item()

    return {
        f"torch {dtype}, {name} Adam": partial(job, implementation)
        for name, implementation in TORCH_ADAM.items()
    }


def step(args):
    X, y = synthetic_images(args.batch * args.steps)
    shared = {"hidden_layer_sizes": args.hidden, "batch_size": args.batch}
    models = sparsenet_models(
        args.epochs,
        density=args.density,
        block_size=args.block_size,
        n_threads=args.threads,
        **shared,
    )
    models["scikit-learn"] = untrained(MLPClassifier, args.epochs, **shared)
    jobs = {name: partial(model.fit, X, y) for name, model in models.items()}
    if args.torch:
        for dtype in ("float32", "bfloat16"):
            jobs |= torch_jobs(args, X, y, dtype)

    timings = interleave(jobs, args.epochs * args.steps, args.rounds)
    peers = {}
    if args.torch:
        for dtype in ("float32", "bfloat16"):
            adams = {n: t for n, t in timings.items() if n.startswith(f"torch {dtype}")}
            name, peers[f"torch {dtype}"] = fastest(adams)
            print(f"fastest: {name}")
    peers["scikit-learn"] = timings["scikit-learn"]

    layers = format_layers(X.shape[1], args.hidden)
    print(
        f"\n{layers}, batch {args.batch}, density {args.density}, block_size "
        f"{args.block_size}, ms per step; vs: times faster"
    )
    rows = []
    for name, timing in timings.items():
        ours = name in PRECISIONS
        # torch's network is as scikit-learn's.
        model = models[name if ours else "scikit-learn"]
        rows.append(
            (
                f"sparsenet {name}" if ours else name,
                *timing.format(1e3),
                *shares(model, X, timing.median * args.steps, args.threads),
                *(
                    f"{timing.times_faster_than(peer):.2f}" if ours else ""
                    for peer in peers.values()
                ),
            )
        )
    versus = (f"vs {peer}" for peer in peers)
    print_table(("", "median", "range", *roofline.HEADER, *versus), rows)


def scaling(args):
    """Two threads against one: sparsenet alone."""
    X, y = synthetic_images(args.batch * args.steps)
    models = {
        (precision, n_threads): model
        for n_threads in (1, args.threads)
        for precision, model in sparsenet_models(
            args.epochs,
            density=args.density,
            block_size=args.block_size,
            n_threads=n_threads,
            hidden_layer_sizes=args.hidden,
            batch_size=args.batch,
        ).items()
    }
    jobs = {name: partial(model.fit, X, y) for name, model in models.items()}
    timings = interleave(jobs, args.epochs * args.steps, args.rounds)
    layers = format_layers(X.shape[1], args.hidden)
    print(
        f"{layers}, batch {args.batch}, density {args.density}, block_size "
        f"{args.block_size}, ms per step"
    )
    rows = []
    for precision in PRECISIONS:
        one, many = timings[precision, 1], timings[precision, args.threads]
        rows.append(
            (
                f"sparsenet {precision}",
                one.format(1e3)[0],
                many.format(1e3)[0],
                *shares(
                    models[precision, args.threads],
                    X,
                    many.median * args.steps,
                    args.threads,
                ),
                f"{many.times_faster_than(one):.2f}",
            )
        )
    header = ("", "1 thread", f"{args.threads} threads", *roofline.HEADER)
    print_table((*header, "times faster"), rows)


def digits_epoch(args):
    """scikit-learn's default network and batch size on its own digits."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    X32 = X.astype(np.float32)
    models = sparsenet_models(args.epochs, density=args.density, n_threads=args.threads)
    jobs = {name: partial(model.fit, X32, y) for name, model in models.items()}
    for X_peer in (X32, X):
        name = f"scikit-learn {X_peer.dtype}"
        models[name] = untrained(MLPClassifier, args.epochs)
        jobs[name] = partial(models[name].fit, X_peer, y)
    timings = interleave(jobs, args.epochs, args.rounds)
    print(
        f"digits, {len(X)} rows, 64-100-10, batch 200, density {args.density}, ms per "
        "epoch; vs: times faster"
    )
    print_table(
        ("", "median", "range", *roofline.HEADER, "vs scikit-learn float32"),
        (
            (
                f"sparsenet {name}" if name in PRECISIONS else name,
                *timing.format(1e3, digits=3),
                *shares(models[name], X, timing.median, args.threads),
                f"{timing.times_faster_than(timings['scikit-learn float32']):.2f}",
            )
            for name, timing in timings.items()
        ),
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--scaling", action="store_true")
    what.add_argument("--digits", action="store_true")
    parser.add_argument(
        "--density", type=float, help="hidden layers; default: 0.1; 1 with --digits"
    )
    parser.add_argument("--block-size", type=int, default=1, choices=(1, 4))
    parser.add_argument("--hidden", type=int, nargs="+", default=[1024, 1024])
    parser.add_argument("--batch", type=int, help="default: 128; 256 with --scaling")
    parser.add_argument("--threads", type=int, help="default: 1; 2 with --scaling")
    parser.add_argument("--steps", type=int, default=100, help="steps in an epoch")
    parser.add_argument("--epochs", type=int, help="default: 3; 50 with --digits")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    args.batch = args.batch or (256 if args.scaling else 128)
    args.density = args.density or (1.0 if args.digits else 0.1)
    args.threads = args.threads or (2 if args.scaling else 1)
    args.epochs = args.epochs or (50 if args.digits else 3)

    run = scaling if args.scaling else digits_epoch if args.digits else step
    describe_machine(args.threads, packages=("torch",) if run is step else ())
    args.torch = optional_import("torch") if run is step else None
    limit_threads(args.threads)
    run(args)


if __name__ == "__main__":
    main()
