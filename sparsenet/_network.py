"""A multi-layer perceptron's parameters and number format: all that a pickle holds."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from sparsenet._feature_layer import FeatureLayer
from sparsenet._kernels._engine import Engine
from sparsenet._layer import Layer
from sparsenet._rewiring import Rewiring
from sparsenet._state import check_state

#: Raised when the pickled layout changes. Nothing was released with versions 1 and 2.
STATE_VERSION, READABLE_VERSIONS = 3, (3,)
# How many dense rows are made sparse at a time, where a network predicts sparse ones.
CHUNK = 1024
# Cohorts that 16 bits can tell apart.
MAX_COHORTS = 1 << 16


@dataclass(frozen=True)
class Optimizer:
    """What one optimizer step does; the learning rate is this epoch's.

    "adam": Kingma & Ba 2015, arXiv:1412.6980. "sgd": with momentum, Nesterov's where
    `nesterovs_momentum` is true.

    With "adam", the learning rate of a connection that grew t steps ago is
    ``1 + (young_rate - 1) * beta_2 ** t`` times that of the others. New weights start
    at zero; without it most of them are still the smallest when the next round drops
    some, so the same places are replaced again and again, and the connections that
    were drawn first stay for ever. Fashion-MNIST, 1024-1024, 20 epochs, mean of 3 seeds
    and of the last 5 epochs: at density 0.02 88.5 % without rewiring, 88.6, 88.8, 89.2,
    89.4 and 88.1 with 1, 3, 10, 30 and 100 times; at 0.1 89.7, 89.9 and 89.2 with 3, 10
    and 30.
    """

    solver: str
    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    young_rate: float = 12.0


class Network:
    """Layers, and the engine that runs them.

    Parameters
    ----------
    layer_sizes : sequence of int
        (n_features, *hidden, n_outputs).
    activation : {"identity", "logistic", "tanh", "relu"}
        Of the hidden layers.
    loss : {"softmax", "logistic", "squared_error", "poisson"}
        Fixes the output activation too: softmax, logistic, identity or exp.
    precision : {"float32", "bfloat16", "float16", "int8"}
    fan_ins : sequence of int
        Connections of a unit, for each weight matrix.
    block_size : {1, 4}, default=1
        How many neighbouring units of a sparse layer share their inputs.
    sparse_rows : bool
        Whether X will be sparse: the first layer is then stored feature by feature,
        and what a step costs there goes with the non-zeros of the batch.
    random_state : numpy.random.RandomState
        One integer is drawn from it; connections, initial weights and the stochastic
        rounding of int8 follow from that.
    """

    def __init__(
        self,
        layer_sizes,
        *,
        activation,
        loss,
        precision,
        fan_ins,
        block_size=1,
        sparse_rows=False,
        random_state,
    ):
        self.layer_sizes = tuple(int(n) for n in layer_sizes)
        self.block_size = int(block_size)
        self.activation, self.loss, self.precision = activation, loss, precision
        self.seed = int(random_state.randint(np.iinfo(np.int32).max))
        self.n_steps, self.births = 0, np.zeros(1, np.int64)
        rng = np.random.default_rng(self.seed)
        self.layers = []
        for shape, fan_in in zip(pairwise(self.layer_sizes), fan_ins, strict=True):
            settings = (*shape, fan_in, precision, activation, rng)
            first, blocks = not self.layers, {"block_size": self.block_size}
            self.layers.append(
                FeatureLayer.random(*settings, **blocks)
                if first and sparse_rows
                else Layer.random(*settings, **blocks, first=first)
            )
        self._engine = None

    @classmethod
    def of_layers(cls, layers, activation, loss, seed, block_size=1):
        """The network that consists of the given layers."""
        network = cls.__new__(cls)
        network.block_size = int(block_size)
        network.layers = layers
        network.layer_sizes = (layers[0].n_in, *(layer.n_out for layer in layers))
        network.activation, network.loss = activation, loss
        network.precision, network.seed = layers[0].precision, seed
        network.reset_optimizer()
        return network

    def converted(self, fan_ins, precision):
        """A copy in a number format, pruned like `prune`, with a new optimizer."""
        layers = [layer.in_format(precision) for layer in self._pruned(fan_ins)]
        return Network.of_layers(
            layers, self.activation, self.loss, self.seed, self.block_size
        )

    @property
    def sparse_rows(self):
        """Whether the first layer is stored feature by feature."""
        return isinstance(self.layers[0], FeatureLayer)

    @property
    def n_connections(self):
        """Weights of all layers, biases not counted."""
        return sum(layer.n_connections for layer in self.layers)

    @property
    def coefs(self):
        """Weights as products use them: float32 csc_array (n_in, n_out) per layer."""
        return [layer.to_csc() for layer in self.layers]

    @property
    def intercepts(self):
        return [layer.bias.copy() for layer in self.layers]

    def is_finite(self):
        """Whether all weights and biases are finite."""
        return all(
            np.isfinite(array).all()
            for layer in self.layers
            for array in (layer.weights, layer.bias)
        )

    def reset_optimizer(self):
        """Forget the moments and the count of steps."""
        self.n_steps, self.births = 0, np.zeros(1, np.int64)
        for layer in self.layers:
            layer.stop_optimizer()
        self._engine = None

    def train_epoch(
        self,
        X,
        y,
        sample_weight,
        order,
        *,
        batch_size,
        alpha,
        optimizer,
        n_threads,
        rewiring=None,
    ):
        """Train on the rows `order` once, in mini-batches.

        Parameters
        ----------
        X : C-contiguous ndarray or CSR matrix, float32 or float64
            In canonical format; CSR if the network is one for sparse rows.
        y : int32 array (n,) of class codes for "softmax", else float32 (n, n_outputs)
        sample_weight : float32 array (n,) or None
        order : int64 array of row numbers
        batch_size : int
        alpha : float
            L2 penalty, divided by the weight of a batch as in scikit-learn.
        optimizer : Optimizer
        n_threads : int
        rewiring : Rewiring, default=None
            Says when connections change, and is told. None: not at all.

        Returns
        -------
        float
            Mean loss over the epoch. The L2 term is evaluated once, at the end.
        """
        if self.layers[0].moments is None:
            for layer in self.layers:
                layer.start_optimizer(1 if optimizer.solver == "sgd" else 2)
            self._engine = None
        rewiring = rewiring or Rewiring()
        rewiring.is_complete = self._is_complete(rewiring)
        self._join_old_cohorts(optimizer)
        data = X, y, sample_weight
        order = np.ascontiguousarray(order, np.int64)
        n_steps, begin, loss, weight = self.n_steps, 0, 0.0, 0.0
        while begin < len(order):
            steps = rewiring.steps_to_round()
            end = len(order) if steps is None else begin + steps * batch_size
            rows = order[begin:end]
            engine = self._get_engine()
            engine.n_steps = self.n_steps
            try:
                sums = engine.train(
                    *data,
                    rows,
                    batch_size,
                    optimizer,
                    alpha,
                    self.seed,
                    self.births,
                    n_threads,
                )
            finally:  # steps before a Ctrl-C count too
                self.n_steps = engine.n_steps
                rewiring.n_steps += engine.n_batches
            loss, weight = loss + sums[0], weight + sums[1]
            begin += len(rows)
            if engine.n_batches == steps:
                last = rows[-batch_size:]
                n_changed = self._rewire(data, last, optimizer, rewiring, n_threads)
                rewiring.rounds.append((rewiring.n_steps, n_changed))
        if weight == 0:
            return 0.0
        squares = sum(layer.sum_of_squares() for layer in self.layers)
        return (loss + 0.5 * alpha * squares * (self.n_steps - n_steps)) / weight

    def prune(self, fan_ins):
        """Keep each unit's largest weights, where it has more than `fan_ins`.

        Returns how many each layer has lost.
        """
        before = self.layers
        layers = self._pruned(fan_ins)
        self._engine = None  # first: a Ctrl-C may come between
        self.layers = layers
        return tuple(
            old.n_connections - new.n_connections
            for old, new in zip(before, self.layers, strict=True)
        )

    def _pruned(self, fan_ins):
        return [
            layer.pruned(fan_in, self.block_size)
            if layer.exceeds(fan_in, self.block_size)
            else layer
            for layer, fan_in in zip(self.layers, fan_ins, strict=True)
        ]

    def _is_complete(self, rewiring):
        """Whether rounds would change nothing."""
        if rewiring.method != "gradual":
            return not any(layer.is_sparse for layer in self.layers)
        return not any(
            layer.exceeds(fan_in, self.block_size)
            for layer, fan_in in zip(self.layers, rewiring.final, strict=True)
        )

    def _rewire(self, data, batch, optimizer, rewiring, n_threads):
        """Change connections by a round; returns how many, for each layer."""
        if rewiring.method == "gradual":
            n_lost = self.prune(rewiring.fan_ins_now())
            rewiring.is_complete = self._is_complete(rewiring)
            return n_lost
        cohort = self._start_cohort(optimizer) if optimizer.solver == "adam" else 0
        n_changed = self._get_engine().rewire(
            *data,
            batch,
            optimizer,
            self.seed ^ rewiring.n_steps << 32,
            rewiring.fraction_now(),
            rewiring.method == "rigl",
            cohort,
            n_threads,
        )
        return tuple(n_changed.tolist())

    def _start_cohort(self, optimizer):
        """Number of the weights that come into being now."""
        for layer in self.layers:
            if layer.is_sparse and layer.cohort is None:
                self._engine = None
                layer.start_cohorts()
        self._join_old_cohorts(optimizer)
        self.births = np.append(self.births, self.n_steps)
        return len(self.births) - 1

    def _join_old_cohorts(self, optimizer):
        """Let cohorts whose moments have no bias that float32 could tell be the first.

        There is room for one more then.
        """
        slowest = max(optimizer.beta_1, optimizer.beta_2)
        mature = 1 if slowest == 0 else math.log(2.0**-24) / math.log(slowest)
        joins = self.n_steps - self.births > mature
        if len(self.births) == MAX_COHORTS:
            joins[1] = True
        joins[0] = False
        if joins.any():
            number = np.where(joins, 0, np.cumsum(~joins) - 1).astype(np.uint16)
            for layer in self.layers:
                if layer.cohort is not None:
                    layer.cohort[...] = number[layer.cohort]
            self.births = self.births[~joins]

    def predict(self, X, n_threads):
        """Output activations of the rows of X, float32 (n, n_outputs)."""
        out = np.empty((X.shape[0], self.layer_sizes[-1]), np.float32)
        engine = self._get_engine()
        if self.sparse_rows and isinstance(X, np.ndarray):
            for begin in range(0, len(X), CHUNK):
                rows = slice(begin, begin + CHUNK)
                engine.predict(csr_array(X[rows]), out[rows], n_threads)
        else:
            engine.predict(X, out, n_threads)
        return out

    def snapshot(self):
        """Copies of the layers, connections and all, for `restore`."""
        return [layer.copy() for layer in self.layers]

    def restore(self, snapshot):
        """Put a snapshot back; the optimizer starts anew."""
        self._engine = None  # first: a Ctrl-C may come between
        self.layers = [layer.copy() for layer in snapshot]
        self.reset_optimizer()

    def _get_engine(self):
        if self._engine is None:
            self._engine = Engine(
                self.layers, self.precision, self.activation, self.loss
            )
        return self._engine

    # Pickling: no optimizer state, each layer in its own format ----------------------

    def __getstate__(self):
        return {
            "version": STATE_VERSION,
            "layer_sizes": self.layer_sizes,
            "activation": self.activation,
            "loss": self.loss,
            "precision": self.precision,
            "seed": self.seed,
            "block_size": self.block_size,
            "layers": [layer.to_state() for layer in self.layers],
        }

    def __setstate__(self, state):
        check_state(state, READABLE_VERSIONS)
        layers = []
        for layer in state["layers"]:
            layers.append(
                FeatureLayer.from_state(layer)
                if "by_feature" in layer
                else Layer.from_state(layer, first=not layers)
            )
        # The moments are gone, so Adam's bias correction has to start again.
        network = Network.of_layers(
            layers,
            state["activation"],
            state["loss"],
            state["seed"],
            state["block_size"],
        )
        vars(self).update(vars(network))
