"""Local steps: members train on their own, and meet now and then for an outer step.

Post-local SGD (Lin et al. 2020, arXiv:1808.07217), with an outer step of Nesterov's
momentum (DiLoCo, Douillard et al. 2023, arXiv:2311.08105, algorithm 1). Only values of
the sparse network travel. Which connections there are, each member derives from the
same seed and the same values; with "rigl", also from the same few samples.
"""

import zlib

import numpy as np

from sparsenet._network import Data
from sparsenet._parallel.arrays import pack, stacked, unpack
from sparsenet._parallel.compression import CODECS, Residuals

#: Times its rank, it changes about half of the bits of a member's seed.
GOLDEN = 0x9E3779B97F4A7C15


class LocalSteps:
    """What a network is told to do between its steps; see `Network.train_epoch`.

    Parameters
    ----------
    communicator : Communicator
    share : float
        This member's part of the weight of all training samples.
    interval : int
        Steps from one outer step to the next.
    learning_rate, momentum : float
        Of the outer step. 1 and 0: the weights' mean.
    compression : {None, "bfloat16", "int8"}
        In which format changes of the weights travel.

    Attributes
    ----------
    n_outer_steps : int
    """

    def __init__(
        self, communicator, share, interval, learning_rate, momentum, compression
    ):
        self.communicator, self.share, self.interval = communicator, share, interval
        self.learning_rate, self.momentum = learning_rate, momentum
        self.codec = CODECS[compression]
        self.n_outer_steps = 0
        self.shared = None

    def begin(self, network):
        """Training begins, with the same network of all members."""
        self.shared = parameters_of(network)
        self.velocity = np.zeros_like(self.shared) if self.momentum else None
        self.residuals = Residuals() if self.codec.is_lossy else None
        self.last = network.n_steps

    def steps_left(self, n_steps):
        """Steps until the next outer step, when the network has had so many."""
        return self.interval - (n_steps - self.last)

    def noise_seed(self, seed):
        """The seed of this member's dropout and rounding."""
        return seed ^ self.communicator.rank * GOLDEN % 2**64

    def step(self, network):
        """Take an outer step: all members get the same new weights."""
        if network.n_steps == self.last:
            return
        change = (self.shared - parameters_of(network)) * np.float32(self.share)
        mean = self.communicator.all_reduce(change, self.codec, self.residuals)
        if self.momentum:
            self.velocity = np.float32(self.momentum) * self.velocity + mean
            mean = mean + np.float32(self.momentum) * self.velocity
        self.shared = self.shared - np.float32(self.learning_rate) * mean
        set_parameters(network, self.shared)
        self.last = network.n_steps
        self.n_outer_steps += 1

    def meet(self, network, is_last):
        """Take an outer step if it is due, or the epoch ends with it.

        Raises
        ------
        KeyboardInterrupt
            A member has been asked to end; it comes to all of them.
        """
        is_last |= self.communicator.interrupted
        if is_last or self.steps_left(network.n_steps) <= 0:
            self.step(network)
        ends = self.communicator.interrupted
        if (is_last or ends) and network.has_averages:
            self._mean_averages(network)
        if ends:
            raise KeyboardInterrupt

    def _mean_averages(self, network):
        """Let running averages of the weights be the members' mean."""
        averages = [
            array
            for layer in network.layers
            for array in (layer.average_weights(), layer.average_bias)
        ]
        flat = np.concatenate([array.ravel() for array in averages])
        flat = self.communicator.all_reduce(flat * np.float32(self.share))
        for array, part in zip(averages, split_like(flat, averages), strict=True):
            array[...] = part

    def before_round(self, network, data, batch, method):
        """What a round of rewiring goes by, the same for all members.

        An outer step makes the weights the same. Returns the samples whose gradient
        shows where connections grow: the members' last mini-batches, each member a part
        of its own.
        """
        self.step(network)
        self.connections = connections_of(network)
        first = network.layers[0]
        if first.by_feature and first.seen is not None:
            seen = self.communicator.all_gather(np.packbits(first.seen).tobytes())
            for other in seen:
                bits = np.unpackbits(np.frombuffer(other, np.uint8), count=first.n_in)
                np.maximum(first.seen, bits, out=first.seen)
        return self._gathered(data, batch) if method == "rigl" else (data, batch)

    def _gathered(self, data, batch):
        """Some rows of each member's batch, as a data set of its own."""
        batch = batch[: -(-len(batch) // self.communicator.size)]
        weights = data.sample_weight
        if weights is not None:  # as they were given, for all members alike
            weights = weights[batch] * np.float64(data.mean_weight)
        members = [
            unpack(message)
            for message in self.communicator.all_gather(
                pack(data.X[batch], data.y[batch], weights)
            )
        ]
        X, y, weights = zip(*members, strict=True)
        if any(part is None for part in weights):  # all are 1 where none are given
            weights = [
                np.ones(len(target), np.float32) if part is None else part
                for part, target in zip(weights, y, strict=True)
            ]
        gathered = Data(stacked(X), np.concatenate(y), _at_most_1(weights))
        return gathered, np.arange(len(gathered.y))

    def after_round(self, network):
        """Keep what belongs to connections that are still there, by their places."""
        after = connections_of(network)
        check_same(
            self.communicator,
            network,
            "have chosen different connections, as they may with different instruction "
            "sets: set SPARSENET_ISA to one that all have",
        )
        self.shared = parameters_of(network)
        kept = [self.velocity] if self.momentum else []
        if self.residuals is not None:
            kept.append(self.residuals.of_values.values)
        kept = [carried(array, self.connections, after, network) for array in kept]
        if self.residuals is not None:
            # Those of sums are of parts that other members may have now.
            self.residuals = Residuals()
            self.residuals.of_values.values = kept.pop()
        if self.momentum:
            self.velocity = kept.pop()


def check_same(communicator, network, otherwise):
    """Compare the members' connections and weights.

    Raises
    ------
    RuntimeError
        They have different ones: they do what `otherwise` says.
    """
    crc = zlib.crc32(parameters_of(network).tobytes())
    for keys, _ in connections_of(network):
        crc = zlib.crc32(keys.tobytes(), crc)
    gathered = communicator.all_gather(crc.to_bytes(4, "little"))
    if len(set(map(bytes, gathered))) > 1:
        raise RuntimeError(f"workers {otherwise}")


def _at_most_1(weights):
    """The members' weights of samples, at most 1: float32 holds whatever they were."""
    weights = np.concatenate(weights).astype(np.float64)
    return (weights / (weights.max() or 1.0)).astype(np.float32)


def parameters_of(network):
    """All weights and biases, layer by layer, in one float32 array."""
    return np.concatenate([array.ravel() for array in network.parameter_arrays])


def set_parameters(network, flat):
    """Overwrite all weights and biases, in the order of `parameters_of`."""
    parts = split_like(flat, network.parameter_arrays)
    network.set_parameters(zip(parts[::2], parts[1::2], strict=True))


def split_like(flat, arrays):
    """The parts of an array, in the shapes of others."""
    ends = np.cumsum([array.size for array in arrays])[:-1]
    return [
        part.reshape(array.shape)
        for part, array in zip(np.split(flat, ends), arrays, strict=True)
    ]


def connections_of(network):
    """The keys of each layer's connections, and how many weights one stands for."""
    connections = []
    for layer in network.layers:
        keys = layer.connection_keys()
        connections.append((keys, layer.weights.size // len(keys)))
    return connections


def carried(flat, before, after, network):
    """Values of connections and biases after a round; 0 for those that are new.

    `before` and `after` are what `connections_of` has returned.
    """
    carried, start = [], 0
    for layer, (old, of_old), (new, of_new) in zip(
        network.layers, before, after, strict=True
    ):
        values = flat[start : start + len(old) * of_old].reshape(-1, of_old)
        start += values.size
        taken = np.zeros((len(new), of_new), np.float32)
        if of_old == of_new:  # else a dense layer was pruned, whose blocks were others
            was_there = np.isin(new, old, assume_unique=True)
            taken[was_there] = values[np.isin(old, new, assume_unique=True)]
        carried += [taken.ravel(), flat[start : start + len(layer.bias)]]
        start += len(layer.bias)
    return np.concatenate(carried)
