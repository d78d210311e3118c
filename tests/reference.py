"""The plain NumPy twin of every kernel; `reference_network.py` has whole steps.

Everything is dense and slow and says what the kernels must compute. As in the kernels
a column is a sample: panels are (features, 64), targets (outputs, samples). Integers
and roundings to a number format are exact, to be compared bit by bit; sums are formed
in float64 (or in the dtype asked for) and compared within the rounding of a float32
sum.
"""

import dataclasses

import numpy as np
from scipy import special

from sparsenet._kernels import _dispatch

LANES = 64
ACTIVATIONS, LOSSES = tuple(_dispatch.ACTIVATIONS), tuple(_dispatch.LOSSES)  # by code
STORED = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.uint16),
    "bfloat16": np.dtype(np.uint16),
    "int8": np.dtype(np.uint8),
}

#: Distance of neighbouring numbers, relative to the largest that share it.
SPACING = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "int8": 1 / 127}

#: Largest rounding error of float32, relative to the result.
UNIT_ROUNDOFF = 2.0**-24


# --- number formats ----------------------------------------------------------------


def to_bits(values, precision):
    """Round float32 values to a float format, to nearest even; returns stored bits.

    What float16 does not hold is not a number, bfloat16 overflows to infinity.
    """
    values = np.asarray(values, np.float32)
    if precision == "float32":
        return values
    if precision == "float16":
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        return np.where(np.isinf(half), np.float16(np.nan), half).view(np.uint16)
    assert precision == "bfloat16"
    # 8 significant bits: a multiple of 2^(exponent - 8), or of the smallest denormal.
    finite = np.where(np.isfinite(values), values, 0).astype(np.float64)
    quantum = np.ldexp(1.0, np.maximum(np.frexp(finite)[1], -125) - 8)
    with np.errstate(over="ignore"):
        rounded = (np.rint(finite / quantum) * quantum).astype(np.float32)
    rounded = np.where(np.isfinite(values), np.copysign(rounded, values), values)
    return (rounded.view(np.uint32) >> 16).astype(np.uint16)


def without_denormals(values):
    """The same with zeros for denormals, as bfloat16's instructions take them."""
    tiny = np.abs(values) < np.finfo(np.float32).tiny
    return np.where(tiny, np.copysign(np.float32(0), values), values)


def from_bits(stored, precision):
    """Values of stored bits of a float format, as float32."""
    if precision == "float16":
        return stored.view(np.float16).astype(np.float32)
    if precision == "bfloat16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.view(np.float32)


def random_bits(seed, row):
    """16 bits for each of 64 lanes: MurmurHash3's finalizer over a counter.

    A word serves two lanes, its upper half that of the smaller number.
    """
    half, high, low = (
        LANES // 2,
        np.uint32(int(seed) >> 32),
        np.uint32(seed & 2**32 - 1),
    )
    x = np.arange(row * half, (row + 1) * half, dtype=np.uint64).astype(np.uint32)
    x = (x * np.uint32(2654435769) + low) ^ high
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    x ^= x >> 16
    return np.concatenate([x >> 16, x & 0xFFFF]).astype(np.uint16)


def quantize(values, scale, bits=None):
    """values / scale as integers in -127..127: to nearest even, or at random.

    With random bits, floor(value + u) for u uniform in (0, 1): right on average, but
    for a factor that keeps the largest value from passing 127.
    """
    scale = np.asarray(scale, np.float32)
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale > 0)
    if bits is not None:
        inverse = inverse * np.float32(1 - 2.0**-20)
    scaled = values * inverse
    if bits is not None:
        # u is centred in its interval: (bits + 1/2) / 2^16, less the 1/2 of rounding.
        scaled = scaled + np.float32(2.0**-17 - 0.5)
        scaled = scaled + bits.astype(np.float32) * np.float32(2.0**-16)
    return np.rint(scaled).astype(np.int64)


def scale_of(magnitudes, axis=None):
    """int8 scale of activations and deltas: the largest of `magnitudes` / 127."""
    return magnitudes.max(axis) * (np.float32(1) / np.float32(127))


def encode(z, precision, offset=0):
    """Activations as they are stored, int8 with an offset, and each lane's scale."""
    if precision != "int8":
        return to_bits(z, precision), np.ones(LANES, np.float32)
    scale = scale_of(np.abs(z), axis=0)
    return (quantize(z, scale) + offset).astype(np.uint8), scale


def decode(x, precision, offset, scale):
    if precision != "int8":
        return from_bits(x, precision)
    return (x.astype(np.int64) - offset).astype(np.int8).astype(np.float32) * scale


def encode_deltas(z, precision, row_scale, seed):
    """Deltas kept for the weight gradient, operand and scale of the input gradient."""
    if precision == "int8":
        scaled = z * row_scale[:, np.newaxis]
        scale = scale_of(np.abs(scaled), axis=0)
        bits = np.array([random_bits(seed, row) for row in range(len(z))])
        return z, quantize(scaled, scale, bits).astype(np.int8), scale
    multiplier = np.float32(1)
    if precision == "float16" and np.any(z):
        # A power of two brings the largest to 2^12..2^13.
        exponent = np.clip(13 - np.frexp(np.abs(z).max())[1], -126, 126)
        multiplier = np.ldexp(np.float32(1), exponent)
    kept = to_bits(z * multiplier, precision)
    return kept, kept, np.full(LANES, 1 / multiplier, np.float32)


def prepare(kept, precision, delta_scale, x_scale, offset, seed):
    """One row's deltas over all panels -> (deltas, factor, correction, their sum)."""
    if precision != "int8":
        deltas = from_bits(kept, precision) * delta_scale
        return deltas, 1.0, 0, deltas.sum(dtype=np.float64)
    scaled = kept * x_scale
    factor = scale_of(np.abs(scaled))
    bits = np.array([random_bits(seed, panel) for panel in range(len(kept))])
    deltas = quantize(scaled, factor, bits)
    return deltas, factor, offset * deltas.sum(), kept.sum(dtype=np.float64)


def encode_weights(master, precision):
    """Stored weights (n, height) of one block, and the scale of each of its rows."""
    if precision != "int8":
        return to_bits(master, precision), np.zeros(master.shape[1], np.float32)
    row_scale = np.abs(master).max(axis=0, initial=0) / np.float32(127)
    return quantize(master, row_scale).astype(np.int8), row_scale


def encode_terms(x, precision, seed=None):
    """Values that the sums of rows read, and their scale; at random with a seed."""
    if precision != "int8":
        return from_bits(to_bits(x, precision), precision), 1.0
    scale, bits = scale_of(np.abs(np.append(x, np.float32(0)))), None
    if seed is not None:
        bits = [random_bits(seed, row) for row in range(len(x) // LANES + 1)]
        bits = np.concatenate(bits)[: len(x)]
    return quantize(x, scale, bits), scale


def encode_row(x, precision, seed=None):
    """Likewise; float16 scales by a power of two, and back."""
    if precision == "int8":
        return encode_terms(x, precision, seed)
    kept, _, scale = encode_deltas(x, precision, None, 0)
    return from_bits(kept, precision) * scale[0], 1.0


def lay_out(block, group):
    """(n, height) weights in the order of a compute copy.

    Whole groups of columns are stored row by row, the columns left over one by one.
    """
    n, height = block.shape
    whole = n // group * group
    grouped = block[:whole].reshape(-1, group, height).transpose(0, 2, 1)
    return np.concatenate([grouped.ravel(), block[whole:].ravel()])


def lay_out_dense(matrix, group, tile, fill=0):
    """A dense (n_rows, n_columns) matrix in the order of a compute copy.

    `tile` None: blocks of 4 rows, each as by `lay_out`. Else tiles of so many rows and
    columns, those of the same rows one after another. `fill` completes them.
    """
    rows, columns = tile or (4, 1)
    n_rows, n_columns = -(-len(matrix) // rows), -(-matrix.shape[1] // columns)
    whole = np.full((n_rows * rows, n_columns * columns), fill, matrix.dtype)
    whole[: len(matrix), : matrix.shape[1]] = matrix
    copies = []
    for strip in np.split(whole, n_rows):
        if tile is None:
            copies.append(lay_out(strip.T, group))
        else:
            copies.extend(part.ravel() for part in np.split(strip, n_columns, axis=1))
    return np.concatenate(copies)


def pack(X, rows):
    """Some rows of X as a panel; the other lanes are zero."""
    panel = np.zeros((X.shape[1], LANES), np.float32)
    panel[:, : len(rows)] = X[rows].T.astype(np.float32)
    return panel


# --- products ----------------------------------------------------------------------


def spmm(weights, x):
    """(rows, features) times (features, 64)."""
    return weights @ x


def window_starts(rows):
    """First columns of the windows of a group of rows, each given by its columns.

    A window has 32 columns, and up to four of each row that no window had before.
    """
    left, starts = [list(map(int, columns)) for columns in rows], []
    while any(left):
        start = min(columns[0] for columns in left if columns)
        starts.append(start)
        taken = [sum(c < start + 32 for c in columns[:4]) for columns in left]
        left = [columns[n:] for columns, n in zip(left, taken, strict=True)]
    return starts


def sddmm(deltas, panels):
    """Dense weight gradient (rows, features): over all panels and lanes."""
    return sum(d @ x.T for d, x in zip(deltas, panels, strict=True))


def sum_rows(terms, rows):
    """Rows (terms, units), each times its term."""
    return terms @ rows


def sum_sparse_rows(terms, rows, connections, n_units):
    """Rows (terms, fan_out), whose values belong to the units `connections`."""
    out = np.zeros(n_units, rows.dtype)
    np.add.at(out, connections, terms[:, np.newaxis] * rows)
    return out


def sum_at_connections(terms, rows, connections):
    return sum_rows(terms, rows[:, connections])


# --- functions ---------------------------------------------------------------------


def activation_of(activation, z):
    """The activation of z and its derivative by z."""
    one, slope = np.ones_like(z), np.float32(0.01)
    if activation == "logistic":
        a = special.expit(z)
        return a, a * (1 - a)
    if activation == "tanh":
        a = np.tanh(z)
        return a, 1 - a * a
    if activation == "relu":
        return np.maximum(z, 0), one * (z > 0)
    if activation == "leaky_relu":
        return np.where(z < 0, slope * z, z), np.where(z > 0, one, slope * one)
    if activation == "elu":
        negative = np.expm1(np.minimum(z, 0))
        return np.where(z > 0, z, negative), np.where(z > 0, one, negative + 1)
    if activation == "selu":
        slope, limit = 1.0507009873554805, 1.7580993408473766
        a = np.where(z > 0, slope * z, limit * np.expm1(np.minimum(z, 0)))
        return a, np.where(z > 0, slope * one, a + limit)
    if activation == "silu":
        s = special.expit(z)
        return z * s, s * (1 + z * (1 - s))
    if activation == "gelu":
        cdf, density = special.ndtr(z), np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        return z * cdf, cdf + z * density
    if activation == "mish":
        t, s = np.tanh(np.logaddexp(0, z)), special.expit(z)
        return z * t, t + z * s * (1 - t * t)
    assert activation == "identity"
    return z, one


def activate(activation, z, bias, row_scale=None, lane_scale=None):
    """Activations and derivatives."""
    if row_scale is not None:
        z = z * (row_scale[:, np.newaxis] * lane_scale)
    return activation_of(activation, z + bias[:, np.newaxis])


def output(loss, logits):
    """Output activations, (outputs, samples)."""
    functions = {
        "softmax": lambda z: special.softmax(z, axis=0),
        "logistic": special.expit,
        "exp": np.exp,
        "identity": lambda z: z,
    }
    return functions[_dispatch.OUT_ACTIVATIONS[loss]](logits)


def one_hot(codes, n_outputs, dtype):
    return (np.arange(n_outputs)[:, np.newaxis] == codes).astype(dtype)


#: A value of each parameter of a loss.
LOSS_PARAMETERS = {
    "label_smoothing": 0.0,
    "focal_gamma": 1.5,
    "huber_delta": 0.75,
    "quantile": 0.3125,
}


def loss_parameter(loss):
    """The value of the loss's parameter; 0 if it has none, as the kernels take it."""
    name = _dispatch.LOSS_PARAMETERS.get(loss)
    return 0.0 if name is None else LOSS_PARAMETERS[name]


def by_output(parameter, logits):
    """A parameter for all outputs, or one for each, beside logits."""
    return np.reshape(np.asarray(parameter, logits.dtype), (-1, 1))


def smoothed(target, smoothing, n_classes):
    return (1 - smoothing) * target + smoothing / n_classes


def focal_of(log_p, rest, gamma):
    """The loss of a class's log-probability, and minus its derivative by the logit.

    `rest` is the probability of all other classes.
    """
    log_p = np.where(rest < 0.5, np.log1p(-np.minimum(rest, 0.5)), log_p)
    return -(rest**gamma) * log_p, rest**gamma * (rest - gamma * np.exp(log_p) * log_p)


def loss_of(loss, x, y, parameter):
    """The loss of each logit x for its target y, and its derivative by x."""
    if loss == "focal_logistic":
        sign = 2 * y - 1
        rest = special.expit(-sign * x)
        value, slope = focal_of(special.log_expit(sign * x), rest, parameter)
        return value, -sign * slope
    if loss == "logistic":
        y = smoothed(y, parameter, 2)
    error = output(loss, x) - y
    if loss == "logistic":
        return np.logaddexp(0, x) - y * x, error
    if loss == "gamma":
        ratio = y * np.exp(-x)
        return ratio - 1 - np.log(y) + x, 1 - ratio
    if loss == "squared_error":
        return 0.5 * error**2, error
    if loss == "absolute_error":
        return np.abs(error), np.sign(error)
    if loss == "huber":
        magnitude = np.abs(error)
        line = parameter * (magnitude - 0.5 * parameter)
        value = np.where(magnitude <= parameter, 0.5 * error**2, line)
        return value, np.clip(error, -parameter, parameter)
    if loss == "quantile":
        above = np.where(error > 0, 1 - parameter, 0)
        slope = np.where(error < 0, -parameter, above)
        return slope * error, slope
    assert loss == "poisson"
    return special.xlogy(y, y) - y * x + error, error


def losses(loss, logits, target, parameter):
    """Loss of each sample. `target` as the logits, or the codes for losses of those."""
    parameter = by_output(parameter, logits)
    if loss in _dispatch.CODE_LOSSES:
        return loss_of_codes(loss, logits, target, parameter)[0]
    total = loss_of(loss, logits, target, parameter)[0].sum(axis=0)
    return total / n_shares(loss, logits)


def loss_deltas(loss, logits, target, parameter):
    """Derivative of `losses` by the logits."""
    parameter = by_output(parameter, logits)
    if loss in _dispatch.CODE_LOSSES:
        return loss_of_codes(loss, logits, target, parameter)[1]
    return loss_of(loss, logits, target, parameter)[1] / n_shares(loss, logits)


def loss_of_codes(loss, logits, codes, parameter):
    """The loss of each sample, and its derivative by its logits."""
    log_p = special.log_softmax(logits, axis=0)
    given = one_hot(codes, len(logits), logits.dtype)
    if loss == "softmax":
        given = smoothed(given, parameter, len(logits))
        return -(given * log_p).sum(axis=0), np.exp(log_p) - given
    assert loss == "focal_softmax"
    others = np.where(given == 1, 0, np.exp(log_p))
    rest = others.sum(axis=0)
    value, slope = focal_of((given * log_p).sum(axis=0), rest, parameter[0])
    shares = np.divide(others, rest, out=np.zeros_like(others), where=rest > 0)
    return value, slope * (shares - given)


def n_shares(loss, logits):
    """How many outputs the loss is a mean over; 1 if it is their sum."""
    return len(logits) if loss in _dispatch.REGRESSOR_LOSSES else 1


def drop(z, row, threshold, seed):
    """Rows of a panel from number `row` on, of which a share is left out."""
    bits = np.array([random_bits(seed, row + r) for r in range(len(z))])
    return np.where(bits < threshold, 0, z * (65536 / (65536 - threshold)))


def update(optimizer, alpha, inv_weight, parameter, gradient, first, second, kept=None):
    """One step for any array of parameters -> (parameter, first, second).

    `kept`: what weight decay leaves of them.
    """
    g = (gradient + alpha * parameter) * inv_weight
    if optimizer.solver in _dispatch.ADAM_SOLVERS:
        if kept is None:
            kept = kept_by(optimizer)
        first = optimizer.beta_1 * first + (1 - optimizer.beta_1) * g
        second = optimizer.beta_2 * second + (1 - optimizer.beta_2) * g * g
        step = optimizer.learning_rate * first / (np.sqrt(second) + optimizer.epsilon)
        return kept * parameter - step, first, second
    step = -optimizer.learning_rate * g
    first = optimizer.momentum * first + step
    if optimizer.nesterovs_momentum:
        return parameter + optimizer.momentum * first + step, first, second
    return parameter + first, first, second


def kept_by(optimizer):
    """What one step's weight decay leaves of a weight."""
    return 1 - optimizer.learning_rate * optimizer.weight_decay


# --- rewiring ----------------------------------------------------------------------


def advance(
    optimizer, alpha, rates, inv_weight, state, begin, end, gradient=None, kept=None
):
    """Steps begin[i] to end[i] - 1 of feature i: the first one with its gradient.

    `state` [feature][plane][parameter], `rates` [step] or, for each parameter,
    [step][feature][parameter].
    """
    after = state.copy()
    for i, (first, last) in enumerate(zip(begin, end, strict=True)):
        for step in range(first, last):
            rate = rates[step] if rates.ndim == 1 else rates[step, i]
            at_rate = dataclasses.replace(optimizer, learning_rate=rate)
            g = np.zeros_like(state[i, 0])
            if gradient is not None and step == first:
                g = gradient[i]
            arrays = after[i, 0], g, after[i, 1], after[i, 2]
            of_step = 1.0 if kept is None else kept[step]
            after[i] = update(at_rate, alpha, inv_weight[step], *arrays, of_step)
    return after


def mix(x, y):
    """SplitMix64's output function over a combined counter."""
    mask = 2**64 - 1
    z = (x * 0x9E3779B97F4A7C15 + y + 1) & mask
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
    return z ^ z >> 31


def rewire_at_random(columns, weights, n_columns, fraction, seed):
    """Columns of each row after a round that grows at random, not sorted."""
    rewired = columns.copy()
    for row, length in enumerate([columns.shape[1]] * len(columns)):
        row_seed = mix(seed, row)
        n = int(fraction * length + (row_seed >> 40) / 2**24)
        n = min(n, length, n_columns - length)
        dropped = np.argsort(np.abs(weights[row]), kind="stable")[:n]
        taken, grown, draw = set(columns[row].tolist()), [], 0
        while len(grown) < n:
            column = (mix(row_seed, draw) >> 32) * n_columns >> 32
            draw += 1
            if column not in taken:
                taken.add(column)
                grown.append(column)
        rewired[row, dropped] = grown
    return rewired
