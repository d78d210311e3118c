"""What a network asks of a layer, however its weights are stored."""

import copy
from abc import ABC, abstractmethod

import numpy as np

from sparsenet._kernels.train.layouts import padded


def glorot_bound(fan_in, fan_out, activation):
    """Bound of uniform initial weights: Glorot & Bengio 2010, equation 16."""
    return np.sqrt((2.0 if activation == "logistic" else 6.0) / (fan_in + fan_out))


class BaseLayer(ABC):
    """Weights, connections and optimizer's state of one layer.

    A layer is changed by the engine, which trains its arrays in place; all methods here
    leave it alone and return another one, which may share arrays with it.

    Attributes
    ----------
    n_in, n_out : int
    precision : str
        The number format of the weights that products read.
    weights : float32 array
        What the optimizer owns; its shape is the class's.
    bias : float32 array of shape (n_out,)
    moments : tuple of float32 arrays, or None
        The optimizer's state, where it has started.
    cohort : uint16 array, one for each of the weights, or None
        When each weight came into being: a number of the network's `births`. None: all
        are as old as the network.
    average_bias : float32 array of shape (n_out,), or None
        Running average of the biases, where there is one; the class says where that of
        the weights is.
    """

    #: Whether weights are stored feature by feature, for sparse rows of X.
    by_feature: bool

    @classmethod
    @abstractmethod
    def random(
        cls, n_in, n_out, fan_in, precision, activation, rng, *, block_size, first
    ):
        """Draw connections and weights (Glorot & Bengio 2010, by actual fan-in).

        Neighbouring units share their inputs by `block_size`. The input of a `first`
        layer has no gradient.
        """

    @classmethod
    @abstractmethod
    def dense(cls, weights, bias, precision, *, first):
        """The dense layer with the given float32 weights (n_in, n_out) and biases."""

    @abstractmethod
    def pruned(self, fan_in, block_size):
        """The layer that keeps the largest weights, with their state.

        Units then have `fan_in` inputs. Where connections come in blocks, now or, if
        the layer is dense, by `block_size`, blocks with the largest sums of magnitudes
        are kept. No unit or input loses its last connection.
        """

    @abstractmethod
    def exceeds(self, fan_in, block_size):
        """Whether the layer has more connections than `pruned` would leave it."""

    @abstractmethod
    def in_format(self, precision):
        """A copy in a number format, without the optimizer's state."""

    @property
    @abstractmethod
    def is_sparse(self):
        """Whether connections are missing."""

    @property
    @abstractmethod
    def n_connections(self):
        """Weights that there are."""

    @property
    def density(self):
        """Weights that there are over those of a dense layer."""
        return self.n_connections / (self.n_in * self.n_out)

    @property
    @abstractmethod
    def n_moments(self):
        """Moments of a weight that the optimizer keeps; 0: it has not started."""

    @abstractmethod
    def with_optimizer(self, n_moments):
        """The same layer, whose optimizer starts."""

    @abstractmethod
    def without_optimizer(self):
        """The same layer without the optimizer's state and running averages."""

    def for_prediction(self):
        """The same layer without what only training reads; it shares what it can."""
        return self.without_optimizer()

    @abstractmethod
    def with_average(self):
        """The same layer, whose running averages start; it shares what it can."""

    @abstractmethod
    def averaged(self):
        """The layer whose weights and biases are the running averages of this one's.

        It has no optimizer's state.
        """

    @abstractmethod
    def connection_keys(self):
        """A number for each connection, or block of them, that says where it is.

        An ascending int64 array in the order of the weights, of which each number
        stands for as many.
        """

    @abstractmethod
    def average_weights(self):
        """The running average of the weights, which can be written; like `weights`."""

    @abstractmethod
    def round_weights(self):
        """Let products read the float32 weights, which have been changed."""

    @abstractmethod
    def sum_of_squares(self):
        """Of the weights, for the L2 term of the loss."""

    @abstractmethod
    def to_csc(self, stored=False):
        """The weights that products use, as a float32 csc_array (n_in, n_out).

        `stored`: as the number format stores them, int8 without their scales.
        """

    @abstractmethod
    def to_state(self, training=False):
        """What a pickle holds: weights in their own format, and narrow indices.

        With `training`, also what only training needs: float32 weights and the
        optimizer's state.
        """

    @classmethod
    @abstractmethod
    def from_state(cls, state, *, first):
        """The layer that `to_state` described."""

    def copy(self):
        """A copy that goes on training as this layer would; arrays that are one in
        this layer are one there.
        """
        other, copies = copy.copy(self), {}
        for name, array in vars(other).items():
            if isinstance(array, np.ndarray):
                if id(array) not in copies:
                    copies[id(array)] = padded(array.shape, array.dtype)
                    copies[id(array)][...] = array
                setattr(other, name, copies[id(array)])
        if self.moments is not None:
            other.moments = tuple(moments.copy() for moments in self.moments)
        return other

    def with_cohorts(self, number=None):
        """The same layer with its weights' cohorts numbered anew, as `number` says.

        Without it, where it has none yet, all weights are of the first one. It shares
        all other arrays.
        """
        layer = copy.copy(self)
        if self.cohort is None:
            layer.cohort = padded(self.weights.shape, np.uint16)
        elif number is not None:
            layer.cohort = padded(self.cohort.shape, np.uint16)
            layer.cohort[...] = number[self.cohort]
        return layer
