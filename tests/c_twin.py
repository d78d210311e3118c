"""The plain NumPy twin of the files in C: the same operations of float32, in the same
order, for all samples at once.
"""

from functools import cache

import numpy as np

from sparsenet._export.layers import exported_layers
from sparsenet._kernels import current_isa
from sparsenet._kernels._dispatch import ACTIVATIONS
from sparsenet._kernels.testing.kernels import Kernels

f32 = np.float32
MAGIC = f32(12582912)


def fma(a, b, c):
    """a * b + c in float32, rounded once.

    The product is exact in float64, and the sum is rounded to odd there, so that
    rounding it again does no harm (Boldo & Melquiond 2008, "Emulation of a FMA and
    correctly rounded sums").
    """
    product, c = np.multiply(a, b, dtype=np.float64), np.asarray(c, np.float64)
    total = product + c
    rest = total - product  # the error of the sum: Knuth's 2Sum
    error = (product - (total - rest)) + (c - rest)
    is_even = total.view(np.int64) % 2 == 0
    to_odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where((error != 0) & is_even, to_odd, total).astype(f32)


def polynomial(x, *coefficients):
    p = f32(coefficients[0])
    for coefficient in coefficients[1:]:
        p = fma(p, x, f32(coefficient))
    return p


def exp_parts(x):
    x = np.clip(x, f32(-87.3), f32(88.3))
    n = fma(x, f32(1.44269504), MAGIC) - MAGIC
    r = fma(n, f32(2.12194440e-4), fma(n, f32(-0.693359375), x))
    p = polynomial(
        r,
        *(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3),
        *(4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
    )
    return p, r, np.ldexp(f32(1), n.astype(int))


def exp(x, c=0):
    p, r, scale = exp_parts(x)
    return fma(fma(p, r * r, r + f32(1)), scale, f32(c))


def expm1(x):
    p, r, scale = exp_parts(x)
    return fma(fma(p, r * r, r), scale, scale - f32(1))


def logistic(z):
    return f32(1) / exp(-z, 1)


def tanh(z):
    a, square = np.abs(z), z * z
    p = polynomial(
        square,
        *(-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2),
        *(1.33314422036e-1, -3.33332819422e-1),
    )
    far = f32(1) - f32(2) / exp(a + a, 1)
    return np.where(a < f32(0.625), fma(p * square, z, z), np.copysign(far, z))


def gelu(z):
    density = f32(0.39894228) * exp(f32(-0.5) * (z * z))
    t = f32(1) / fma(np.abs(z), f32(0.23164189), f32(1))
    p = polynomial(
        t,
        *(1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592),
    )
    tail = p * t * density * f32(1.25331414)
    return z * np.where(z < 0, tail, f32(1) - tail)


def mish(z):
    e = exp(np.minimum(z, f32(20)))
    n = e * (e + f32(2))
    return z * (n / (n + f32(2)))


def softmax(z):
    e = exp(z - z.max(axis=1, keepdims=True))
    total = np.add.accumulate(e, axis=1)[:, -1:]  # one after another
    return e * (f32(1) / total)


APPLY = {
    "identity": lambda z: z,
    "logistic": logistic,
    "tanh": tanh,
    "relu": lambda z: np.where(z < 0, f32(0), z),
    "leaky_relu": lambda z: np.where(z < 0, f32(0.01) * z, z),
    "elu": lambda z: np.where(z > 0, z, expm1(z)),
    "selu": lambda z: np.where(z > 0, f32(1.05070098) * z, f32(1.75809934) * expm1(z)),
    "silu": lambda z: z * logistic(z),
    "gelu": gelu,
    "mish": mish,
    "softmax": softmax,
    "exp": exp,
}


def quantized(x):
    """Whole numbers, and what one is worth, of each sample."""
    scale = np.abs(x).max(axis=1, keepdims=True) * (f32(1) / f32(127))
    inverse = np.divide(f32(1), scale, out=np.zeros_like(scale), where=scale > 0)
    return fma(x, inverse, MAGIC) - MAGIC, scale


def sums(layer, x):
    weights = layer.weights.toarray()
    if weights.dtype == np.float32:
        total = np.zeros((len(x), weights.shape[1]), f32)
        for column, of_units in zip(x.T, weights, strict=True):
            total += column[:, np.newaxis] * of_units
        return total + layer.bias
    q, scale = quantized(x if layer.input_scale is None else x * layer.input_scale)
    total = (q.astype(np.int64) @ weights.astype(np.int64)).astype(f32)
    if layer.unit_scale is None:
        return total * scale + layer.bias
    return fma(total, scale * layer.unit_scale, layer.bias)


def logits(estimator, x):
    for layer in exported_layers(estimator._network):
        x = APPLY[layer.activation](sums(layer, x))
    return x


def predicted(estimator, out):
    """What is predicted, by what a network puts out."""
    if getattr(estimator, "_levels", lambda: None)() is not None:
        return np.sort(out, axis=1)
    is_of_two = len(getattr(estimator, "classes_", ())) == 2 and out.shape[1] == 1
    return np.hstack([f32(1) - out, out]) if is_of_two else out


@cache
def fuses():
    """Whether kernels fuse multiplications and additions where the files in C do.

    That is up to the compiler: GCC does for processors that can.
    """
    z = np.random.default_rng(0).normal(size=(100, 64)).astype(f32)
    expected, no_bias = logistic(z), np.zeros(len(z), f32)
    kernels = Kernels(current_isa(), "float32")
    kernels.activate(ACTIVATIONS["logistic"], z, no_bias, None, None)
    return np.array_equal(z, expected)
