"""Probabilities of classes from outputs of float32."""

from libc.stdint cimport int64_t

from sparsenet._kernels.train.input cimport address, checked

import numpy as np

ctypedef fused real:
    float
    double

# In float32 a sigmoid reaches 0 and 1. No probability is certain, and its logarithm is
# wanted, so the numbers next to 0 (of full precision) and 1 take their place.
cdef double LOWEST = 2.0 ** -126, HIGHEST = 1 - 2.0 ** -24


cdef void fill(const float *output, int64_t n, int64_t n_outputs, bint softmax,
               real *out) noexcept nogil:
    cdef int64_t _, i
    cdef real p
    cdef double total
    for _ in range(n):
        total = 0
        for i in range(n_outputs):
            p = min(max(<real>output[i], <real>LOWEST), <real>HIGHEST)
            if n_outputs == 1 and not softmax:
                out[0] = 1 - p
                out += 1
            out[i] = p
            total += p
        if softmax:
            # The sum is 1 to the precision of float32; float64 can do better.
            for i in range(n_outputs):
                out[i] /= <real>total
        output += n_outputs
        out += n_outputs


def probabilities(output, dtype, bint softmax):
    """Probability of each class, of float32 or float64, shape (n_samples, n_classes).

    Parameters
    ----------
    output : float32 array of shape (n_samples, n_outputs)
        Finite outputs of softmax or of sigmoids. That of a single sigmoid is the second
        class's of two.
    dtype : dtype
    softmax : bool
        Whether those of a sample add up to 1.
    """
    cdef int64_t n = output.shape[0], n_outputs = output.shape[1]
    cdef const float *values = <const float*>checked(output, "output", ("<f4",))
    out = np.empty((n, 2 if n_outputs == 1 and not softmax else n_outputs), dtype)
    if out.itemsize == sizeof(double):
        fill(values, n, n_outputs, softmax, <double*>address(out))
    else:
        fill(values, n, n_outputs, softmax, <float*>address(out))
    return out
