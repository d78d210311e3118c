/* Activation functions of hidden layers. Each has
 *   apply_<name>(z)        the activation of z
 *   chain_<name>(delta, a) delta times the derivative, from the activation a
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

INLINE vf apply_activation(const int activation, vf z)
{
    switch (activation) {
#define CASE(NAME, name, ...) case SN_##NAME: return apply_##name(z);
    SN_ACTIVATIONS(CASE)
#undef CASE
    }
    __builtin_unreachable();
}

INLINE void activate_rows(const int activation, const int vectors, float *z, int64_t n_rows, const float *bias,
                          const float *row_scale, const float *lane_scale)
{
    for (int64_t r = 0; r < n_rows; r++) {
        const float scale = row_scale ? row_scale[r] : 1.0f;
        UNROLL for (int v = 0; v < vectors; v++)
        {
            const vf y = load(z + r * SN_LANES + v * WIDTH), b = splat(bias[r]);
            /* Said explicitly: whether the compiler makes one operation of two may depend on `vectors`, and so would
             * a sample's result on how many there are. */
            const vf x = lane_scale ? fma_(y, load(lane_scale + v * WIDTH) * scale, b) : y + b;
            store(z + r * SN_LANES + v * WIDTH, apply_activation(activation, x));
        }
    }
}

/* kernels.h, `activate`: a loop for each activation, without a branch inside. */
static void activate(int activation, float *z, int64_t n_rows, const float *bias, const float *row_scale,
                     const float *lane_scale, int lanes)
{
    const int half = lanes <= SN_LANES / 2;
    switch (activation) {
#define CASE(NAME, name, ...)                                                                            \
    case SN_##NAME:                                                                                      \
        if (half) activate_rows(SN_##NAME, VECTORS / 2, z, n_rows, bias, row_scale, lane_scale);         \
        else activate_rows(SN_##NAME, VECTORS, z, n_rows, bias, row_scale, lane_scale);                  \
        break;
    SN_ACTIVATIONS(CASE)
#undef CASE
    }
}

/* kernels.h, `chain`. */
static void chain(int activation, float *z, const float *a, int64_t n_rows, const float *lane_scale)
{
    switch (activation) {
#define CASE(NAME, name, ...)                                                                            \
    case SN_##NAME:                                                                                      \
        for (int64_t r = 0; r < n_rows; r++)                                                             \
            UNROLL for (int v = 0; v < VECTORS; v++)                                                     \
            {                                                                                            \
                const int64_t i = r * SN_LANES + v * WIDTH;                                              \
                store(z + i, chain_##name(load(z + i) * load(lane_scale + v * WIDTH), load(a + i)));     \
            }                                                                                            \
        break;
    SN_ACTIVATIONS(CASE)
#undef CASE
    }
}
