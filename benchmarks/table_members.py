"""Members that share their weights against networks that do not, in torch.

TabM (Gorishniy et al. 2025, arXiv:2410.24210) trains k members that share all weights
but random signs of the inputs, their biases and their heads ("mini"). This compares
eight of them, on mini-batches of their own or on the same ones, with plain averages of
2, 4 and 8 networks, at density 1 and at 0.1 (static masks; rates of sparse layers
times the square root of 10): errors (1 - accuracy, or 1 - R^2) over that of one
network. Dense arithmetic with masks: for accuracy, not for speed.

    python benchmarks/table_members.py FILE           measures (half an hour), adds
    python benchmarks/table_members.py FILE --report  shows what is in it
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import describe_machine, limit_threads
from public_tables import load
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from torch.nn import functional

from sparsenet import TableEncoder
from sparsenet._schedules import flat_cosine

TABLES_USED = (
    "magic letter satimage phoneme spambase diamonds kin8nm cpu_act cal_housing"
    " wine_white bike parkinsons"
).split()
MAX_ROWS = 6000
N_MEMBERS, WIDTH, N_STEPS, BATCH_SIZE = 8, 256, 500, 128
RATE, WEIGHT_DECAY, DROPOUT, LABEL_SMOOTHING = 0.002, 0.1, 0.05, 0.1


class Members(torch.nn.Module):
    """Networks with two hidden layers; with `shared`, with the same weights."""

    def __init__(self, n_features, n_outputs, shared, density, generator):
        super().__init__()
        self.generator, n_weights = generator, 1 if shared else N_MEMBERS
        self.weights, self.masks = torch.nn.ParameterList(), []
        for n_in in (n_features, WIDTH):
            share = max(density, min(1.0, 32 / n_in)) if density < 1 else 1.0
            mask = self._random(n_weights, n_in, WIDTH) < share
            bound = mask.sum(dim=1, keepdim=True).clamp(min=1) ** -0.5
            weights = (self._random(*mask.shape) * 2 - 1) * mask * bound
            self.weights.append(torch.nn.Parameter(weights))
            self.masks.append(mask)
        head = (self._random(N_MEMBERS, WIDTH, n_outputs) * 2 - 1) / WIDTH**0.5
        self.head = torch.nn.Parameter(head)
        sizes = (WIDTH, WIDTH, n_outputs)
        counts = (n_weights, n_weights, N_MEMBERS)
        self.biases = torch.nn.ParameterList(
            torch.zeros(n, 1, size) for n, size in zip(counts, sizes, strict=True)
        )
        signs = (self._random(N_MEMBERS, 1, n_features) < 0.5) * 2.0 - 1
        self.signs = torch.nn.Parameter(signs) if shared else None

    def _random(self, *shape):
        return torch.rand(*shape, generator=self.generator)

    def groups(self, density):
        """Groups of parameters for the optimizer."""
        others = [*self.biases] + ([] if self.signs is None else [self.signs])
        return [
            {"params": [*self.weights], "lr": RATE * density**-0.5},
            {"params": [self.head]},
            {"params": others, "weight_decay": 0.0},
        ]

    def forward(self, X):
        """Outputs, a plane for each member; rows have one plane, or as many."""
        X = X.expand(N_MEMBERS, -1, -1)
        X = X if self.signs is None else X * self.signs
        for layer, mask, bias in zip(
            self.weights, self.masks, self.biases, strict=False
        ):
            X = functional.gelu(X @ (layer * mask) + bias)
            X = functional.dropout(X, DROPOUT, self.training)
        return X @ self.head + self.biases[2]


def train(X, y, n_outputs, shared, own_batches, density, seed):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = Members(X.shape[1], n_outputs, shared, density, generator)
    groups = model.groups(density)
    optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=WEIGHT_DECAY)
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(N_STEPS):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * float(flat_cosine(step / N_STEPS))
        shape = (N_MEMBERS if own_batches else 1, BATCH_SIZE)
        rows = torch.randint(0, len(X), shape, generator=generator)
        output, target = model(X[rows]), y[rows].expand(N_MEMBERS, -1)
        if n_outputs > 1:
            loss = functional.cross_entropy(
                output.flatten(0, 1),
                target.flatten(),
                label_smoothing=LABEL_SMOOTHING,
            )
        else:
            loss = functional.mse_loss(output[..., 0], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def predict(model, X):
    """Probabilities or numbers, one plane for each member."""
    outputs = torch.cat([model(rows) for rows in X.split(500)], dim=1)
    return (outputs.softmax(-1) if outputs.shape[-1] > 1 else outputs[..., 0]).numpy()


def measure_table(name, seed, density):
    """Scores of one table, by the way of averaging."""
    X, y, task = load(name, MAX_ROWS)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    encoder = TableEncoder(n_knots=16)
    X_train = torch.from_numpy(encoder.fit_transform(X_train))
    X_test = torch.from_numpy(encoder.transform(X_test))
    if task == "classification":
        classes, codes = np.unique(y_train, return_inverse=True)
        target, n_outputs = torch.from_numpy(codes), len(classes)
    else:
        mean, scale = y_train.mean(), y_train.std()
        target, n_outputs = torch.from_numpy((y_train - mean) / scale).float(), 1

    def score(output):
        if n_outputs > 1:
            return float(accuracy_score(y_test, classes[output.argmax(axis=1)]))
        return float(r2_score(y_test, output * scale + mean))

    def outputs(shared, own_batches):
        arguments = (X_train, target, n_outputs, shared, own_batches, density, seed)
        return predict(train(*arguments), X_test)

    unshared = outputs(False, True)
    scores = {"one network": float(np.mean([score(output) for output in unshared]))}
    for n in (2, 4, 8):
        scores[f"{n} networks"] = score(unshared[:n].mean(axis=0))
    scores["8 members, own batches"] = score(outputs(True, True).mean(axis=0))
    scores["8 members, same batches"] = score(outputs(True, False).mean(axis=0))
    return scores


def report(path):
    describe_machine(1, ["torch"])
    entries = pd.read_json(path, lines=True)
    names = [name for name in entries if name[0].isdigit()]
    print(f"{entries['table'].nunique()} tables, {entries['seed'].nunique()} seeds")
    print(f"{'':28}" + "".join(f"density {d:g}".rjust(20) for d in (1.0, 0.1)))
    for name in names:
        words = f"{name:28}"
        for density in (1.0, 0.1):
            some = entries[entries["density"] == density]
            ratio = (1 - some[name]) / (1 - some["one network"])
            logs = np.log(ratio.clip(0.5, 2)).groupby(some["table"]).mean()
            words += f"{np.exp(logs.mean()):.3f} +- {logs.sem():.3f}".rjust(20)
        print(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="JSON lines; new ones are added")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    limit_threads(1)
    torch.set_num_threads(1)
    for key in () if args.report else product(range(args.seeds), TABLES_USED, (1, 0.1)):
        seed, name, density = key
        entry = {"table": name, "seed": seed, "density": density}
        entry |= measure_table(name, seed, density)
        with args.file.open("a") as file:
            file.write(json.dumps(entry) + "\n")
    report(args.file)


if __name__ == "__main__":
    main()
