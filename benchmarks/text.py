r"""Classification of text: accuracy and processor seconds, against what is usual there.

Three sets of rows, TF-IDF all of them, one thread, one seed:

    words   20 Newsgroups, a column for each word that two training texts have
    hashed  the same texts, words and pairs of words hashed into 2^20 columns
    short   the one-line descriptions of Debian's packages, whose classes are the
            archive's 58 sections; words and pairs of words

    python benchmarks/text.py
    python benchmarks/text.py --sets words --mlp --picture text.svg
    python benchmarks/text.py --sets words hashed --texts FILE

scikit-learn downloads 20 Newsgroups, unless ``--texts`` names a file of other texts:
one a line, ``__label__CLASS`` before each, as fastText reads them. Descriptions are
those of ``apt-cache dumpavail``, each once; packages of one source often have nearly
the same, so that a test text may have a twin among the training texts.

A fifth of the shuffled texts is for testing. Each model has one number that is chosen
among a few (`models`): by accuracy on a fifth of the training texts, after training on
the others. Then it is trained on all training texts, which is what is timed, and tested
once. Making rows of texts is not in the times, but for fastText, which reads texts.
scikit-learn's MLPClassifier takes minutes with 2^20 columns: only with ``--mlp``, and
its learning rate is not chosen. ``--models`` takes parts of names.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import describe_machine, limit_threads, optional_import, print_table
from scipy import sparse
from sklearn.datasets import fetch_20newsgroups
from sklearn.feature_extraction.text import (
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sparsenet import SparseMLPClassifier

RATES = (0.003, 0.01, 0.03)
#: What networks share, torch's too: three epochs of Adam.
TRAINING = {"batch_size": 200, "max_iter": 3, "random_state": 0}


# Texts and rows -----------------------------------------------------------------------


def newsgroups(args):
    """Texts and their classes, from --texts or scikit-learn."""
    if args.texts:
        lines = Path(args.texts).read_text().splitlines()
        labels, _, texts = zip(*(line.partition(" ") for line in lines), strict=True)
        return texts, labels
    try:
        return fetch_20newsgroups(subset="all", return_X_y=True)
    except OSError as error:
        raise SystemExit(
            f"20 Newsgroups could not be downloaded ({error}). Give a file of texts "
            "with --texts."
        ) from error


def descriptions(args):
    """Debian's packages: what they are in one line, and their sections."""
    try:
        packages = subprocess.check_output(["apt-cache", "dumpavail"], text=True)
    except OSError as error:
        raise SystemExit(
            f"Descriptions of packages need Debian's apt-cache ({error}). Choose other "
            "--sets."
        ) from error
    sections = {}
    for package in packages.split("\n\n"):
        fields = dict(
            line.split(": ", 1)
            for line in package.splitlines()
            if ": " in line and not line.startswith(" ")
        )
        if {"Description", "Section"} <= fields.keys():
            sections.setdefault(fields["Description"], fields["Section"])
    return tuple(sections), tuple(sections.values())


def tf_idf(ngrams):
    return TfidfVectorizer(
        ngram_range=(1, ngrams), min_df=2, sublinear_tf=True, dtype=np.float32
    )


def hashed(ngrams):
    return make_pipeline(
        HashingVectorizer(
            n_features=2**20,
            ngram_range=(1, ngrams),
            alternate_sign=False,
            norm=None,
            dtype=np.float32,
        ),
        TfidfTransformer(sublinear_tf=True),
    )


#: name: (texts and classes, what makes rows of them, words in a row)
SETS = {
    "words": (newsgroups, tf_idf, 1),
    "hashed": (newsgroups, hashed, 2),
    "short": (descriptions, tf_idf, 2),
}


@dataclass
class Samples:
    """Texts, the rows made of them, and their classes as numbers."""

    texts: np.ndarray
    X: sparse.csr_array
    y: np.ndarray

    def __getitem__(self, which):
        return Samples(self.texts[which], self.X[which], self.y[which])


def load(name, args):
    """Training and test samples."""
    read, vectorizer, ngrams = SETS[name]
    texts, labels = read(args)
    texts = np.array([" ".join(text.split()) for text in texts], dtype=object)
    y = np.unique(labels, return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(len(y))[: args.n_rows]
    train, test = np.split(order, [len(order) * 4 // 5])
    rows = vectorizer(ngrams).fit(texts[train])
    return tuple(
        Samples(texts[part], sparse.csr_array(rows.transform(texts[part])), y[part])
        for part in (train, test)
    )


# Models -------------------------------------------------------------------------------


class OfRows:
    """An estimator with scikit-learn's interface, fitted on the rows of samples."""

    def __init__(self, estimator, **parameters):
        self.estimator = estimator(**parameters)

    def fit(self, samples):
        self.estimator.fit(samples.X, samples.y)

    def predict(self, samples):
        return self.estimator.predict(samples.X)


class EmbeddingBag:
    """The network of 100 units in torch: lazy Adam for the rows of the first layer."""

    def __init__(self, torch, rate):
        self.torch, self.rate = torch, rate

    def fit(self, samples):
        nn, optim = self.torch.nn, self.torch.optim
        self.torch.manual_seed(0)
        n_features, n_classes = samples.X.shape[1], samples.y.max() + 1
        self.bag = nn.EmbeddingBag(n_features, 100, mode="sum", sparse=True)
        nn.init.uniform_(self.bag.weight, *self.glorot(n_features))
        self.top = nn.Sequential(nn.ReLU(), nn.Linear(100, int(n_classes)))
        optimizers = (
            optim.SparseAdam(self.bag.parameters(), lr=self.rate),
            optim.Adam(self.top.parameters(), lr=self.rate),
        )
        rng, loss = np.random.default_rng(0), nn.CrossEntropyLoss()
        for _ in range(TRAINING["max_iter"]):
            order = rng.permutation(len(samples.y))
            for start in range(0, len(order), TRAINING["batch_size"]):
                batch = order[start : start + TRAINING["batch_size"]]
                for optimizer in optimizers:
                    optimizer.zero_grad()
                outputs = self.outputs(samples.X[batch])
                loss(outputs, self.torch.from_numpy(samples.y[batch])).backward()
                for optimizer in optimizers:
                    optimizer.step()

    @staticmethod
    def glorot(n_features):
        """scikit-learn's range of first weights; torch's own is not for sums."""
        bound = (6 / (n_features + 100)) ** 0.5
        return -bound, bound

    def outputs(self, X):
        columns, starts, values = map(
            self.torch.from_numpy,
            (X.indices.astype(np.int64), X.indptr[:-1].astype(np.int64), X.data),
        )
        return self.top(self.bag(columns, starts, per_sample_weights=values))

    def predict(self, samples):
        with self.torch.no_grad():
            return self.outputs(samples.X).argmax(1).numpy()


class FastText:
    """fastText's classifier: 20 values a word, 20 epochs."""

    def __init__(self, fasttext, ngrams, rate):
        self.fasttext = fasttext
        self.parameters = {
            "lr": rate,
            "wordNgrams": ngrams,
            "bucket": 2**20,
            "dim": 20,
            "epoch": 20,
            "thread": 1,
            "verbose": 0,
        }

    def fit(self, samples):
        with tempfile.NamedTemporaryFile("w") as file:
            for text, label in zip(samples.texts, samples.y, strict=True):
                file.write(f"__label__{label} {text}\n")
            file.flush()
            self.model = self.fasttext.train_supervised(file.name, **self.parameters)

    def predict(self, samples):
        labels, _ = self.model.predict(list(samples.texts))
        return [int(label.removeprefix("__label__")) for (label,) in labels]


def models(name, args):
    """name: (what makes a model of the number that is chosen, its values)."""

    def network(hidden, density=1.0):
        return lambda rate: OfRows(
            SparseMLPClassifier,
            hidden_layer_sizes=hidden,
            density=density,
            sparse_training="static",
            learning_rate_init=rate,
            n_threads=1,
            **TRAINING,
        )

    made = {
        "sparsenet, 100 units": (network((100,)), RATES),
        "sparsenet, 100 units, density 0.1": (network((100,), 0.1), RATES),
        "sparsenet, 20 units": (network((20,)), RATES),
        "sparsenet, no hidden layer": (network(()), (0.01, 0.03, 0.1)),
        "LinearSVC": (lambda c: OfRows(LinearSVC, C=c, random_state=0), (0.1, 1, 10)),
        "SGDClassifier, log loss": (
            lambda alpha: OfRows(
                SGDClassifier, loss="log_loss", alpha=alpha, random_state=0
            ),
            (1e-7, 1e-6, 1e-5, 1e-4),
        ),
        "LogisticRegression, saga": (
            lambda c: OfRows(
                LogisticRegression, C=c, solver="saga", max_iter=20, random_state=0
            ),
            (1, 10, 100, 1000),
        ),
    }
    if args.mlp:
        made["MLPClassifier, 100 units"] = (
            lambda rate: OfRows(MLPClassifier, learning_rate_init=rate, **TRAINING),
            RATES[:1],
        )
    if args.torch:
        made["torch, EmbeddingBag of 100"] = (
            lambda rate: EmbeddingBag(args.torch, rate),
            RATES,
        )
    if args.fasttext:
        made["fastText"] = (
            lambda rate: FastText(args.fasttext, SETS[name][2], rate),
            (0.3, 1.0, 2.0),
        )
    return {
        model: made[model]
        for model in made
        if not args.models or any(part in model for part in args.models)
    }


# Measuring ----------------------------------------------------------------------------


def accuracy(model, samples):
    return 100 * float(np.mean(model.predict(samples) == samples.y))


def measure(make, values, train, test):
    """The value chosen on validation samples, test accuracy, processor seconds."""
    n = len(train.y) * 4 // 5
    chosen, best = values[0], -1.0
    if len(values) > 1:
        for value in values:
            model = make(value)
            model.fit(train[:n])
            score = accuracy(model, train[n:])
            if score > best:
                chosen, best = value, score
    model = make(chosen)
    start = time.process_time()
    model.fit(train)
    return chosen, time.process_time() - start, accuracy(model, test)


def draw(results, path):
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(results), squeeze=False, figsize=(6 * len(results), 4),
        layout="constrained",
    )  # fmt: skip
    for axes, (name, rows) in zip(panels[0], results.items(), strict=True):
        for model, _, seconds, percent in rows:
            axes.semilogx(seconds, percent, "o", label=model)
        axes.set(title=name, xlabel="processor seconds", ylabel="test accuracy %")
        axes.legend(frameon=False, fontsize="small")
    figure.savefig(path)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--texts", help="file of texts, instead of 20 Newsgroups")
    parser.add_argument("--n-rows", type=int, help="only so many texts")
    parser.add_argument("--models", nargs="+", help="those with such names")
    parser.add_argument("--mlp", action="store_true", help="MLPClassifier, too")
    parser.add_argument("--picture", help="file to draw accuracy against time into")
    args = parser.parse_args(arguments)
    args.torch, args.fasttext = map(optional_import, ("torch", "fasttext"))
    limit_threads(1)
    describe_machine(1, ["torch"])
    results = {}
    for name in args.sets:
        train, test = load(name, args)
        print(
            f"{name}: {len(train.y):,} + {len(test.y):,} texts, {train.X.shape[1]:,} "
            f"columns, {train.X.nnz / len(train.y):.0f} non-zeros a row, "
            f"{len(np.unique(train.y))} classes"
        )
        results[name] = [
            (model, *measure(make, values, train, test))
            for model, (make, values) in models(name, args).items()
        ]
        print_table(
            ("", "chosen", "processor s", "accuracy %"),
            [
                (model, f"{chosen:g}", f"{seconds:.2f}", f"{percent:.2f}")
                for model, chosen, seconds, percent in results[name]
            ],
        )
        print()
    if args.picture:
        draw(results, args.picture)


if __name__ == "__main__":
    main()
