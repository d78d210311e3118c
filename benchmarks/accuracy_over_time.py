r"""Test accuracy against processor seconds, on images and on text.

Each point is one training from the start: so many epochs, one thread, one seed.
Networks have their defaults but for the sizes of layers and batches; sparsenet's and
the dense ones of scikit-learn and torch are of the same size.

    images  Fashion-MNIST, 784-1024-1024-10, batches of 128
    text    20 Newsgroups as TF-IDF, 100 hidden units, batches of 200, rates of 0.003;
            beside it linear models, each trained until it has converged

    python benchmarks/accuracy_over_time.py
    python benchmarks/accuracy_over_time.py --tasks text --texts FILE
    python benchmarks/accuracy_over_time.py --result doc/accuracy_over_time.json

``doc/pictures.py`` draws that result. ``--path`` and ``--texts`` name files where the
data cannot be downloaded: see `common.fashion_mnist` and ``text.py``.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from itertools import pairwise

import text
from common import (
    describe_machine,
    fashion_mnist,
    limit_threads,
    machine,
    optional_import,
    print_table,
)
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from training_step import TORCH_ADAM

from sparsenet import SparseMLPClassifier

EPOCHS = {"images": (1, 2, 4, 8, 16), "text": (1, 2, 3, 5, 8)}
#: Trainings that take fewer seconds are done up to three times; the fastest one counts.
SHORT = 3
#: The slowest do without the last point.
DENSE_EPOCHS = {task: epochs[:-1] for task, epochs in EPOCHS.items()}


class Torch:
    """The dense network of `hidden` in torch, with its fused Adam."""

    def __init__(self, torch, max_iter, batch_size, hidden_layer_sizes):
        self.torch, self.epochs, self.batch = torch, max_iter, batch_size
        self.hidden = hidden_layer_sizes

    def fit(self, X, y):
        torch, nn = self.torch, self.torch.nn
        torch.manual_seed(0)
        sizes = [X.shape[1], *self.hidden]
        layers = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.network = nn.Sequential(*layers, nn.Linear(sizes[-1], int(y.max()) + 1))
        optimizer = torch.optim.Adam(self.network.parameters(), **TORCH_ADAM["fused"])
        X, y = torch.from_numpy(X), torch.from_numpy(y)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(X)).split(self.batch):
                loss = nn.functional.cross_entropy(self.network(X[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return self

    def score(self, X, y):
        with self.torch.no_grad():
            labels = self.network(self.torch.from_numpy(X)).argmax(1).numpy()
        return float((labels == y).mean())


def network(estimator, epochs, **parameters):
    """Trains for all its epochs, whatever the loss."""
    return estimator(
        max_iter=epochs, n_iter_no_change=epochs + 1, random_state=0, **parameters
    )


def images(args):
    """The data, and name: (what makes a model of so many epochs, the epochs)."""
    shared = {"hidden_layer_sizes": (1024, 1024), "batch_size": 128}
    ours = partial(network, SparseMLPClassifier, n_threads=1, **shared)
    models = {
        "sparsenet": (ours, EPOCHS["images"]),
        "sparsenet, bfloat16": (partial(ours, precision="bfloat16"), EPOCHS["images"]),
        "sparsenet, int8": (partial(ours, precision="int8"), EPOCHS["images"]),
    }
    if args.torch:
        torch = partial(Torch, args.torch, **shared)
        models["torch"] = (torch, DENSE_EPOCHS["images"])
    dense = partial(network, MLPClassifier, **shared)
    models["scikit-learn"] = (dense, DENSE_EPOCHS["images"])
    X_train, X_test, y_train, y_test = fashion_mnist(args.path)
    return (X_train, y_train, X_test, y_test), models


def texts(args):
    """As `images`."""
    shared = {"batch_size": 200, "learning_rate_init": 0.003}
    ours = partial(network, SparseMLPClassifier, n_threads=1, **shared)
    models = {
        "sparsenet": (ours, EPOCHS["text"]),
        "sparsenet, density 1": (partial(ours, density=1.0), EPOCHS["text"]),
        "scikit-learn": (
            partial(network, MLPClassifier, **shared),
            DENSE_EPOCHS["text"],
        ),
        "LinearSVC": (lambda _: LinearSVC(random_state=0), (1,)),
        "SGDClassifier": (
            lambda _: SGDClassifier(loss="log_loss", alpha=1e-6, random_state=0),
            (1,),
        ),
    }
    train, test = text.load("words", args)
    return (train.X, train.y, test.X, test.y), models


TASKS = {"images": images, "text": texts}


def measure(data, models):
    """name: a list of (epochs, processor seconds, accuracy in %)."""
    X_train, y_train, X_test, y_test = data
    curves = {}
    for name, (make, all_epochs) in models.items():
        curves[name] = []
        for epochs in all_epochs:
            seconds = []
            while len(seconds) < 3 and sum(seconds) < SHORT:
                model = make(epochs)
                start = time.process_time()
                model.fit(X_train, y_train)
                seconds.append(time.process_time() - start)
            percent = 100 * model.score(X_test, y_test)
            curves[name].append((epochs, round(min(seconds), 3), round(percent, 2)))
    return curves


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--path", help="directory of Fashion-MNIST's IDX files")
    parser.add_argument("--texts", help="file of texts, instead of 20 Newsgroups")
    parser.add_argument("--n-rows", type=int, help="only so many texts")
    parser.add_argument("--result", help="file to write the points to, as JSON")
    args = parser.parse_args()
    args.torch = optional_import("torch")
    limit_threads(1)
    describe_machine(1, ["torch"])
    result = {"machine": machine(1, ["torch"])}
    for task in args.tasks:
        result[task] = measure(*TASKS[task](args))
        rows = [(name, *p) for name, points in result[task].items() for p in points]
        print_table((task, "epochs", "processor s", "accuracy %"), rows)
        print()
    if args.result:
        with open(args.result, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
