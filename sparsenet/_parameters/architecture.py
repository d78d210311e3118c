"""Parameters of the network: its layers, connections and number format."""

from numbers import Integral

from sparsenet._constraints import (
    Constraint,
    choice,
    each,
    either,
    fraction,
    is_number,
    listing,
    units,
)
from sparsenet._kernels._dispatch import ACTIVATIONS, FORMATS
from sparsenet._parameters.parameter import Parameter, options
from sparsenet._topology import BLOCK_SIZES

PARAMETERS = {
    "hidden_layer_sizes": Parameter(
        (100,),
        either(units, each(units, "a sequence of such")),
        "int or array-like of int",
        """
    Number of units in each hidden layer, each in [1, 2**31 - 1]. An empty sequence
    makes a linear model.
    """,
    ),
    "activation": Parameter(
        "relu",
        either(
            choice(*ACTIVATIONS),
            each(choice(*ACTIVATIONS), "one of them per hidden layer"),
        ),
        "str or array-like of str",
        """
    Activation function of the hidden layers, or one for each of them.

    - 'identity', 'logistic', 'tanh' and 'relu' are those of scikit-learn.
    - 'leaky_relu' has a slope of 0.01 for negative values.
    - 'elu' is ``exp(z) - 1`` for negative values [8]_.
    - 'selu' is ``1.0507 * z`` for positive and ``1.7581 * (exp(z) - 1)`` for negative
      values [9]_.
    - 'silu' is ``z / (1 + exp(-z))`` [6]_.
    - 'gelu' is z times the normal distribution function of z [7]_.
    - 'mish' is ``z * tanh(log(1 + exp(z)))`` [10]_.

    The derivatives of 'silu', 'gelu' and 'mish' take 4 bytes for each unit and sample
    of a mini-batch.
    """,
    ),
    "density": Parameter(
        "auto",
        either(choice("auto"), fraction, each(fraction, "one per weight matrix")),
        "'auto', float or array-like of float",
        """
    Share of the connections that exist, in (0, 1].

    - 'auto': a hidden unit keeps a tenth of its inputs, but at least 32 of them (all,
      where there are fewer). The output layer is dense.
    - a number: density of all hidden layers together, where a unit keeps at least 8 of
      its inputs. The output layer is dense.
    - a sequence: density of each weight matrix, that of the output layer last. Hidden
      units keep at least 8 of their inputs here, too.
    """,
    ),
    "density_distribution": Parameter(
        "erdos_renyi",
        choice("erdos_renyi", "uniform"),
        "{'erdos_renyi', 'uniform'}",
        """
    How a number given as `density` is spread over the hidden layers.

    - 'erdos_renyi': a layer's density is proportional to
      ``(n_in + n_out) / (n_in * n_out)``, so that narrow layers are denser [2]_.
    - 'uniform': each has that density.
    """,
    ),
    "block_size": Parameter(
        1,
        Constraint(
            lambda value: is_number(value, Integral) and value in BLOCK_SIZES,
            listing([str(size) for size in BLOCK_SIZES]),
        ),
        "{1, 4}",
        """
    How many neighbouring units of a sparse layer share their inputs. Blocks of 4 are
    chosen, dropped and grown as one, by the sums of their magnitudes [5]_. They are
    multiplied faster and take fewer bytes in a pickle. The first layer of a network
    for sparse X has them where its number of units is a multiple of 4.
    """,
    ),
    "initial_density": Parameter(
        1.0,
        fraction,
        "float",
        """
    Density of the hidden layers before the first round of 'gradual', in (0, 1]; layers
    start with at least what `density` gives them.
    """,
    ),
    "precision": Parameter(
        "float32",
        choice(*FORMATS),
        options(FORMATS),
        """
    Number format of weights, activations and deltas in the forward and backward pass.
    The optimizer works in float32 in any case.

    - 'float32' rounds nothing.
    - 'float16' has 11 significant bits and holds numbers up to 65,504: X with larger
      ones is refused, and so are models whose weights or activations become larger.
    - 'bfloat16' has 8 significant bits and the range of 'float32'.
    - 'int8' is integers in [-127, 127], times a scale for each unit or sample.
    """,
    ),
}
