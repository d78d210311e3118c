"""A network that only plays a script, and the loop over epochs run on it."""

import math
from types import SimpleNamespace

import numpy as np

from sparsenet._training import train
from sparsenet._training_set import TrainingSet

FLAT = [1.0] * 1000


class ScriptedNetwork:
    """Gives the losses it is told to, and remembers how it was called.

    Its only weight counts the epochs. A loss may be an exception, which is raised.
    """

    def __init__(self, losses=(), outputs=()):
        self.losses = iter(losses)
        self.outputs = iter(outputs)
        self.weight = 0
        self.orders, self.batch_sizes, self.optimizers = [], [], []
        self.rewirings = []
        self.n_resets = self.n_steps = 0

    density = 1.0
    has_averages = False

    def averaged(self):
        return self

    def train_epoch(
        self,
        data,
        order,
        *,
        batch_size,
        optimizer,
        n_threads,
        rewiring,
        local_steps=None,
    ):
        self.rewirings.append(rewiring)
        self.n_steps += math.ceil(len(order) / batch_size)
        self.weight += 1
        self.orders.append(order)
        self.batch_sizes.append(batch_size)
        self.optimizers.append(optimizer)
        loss = next(self.losses)
        if isinstance(loss, BaseException):
            raise loss
        return loss

    def predict_with_loss(self, data, n_threads, logits=False):
        output = next(self.outputs)
        return np.full((len(data.X), 1), output, dtype=np.float32), 2.0 * len(data.X)

    def is_rewired(self, rewiring):
        return False

    def reset_optimizer(self):
        self.n_resets += 1

    def snapshot(self):
        return self.weight

    def restore(self, snapshot):
        self.weight = snapshot

    def is_finite(self):
        return math.isfinite(self.weight)

    @property
    def learning_rates(self):
        return [optimizer.learning_rate for optimizer in self.optimizers]


def parameters(**changes):
    defaults = {
        "solver": "adam",
        "alpha": 0.0,
        "batch_size": "auto",
        "learning_rate": "constant",
        "learning_rate_init": 0.1,
        "power_t": 0.5,
        "max_iter": 50,
        "shuffle": True,
        "tol": 1e-4,
        "verbose": False,
        "momentum": 0.9,
        "nesterovs_momentum": True,
        "early_stopping": False,
        "validation_fraction": 0.1,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-8,
        "n_iter_no_change": 3,
        "sparse_training": "static",
        "rewire_interval": 100,
        "rewire_fraction": 0.3,
        "rewire_until": 0.75,
        "weight_decay": 0.01,
        "warmup": 0.0,
        "max_grad_norm": None,
        "ema_decay": 0.0,
        "dropout": 0.0,
        "hidden_layer_sizes": (5,),
        "scoring": None,
        "restore_best": False,
        "train_scores": False,
        "time_limit": None,
    }
    return SimpleNamespace(**defaults | changes)


def undecided(output):
    return output


def training_set(n_samples=40, classes=None, sample_weight=None):
    X, y = np.zeros((n_samples, 2)), np.zeros((n_samples, 1), dtype=np.float32)
    return TrainingSet(
        X, y, sample_weight, undecided, lambda y, decided, _: decided[0, 0], classes
    )


def run(network, history=None, data=None, incremental=False, **changes):
    return train(
        network,
        data or training_set(),
        parameters(**changes),
        history,
        np.random.RandomState(0),
        fan_ins={},
        n_threads=1,
        incremental=incremental,
    )
