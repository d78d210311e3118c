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

/* Vectors of lanes side by side: as many as hide the latency of their maxima and sums. */
enum { ABREAST = 4 };

/* exp(x - the largest x of its lane) of some rows of logits x, in place. `before` and `largest` [64] are that of the rows
 * before and with these; `sum` [64] has all exponentials so far, by the largest so far: none, if these are the `first`. */
INLINE void exponentials(float *z, int64_t n_rows, const int first, const float *before, float *largest, float *sum)
{
    for (int lane = 0; lane < SN_LANES; lane += ABREAST * WIDTH) {
        vf most[ABREAST], total[ABREAST];
        unrolled_for (int v = 0; v < ABREAST; v++) most[v] = load(before + lane + v * WIDTH);
        for (int64_t r = 0; r < n_rows; r++)
            unrolled_for (int v = 0; v < ABREAST; v++)
                most[v] = vmax(load(z + r * SN_LANES + lane + v * WIDTH), most[v]);
        unrolled_for (int v = 0; v < ABREAST; v++) total[v] = load(sum + lane + v * WIDTH);
        if (!first)
            unrolled_for (int v = 0; v < ABREAST; v++) total[v] *= vexp(load(before + lane + v * WIDTH) - most[v]);
        for (int64_t r = 0; r < n_rows; r++)
            unrolled_for (int v = 0; v < ABREAST; v++) {
                float *x = z + r * SN_LANES + lane + v * WIDTH;
                const vf e = vexp(load(x) - most[v]);
                total[v] += e;
                store(x, e);
            }
        unrolled_for (int v = 0; v < ABREAST; v++) {
            store(largest + lane + v * WIDTH, most[v]);
            store(sum + lane + v * WIDTH, total[v]);
        }
    }
}

/* z = z * factor - less, both [64], of some rows. */
INLINE void rescale(float *z, int64_t n_rows, const float *factor, const float *less)
{
    for (int lane = 0; lane < SN_LANES; lane += ABREAST * WIDTH)
        for (int64_t r = 0; r < n_rows; r++)
            unrolled_for (int v = 0; v < ABREAST; v++) {
                float *x = z + r * SN_LANES + lane + v * WIDTH;
                store(x, load(x) * load(factor + lane + v * WIDTH) - load(less + lane + v * WIDTH));
            }
}

static void softmax(float *z, int64_t n_outputs)
{
    float largest[SN_LANES], sum[SN_LANES] = {0}, zeros[SN_LANES] = {0};
    for (int i = 0; i < SN_LANES; i++) largest[i] = -FLT_MAX;
    exponentials(z, n_outputs, 1, largest, largest, sum);
    for (int i = 0; i < SN_LANES; i++) sum[i] = 1.0f / sum[i];
    rescale(z, n_outputs, sum, zeros);
}

/* Losses of class codes, of the margin: the logit of the correct class less log(sum(exp(logits))) of all others, by which
 * it is one class of two. `slope` is minus the derivative; the logits of the others lose in the ratio of their
 * probabilities what that of the correct class gains. Nothing that is near 0 is computed as a difference. */
INLINE vf softmax_of_codes(vf margin, vf a, vf *slope)
{
    (void)a; /* smoothing is made up for where the sum of all logits is known */
    *slope = vlogistic(-margin);
    return log_loss_of_logit(margin);
}

INLINE vf focal_softmax_of_codes(vf margin, vf a, vf *slope)
{
    const vf rest = vlogistic(-margin), log_loss = log_loss_of_logit(margin);
    *slope = focal_slope(vlogistic(margin), rest, log_loss, a);
    return focal_weight(rest, a) * log_loss;
}

/* How much of the targets each class gets, whatever its code. */
INLINE float smoothing_of(const sn_panel_loss *p) { return p->loss == SN_LOSS_SOFTMAX ? p->parameters[0] : 0.0f; }

/* Whether the class of a lane is among some rows. */
INLINE int has_class(const sn_panel_loss *p, int64_t row, int64_t n_rows)
{
    int found = 0;
    for (int i = 0; i < SN_LANES; i++)
        found |= (uint32_t)(((const int32_t *)p->target)[i] - (int32_t)row) < (uint32_t)n_rows;
    return found;
}

/* Rows of logits become exponentials. Those of the correct classes are taken out, and add as good as nothing. */
INLINE void rate_codes(sn_panel_loss *p, float *z, int64_t row, int64_t n_rows)
{
    float *before = p->largest + row / SN_PART * SN_LANES;
    if (row == 0)
        for (int i = 0; i < SN_LANES; i++) before[i] = -FLT_MAX, p->sum[i] = p->sum_of_logits[i] = 0.0f;
    if (smoothing_of(p) != 0.0f)
        for (int64_t r = 0; r < n_rows; r++)
            for (int i = 0; i < SN_LANES; i++) p->sum_of_logits[i] += z[r * SN_LANES + i];
    if (has_class(p, row, n_rows))
        for (int i = 0; i < SN_LANES; i++) {
            const int64_t r = ((const int32_t *)p->target)[i] - row;
            if (r < 0 || r >= n_rows) continue;
            p->logit[i] = z[r * SN_LANES + i];
            z[r * SN_LANES + i] = -FLT_MAX;
        }
    exponentials(z, n_rows, row == 0, before, before + SN_LANES, p->sum);
}

INLINE vf loss_of_codes(int loss, vf margin, vf a, vf *slope)
{
    switch (loss) {
#define CASE(NAME, name, ...) \
    case SN_LOSS_##NAME: return name##_of_codes(margin, a, slope);
        SN_LOSSES_OF_CODES(CASE)
#undef CASE
    }
    return *slope = margin; /* there is no other */
}

/* The losses of all lanes, and what their deltas are made of. */
INLINE void finish_codes(sn_panel_loss *p)
{
    const float smoothing = smoothing_of(p), share = smoothing / (float)p->n_outputs;
    const float *largest = p->largest + (p->n_outputs + SN_PART - 1) / SN_PART * SN_LANES;
    for (int lane = 0; lane < SN_LANES; lane += WIDTH) {
        const vf sum = load(p->sum + lane), logit = load(p->logit + lane), weight = load(p->weight + lane);
        vf slope,
            loss = loss_of_codes(p->loss, logit - (load(largest + lane) + vlog(sum)), splat(p->parameters[0]), &slope);
        if (smoothing != 0.0f) loss += smoothing * logit - share * load(p->sum_of_logits + lane);
        store(p->losses + lane, loss);
        store(p->others + lane, slope * weight / sum);
        store(p->share + lane, share * weight);
        store(p->correct + lane, (smoothing - share - slope) * weight);
    }
}

INLINE void deltas_of_codes(const sn_panel_loss *p, float *z, int64_t row, int64_t n_rows)
{
    const float *largest = p->largest + (row / SN_PART + 1) * SN_LANES;
    const float *of_all = p->largest + (p->n_outputs + SN_PART - 1) / SN_PART * SN_LANES;
    float scaled[SN_LANES];
    const float *factor = p->others;
    if (largest != of_all) {
        for (int lane = 0; lane < SN_LANES; lane += WIDTH)
            store(scaled + lane, load(p->others + lane) * vexp(load(largest + lane) - load(of_all + lane)));
        factor = scaled;
    }
    rescale(z, n_rows, factor, p->share);
    if (has_class(p, row, n_rows))
        for (int i = 0; i < SN_LANES; i++) {
            const int64_t r = ((const int32_t *)p->target)[i] - row;
            if (r >= 0 && r < n_rows) z[r * SN_LANES + i] = p->correct[i];
        }
}

/* kernels.h, `output`. */
static void output(int loss, float *z, int64_t n_outputs)
{
    switch (loss) {
#define CASE(NAME, name, ...) case SN_LOSS_##NAME:
        SN_LOSSES_OF_CODES(CASE)
        softmax(z, n_outputs);
        break;
#undef CASE
#define CASE(NAME, name, ...)                                                                               \
    case SN_LOSS_##NAME:                                                                                    \
        for (int64_t i = 0; i < n_outputs * SN_LANES; i += WIDTH) store(z + i, output_##name(load(z + i))); \
        break;
        SN_LOSSES_OF_NUMBERS(CASE)
#undef CASE
    }
}

/* kernels.h, `rate`. */
static void rate(sn_panel_loss *p, float *z, int64_t row, int64_t n_rows)
{
    switch (p->loss) {
#define CASE(NAME, name, ...)                                                                                        \
    case SN_LOSS_##NAME: {                                                                                           \
        const float share = sn_losses[SN_LOSS_##NAME].is_mean ? 1.0f / (float)p->n_outputs : 1.0f;                   \
        for (int lane = 0; lane < SN_LANES; lane += WIDTH) {                                                         \
            const vf w = load(p->weight + lane);                                                                     \
            vf sum = row == 0 ? splat(0.0f) : load(p->losses + lane);                                                \
            for (int64_t r = 0; r < n_rows; r++) {                                                                   \
                const vf y = load((const float *)p->target + (row + r) * SN_LANES + lane),                           \
                         x = load(z + r * SN_LANES + lane), o = output_##name(x), a = splat(p->parameters[row + r]); \
                sum += share * loss_##name(x, y, o, a);                                                              \
                store(z + r * SN_LANES + lane, delta_##name(x, y, o, a) * (w * share));                              \
            }                                                                                                        \
            store(p->losses + lane, sum);                                                                            \
        }                                                                                                            \
        break;                                                                                                       \
    }
        SN_LOSSES_OF_NUMBERS(CASE)
#undef CASE
    default:
        for (int64_t r = 0; r < n_rows; r += SN_PART)
            rate_codes(p, z + r * SN_LANES, row + r, n_rows - r < SN_PART ? n_rows - r : SN_PART);
    }
}

/* kernels.h, `loss`. */
static double loss(sn_panel_loss *p)
{
    double total = 0.0;
    if (sn_losses[p->loss].is_of_codes) finish_codes(p);
    /* An idle lane has weight zero; its loss may be anything. */
    for (int i = 0; i < SN_LANES; i++) total += p->weight[i] != 0.0f ? (double)p->losses[i] * p->weight[i] : 0.0;
    return total;
}

/* kernels.h, `deltas`. */
static void deltas(const sn_panel_loss *p, float *z, int64_t row, int64_t n_rows)
{
    if (!sn_losses[p->loss].is_of_codes) return;
    for (int64_t r = 0; r < n_rows; r += SN_PART)
        deltas_of_codes(p, z + r * SN_LANES, row + r, n_rows - r < SN_PART ? n_rows - r : SN_PART);
}
