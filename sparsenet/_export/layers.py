"""What the export to ONNX and to C reads of a network."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array


class ExportedLayer(NamedTuple):
    """A layer: activation(input_scale * x @ weights * unit_scale + bias).

    Attributes
    ----------
    weights : csc_array of shape (n_in, n_out)
        float32, or int8 with that precision: as they are stored.
    input_scale : float32 array of shape (n_in,), or None
        int8 only, of a first layer that is stored feature by feature; None: ones.
    unit_scale : float32 array of shape (n_out,), or None
        int8 only, of other layers; None: ones.
    bias : float32 array of shape (n_out,)
    activation : str
        'identity' for the output layer.
    """

    weights: csc_array
    input_scale: np.ndarray | None
    unit_scale: np.ndarray | None
    bias: np.ndarray
    activation: str


def exported_layers(network):
    """The layers of a network, first to last."""
    activations = (*network._activations()[:-1], "identity")
    for layer, activation in zip(network.layers, activations, strict=True):
        input_scale = unit_scale = None
        if network.precision == "int8" and layer.by_feature:
            input_scale = layer.scale.copy()
        elif network.precision == "int8":
            unit_scale = layer.row_scale[: layer.n_out].copy()
        weights = layer.to_csc(stored=network.precision == "int8")
        yield ExportedLayer(weights, input_scale, unit_scale, layer.bias, activation)
