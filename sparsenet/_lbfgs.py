"""Training on all rows at once, by SciPy's L-BFGS-B."""

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from sparsenet._history import History
from sparsenet._parallel.group import Alone
from sparsenet._training_set import divergence

# Rows whose gradient is summed in float32 before it is added to float64 sums. Memory is
# that of mini-batches of this size.
ROWS_AT_ONCE = 2048


class Objective:
    """Loss and gradient as functions of one float64 vector of all parameters."""

    def __init__(self, network, data, alpha, n_threads, group):
        self.network, self.data, self.group = network, data, group
        # Each member of a group adds its share of the L2 term.
        self.alpha = float(alpha) / data.mean_weight * group.share
        self.n_threads = n_threads
        rows = data.rows
        self.chunks = np.split(rows, range(ROWS_AT_ONCE, len(rows), ROWS_AT_ONCE))
        #: Where the weights and biases of each layer are in a vector, and their shape.
        self.parts, begin = [], 0
        for array in network.parameter_arrays:
            end = begin + array.size
            self.parts.append((slice(begin, end), array.shape))
            begin = end
        self.weight = float(len(rows))
        if data.sample_weight is not None:
            self.weight = float(data.sample_weight[rows].sum(dtype=np.float64))

    def parameters(self):
        """Those of the network now: weights and biases of one layer after another."""
        arrays = self.network.parameter_arrays
        return np.concatenate([array.ravel() for array in arrays], dtype=np.float64)

    def take(self, parameters):
        """Give the network these parameters."""
        self.network.set_parameters(self._by_layer(parameters))

    def __call__(self, parameters):
        """The mean loss with its L2 term, and the gradient of it."""
        self.take(parameters)
        gradient = np.zeros_like(parameters)
        sums = self._by_layer(gradient)
        loss = self.network.add_gradients(self.data, self.chunks, sums, self.n_threads)
        for (of_weights, _), (weights, _) in zip(
            sums, self._by_layer(parameters), strict=True
        ):
            loss += 0.5 * self.alpha * np.vdot(weights, weights)
            of_weights += self.alpha * weights
        means = self.group.mean(np.append(gradient, loss) / self.weight)
        self.group.check()
        return float(means[-1]), means[:-1]

    def _by_layer(self, vector):
        """Views of a vector: (weights, biases) of each layer."""
        parts = [vector[part].reshape(shape) for part, shape in self.parts]
        return list(zip(parts[::2], parts[1::2], strict=True))


def train_full_batch(network, data, parameters, history, n_threads, group=None):
    """Minimize the loss over all rows with L-BFGS-B (Zhu et al. 1997, algorithm 778).

    Parameters
    ----------
    network : Network
        Trained in place; its connections stay as they are.
    data : TrainingSet
    parameters : object
        Has scikit-learn's parameters as attributes, checked already.
    history : History or None
        Of the calls before.
    n_threads : int
    group : Alone, default=None
        As for `train`.

    Returns
    -------
    history : History
        A new object.

    Raises
    ------
    ValueError
        Training diverged.

    Warns
    -----
    ConvergenceWarning
        `max_iter` iterations, or `max_fun` evaluations, were not enough.
    UserWarning
        Ctrl-C ended training; the network is as good as it was at its best. Before the
        first evaluation of the loss, Ctrl-C goes on to the caller.
    """
    network.reset_optimizer()
    group = Alone() if group is None else group
    group.begin_all_rows(network, data)
    objective = Objective(network, data, parameters.alpha, n_threads, group)
    best, n_iter = [np.inf, objective.parameters()], 0

    def evaluate(vector):
        loss, gradient = objective(vector)
        if loss < best[0]:
            best[:] = loss, vector.copy()
        return loss, gradient

    def count(intermediate_result):
        nonlocal n_iter
        n_iter += 1
        if parameters.verbose:
            print(f"Iteration {n_iter}, loss = {intermediate_result.fun:.8f}")

    try:
        result = minimize(
            evaluate,
            best[1],
            method="L-BFGS-B",
            jac=True,
            callback=count,
            options={
                "maxfun": parameters.max_fun,
                "maxiter": parameters.max_iter,
                "gtol": parameters.tol,
            },
        )
        if result.status != 0:
            group.warn(
                f"lbfgs failed to converge after {result.nit} iteration(s) "
                f"(status={result.status}):\n{result.message}\n\nIncrease max_iter or "
                "max_fun, or scale the features",
                ConvergenceWarning,
                stacklevel=5,
            )
    except KeyboardInterrupt:
        if np.isinf(best[0]):  # before the first evaluation: there is nothing to keep
            raise
        group.warn("Training interrupted by user.", stacklevel=5)
    loss, vector = best
    objective.take(vector)
    if not np.isfinite(loss) or not network.is_finite():
        raise divergence("the loss is")
    history = History("lbfgs") if history is None else replace(history, solver="lbfgs")
    return replace(history, n_iter=n_iter, loss=float(loss))
