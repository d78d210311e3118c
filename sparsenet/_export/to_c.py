"""A network as one file of C99."""

import re
import textwrap

import numpy as np
from sklearn.base import is_classifier

from sparsenet._constraints import shown
from sparsenet._export.c_functions import functions
from sparsenet._export.layers import exported_layers

#: Types of arrays, and how many numbers fill a line.
TYPES = {"int8": ("int8_t", 14), "uint8": ("uint8_t", 16), "float32": ("float", 5)}
#: How far a gap of one byte leads.
FARTHEST = 255


def to_c(estimator, name):
    """See `ExportMixin.to_c`; `estimator` is fitted."""
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII)):
        raise ValueError(
            f"to_c: name={shown(name)}; allowed: letters, digits and underscores, "
            "the first of which is no digit"
        )
    layers = list(exported_layers(estimator._network))
    write = int8_layers if estimator._network.precision == "int8" else float_layers
    arrays, statements = write(layers)
    prototypes, bodies = zip(*public_functions(estimator), strict=True)
    code = [
        *arrays,
        function("static void @logits(const float *x, float *out)", statements),
        *map(function, prototypes, bodies),
    ]
    helpers = functions(re.findall(r"@(\w+)\(", "".join(code)))
    includes = ["#include <stdint.h>\n"]
    if any("fmaf(" in text for text in helpers):
        includes.insert(0, "#include <math.h>\n")
    declared = "".join(f"{prototype};\n" for prototype in prototypes)
    parts = ["".join(includes), declared, *helpers, *code]
    named = "\n".join(parts).replace("@", f"{name}_")
    return f"{comment(estimator, name)}\n{named}"


def comment(estimator, name):
    """What the file is, and how it is used."""
    network = estimator._network
    sizes = "-".join(map(str, network.layer_sizes))
    text = (
        f"A network of {sizes} units in {network.precision}, made by sparsenet. "
        "Compile it with -std=c99 or -ffp-contract=off, so that each operation rounds. "
        f"{name}_predict takes {network.layer_sizes[0]} finite features and writes "
    )
    if is_classifier(estimator):
        labels = ", ".join(ascii(label) for label in estimator.classes_.tolist())
        text += f"the probabilities of {len(estimator.classes_)} classes"
        if not estimator._is_multilabel():
            text += f"; {name}_class returns the index of the most probable one"
        text += f". The classes, from index 0 on: {labels}."
    else:
        text += f"{network.layer_sizes[-1]} numbers."
    # Labels may hold what starts or ends comments, and trigraphs.
    text = re.sub(r"(?<=[/*?])(?=[/*?])", " ", text)
    return "/* " + "\n * ".join(textwrap.wrap(text, 84)) + " */"


# Weights -----------------------------------------------------------------------------


def array(name, values):
    """The definition of a constant array."""
    kind, n = TYPES[values.dtype.name]
    words = [f"{value}," for value in values.tolist()]
    if kind == "float":  # as few digits as tell float32 apart
        words = [f"{value}f," for value in values.astype(str).tolist()]
    lines = (" ".join(words[i : i + n]) for i in range(0, len(words), n))
    body = "".join(f"    {line}\n" for line in lines)
    return f"static const {kind} @{name}[{values.size}] = {{\n{body}}};\n"


def stored(weights):
    """A layer's weights unit by unit, and the gaps between them; None: all are there.

    The way that takes fewer bytes. A gap longer than FARTHEST is bridged by weights of
    0, as by Han, Mao & Dally 2016, "Deep compression", https://arxiv.org/abs/1510.00149.
    """
    n_in, n_out = weights.shape
    units = np.repeat(np.arange(n_out), np.diff(weights.indptr))
    kept = weights.data != 0
    kept[0] = True  # C has no arrays of nothing
    places = units[kept] * n_in + weights.indices[kept]
    # The last gap leads to the end of all units.
    gaps = np.diff(places, prepend=0, append=n_in * n_out)
    bridges = np.maximum(gaps - 1, 0) // FARTHEST
    size = weights.data.itemsize
    if (len(gaps) + bridges.sum()) * (size + 1) >= n_in * n_out * size:
        return weights.T.toarray().ravel(), None
    # Each gap is some of FARTHEST and a rest, behind which its weight lies.
    ends = np.cumsum(bridges + 1) - 1
    path = np.full(ends[-1] + 1, FARTHEST, np.uint8)
    path[ends] = gaps - bridges * FARTHEST
    values = np.zeros(len(path) - 1, weights.dtype)
    values[ends[:-1]] = weights.data[kept]
    return values, path


def product(number, layer, kind, arrays):
    """Define a layer's weights; returns the function for them, and its arguments."""
    n_in, n_out = layer.weights.shape
    values, gaps = stored(layer.weights)
    arrays.append(array(f"weights_{number}", values))
    arguments = f"{n_in}, {n_out}, @weights_{number}"
    if gaps is None:
        return f"@dense_{kind}", arguments
    arrays.append(array(f"gaps_{number}", gaps))
    return f"@sparse_{kind}", f"{arguments}, @gaps_{number}"


# Functions ---------------------------------------------------------------------------


def function(head, statements):
    """The definition of a function."""
    body = "".join(f"    {line}\n" for line in statements)
    return f"{head}\n{{\n{body}}}\n"


def each(n, statement):
    """A loop over n values."""
    return f"for (int32_t i = 0; i < {n}; i++) {statement}"


def activated(layer, z):
    """The statements that apply a layer's activation to its sums."""
    if layer.activation == "identity":
        return []
    return [each(layer.weights.shape[1], f"{z}[i] = @{layer.activation}({z}[i]);")]


def int8_layers(layers):
    """Arrays, and statements from x to out, of int8."""
    widths = [layer.weights.shape[0] for layer in layers]
    arrays, statements = [], [f"int8_t q[{max(widths)}];", "float scale;"]
    if len(layers) > 1:
        statements.insert(1, f"float z[{max(widths[1:])}];")
    x = "x"
    for number, layer in enumerate(layers):
        n_in, n_out = layer.weights.shape
        out = "out" if number == len(layers) - 1 else "z"
        scales = {"input_scale": layer.input_scale, "unit_scale": layer.unit_scale}
        names = dict.fromkeys(scales, "0")
        multiply, arguments = product(number, layer, "int8", arrays)
        for name, values in (*scales.items(), ("bias", layer.bias)):
            if values is not None:
                arrays.append(array(f"{name}_{number}", values))
                names[name] = f"@{name}_{number}"
        statements += [
            f"scale = @quantize({x}, {names['input_scale']}, {n_in}, q);",
            f"{multiply}(q, {arguments}, {out});",
            f"@finish({out}, {n_out}, scale, {names['unit_scale']}, {names['bias']});",
            *activated(layer, out),
        ]
        x = out
    return arrays, statements


def float_layers(layers):
    """Arrays, and statements from x to out, of float32."""
    arrays, statements, x = [], [], "x"
    for number, layer in enumerate(layers):
        n_out = layer.weights.shape[1]
        out = "out" if number == len(layers) - 1 else f"z{number}"
        if out != "out":
            statements.append(f"float {out}[{n_out}];")
        multiply, arguments = product(number, layer, "float32", arrays)
        arrays.append(array(f"bias_{number}", layer.bias))
        statements.append(f"{multiply}({x}, {arguments}, @bias_{number}, {out});")
        statements += activated(layer, out)
        x = out
    return arrays, statements


def public_functions(estimator):
    """Yield the prototype and the statements of each."""
    predict = "void @predict(const float *x, float *out)"
    n_outputs, activation = estimator.n_outputs_, estimator.out_activation_
    logits = [f"float z[{n_outputs}];", "@logits(x, z);"]
    if not is_classifier(estimator):
        statements = ["@logits(x, out);"]
        if activation == "exp":
            statements.append(each(n_outputs, "out[i] = @exp(out[i], 0.0f);"))
        if estimator._levels() is not None:
            statements.append(f"@sort(out, {n_outputs});")
        yield predict, statements
    elif activation == "softmax":
        yield predict, ["@logits(x, out);", f"@softmax(out, {n_outputs});"]
        largest = each(n_outputs, "best = z[i] > z[best] ? i : best;")
        statements = [*logits, "int32_t best = 0;", largest, "return (int)best;"]
        yield "int @class(const float *x)", statements
    elif estimator._is_multilabel():
        one = each(n_outputs, "out[i] = @logistic(out[i]);")
        yield predict, ["@logits(x, out);", one]
    else:
        second = "out[1] = @logistic(z[0]);"
        yield predict, [*logits, second, "out[0] = 1.0f - out[1];"]
        yield "int @class(const float *x)", [*logits, "return z[0] > 0.0f;"]
