"""The plain NumPy twin of a whole network, and of its training steps."""

import dataclasses

import numpy as np
from reference import (
    LANES,
    activate,
    drop,
    kept_by,
    loss_deltas,
    losses,
    mix,
    output,
    sddmm,
    spmm,
    update,
)
from scipy import sparse

from sparsenet._kernels import _dispatch


class DenseNetwork:
    """A network's parameters as dense matrices (n_out, n_in) with masks."""

    def __init__(self, network, dtype=np.float64):
        self.loss, self.loss_parameter = network.loss, network.loss_parameter
        n_hidden, activation = len(network.layers) - 1, network.activation
        if isinstance(activation, str):
            activation = [activation] * n_hidden
        self.activations = [*activation, "identity"]
        self.dtype, self.n_steps, self.seed = dtype, 0, network.seed
        self.weights = [coef.toarray().T.astype(dtype) for coef in network.coefs]
        self.masks = [pattern(coef).toarray().T for coef in network.coefs]
        self.densities = [layer.density for layer in network.layers]
        self.biases = [bias.astype(dtype) for bias in network.intercepts]
        self.moments = [[(0, 0), (0, 0)] for _ in self.weights]
        self.births = None  # of each weight; None: all are as old as the network

    def layer_inputs(self, X, masks=None):
        """What each layer reads, and the logits at the end; and the derivatives.

        `masks`: what dropout multiplies the outputs of each hidden layer by.
        """
        inputs, derivatives = [X.T.astype(self.dtype)], [None]
        for w, b, activation in zip(
            self.weights, self.biases, self.activations, strict=True
        ):
            values, slopes = activate(activation, spmm(w, inputs[-1]), b)
            if masks is not None and len(inputs) <= len(masks):
                mask = masks[len(inputs) - 1]
                values, slopes = values * mask, slopes * mask
            inputs.append(values)
            derivatives.append(slopes)
        return inputs, derivatives

    def predict(self, X):
        return output(self.loss, self.layer_inputs(X)[0][-1]).T

    def mean_loss(self, X, y, sample_weight=None):
        """Weighted mean of the losses, without the L2 term."""
        logits = self.layer_inputs(X)[0][-1]
        values = losses(self.loss, logits, y.T, self.loss_parameter)
        return np.average(values, weights=sample_weight)

    def gradients(self, X, y, sample_weight=None, masks=None):
        """Of the weighted sum of the losses: one (weights, biases) per layer."""
        inputs, derivatives = self.layer_inputs(X, masks)
        deltas = loss_deltas(self.loss, inputs.pop(), y.T, self.loss_parameter)
        if sample_weight is not None:
            deltas = deltas * sample_weight
        gradients = []
        for layer in reversed(range(len(self.weights))):
            of_weights = self.masks[layer] * sddmm([deltas], [inputs[layer]])
            gradients.append((of_weights, deltas.sum(axis=1)))
            if layer > 0:
                deltas = spmm(self.weights[layer].T, deltas) * derivatives[layer]
        return gradients[::-1]


def reference_step(network, X, y, sample_weight, optimizer, alpha):
    """One optimizer step of a DenseNetwork on one mini-batch."""
    total = len(X) if sample_weight is None else float(sample_weight.sum())
    network.n_steps += 1
    masks = None
    if any(optimizer.dropout):
        masks = dropout_masks(network, optimizer.dropout, len(X))
    of_layers = clipped(
        network.gradients(X, y, sample_weight, masks), optimizer.max_grad_norm, total
    )
    for layer, gradients in enumerate(of_layers):
        for kind, parameters in enumerate((network.weights, network.biases)):
            born = network.births[layer] if network.births and kind == 0 else 0
            parameters[layer], *moments = update(
                at_age(
                    optimizer,
                    network.n_steps - born,
                    network.densities[layer] if kind == 0 else 1.0,
                ),
                alpha if kind == 0 else 0,
                1 / total,
                parameters[layer],
                gradients[kind],
                *network.moments[layer][kind],
                kept_by(optimizer) if kind == 0 else 1.0,
            )
            network.moments[layer][kind] = moments


def clipped(gradients, max_norm, total):
    """Gradients of a sum, scaled down to the norm that their mean may have."""
    arrays = [array for layer in gradients for array in layer]
    norm = np.sqrt(sum((array**2).sum() for array in arrays)) / total
    factor = 1.0 if max_norm is None or norm <= max_norm else max_norm / norm
    return [tuple(factor * array for array in layer) for layer in gradients]


def dropout_masks(network, shares, n_samples):
    """What dropout multiplies the outputs of each hidden layer by in this step."""
    masks, step = [], mix(network.seed, network.n_steps)
    for layer, share in enumerate(shares):
        threshold = min(round(65536 * share), 65535)
        panels = []
        for panel in range(-(-n_samples // LANES)):
            seed = mix(mix(step, panel), ~layer & (2**64 - 1))
            ones = np.ones((len(network.biases[layer]), LANES))
            panels.append(drop(ones, 0, threshold, seed))
        masks.append(np.hstack(panels)[:, :n_samples])
    return masks


def at_age(optimizer, t, density):
    """The learning rate of parameters of age t in a layer of that density, with Adam's
    bias corrections.
    """
    longer = (optimizer.young_rate(density) - 1) * optimizer.beta_2**t
    learning_rate = optimizer.learning_rate * (1 + longer)
    if optimizer.solver in _dispatch.ADAM_SOLVERS:
        correction = np.sqrt(1 - optimizer.beta_2**t) / (1 - optimizer.beta_1**t)
        learning_rate = learning_rate * correction
    if np.ndim(learning_rate) == 0:  # a number does not change the twin's type
        learning_rate = float(learning_rate)
    return dataclasses.replace(optimizer, learning_rate=learning_rate)


def pattern(coef):
    """The connections of a csc_array, as ones."""
    return sparse.csc_array(
        (np.ones_like(coef.data), coef.indices, coef.indptr), shape=coef.shape
    )
