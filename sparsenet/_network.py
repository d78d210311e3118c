"""A multi-layer perceptron's parameters and number format: all that a pickle holds."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from sparsenet._feature_layer import FeatureLayer
from sparsenet._kernels._engine import Engine
from sparsenet._layer import Layer
from sparsenet._state import check_state
from sparsenet._topology import fan_ins

#: Raised when the pickled layout changes: 1 lacks layers stored by feature.
STATE_VERSION, READABLE_VERSIONS = 2, (1, 2)
# How many dense rows are made sparse at a time, where a network predicts sparse ones.
CHUNK = 1024


@dataclass(frozen=True)
class Optimizer:
    """What one optimizer step does; the learning rate is this epoch's.

    "adam": Kingma & Ba 2015, arXiv:1412.6980. "sgd": with momentum, Nesterov's where
    `nesterovs_momentum` is true.
    """

    solver: str
    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.9
    nesterovs_momentum: bool = True


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
    density : "auto", float or sequence of float
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
        density,
        sparse_rows=False,
        random_state,
    ):
        self.layer_sizes = tuple(int(n) for n in layer_sizes)
        self.activation, self.loss, self.precision = activation, loss, precision
        self.seed = int(random_state.randint(np.iinfo(np.int32).max))
        self.n_steps = 0
        rng = np.random.default_rng(self.seed)
        self.layers = []
        for shape, fan_in in zip(
            pairwise(self.layer_sizes), fan_ins(density, self.layer_sizes), strict=True
        ):
            settings = (*shape, fan_in, precision, activation, rng)
            first = not self.layers
            self.layers.append(
                FeatureLayer.random(*settings)
                if first and sparse_rows
                else Layer.random(*settings, first=first)
            )
        self._engine = None

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
        self.n_steps = 0
        for layer in self.layers:
            layer.stop_optimizer()
        self._engine = None

    def train_epoch(
        self, X, y, sample_weight, order, *, batch_size, alpha, optimizer, n_threads
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

        Returns
        -------
        float
            Mean loss over the epoch. The L2 term is evaluated once, at the end.
        """
        if self.layers[0].moments is None:
            for layer in self.layers:
                layer.start_optimizer(1 if optimizer.solver == "sgd" else 2)
            self._engine = None
        engine = self._get_engine()
        engine.n_steps = before = self.n_steps
        try:
            loss, weight = engine.train(
                X,
                y,
                sample_weight,
                np.ascontiguousarray(order, np.int64),
                batch_size,
                optimizer,
                alpha,
                self.seed,
                n_threads,
            )
        finally:  # steps before a Ctrl-C count too
            self.n_steps = engine.n_steps
        if weight == 0:
            return 0.0
        squares = sum(layer.sum_of_squares() for layer in self.layers)
        return (loss + 0.5 * alpha * squares * (self.n_steps - before)) / weight

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
        """Copies of the parameters, for `restore`."""
        return [[array.copy() for array in lay.parameters()] for lay in self.layers]

    def restore(self, snapshot):
        """Put a snapshot's parameters back."""
        for layer, copies in zip(self.layers, snapshot, strict=True):
            for array, copy in zip(layer.parameters(), copies, strict=True):
                array[...] = copy

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
            "layers": [layer.to_state() for layer in self.layers],
        }

    def __setstate__(self, state):
        check_state(state, READABLE_VERSIONS)
        self.layer_sizes = tuple(state["layer_sizes"])
        self.activation, self.loss = state["activation"], state["loss"]
        self.precision, self.seed = state["precision"], state["seed"]
        # The moments are gone, so Adam's bias correction has to start again.
        self.n_steps = 0
        self.layers = []
        for layer in state["layers"]:
            self.layers.append(
                FeatureLayer.from_state(layer)
                if "by_feature" in layer
                else Layer.from_state(layer, first=not self.layers)
            )
        self._engine = None
