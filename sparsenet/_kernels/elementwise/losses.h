/* Losses as scikit-learn defines them, and the output activations that belong to them. Those whose targets are numbers
 * have, for one output of WIDTH samples,
 *   output_<name>(x)          what the network puts out for a logit x
 *   loss_<name>(x, y, p, a)   the loss for the target y, where p is that output and `a` the loss's parameter
 *   delta_<name>(x, y, p, a)  its derivative by the logit
 * registry.h lists them: what is missing does not compile. */
INLINE vf output_logistic(vf x) { return vlogistic(x); }
INLINE vf loss_logistic(vf x, vf y, vf p, vf a)
{
    (void)p, (void)a;
    return vmax(x, splat(0.0f)) - x * y + vlog(1.0f + vexp(-vabs(x)));
}
INLINE vf delta_logistic(vf x, vf y, vf p, vf a) { return (void)x, (void)a, p - y; }

INLINE vf output_squared_error(vf x) { return x; }
INLINE vf loss_squared_error(vf x, vf y, vf p, vf a) { return (void)p, (void)a, 0.5f * ((x - y) * (x - y)); }
INLINE vf delta_squared_error(vf x, vf y, vf p, vf a) { return (void)x, (void)a, p - y; }

/* Half the deviance: y log(y / p) + p - y, with 0 log 0 = 0 and p = exp(x). */
INLINE vf output_poisson(vf x) { return vexp(x); }
INLINE vf loss_poisson(vf x, vf y, vf p, vf a)
{
    (void)a;
    vf y_log_y = y;
    for (int i = 0; i < WIDTH; i++) y_log_y[i] = y[i] > 0.0f ? y[i] * __builtin_logf(y[i]) : 0.0f;
    return y_log_y - y * x + p - y;
}
INLINE vf delta_poisson(vf x, vf y, vf p, vf a) { return (void)x, (void)a, p - y; }

/* Of the subgradients of equal numbers, 0. A true comparison is the integer -1. */
INLINE vf output_absolute_error(vf x) { return x; }
INLINE vf loss_absolute_error(vf x, vf y, vf p, vf a) { return (void)p, (void)a, vabs(x - y); }
INLINE vf delta_absolute_error(vf x, vf y, vf p, vf a) { return (void)p, (void)a, to_float((x < y) - (x > y)); }

/* Half the squared error, from errors of `a` on a line with the slope that it has there. */
INLINE vf output_huber(vf x) { return x; }
INLINE vf loss_huber(vf x, vf y, vf p, vf a)
{
    (void)p;
    const vf error = vabs(x - y), squared = vmin(error, a);
    return squared * (error - 0.5f * squared);
}
INLINE vf delta_huber(vf x, vf y, vf p, vf a) { return (void)p, vmax(vmin(x - y, a), -a); }

/* The pinball loss of the level `a`. Of the subgradients of equal numbers, 0. */
INLINE vf output_quantile(vf x) { return x; }
INLINE vf loss_quantile(vf x, vf y, vf p, vf a) { return (void)p, vmax(a * (y - x), (1.0f - a) * (x - y)); }
INLINE vf delta_quantile(vf x, vf y, vf p, vf a)
{
    (void)p;
    return select_float(x < y, -a, select_float(x > y, 1.0f - a, splat(0.0f)));
}

/* Softmax of one vector of lanes; returns log(sum(exp(logits))). */
INLINE vf softmax_lanes(float *z, int64_t n_outputs)
{
    vf largest = load(z), sum = splat(0.0f);
    for (int64_t r = 1; r < n_outputs; r++) largest = vmax(load(z + r * SN_LANES), largest);
    for (int64_t r = 0; r < n_outputs; r++) {
        const vf e = vexp(load(z + r * SN_LANES) - largest);
        sum += e;
        store(z + r * SN_LANES, e);
    }
    const vf inverse = 1.0f / sum;
    for (int64_t r = 0; r < n_outputs; r++) store(z + r * SN_LANES, load(z + r * SN_LANES) * inverse);
    return largest + vlog(sum);
}

/* Logits [n_outputs] of one vector of lanes, with the classes' codes -> deltas; returns the log-losses. */
INLINE vf log_loss_of_codes(float *logits, int64_t n_outputs, const int32_t *codes, vf weight)
{
    vf correct;
    for (int i = 0; i < WIDTH; i++) correct[i] = logits[codes[i] * SN_LANES + i];
    const vf loss = softmax_lanes(logits, n_outputs) - correct;
    for (int64_t r = 0; r < n_outputs; r++) store(logits + r * SN_LANES, load(logits + r * SN_LANES) * weight);
    for (int i = 0; i < WIDTH; i++) logits[codes[i] * SN_LANES + i] -= weight[i];
    return loss;
}

/* kernels.h, `output`. */
static void output(int loss, float *z, int64_t n_outputs)
{
    switch (loss) {
    case SN_LOSS_SOFTMAX:
        for (int v = 0; v < VECTORS; v++) softmax_lanes(z + v * WIDTH, n_outputs);
        break;
#define CASE(NAME, name, ...)                                                                               \
    case SN_LOSS_##NAME:                                                                                    \
        for (int64_t i = 0; i < n_outputs * SN_LANES; i += WIDTH) store(z + i, output_##name(load(z + i))); \
        break;
        SN_LOSSES_OF_NUMBERS(CASE)
#undef CASE
    }
}

/* kernels.h, `loss`. */
static double loss_and_deltas(int loss, float *z, int64_t n_outputs, const void *target, const float *weight,
                              float parameter)
{
    const vf a = splat(parameter);
    double total = 0.0;
    for (int v = 0; v < VECTORS; v++) {
        float *logits = z + v * WIDTH;
        const float *targets = (const float *)target + v * WIDTH;
        const vf w = load(weight + v * WIDTH);
        vf sum = splat(0.0f);
        switch (loss) {
        case SN_LOSS_SOFTMAX: sum = log_loss_of_codes(logits, n_outputs, (const int32_t *)target + v * WIDTH, w); break;
#define CASE(NAME, name, ...)                                                                                 \
    case SN_LOSS_##NAME: {                                                                                    \
        const float share = sn_losses[SN_LOSS_##NAME].is_mean ? 1.0f / (float)n_outputs : 1.0f;               \
        for (int64_t r = 0; r < n_outputs; r++) {                                                             \
            const vf y = load(targets + r * SN_LANES), x = load(logits + r * SN_LANES), p = output_##name(x); \
            sum += share * loss_##name(x, y, p, a);                                                           \
            store(logits + r * SN_LANES, delta_##name(x, y, p, a) * (w * share));                             \
        }                                                                                                     \
        break;                                                                                                \
    }
            SN_LOSSES_OF_NUMBERS(CASE)
#undef CASE
        }
        /* An idle lane has weight zero; its loss may be anything. */
        for (int i = 0; i < WIDTH; i++) total += w[i] != 0.0f ? (double)sum[i] * w[i] : 0.0;
    }
    return total;
}
