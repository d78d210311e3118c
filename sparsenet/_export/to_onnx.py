"""Converters of fitted estimators for skl2onnx, which calls them.

Imports skl2onnx: `onnx_registry` imports this module when it is asked to.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import (
    Int64TensorType,
    guess_proto_type,
    guess_tensor_type,
)
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from skl2onnx.common.utils_classifier import get_label_classes

from sparsenet._export.layers import exported_layers
from sparsenet._mlp import SparseMLPClassifier, SparseMLPRegressor

#: The first whose ReduceMax takes axes as an input.
OPSET = 18
STORED = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}
#: What a scale of zeros, which is 0, is raised to.
TINY = np.finfo(np.float32).tiny


def register():
    """Register both estimators, with the options of scikit-learn's."""
    flags = [True, False]
    update_registered_converter(
        SparseMLPClassifier,
        "SparsenetSparseMLPClassifier",
        classifier_shapes,
        convert_classifier,
        options={
            "zipmap": [*flags, "columns"],
            "nocl": flags,
            "output_class_labels": flags,
        },
    )
    update_registered_converter(
        SparseMLPRegressor,
        "SparsenetSparseMLPRegressor",
        regressor_shapes,
        convert_regressor,
    )


class Graph:
    """Adds nodes and constants to what skl2onnx builds; values are known by name."""

    def __init__(self, scope, container):
        self.scope, self.container = scope, container
        if container.target_opset < OPSET:
            raise ValueError(
                f"target_opset={container.target_opset}; allowed: {OPSET} or later"
            )

    def constant(self, array):
        return self._tensor(numpy_helper.from_array(np.asarray(array, order="C")))

    def number(self, value):
        return self.constant(np.float32(value))

    def strings(self, values):
        name = self.scope.get_unique_variable_name("constant")
        encoded = [value.encode() for value in values]
        kind = TensorProto.STRING
        self.container.add_initializer(name, kind, [len(encoded)], encoded)
        return name

    def weights(self, values, precision):
        """float32 values that a float format holds, stored in it, as float32."""
        if precision == "float32":
            return self.constant(values)
        if precision == "float16":
            stored = numpy_helper.from_array(values.astype(np.float16))
        else:  # NumPy has no bfloat16
            bits = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
            kind = STORED[precision]
            stored = helper.make_tensor("", kind, values.shape, bits, raw=True)
        return self("Cast", self._tensor(stored), to=TensorProto.FLOAT)

    def _tensor(self, tensor):
        name = self.scope.get_unique_variable_name("constant")
        self.container.add_initializer(name, tensor.data_type, tensor.dims, tensor)
        return name

    def __call__(self, op, *inputs, output=None, n_outputs=1, **attributes):
        """Add a node; returns the name of its first output: `output`, or a new one."""
        outputs = [
            self.scope.get_unique_variable_name(op.lower()) for _ in range(n_outputs)
        ]
        outputs[0] = output or outputs[0]
        name = self.scope.get_unique_operator_name(op)
        self.container.add_node(op, list(inputs), outputs, name=name, **attributes)
        return outputs[0]


# Activations: elementwise/activations.h. ---------------------------------------------


def silu(graph, z):
    return graph("Mul", z, graph("Sigmoid", z))


def gelu(graph, z):
    erf = graph("Erf", graph("Mul", z, graph.number(np.sqrt(0.5))))
    doubled = graph("Mul", z, graph("Add", erf, graph.number(1)))
    return graph("Mul", doubled, graph.number(0.5))


def mish(graph, z):
    return graph("Mul", z, graph("Tanh", graph("Softplus", z)))


ACTIVATIONS = {
    "identity": lambda graph, z: z,
    "logistic": lambda graph, z: graph("Sigmoid", z),
    "tanh": lambda graph, z: graph("Tanh", z),
    "relu": lambda graph, z: graph("Relu", z),
    "leaky_relu": lambda graph, z: graph("LeakyRelu", z, alpha=0.01),
    "elu": lambda graph, z: graph("Elu", z),
    "selu": lambda graph, z: graph("Selu", z),
    "silu": silu,
    "gelu": gelu,
    "mish": mish,
}
OUT_ACTIVATIONS = {
    "identity": lambda graph, z: z,
    "logistic": lambda graph, z: graph("Sigmoid", z),
    "softmax": lambda graph, z: graph("Softmax", z, axis=1),
    "exp": lambda graph, z: graph("Exp", z),
}


# Networks ----------------------------------------------------------------------------


def rounded(graph, x, precision):
    """Activations as a number format holds them, in float32."""
    if precision == "float32":
        return x
    if precision in STORED:
        stored = graph("Cast", x, to=STORED[precision])
        return graph("Cast", stored, to=TensorProto.FLOAT)
    largest = graph(
        "ReduceMax", graph("Abs", x), graph.constant(np.array([1])), keepdims=0
    )
    scale = graph("Mul", largest, graph.number(np.float32(1) / np.float32(127)))
    scale = graph("Max", scale, graph.number(TINY))
    zero = graph("Cast", graph("Sub", scale, scale), to=TensorProto.INT8)
    stored = graph("QuantizeLinear", x, scale, zero, axis=0)
    return graph("DequantizeLinear", stored, scale, zero, axis=0)


def dense_weights(graph, layer, precision):
    """A layer's weights, without the scales of its inputs, (n_in, n_out), float32."""
    values = layer.weights.toarray(order="C")
    if precision != "int8":
        return graph.weights(values, precision)
    if layer.unit_scale is None:
        return graph("Cast", graph.constant(values), to=TensorProto.FLOAT)
    scale = graph.constant(layer.unit_scale)
    return graph("DequantizeLinear", graph.constant(values), scale, axis=1)


def logits_of(graph, network, x):
    """What the output layer puts out before its activation."""
    x = graph("Cast", x, to=TensorProto.FLOAT)
    for layer in exported_layers(network):
        if layer.input_scale is not None:
            x = graph("Mul", x, graph.constant(layer.input_scale))
        x = rounded(graph, x, network.precision)
        x = graph("MatMul", x, dense_weights(graph, layer, network.precision))
        x = graph("Add", x, graph.constant(layer.bias))
        x = ACTIVATIONS[layer.activation](graph, x)
    return x


# What skl2onnx calls -----------------------------------------------------------------


def classifier_shapes(operator):
    """Types and shapes of labels and probabilities."""
    calculate_linear_classifier_output_shapes(operator)
    if operator.raw_operator._is_multilabel():
        n_rows = operator.inputs[0].get_first_dimension()
        n_labels = len(operator.raw_operator.classes_)
        operator.outputs[0].set_type(Int64TensorType([n_rows, n_labels]))


def regressor_shapes(operator):
    """Type and shape of the numbers."""
    n_rows = operator.inputs[0].get_first_dimension()
    kind = type(guess_tensor_type(operator.inputs[0].type))
    shape = [n_rows, operator.raw_operator.n_outputs_]
    operator.outputs[0].set_type(kind(shape))


def convert_classifier(scope, operator, container):
    """Add labels and probabilities."""
    classifier, graph = operator.raw_operator, Graph(scope, container)
    label, probability = (output.full_name for output in operator.outputs)
    logits = logits_of(graph, classifier._network, operator.inputs[0].full_name)
    out = OUT_ACTIVATIONS[classifier.out_activation_](graph, logits)
    if classifier.out_activation_ == "logistic" and classifier.n_outputs_ == 1:
        out = graph("Concat", graph("Sub", graph.number(1), out), out, axis=1)
    kind = guess_proto_type(operator.outputs[1].type)
    graph("Cast", out, to=kind, output=probability)
    if classifier.out_activation_ == "softmax":
        code = graph("ArgMax", logits, axis=1, keepdims=0)
    else:
        positive = graph("Greater", logits, graph.number(0))
        code = graph("Cast", positive, to=TensorProto.INT64)
        if classifier._is_multilabel():
            graph("Identity", code, output=label)
            return
        code = graph("Reshape", code, graph.constant(np.array([-1])))
    classes = label_classes(graph, get_label_classes(scope, classifier))
    graph("Gather", classes, code, output=label)


def label_classes(graph, classes):
    """Classes as a constant: whole numbers or strings."""
    if classes.dtype.kind in "iubf":
        return graph.constant(classes.astype(np.int64))
    return graph.strings(map(str, classes))


def convert_regressor(scope, operator, container):
    """Add the numbers."""
    regressor, graph = operator.raw_operator, Graph(scope, container)
    logits = logits_of(graph, regressor._network, operator.inputs[0].full_name)
    out = OUT_ACTIVATIONS[regressor.out_activation_](graph, logits)
    if regressor._levels() is not None:
        # Ascending, as `predict` puts them out.
        n_levels = graph.constant(np.array([regressor.n_outputs_]))
        out = graph("TopK", out, n_levels, axis=1, largest=0, n_outputs=2)
    kind = guess_proto_type(operator.outputs[0].type)
    graph("Cast", out, to=kind, output=operator.outputs[0].full_name)
