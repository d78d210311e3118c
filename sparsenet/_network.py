"""A multi-layer perceptron's parameters and number format: all that a pickle holds.

Training changes a network at any of its lines, where Ctrl-C may come, from one state
that can go on to the next one: new arrays are made beside the old ones and take their
place in one statement, and what the engine does between two looks at signals is done
together with its count.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sparsenet._feature_layer import FeatureLayer
from sparsenet._formats import are_finite
from sparsenet._kernels._dispatch import (
    ADAM_SOLVERS,
    CODE_LOSSES,
    N_MOMENTS,
    OUT_ACTIVATIONS,
)
from sparsenet._kernels.train.engine import Engine
from sparsenet._layer import Layer
from sparsenet._rewiring import Rewiring
from sparsenet._state import DAMAGED, check_state, checksum

#: Raised when the pickled layout changes. Nothing was released with versions 1 and 2;
#: 3 has no checksum and no state of training.
STATE_VERSION, READABLE_VERSIONS = 4, (3, 4)
# How many dense rows are made sparse at a time, where a network predicts sparse ones.
CHUNK = 1024
# Cohorts that 16 bits can tell apart.
MAX_COHORTS = 1 << 16
# Rounds of rewiring in a pass of the engine, at whose end all features of sparse rows
# are brought up to date. Steps that features lack know so many cohorts more.
ROUNDS = 32


class Data(NamedTuple):
    """What a network is trained on.

    Attributes
    ----------
    X : C-contiguous ndarray or CSR matrix of shape (n, n_inputs), float32 or float64
        In canonical format; CSR if the network is one for sparse rows.
    y : int32 array of shape (n,) or float32 array of shape (n, n_outputs)
        Class codes for a loss of codes, else numbers.
    sample_weight : float32 array of shape (n,), or None
    mean_weight : float
        What weights that were given have been divided by.
    """

    X: object
    y: np.ndarray
    sample_weight: np.ndarray | None = None
    mean_weight: float = 1.0


def layer_class(by_feature):
    """The class of layers whose weights are stored that way."""
    return FeatureLayer if by_feature else Layer


def _listed(value):
    """A tuple as a pickle holds it."""
    return list(value) if isinstance(value, tuple) else value


def _tupled(value):
    return tuple(value) if isinstance(value, list) else value


class Network:
    """Layers, and the engine that runs them.

    Parameters
    ----------
    layer_sizes : sequence of int
        (n_features, *hidden, n_outputs).
    activation : str or tuple of str
        Of all hidden layers, or of each; registry.h lists them.
    loss : str
        Fixes the output activation, too; registry.h lists them.
    loss_parameter : float or tuple of float, default=0.0
        Of a loss that has one; for all outputs, or for each.
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

    Attributes
    ----------
    steps : int64 array of shape (1,)
        Optimizer steps so far, which the engine counts.
    births : int64 array of shape (n_cohorts,)
        Steps before each cohort of weights came into being; that of the first: before
        the optimizer started.
    pickles_training : bool
        Whether pickles hold what only training needs: the float32 weights of formats
        of fewer bits, and the optimizer's state.
    """

    def __init__(
        self,
        layer_sizes,
        *,
        activation,
        loss,
        loss_parameter=0.0,
        precision,
        fan_ins,
        block_size=1,
        sparse_rows=False,
        random_state,
    ):
        self.layer_sizes = tuple(int(n) for n in layer_sizes)
        self.block_size = int(block_size)
        self.activation, self.precision = activation, precision
        self.loss, self.loss_parameter = loss, loss_parameter
        self.seed = int(random_state.randint(np.iinfo(np.int32).max))
        self.steps, self.births = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self.pickles_training = False
        rng = np.random.default_rng(self.seed)
        self.layers = []
        for shape, fan_in, of_units in zip(
            pairwise(self.layer_sizes), fan_ins, self._activations(), strict=True
        ):
            first = not self.layers
            layer = layer_class(first and sparse_rows).random(
                *shape,
                fan_in,
                precision,
                of_units,
                rng,
                block_size=self.block_size,
                first=first,
            )
            self.layers.append(layer)
        self._engine = self._feature_work = None

    @classmethod
    def of_layers(
        cls,
        layers,
        activation,
        loss,
        *,
        seed,
        loss_parameter=0.0,
        block_size=1,
        n_steps=0,
    ):
        """The network that consists of the given layers."""
        network = cls.__new__(cls)
        network.block_size = int(block_size)
        network.layers = layers
        network.layer_sizes = (layers[0].n_in, *(layer.n_out for layer in layers))
        network.activation = activation
        network.loss, network.loss_parameter = loss, loss_parameter
        network.precision, network.seed = layers[0].precision, seed
        network.steps = np.array([n_steps], np.int64)
        network.births = network.steps.copy()
        network.pickles_training = False
        network._engine = network._feature_work = None
        return network

    def copy(self):
        """A copy that shares nothing and goes on training as this network would."""
        network = Network.__new__(Network)
        vars(network).update(vars(self))
        network._engine = None
        network.layers = [layer.copy() for layer in self.layers]
        network.steps, network.births = self.steps.copy(), self.births.copy()
        return network

    def __deepcopy__(self, memo):
        return self.copy()

    def with_pickles(self, training):
        """The same network, whose pickles hold what training needs, or not."""
        network = Network.__new__(Network)
        vars(network).update(vars(self), pickles_training=training)
        return network

    def for_prediction(self):
        """A copy without what only training reads."""
        network = self.with_pickles(False)
        network.layers = [layer.for_prediction().copy() for layer in self.layers]
        network._engine = network._feature_work = None
        return network

    def converted(self, fan_ins, precision):
        """A copy in a number format, pruned like `prune`, with a new optimizer."""
        layers = [layer.in_format(precision) for layer in self._pruned(fan_ins)]
        return Network.of_layers(
            layers,
            self.activation,
            self.loss,
            seed=self.seed,
            loss_parameter=self.loss_parameter,
            block_size=self.block_size,
            n_steps=self.n_steps,
        )

    def _activations(self):
        """One for each layer, that of the last hidden layer for the outputs, too: their
        weights are drawn as if they had it, as in scikit-learn.
        """
        if isinstance(self.activation, str):
            return (self.activation,) * (len(self.layer_sizes) - 1)
        return (*self.activation, self.activation[-1])

    @property
    def out_activation(self):
        """Of the output layer."""
        return OUT_ACTIVATIONS[self.loss]

    @property
    def sparse_rows(self):
        """Whether the first layer is stored feature by feature."""
        return self.layers[0].by_feature

    @property
    def n_steps(self):
        """Optimizer steps so far, in all calls."""
        return int(self.steps[0])

    @property
    def n_connections(self):
        """Weights of all layers, biases not counted."""
        return sum(layer.n_connections for layer in self.layers)

    @property
    def density(self):
        """Weights of all layers over those of dense layers."""
        return self.n_connections / sum(map(math.prod, pairwise(self.layer_sizes)))

    @property
    def coefs(self):
        """Weights as products use them: float32 csc_array (n_in, n_out) per layer."""
        return [layer.to_csc() for layer in self.layers]

    @property
    def intercepts(self):
        return [layer.bias.copy() for layer in self.layers]

    def is_finite(self):
        """Whether all weights and biases are numbers that their formats hold."""
        return all(
            are_finite(layer.weights, self.precision) and are_finite(layer.bias)
            for layer in self.layers
        )

    def reset_optimizer(self):
        """Forget the moments; all weights are as old as the next optimizer."""
        self._replace([layer.without_optimizer() for layer in self.layers], self.steps)

    def _replace(self, layers, births=None):
        """Let other layers, and birthdays of their cohorts, take the place of these."""
        births = self.births if births is None else births.copy()
        self._engine = None  # first: it would go on with the old ones
        self.layers, self.births = layers, births

    def train_epoch(
        self,
        data,
        order,
        *,
        batch_size,
        optimizer,
        n_threads,
        rewiring=None,
        local_steps=None,
    ):
        """Train on the rows `order` once, in mini-batches.

        Parameters
        ----------
        data : Data
            Or another object with its attributes.
        order : int64 array of row numbers
        batch_size : int
        optimizer : Optimizer
        n_threads : int
        rewiring : Rewiring, default=None
            Says when connections change, and is told. None: not at all.
        local_steps : LocalSteps, default=None
            Says when members of a group that train this network meet, and lets all
            have the same weights then, as they have at the end. None: nobody else does.

        Returns
        -------
        float
            Mean loss over the epoch. The L2 term is evaluated once, at the end.

        Raises
        ------
        ValueError
            X or y has another width than the network, or a class code is too large.
        """
        self._check_width(data.X)
        self._check_targets(data.X, data.y)
        n_moments = N_MOMENTS[optimizer.solver]
        if any(layer.n_moments != n_moments for layer in self.layers):
            layers = [layer.with_optimizer(n_moments) for layer in self.layers]
            self._replace(layers, self.steps)
        if optimizer.ema_decay > 0 and not self.has_averages:
            self._replace([layer.with_average() for layer in self.layers])
        rewiring = rewiring or Rewiring()
        rewiring.is_complete = self.is_rewired(rewiring)
        order = np.ascontiguousarray(order, np.int64)
        n_steps, begin, loss, weight = self.n_steps, 0, 0.0, 0.0
        while begin < len(order):
            self._join_old_cohorts(optimizer)
            rows, n_rounds = order[begin:], 0
            if (steps := rewiring.steps_to_round(self.n_steps)) is not None:
                # Pruning makes layers anew, with which the engine could not go on, and
                # a group may change features that are not up to date.
                prunes = rewiring.method == "gradual"
                n_rounds = 1 if prunes or local_steps is not None else ROUNDS
                rows = rows[: n_rounds * rewiring.interval * batch_size]
                if not prunes and len(rows) > (steps - 1) * batch_size:
                    self._number_cohorts(optimizer)
            seed = self.seed
            if local_steps is not None:
                seed = local_steps.noise_seed(seed)
                rows = rows[: local_steps.steps_left(self.n_steps) * batch_size]
            rounds = self._rounds(
                data,
                rows,
                batch_size,
                optimizer,
                rewiring,
                n_threads,
                n_rounds,
                local_steps,
            )
            engine = self._get_engine()
            sums = engine.train(
                data,
                rows,
                batch_size,
                optimizer.after(self.n_steps - n_steps),
                seed,
                self.births,
                self.steps,
                n_threads,
                rounds,
                n_rounds,
            )
            self._feature_work = engine.feature_work
            loss, weight = loss + sums[0], weight + sums[1]
            begin += engine.n_batches * batch_size
            if local_steps is not None:
                is_last = begin >= len(order)
                local_steps.meet(self, is_last)
        if weight == 0:
            return 0.0
        if optimizer.alpha > 0:
            squares = sum(layer.sum_of_squares() for layer in self.layers)
            loss += 0.5 * optimizer.alpha * squares * (self.n_steps - n_steps)
        return loss / weight

    def add_gradients(self, data, chunks, sums, n_threads):
        """Add the gradient of the sum of weight * loss over rows to float64 arrays.

        `chunks` are arrays of row numbers, whose sums are formed in float32; `sums` has
        a pair of arrays for each layer, like its weights and biases. Returns that sum.
        """
        self._check_width(data.X)
        self._check_targets(data.X, data.y)
        engine = self._get_engine()
        return sum(engine.add_gradients(data, rows, sums, n_threads) for rows in chunks)

    @property
    def parameter_arrays(self):
        """Weights and biases, which may be written to before `round_weights`."""
        return [a for layer in self.layers for a in (layer.weights, layer.bias)]

    def set_parameters(self, pairs):
        """Overwrite the weights and biases of all layers."""
        for layer, (weights, bias) in zip(self.layers, pairs, strict=True):
            layer.weights[...] = weights
            layer.bias[...] = bias
            layer.round_weights()

    def prune(self, fan_ins):
        """Keep each unit's largest weights, where it has more than `fan_ins`.

        Returns how many each layer has lost.
        """
        before = self.layers
        self._replace(self._pruned(fan_ins))
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

    def is_rewired(self, rewiring):
        """Whether rounds would change nothing."""
        if rewiring.method != "gradual":
            return not any(layer.is_sparse for layer in self.layers)
        return not any(
            layer.exceeds(fan_in, self.block_size)
            for layer, fan_in in zip(self.layers, rewiring.final, strict=True)
        )

    def _rounds(
        self,
        data,
        rows,
        batch_size,
        optimizer,
        rewiring,
        n_threads,
        n_rounds,
        local_steps,
    ):
        """Yield how many batches come before each round, and the births by then.

        A round takes place when the next item is asked for. After the last one of all,
        there is an item for the other rows.
        """
        n_batches = 0
        while (steps := rewiring.steps_to_round(self.n_steps)) is not None:
            n_batches += steps
            yield n_batches, self.births
            last = rows[: n_batches * batch_size][-batch_size:]
            rated = data, last  # by whose gradient connections grow
            if local_steps is not None:
                rated = local_steps.before_round(self, *rated, rewiring.method)
            n_changed = self._rewire(*rated, optimizer, rewiring, n_threads)
            if local_steps is not None:
                local_steps.after_round(self)
            rewiring.rounds.append((self.n_steps, n_changed))
            n_rounds -= 1
            if n_rounds == 0:
                return
        yield len(rows), self.births

    def _rewire(self, data, batch, optimizer, rewiring, n_threads):
        """Change connections by a round; returns how many, for each layer."""
        if rewiring.method == "gradual":
            n_lost = self.prune(rewiring.fan_ins_at(self.n_steps))
            rewiring.is_complete = self.is_rewired(rewiring)
            return n_lost
        cohort = 0
        if optimizer.solver in ADAM_SOLVERS:
            cohort = len(self.births)
            self.births = np.append(self.births, self.n_steps)
        n_changed = self._get_engine().rewire(
            data,
            batch,
            optimizer,
            self.seed ^ self.n_steps << 32,
            rewiring.fraction_at(self.n_steps),
            rewiring.method == "rigl",
            cohort,
            n_threads,
        )
        return tuple(n_changed.tolist())

    def _number_cohorts(self, optimizer):
        """Let all weights that may come to have different ages have cohorts."""
        if optimizer.solver in ADAM_SOLVERS and any(
            layer.is_sparse and layer.cohort is None for layer in self.layers
        ):
            self._replace(
                [
                    layer.with_cohorts() if layer.is_sparse else layer
                    for layer in self.layers
                ]
            )

    def _join_old_cohorts(self, optimizer):
        """Let cohorts whose moments have no bias that float32 could tell be the first.

        There is room for those of a pass then.
        """
        slowest = max(optimizer.beta_1, optimizer.beta_2)
        mature = 1 if slowest == 0 else math.log(2.0**-24) / math.log(slowest)
        joins = self.n_steps - self.births > mature
        excess = len(self.births) + ROUNDS - MAX_COHORTS
        if excess > 0:
            joins[1 : 1 + excess] = True
        joins[0] = False
        if joins.any():
            number = np.where(joins, 0, np.cumsum(~joins) - 1).astype(np.uint16)
            layers = [
                layer if layer.cohort is None else layer.with_cohorts(number)
                for layer in self.layers
            ]
            self._replace(layers, self.births[~joins])

    def _check_width(self, X):
        # Not left to the estimator's attributes: they can be changed.
        if X.shape[1] != self.layer_sizes[0]:
            raise ValueError(
                f"X has {X.shape[1]} columns; allowed: {self.layer_sizes[0]}, as many "
                "as the network has inputs"
            )

    def _check_targets(self, X, y):
        n_outputs = self.layer_sizes[-1]
        has_codes = self.loss in CODE_LOSSES
        shape = (X.shape[0],) if has_codes else (X.shape[0], n_outputs)
        if y.shape != shape:
            raise ValueError(f"y has shape {y.shape}; allowed: {shape}")
        if has_codes and not 0 <= y.min() <= y.max() < n_outputs:
            raise ValueError(
                f"y has class codes from {y.min()} to {y.max()}; allowed: those of the "
                f"network's {n_outputs} outputs"
            )

    def predict(self, X, n_threads, logits=False):
        """Output activations of the rows of X, or the logits, float32 (n, n_outputs).

        Raises
        ------
        ValueError
            X has another number of columns than the network has inputs.
        """
        return self._run(self._get_engine(), X, self.layer_sizes[-1], n_threads, logits)

    def hidden_activations(self, X, layer, n_threads):
        """Activations of hidden layer number `layer` for the rows of X, float32.

        In float32 in any number format, before they would be rounded.
        """
        n_layers, n_units = layer + 1, self.layer_sizes[layer + 1]
        # A network of its own, of which these are the logits.
        engine = Engine(
            self.layers[:n_layers],
            self.precision,
            self._activations()[:n_layers],
            "squared_error",
            np.zeros(n_units, np.float32),
        )
        return self._run(engine, X, n_units, n_threads, logits=True)

    def _run(self, engine, X, n_outputs, n_threads, logits):
        """What an engine puts out for the rows of X, float32 (n, n_outputs)."""
        self._check_width(X)
        out = np.empty((X.shape[0], n_outputs), np.float32)
        if self.sparse_rows and isinstance(X, np.ndarray):
            for begin in range(0, len(X), CHUNK):
                rows = slice(begin, begin + CHUNK)
                engine.predict(csr_array(X[rows]), out[rows], n_threads, logits)
        else:
            engine.predict(X, out, n_threads, logits)
        return out

    def predict_with_loss(self, data, n_threads, logits=False):
        """Outputs of all rows as `predict`, and the sum of weight * loss over them.

        `data` is like that of `train_epoch`. The sum, without an L2 term, does not
        depend on the number of threads.
        """
        self._check_width(data.X)
        self._check_targets(data.X, data.y)
        out = np.empty((data.X.shape[0], self.layer_sizes[-1]), np.float32)
        return out, self._get_engine().predict(data.X, out, n_threads, logits, data)

    @property
    def has_averages(self):
        """Whether there are running averages of the parameters."""
        return self.layers[0].average_bias is not None

    def averaged(self):
        """The network of the running averages; this one where there are none."""
        if not self.has_averages:
            return self
        network = Network.__new__(Network)
        vars(network).update(vars(self))
        network._replace([layer.averaged() for layer in self.layers], self.steps)
        return network

    def snapshot(self):
        """Copies of the layers, connections and all, for `restore`."""
        return [layer.without_optimizer().copy() for layer in self.layers]

    def restore(self, snapshot):
        """Let a snapshot become the layers; the optimizer starts anew."""
        self._replace(snapshot, self.steps)

    def _get_engine(self):
        if self._engine is None:
            self._engine = Engine(
                self.layers,
                self.precision,
                (*self._activations()[:-1], "identity"),
                self.loss,
                np.full(self.layer_sizes[-1], self.loss_parameter, np.float32),
                self._feature_work,
            )
        return self._engine

    # Pickling: each layer in its own format ------------------------------------------

    def __getstate__(self):
        training = self.pickles_training
        state = {
            "version": STATE_VERSION,
            "layer_sizes": self.layer_sizes,
            "activation": _listed(self.activation),
            "loss": self.loss,
            "precision": self.precision,
            "seed": self.seed,
            "block_size": self.block_size,
            "n_steps": self.n_steps,
            "layers": [layer.to_state(training) for layer in self.layers],
        }
        if self.loss_parameter != 0:
            state["loss_parameter"] = _listed(self.loss_parameter)
        if training:
            state["births"] = self.births
        return state | {"checksum": checksum(state)}

    def __setstate__(self, state):
        check_state(state, READABLE_VERSIONS)
        layers = []
        for layer in state["layers"]:
            kind = layer_class("by_feature" in layer)
            layers.append(kind.from_state(layer, first=not layers))
        network = Network.of_layers(
            layers,
            _tupled(state["activation"]),
            state["loss"],
            seed=state["seed"],
            loss_parameter=_tupled(state.get("loss_parameter", 0.0)),
            block_size=state["block_size"],
            n_steps=state.get("n_steps", 0),
        )
        if not network.is_finite():
            raise ValueError(f"{DAMAGED}: a weight is not finite")
        if "births" in state:
            network.births = np.array(state["births"])
            network.pickles_training = True
        vars(self).update(vars(network))
