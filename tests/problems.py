"""Small random networks and data, and what one step does to a network."""

from dataclasses import replace

import numpy as np
from reference import loss_parameter
from scipy import sparse

from sparsenet._feature_layer import FeatureLayer
from sparsenet._kernels._dispatch import CODE_LOSSES, FORMATS, OUT_ACTIVATIONS
from sparsenet._network import Data, Network
from sparsenet._optimizer import Optimizer
from sparsenet._topology import fan_ins

PRECISIONS = tuple(FORMATS)
BLOCK_SIZES = (1, 4)
#: Of the networks below; the fixture `each_block_size` sets it.
block_size = 1
#: Two sparse layers (fan-ins 10 and 8) and a dense one; none a multiple of a vector.
SIZES, DENSITY = (20, 18, 13, 3), (0.5, 0.4, 1.0)

#: The step is the gradient itself: parameters lose the mean gradient.
PLAIN_DESCENT = Optimizer("sgd", 1.0, momentum=0.0, density_exponent=0.0)


def random_csr(shape, density, rng):
    """Values in [0, 1) at random places; SciPy before 1.12 has no `random_array`."""
    return sparse.csr_array(sparse.random(*shape, density, random_state=rng))


def random_network(
    sizes=SIZES,
    density=DENSITY,
    *,
    activation="relu",
    loss="softmax",
    parameter=None,
    precision="float32",
    sparse_rows=False,
    seed=0,
):
    return Network(
        sizes,
        activation=activation,
        loss=loss,
        loss_parameter=loss_parameter(loss) if parameter is None else parameter,
        precision=precision,
        fan_ins=fan_ins(density, sizes),
        block_size=block_size,
        sparse_rows=sparse_rows,
        random_state=np.random.RandomState(seed),
    )


def random_target(loss, shape, rng):
    """Targets of numbers that the loss allows, float32."""
    y = rng.standard_normal(shape)
    if OUT_ACTIVATIONS[loss] == "logistic":
        y = y > 0
    elif loss == "poisson":
        y = np.floor(np.exp(y))
    elif loss == "gamma":
        y = np.exp(y)
    return y.astype(np.float32)


def random_data(n, n_features=SIZES[0], n_outputs=SIZES[-1], loss="softmax", seed=0):
    """X (n, n_features) float32 and targets as `Network.train_epoch` wants them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, n_features)).astype(np.float32)
    if loss in CODE_LOSSES:
        return X, rng.integers(0, n_outputs, n).astype(np.int32)
    return X, random_target(loss, (n, n_outputs), rng)


def train(network, X, y, sample_weight=None, order=None, **options):
    """One epoch; by default one step of plain gradient descent on one thread."""
    defaults = {
        "batch_size": X.shape[0],
        "alpha": 0.0,
        "optimizer": PLAIN_DESCENT,
        "n_threads": 1,
    }
    if order is None:
        order = np.arange(X.shape[0])
    options = defaults | options
    alpha = options.pop("alpha")
    options["optimizer"] = replace(options["optimizer"], alpha=alpha)
    return network.train_epoch(Data(X, y, sample_weight), order, **options)


def dense(layer, values):
    """(n_out, n_in) from one value for each of the layer's connections."""
    if isinstance(layer, FeatureLayer):
        matrix = np.zeros((layer.n_in, layer.n_out), values.dtype)
        units = np.arange(layer.n_out)[np.newaxis]
        if layer.connections is not None:
            units = layer.connections[:, :, np.newaxis].astype(np.int64) * layer.height
            units = (units + np.arange(layer.height)).reshape(layer.n_in, -1)
        np.put_along_axis(matrix, units, values, axis=1)
        return matrix.T
    matrix = np.zeros((layer.n_blocks, layer.height, layer.n_in), values.dtype)
    block = np.repeat(np.arange(layer.n_blocks), layer.fan_in)
    inputs = layer.indices
    if inputs is None:
        inputs = np.tile(np.arange(layer.n_in), layer.n_blocks)
    matrix[block, :, inputs] = values
    return matrix.reshape(-1, layer.n_in)[: layer.n_out]


def parameters(network):
    """The float32 weights (n_out, n_in) and biases of each layer."""
    return [
        (dense(layer, layer.weights), layer.bias.copy()) for layer in network.layers
    ]


def gradient(network, X, y, sample_weight=None):
    """Mean gradient of weights and biases of each layer, by one step of descent."""
    before = parameters(network)
    train(network, X, y, sample_weight)
    return [
        tuple(b - a for b, a in zip(*layer, strict=True))
        for layer in zip(before, parameters(network), strict=True)
    ]


def state(network, moments=True):
    """All bits that training changes, to be compared exactly."""
    arrays = []
    for layer in network.layers:
        by_feature = isinstance(layer, FeatureLayer)
        # What lies behind a feature's weights has no meaning.
        meaningless = ("state", "table", "seen") if by_feature else ()
        arrays.append(layer.weights)
        if by_feature and layer.precision != "float32":
            arrays.append(layer.table[:, : layer.fan_out])
        arrays += [
            value
            for name, value in sorted(vars(layer).items())
            if isinstance(value, np.ndarray) and name not in (*meaningless, "cohort")
        ]
        arrays += layer.moments if moments else ()
        if moments and by_feature:
            arrays.append(layer.state[:, 1:, : layer.fan_out])
            arrays += [] if layer.seen is None else [layer.seen]
    return np.concatenate([array.ravel().view(np.uint8) for array in arrays])
