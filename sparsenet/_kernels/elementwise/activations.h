/* Activation functions of hidden layers. Each has
 *   apply_<name>(z)         the activation of z
 * and either, where the derivative is a function of the activation a,
 *   chain_<name>(delta, a)  delta times the derivative
 * or else
 *   derivative_<name>(z)
 * registry.h lists them: what is missing does not compile. NaN stays NaN, to be seen in the loss. */
INLINE vf apply_identity(vf z) { return z; }
INLINE vf chain_identity(vf delta, vf a) { return (void)a, delta; }

INLINE vf apply_logistic(vf z) { return vlogistic(z); }
INLINE vf chain_logistic(vf delta, vf a) { return delta * (a * (1.0f - a)); }

INLINE vf apply_tanh(vf z) { return vtanh(z); }
INLINE vf chain_tanh(vf delta, vf a) { return delta * (1.0f - a * a); }

INLINE vf apply_relu(vf z) { return select_float(z < 0.0f, splat(0.0f), z); }
INLINE vf chain_relu(vf delta, vf a) { return select_float(a > 0.0f, delta, splat(0.0f)); }

/* A slope of 0.01 for negative values (Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic
 * models"). */
INLINE vf apply_leaky_relu(vf z) { return select_float(z < 0.0f, 0.01f * z, z); }
INLINE vf chain_leaky_relu(vf delta, vf a) { return select_float(a > 0.0f, delta, 0.01f * delta); }

/* Clevert et al. 2016, "Fast and accurate deep network learning by exponential linear units (ELUs)". */
INLINE vf apply_elu(vf z) { return select_float(z > 0.0f, z, vexpm1(z)); }
INLINE vf chain_elu(vf delta, vf a) { return delta * select_float(a > 0.0f, splat(1.0f), a + 1.0f); }

/* Klambauer et al. 2017, "Self-normalizing neural networks": elu of another slope, and limit, on either side. */
#define SELU_SLOPE 1.05070098f
#define SELU_LIMIT 1.75809934f
INLINE vf apply_selu(vf z) { return select_float(z > 0.0f, SELU_SLOPE * z, SELU_LIMIT * vexpm1(z)); }
INLINE vf chain_selu(vf delta, vf a) { return delta * select_float(a > 0.0f, splat(SELU_SLOPE), a + SELU_LIMIT); }

/* Ramachandran, Zoph & Le 2017, "Searching for activation functions"; Elfwing et al. 2018. */
INLINE vf apply_silu(vf z) { return z * vlogistic(z); }
INLINE vf derivative_silu(vf z)
{
    const vf s = vlogistic(z);
    return s * (1.0f + z * (1.0f - s));
}

/* z times the normal distribution function of z, not its approximation by tanh (Hendrycks & Gimpel 2016, "Gaussian error
 * linear units"). The function by Abramowitz & Stegun 1964, 7.1.26: its error is below 0.8e-7. */
INLINE vf normal_cdf(vf z, vf density)
{
    const vf t = 1.0f / fma_(vabs(z), splat(0.23164189f), splat(1.0f)); /* 0.3275911 / sqrt(2) */
    vf p = splat(1.061405429f);
    p = fma_(p, t, splat(-1.453152027f));
    p = fma_(p, t, splat(1.421413741f));
    p = fma_(p, t, splat(-0.284496736f));
    p = fma_(p, t, splat(0.254829592f));
    const vf tail = p * t * density * 1.25331414f; /* exp(-z^2 / 2) / 2 = density * sqrt(pi / 2) */
    return select_float(z < 0.0f, tail, 1.0f - tail);
}
INLINE vf normal_density(vf z) { return 0.39894228f * vexp(-0.5f * (z * z)); }
INLINE vf apply_gelu(vf z) { return z * normal_cdf(z, normal_density(z)); }
INLINE vf derivative_gelu(vf z)
{
    const vf density = normal_density(z);
    return fma_(z, density, normal_cdf(z, density));
}

/* z tanh(log(1 + e)) with e = exp(z) (Misra 2019, "Mish: a self regularized non-monotonic activation function"). The
 * hyperbolic tangent is n / (n + 2) with n = e^2 + 2e, and its derivative by z is 4 e (1 + e) / (n + 2)^2: nothing
 * cancels. From 20 on it is 1 in float32, and e^4 is far from overflow. */
INLINE vf mish_bounded(vf z) { return select_float(z > 20.0f, splat(20.0f), z); }
INLINE vf apply_mish(vf z)
{
    const vf e = vexp(mish_bounded(z)), n = e * (e + 2.0f);
    return z * (n / (n + 2.0f));
}
INLINE vf derivative_mish(vf z)
{
    const vf x = mish_bounded(z), e = vexp(x), n = e * (e + 2.0f), inverse = 1.0f / (n + 2.0f);
    return inverse * (n + 4.0f * x * e * (1.0f + e) * inverse);
}

INLINE vf apply_activation(const int activation, vf z)
{
    switch (activation) {
#define CASE(NAME, name, ...) \
    case SN_##NAME: return apply_##name(z);
        SN_ACTIVATIONS(CASE)
#undef CASE
    }
    __builtin_unreachable();
}

INLINE vf derivative_of(const int activation, vf z)
{
    switch (activation) {
#define CASE(NAME, name, ...) \
    case SN_##NAME: return derivative_##name(z);
        SN_ACTIVATIONS_BY_INPUT(CASE)
#undef CASE
    }
    __builtin_unreachable();
}

/* `derivative` NULL: it is not kept. */
INLINE void activate_rows(const int activation, const int vectors, float *z, int64_t n_rows, const float *bias,
                          const float *row_scale, const float *lane_scale, float *derivative)
{
    for (int64_t r = 0; r < n_rows; r++) {
        const float scale = row_scale ? row_scale[r] : 1.0f;
        unrolled_for (int v = 0; v < vectors; v++) {
            const int64_t i = r * SN_LANES + v * WIDTH;
            const vf y = load(z + i), b = splat(bias[r]);
            /* Said explicitly: whether the compiler makes one operation of two may depend on `vectors`, and so would
             * a sample's result on how many there are. */
            const vf x = lane_scale ? fma_(y, load(lane_scale + v * WIDTH) * scale, b) : y + b;
            store(z + i, apply_activation(activation, x));
            if (derivative) store(derivative + i, derivative_of(activation, x));
        }
    }
}

/* kernels.h, `activate`: a loop for each activation, without a branch inside. */
static void activate(int activation, float *z, int64_t n_rows, const float *bias, const float *row_scale,
                     const float *lane_scale, int lanes, float *derivative)
{
    const int half = lanes <= SN_LANES / 2;
#define ACTIVATE(NAME, derivative)                                                                       \
    if (half) activate_rows(SN_##NAME, VECTORS / 2, z, n_rows, bias, row_scale, lane_scale, derivative); \
    else activate_rows(SN_##NAME, VECTORS, z, n_rows, bias, row_scale, lane_scale, derivative)
    switch (activation) {
#define CASE(NAME, name, ...) \
    case SN_##NAME: ACTIVATE(NAME, NULL); break;
        SN_ACTIVATIONS_BY_OUTPUT(CASE)
#undef CASE
#define CASE(NAME, name, ...)           \
    case SN_##NAME:                     \
        if (derivative) {               \
            ACTIVATE(NAME, derivative); \
        } else {                        \
            ACTIVATE(NAME, NULL);       \
        }                               \
        break;
        SN_ACTIVATIONS_BY_INPUT(CASE)
#undef CASE
    }
#undef ACTIVATE
}

/* kernels.h, `activate_sample`. */
static void activate_sample(int activation, float *z, int64_t n, const float *bias, const float *row_scale, float scale)
{
    switch (activation) {
#define CASE(NAME, name, ...)                                                                        \
    case SN_##NAME:                                                                                  \
        for (int64_t i = 0; i < n; i += WIDTH) {                                                     \
            const vf y = load(z + i), b = load_partial(bias + i, n - i);                             \
            const vf x = row_scale ? fma_(y, load_partial(row_scale + i, n - i) * scale, b) : y + b; \
            store(z + i, apply_##name(x));                                                           \
        }                                                                                            \
        break;
        SN_ACTIVATIONS(CASE)
#undef CASE
    }
}

/* kernels.h, `chain`. */
static void chain(int activation, float *z, const float *a, int64_t n_rows, const float *lane_scale)
{
#define CHAIN(chained)                                                                    \
    for (int64_t r = 0; r < n_rows; r++)                                                  \
        unrolled_for (int v = 0; v < VECTORS; v++) {                                      \
            const int64_t i = r * SN_LANES + v * WIDTH;                                   \
            const vf delta = load(z + i) * load(lane_scale + v * WIDTH), y = load(a + i); \
            store(z + i, chained);                                                        \
        }
    switch (activation) {
#define CASE(NAME, name, ...) \
    case SN_##NAME: CHAIN(chain_##name(delta, y)) break;
        SN_ACTIVATIONS_BY_OUTPUT(CASE)
#undef CASE
    default: CHAIN(delta * y) /* the derivative itself */
    }
#undef CHAIN
}
