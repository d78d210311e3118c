/* Losses as scikit-learn defines them, and the output activations that belong to them. Those whose targets are numbers
 * have, for one output of WIDTH samples,
 *   output_<name>(x)          what the network puts out for a logit x
 *   loss_<name>(x, y, p, a)   the loss for the target y, where p is that output and `a` the loss's parameter for it
 *   delta_<name>(x, y, p, a)  its derivative by the logit
 * Those of class codes, <name>_of_codes, take all outputs at once. registry.h lists them: what is missing does not
 * compile. */
#include <float.h>

/* Targets are smoothed by `a` (Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision"): each
 * of the two classes gets half of it. */
INLINE vf smoothed(vf y, vf a) { return y + a * (0.5f - y); }
INLINE vf output_logistic(vf x) { return vlogistic(x); }
INLINE vf loss_logistic(vf x, vf y, vf p, vf a)
{
    (void)p;
    return vmax(x, splat(0.0f)) - x * smoothed(y, a) + vlog(1.0f + vexp(-vabs(x)));
}
INLINE vf delta_logistic(vf x, vf y, vf p, vf a) { return (void)x, p - smoothed(y, a); }

/* Focal loss (Lin et al. 2017, "Focal loss for dense object detection"): the log-loss -log(p) of a class of the
 * probability p, times (1 - p)^a. By the logit of that class, its derivative is -focal_slope. What is near 0 is given,
 * not computed as a difference: `rest` is 1 - p, and `log_loss` is -log(p). */
INLINE vf focal_weight(vf rest, vf a) { return vexp(a * vlog(vmax(rest, splat(FLT_MIN)))); }
INLINE vf focal_slope(vf p, vf rest, vf log_loss, vf a) { return focal_weight(rest, a) * (rest + a * (p * log_loss)); }

/* Of the class that y, 0 or 1, names: its logit is x or -x. */
INLINE vf logit_of(vf x, vf y) { return select_float(y > 0.5f, x, -x); }
INLINE vf log_loss_of_logit(vf z) { return vmax(-z, splat(0.0f)) + vlog1p(vexp(-vabs(z))); }
INLINE vf output_focal_logistic(vf x) { return vlogistic(x); }
INLINE vf loss_focal_logistic(vf x, vf y, vf p, vf a)
{
    (void)p;
    const vf z = logit_of(x, y);
    return focal_weight(vlogistic(-z), a) * log_loss_of_logit(z);
}
INLINE vf delta_focal_logistic(vf x, vf y, vf p, vf a)
{
    (void)p;
    const vf z = logit_of(x, y), slope = focal_slope(vlogistic(z), vlogistic(-z), log_loss_of_logit(z), a);
    return select_float(y > 0.5f, -slope, slope);
}

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

/* Half the deviance: log(p / y) + y / p - 1, with p = exp(x). */
INLINE vf output_gamma(vf x) { return vexp(x); }
INLINE vf loss_gamma(vf x, vf y, vf p, vf a)
{
    (void)a;
    vf log_y = y;
    for (int i = 0; i < WIDTH; i++) log_y[i] = __builtin_logf(y[i]);
    return x - log_y + (y / p - 1.0f);
}
INLINE vf delta_gamma(vf x, vf y, vf p, vf a) { return (void)x, (void)a, 1.0f - y / p; }

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

/* What `values` [n_outputs] of one vector of lanes hold at the classes' codes. */
INLINE vf at_codes(const float *values, const int32_t *codes)
{
    vf v;
    for (int i = 0; i < WIDTH; i++) v[i] = values[codes[i] * SN_LANES + i];
    return v;
}

/* Losses of class codes: logits [n_outputs] of one vector of lanes -> deltas; returns the losses. */

/* The log-loss; each class gets its share of the smoothing `a`. */
INLINE vf softmax_of_codes(float *logits, int64_t n_outputs, const int32_t *codes, vf weight, float a)
{
    const float share = a / (float)n_outputs;
    const vf given = (1.0f - a) * weight;
    vf expected = at_codes(logits, codes);
    if (a != 0.0f) {
        vf sum = splat(0.0f);
        for (int64_t r = 0; r < n_outputs; r++) sum += load(logits + r * SN_LANES);
        expected = (1.0f - a) * expected + share * sum;
    }
    const vf loss = softmax_lanes(logits, n_outputs) - expected;
    for (int64_t r = 0; r < n_outputs; r++)
        store(logits + r * SN_LANES, (load(logits + r * SN_LANES) - share) * weight);
    for (int i = 0; i < WIDTH; i++) logits[codes[i] * SN_LANES + i] -= given[i];
    return loss;
}

/* The focal loss. What the logit of the correct class gains, those of the others lose in the ratio of their
 * probabilities. */
INLINE vf focal_softmax_of_codes(float *logits, int64_t n_outputs, const int32_t *codes, vf weight, float a)
{
    const vf correct = at_codes(logits, codes);
    const vf far = softmax_lanes(logits, n_outputs) - correct, p = at_codes(logits, codes);
    vf rest = splat(0.0f);
    for (int i = 0; i < WIDTH; i++) logits[codes[i] * SN_LANES + i] = 0.0f;
    for (int64_t r = 0; r < n_outputs; r++) rest += load(logits + r * SN_LANES);
    /* A difference of logits does not resolve losses near 0. */
    const vf log_loss = select_float(rest < 0.5f, -vlog1p(-rest), far);
    const vf slope = focal_slope(p, rest, log_loss, splat(a)) * weight;
    const vf of_others = slope / vmax(rest, splat(FLT_MIN));
    for (int64_t r = 0; r < n_outputs; r++) store(logits + r * SN_LANES, load(logits + r * SN_LANES) * of_others);
    for (int i = 0; i < WIDTH; i++) logits[codes[i] * SN_LANES + i] = -slope[i];
    return focal_weight(rest, splat(a)) * log_loss;
}

/* kernels.h, `output`. */
static void output(int loss, float *z, int64_t n_outputs)
{
    switch (loss) {
#define CASE(NAME, name, ...)                                                      \
    case SN_LOSS_##NAME:                                                           \
        for (int v = 0; v < VECTORS; v++) softmax_lanes(z + v * WIDTH, n_outputs); \
        break;
        SN_LOSSES_OF_CODES(CASE)
#undef CASE
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
                              const float *parameters)
{
    double total = 0.0;
    for (int v = 0; v < VECTORS; v++) {
        float *logits = z + v * WIDTH;
        const float *targets = (const float *)target + v * WIDTH;
        const vf w = load(weight + v * WIDTH);
        vf sum = splat(0.0f);
        switch (loss) {
#define CASE(NAME, name, ...)                                                                            \
    case SN_LOSS_##NAME:                                                                                 \
        sum = name##_of_codes(logits, n_outputs, (const int32_t *)target + v * WIDTH, w, parameters[0]); \
        break;
            SN_LOSSES_OF_CODES(CASE)
#undef CASE
#define CASE(NAME, name, ...)                                                                                 \
    case SN_LOSS_##NAME: {                                                                                    \
        const float share = sn_losses[SN_LOSS_##NAME].is_mean ? 1.0f / (float)n_outputs : 1.0f;               \
        for (int64_t r = 0; r < n_outputs; r++) {                                                             \
            const vf y = load(targets + r * SN_LANES), x = load(logits + r * SN_LANES), p = output_##name(x), \
                     a = splat(parameters[r]);                                                                \
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
