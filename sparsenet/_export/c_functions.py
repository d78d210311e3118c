"""The functions that C files of networks are put together from.

Each is static, for one network, whose name takes the place of ``@``. Their arithmetic
is that of the kernels (`elementwise/`, `formats/int8_storage.h`), one value at a time,
with fused multiplications and additions where GCC makes them.
"""

import re

#: Text of each function, by name; those that it calls come before it.
FUNCTIONS = {
    "fma": """\
/* a * b + c, rounded once. Where a processor has no such instruction and last bits do
 * not matter, let it return a * b + c, which needs no library. */
static float @fma(float a, float b, float c)
{
    return fmaf(a, b, c);
}
""",
    "round": """\
/* a * b to the nearest whole number, ties to even, up to 2^22: what is added leaves no
 * bits for a fraction. */
static float @round(float a, float b)
{
    const float sum = @fma(a, b, 12582912.0f);
    return sum - 12582912.0f;
}
""",
    "exp_parts": """\
/* exp(x) = (1 + r + r^2 p) scale: returns p. After the Cephes library (S. Moshier). */
static float @exp_parts(float x, float *r, float *scale)
{
    x = x > 88.3f ? 88.3f : x;
    x = x < -87.3f ? -87.3f : x;
    const float n = @round(x, 1.44269504f);
    const union {
        int32_t bits;
        float value;
    } power = {((int32_t)n + 127) << 23};
    *scale = power.value;
    *r = @fma(n, 2.12194440e-4f, @fma(n, -0.693359375f, x));
    float p = @fma(1.9875691500e-4f, *r, 1.3981999507e-3f);
    p = @fma(p, *r, 8.3334519073e-3f);
    p = @fma(p, *r, 4.1665795894e-2f);
    p = @fma(p, *r, 1.6666665459e-1f);
    return @fma(p, *r, 5.0000001201e-1f);
}
""",
    "exp": """\
/* exp(x) + c, rounded once. */
static float @exp(float x, float c)
{
    float r, scale;
    const float p = @exp_parts(x, &r, &scale);
    return @fma(@fma(p, r * r, r + 1.0f), scale, c);
}
""",
    "expm1": """\
/* exp(x) - 1, also accurate near zero. */
static float @expm1(float x)
{
    float r, scale;
    const float p = @exp_parts(x, &r, &scale);
    return @fma(@fma(p, r * r, r), scale, scale - 1.0f);
}
""",
    "logistic": """\
static float @logistic(float z)
{
    return 1.0f / @exp(-z, 1.0f);
}
""",
    "tanh": """\
static float @tanh(float z)
{
    const float a = z < 0.0f ? -z : z, square = z * z;
    if (a < 0.625f) {
        float p = @fma(-5.70498872745e-3f, square, 2.06390887954e-2f);
        p = @fma(p, square, -5.37397155531e-2f);
        p = @fma(p, square, 1.33314422036e-1f);
        p = @fma(p, square, -3.33332819422e-1f);
        return @fma(p * square, z, z);
    }
    const float far = 1.0f - 2.0f / @exp(a + a, 1.0f);
    return z < 0.0f ? -far : far;
}
""",
    "relu": """\
static float @relu(float z)
{
    return z < 0.0f ? 0.0f : z;
}
""",
    "leaky_relu": """\
static float @leaky_relu(float z)
{
    return z < 0.0f ? 0.01f * z : z;
}
""",
    "elu": """\
static float @elu(float z)
{
    return z > 0.0f ? z : @expm1(z);
}
""",
    "selu": """\
static float @selu(float z)
{
    return z > 0.0f ? 1.05070098f * z : 1.75809934f * @expm1(z);
}
""",
    "silu": """\
static float @silu(float z)
{
    return z * @logistic(z);
}
""",
    "gelu": """\
/* z times the normal distribution function (Abramowitz & Stegun 1964, 7.1.26). */
static float @gelu(float z)
{
    const float density = 0.39894228f * @exp(-0.5f * (z * z), 0.0f);
    const float t = 1.0f / @fma(z < 0.0f ? -z : z, 0.23164189f, 1.0f);
    float p = @fma(1.061405429f, t, -1.453152027f);
    p = @fma(p, t, 1.421413741f);
    p = @fma(p, t, -0.284496736f);
    p = @fma(p, t, 0.254829592f);
    const float tail = p * t * density * 1.25331414f;
    return z * (z < 0.0f ? tail : 1.0f - tail);
}
""",
    "mish": """\
/* z tanh(log(1 + exp(z))) */
static float @mish(float z)
{
    const float e = @exp(z > 20.0f ? 20.0f : z, 0.0f), n = e * (e + 2.0f);
    return z * (n / (n + 2.0f));
}
""",
    "quantize": """\
/* x, times `factor` if there is one, as numbers up to 127 times what is returned. */
static float @quantize(const float *x, const float *factor, int32_t n, int8_t *q)
{
    float largest = 0.0f;
    for (int32_t i = 0; i < n; i++) {
        const float value = factor ? x[i] * factor[i] : x[i];
        const float magnitude = value < 0.0f ? -value : value;
        largest = magnitude > largest ? magnitude : largest;
    }
    const float scale = largest * (1.0f / 127.0f);
    const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    for (int32_t i = 0; i < n; i++)
        q[i] = (int8_t)@round(factor ? x[i] * factor[i] : x[i], inverse);
    return scale;
}
""",
    "finish": """\
/* sums of whole numbers, in out, times what one is worth, plus the biases */
static void @finish(float *out, int32_t n, float scale, const float *unit_scale,
    const float *bias)
{
    for (int32_t i = 0; i < n; i++) {
        const float product = out[i] * scale;
        out[i] = unit_scale ? @fma(out[i], scale * unit_scale[i], bias[i])
                            : product + bias[i];
    }
}
""",
    "dense_int8": """\
static void @dense_int8(const int8_t *x, int32_t n_in, int32_t n_out,
    const int8_t *weights, float *out)
{
    for (int32_t unit = 0; unit < n_out; unit++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < n_in; i++) sum += *weights++ * x[i];
        out[unit] = (float)sum;
    }
}
""",
    "sparse_int8": """\
/* Weights lie unit by unit, each `gaps` behind the one before; the inputs of the next
 * unit follow upon those of this one. */
static void @sparse_int8(const int8_t *x, int32_t n_in, int32_t n_out,
    const int8_t *weights, const uint8_t *gaps, float *out)
{
    int32_t i = *gaps++;
    for (int32_t unit = 0; unit < n_out; unit++, i -= n_in) {
        int32_t sum = 0;
        for (; i < n_in; i += *gaps++) sum += *weights++ * x[i];
        out[unit] = (float)sum;
    }
}
""",
    "dense_float32": """\
static void @dense_float32(const float *x, int32_t n_in, int32_t n_out,
    const float *weights, const float *bias, float *out)
{
    for (int32_t unit = 0; unit < n_out; unit++) {
        float sum = 0.0f;
        for (int32_t i = 0; i < n_in; i++) sum += *weights++ * x[i];
        out[unit] = sum + bias[unit];
    }
}
""",
    "sparse_float32": """\
/* Weights lie unit by unit, each `gaps` behind the one before; the inputs of the next
 * unit follow upon those of this one. */
static void @sparse_float32(const float *x, int32_t n_in, int32_t n_out,
    const float *weights, const uint8_t *gaps,
    const float *bias, float *out)
{
    int32_t i = *gaps++;
    for (int32_t unit = 0; unit < n_out; unit++, i -= n_in) {
        float sum = 0.0f;
        for (; i < n_in; i += *gaps++) sum += *weights++ * x[i];
        out[unit] = sum + bias[unit];
    }
}
""",
    "softmax": """\
static void @softmax(float *z, int32_t n)
{
    float largest = z[0], sum = 0.0f;
    for (int32_t i = 1; i < n; i++) largest = z[i] > largest ? z[i] : largest;
    for (int32_t i = 0; i < n; i++) {
        z[i] = @exp(z[i] - largest, 0.0f);
        sum += z[i];
    }
    const float factor = 1.0f / sum;
    for (int32_t i = 0; i < n; i++) z[i] *= factor;
}
""",
    "sort": """\
static void @sort(float *z, int32_t n)
{
    for (int32_t i = 1; i < n; i++) {
        const float value = z[i];
        int32_t j = i;
        for (; j > 0 && z[j - 1] > value; j--) z[j] = z[j - 1];
        z[j] = value;
    }
}
""",
}


def functions(names):
    """The text of the functions of these names, and of those that they call."""
    needed = set(names)
    for name in reversed(FUNCTIONS):
        if name in needed:
            needed |= set(re.findall(r"@(\w+)", FUNCTIONS[name]))
    return [text for name, text in FUNCTIONS.items() if name in needed]
