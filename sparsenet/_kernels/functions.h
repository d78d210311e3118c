/* Elementary functions on vectors and the kernels on fp32 panels: activations, losses, optimizer.
 * exp and log follow the Cephes library (S. Moshier): polynomials of degree 5 and 8, errors below 2 ulp. */

INLINE vf vexp(vf x)
{
    /* Below -87.3 the result is denormal, above 88.3 it would not fit the exponent trick: saturate. NaN passes. */
    x = select_float(x > 88.3f, splat(88.3f), x);
    x = select_float(x < -87.3f, splat(-87.3f), x);
    const vi n = round_to_int(x * 1.44269504088896341f);
    const vf k = to_float(n);
    vf r = fma_(k, splat(-0.693359375f), x);
    r = fma_(k, splat(2.12194440e-4f), r);
    vf p = splat(1.9875691500e-4f);
    p = fma_(p, r, splat(1.3981999507e-3f));
    p = fma_(p, r, splat(8.3334519073e-3f));
    p = fma_(p, r, splat(4.1665795894e-2f));
    p = fma_(p, r, splat(1.6666665459e-1f));
    p = fma_(p, r, splat(5.0000001201e-1f));
    p = fma_(p, r * r, r + 1.0f);
    return p * (vf)((n + 127) << 23);
}

INLINE vf vlog(vf x) /* x >= 1, as the losses need it */
{
    const vi bits = (vi)x;
    vf e = to_float((vi)((vu)bits >> 23) - 126);
    vf m = (vf)((bits & 0x007fffff) | 0x3f000000); /* in [0.5, 1) */
    const vi small = m < 0.707106781186547524f;
    e -= select_float(small, splat(1.0f), splat(0.0f));
    m += select_float(small, m, splat(0.0f)) - 1.0f;
    const vf z = m * m;
    vf p = splat(7.0376836292e-2f);
    p = fma_(p, m, splat(-1.1514610310e-1f));
    p = fma_(p, m, splat(1.1676998740e-1f));
    p = fma_(p, m, splat(-1.2420140846e-1f));
    p = fma_(p, m, splat(1.4249322787e-1f));
    p = fma_(p, m, splat(-1.6668057665e-1f));
    p = fma_(p, m, splat(2.0000714765e-1f));
    p = fma_(p, m, splat(-2.4999993993e-1f));
    p = fma_(p, m, splat(3.3333331174e-1f));
    p = p * m * z;
    p = fma_(e, splat(-2.12194440e-4f), p);
    p = fma_(z, splat(-0.5f), p);
    const vf y = fma_(e, splat(0.693359375f), m + p);
    return select_float(x == x, y, x);
}

INLINE vf vlogistic(vf x) { return 1.0f / (1.0f + vexp(-x)); }

INLINE vf vtanh(vf x)
{
    /* 1 - 2 / (exp(2x) + 1) cancels near zero, where the odd polynomial takes over. */
    const vf a = vabs(x), z = x * x;
    vf p = splat(-5.70498872745e-3f);
    p = fma_(p, z, splat(2.06390887954e-2f));
    p = fma_(p, z, splat(-5.37397155531e-2f));
    p = fma_(p, z, splat(1.33314422036e-1f));
    p = fma_(p, z, splat(-3.33332819422e-1f));
    const vf near = fma_(p * z, x, x);
    const vf far = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
    return select_float(a < 0.625f, near, (vf)((vi)far | ((vi)x & (vi)splat_uint(0x80000000u))));
}

INLINE vf apply_activation(const int activation, vf z)
{
    switch (activation) {
    case SN_LOGISTIC: return vlogistic(z);
    case SN_TANH: return vtanh(z);
    case SN_RELU: return select_float(z < 0.0f, splat(0.0f), z); /* NaN stays NaN, to be seen in the loss */
    default: return z;
    }
}

INLINE void activate_rows(const int activation, const int vectors, float *z, int64_t n_rows, const float *bias,
                          const float *row_scale, const float *lane_scale)
{
    for (int64_t r = 0; r < n_rows; r++) {
        const float scale = row_scale ? row_scale[r] : 1.0f;
        UNROLL for (int v = 0; v < vectors; v++)
        {
            vf y = load(z + r * SN_LANES + v * WIDTH);
            if (lane_scale) y = y * (load(lane_scale + v * WIDTH) * scale);
            store(z + r * SN_LANES + v * WIDTH, apply_activation(activation, y + bias[r]));
        }
    }
}

/* The first n of WIDTH values of fp32 or fp64, as fp32. */
INLINE vf load_real(const void *x, const int double_precision, int64_t i, int64_t n)
{
    typedef double vd __attribute__((vector_size(2 * VECTOR_BYTES)));
    if (!double_precision) return load_partial((const float *)x + i, n);
    vd v = {0};
    if (n >= WIDTH) memcpy(&v, (const double *)x + i, sizeof v);
    else memcpy(&v, (const double *)x + i, n * sizeof(double));
    return __builtin_convertvector(v, vf);
}

INLINE void pack_real(const void *x, const int double_precision, int64_t n_features, const int64_t *rows, int n, float *z)
{
    const int64_t size = double_precision ? sizeof(double) : sizeof(float);
    for (int lane = 0; lane < SN_LANES; lane += WIDTH) {
        const int next = lane + WIDTH < n ? n - lane - WIDTH : 0;
        /* Rows are anywhere in memory: the first ones are fetched as streams, the next ones beside those before. */
        for (int r = 0; lane == 0 && r < WIDTH && r < n; r++)
            for (int64_t byte = 0; byte < n_features * size; byte += 64)
                __builtin_prefetch((const char *)x + rows[r] * n_features * size + byte);
        for (int64_t feature = 0; feature < n_features; feature += WIDTH) {
            const int64_t left = n_features - feature;
            for (int r = 0; r < WIDTH && r < next; r++)
                for (int64_t byte = 0; byte < WIDTH * size; byte += 64)
                    __builtin_prefetch((const char *)x + (rows[lane + WIDTH + r] * n_features + feature) * size + byte, 0, 2);
            vf v[WIDTH];
            UNROLL for (int r = 0; r < WIDTH; r++)
                v[r] = lane + r < n ? load_real((const char *)x + rows[lane + r] * n_features * size, double_precision, feature, left)
                                    : splat(0.0f);
            transpose_square(v);
            UNROLL for (int f = 0; f < WIDTH; f++)
                if (f < left) store(z + (feature + f) * SN_LANES + lane, v[f]);
        }
    }
}

static void pack(const void *x, int double_precision, int64_t n_features, const int64_t *rows, int n, float *z)
{
    if (double_precision) pack_real(x, 1, n_features, rows, n, z);
    else pack_real(x, 0, n_features, rows, n, z);
}

static void activate(int activation, float *z, int64_t n_rows, const float *bias, const float *row_scale,
                     const float *lane_scale, int lanes)
{
#define ACTIVATE(activation) /* one loop each: no branch inside */                                                \
    if (lanes <= SN_LANES / 2) activate_rows(activation, VECTORS / 2, z, n_rows, bias, row_scale, lane_scale);    \
    else activate_rows(activation, VECTORS, z, n_rows, bias, row_scale, lane_scale)
    switch (activation) {
    case SN_LOGISTIC: ACTIVATE(SN_LOGISTIC); break;
    case SN_TANH: ACTIVATE(SN_TANH); break;
    case SN_RELU: ACTIVATE(SN_RELU); break;
    default: ACTIVATE(SN_IDENTITY);
    }
#undef ACTIVATE
}

static void chain(int activation, float *z, const float *a, int64_t n_rows, const float *lane_scale)
{
    for (int64_t r = 0; r < n_rows; r++)
        UNROLL for (int v = 0; v < VECTORS; v++)
        {
            const int64_t i = r * SN_LANES + v * WIDTH;
            const vf delta = load(z + i) * load(lane_scale + v * WIDTH), y = load(a + i);
            vf result = delta;
            if (activation == SN_RELU) result = select_float(y > 0.0f, delta, splat(0.0f));
            if (activation == SN_LOGISTIC) result = delta * (y * (1.0f - y));
            if (activation == SN_TANH) result = delta * (1.0f - y * y);
            store(z + i, result);
        }
}

/* Softmax of one vector of lanes; returns log(sum(exp(logits))), and the logits' maximum in *maximum. */
INLINE vf softmax_lanes(float *z, int64_t n_outputs, vf *maximum)
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
    *maximum = largest;
    return largest + vlog(sum);
}

static void output(int loss, float *z, int64_t n_outputs)
{
    vf unused;
    if (loss == SN_LOSS_SQUARED_ERROR) return;
    if (loss == SN_LOSS_SOFTMAX) {
        for (int v = 0; v < VECTORS; v++) softmax_lanes(z + v * WIDTH, n_outputs, &unused);
        return;
    }
    for (int64_t i = 0; i < n_outputs * SN_LANES; i += WIDTH)
        store(z + i, loss == SN_LOSS_LOGISTIC ? vlogistic(load(z + i)) : vexp(load(z + i)));
}

/* Losses as scikit-learn defines them: log loss summed over the outputs, squared error halved and Poisson
 * deviance halved, both averaged over the outputs; deltas are their derivatives by the logits. */
static double loss_and_deltas(int loss, float *z, int64_t n_outputs, const void *target, const float *weight)
{
    double total = 0.0;
    for (int v = 0; v < VECTORS; v++) {
        float *logits = z + v * WIDTH;
        const vf w = load(weight + v * WIDTH);
        vf sum = splat(0.0f);
        if (loss == SN_LOSS_SOFTMAX) {
            const int32_t *codes = (const int32_t *)target + v * WIDTH;
            vf correct, maximum;
            for (int i = 0; i < WIDTH; i++) correct[i] = logits[codes[i] * SN_LANES + i];
            sum = softmax_lanes(logits, n_outputs, &maximum) - correct;
            for (int64_t r = 0; r < n_outputs; r++) store(logits + r * SN_LANES, load(logits + r * SN_LANES) * w);
            for (int i = 0; i < WIDTH; i++) logits[codes[i] * SN_LANES + i] -= w[i];
        } else {
            const float share = loss == SN_LOSS_LOGISTIC ? 1.0f : 1.0f / (float)n_outputs;
            for (int64_t r = 0; r < n_outputs; r++) {
                const vf y = load((const float *)target + r * SN_LANES + v * WIDTH), x = load(logits + r * SN_LANES);
                vf p = x;
                if (loss == SN_LOSS_LOGISTIC) {
                    p = vlogistic(x);
                    sum += vmax(x, splat(0.0f)) - x * y + vlog(1.0f + vexp(-vabs(x)));
                } else if (loss == SN_LOSS_POISSON) {
                    /* y log(y / p) + p - y, with 0 log 0 = 0 and p = exp(x) */
                    p = vexp(x);
                    vf y_log_y = y;
                    for (int i = 0; i < WIDTH; i++) y_log_y[i] = y[i] > 0.0f ? y[i] * __builtin_logf(y[i]) : 0.0f;
                    sum += share * (y_log_y - y * x + p - y);
                } else {
                    sum += (0.5f * share) * ((x - y) * (x - y));
                }
                store(logits + r * SN_LANES, (p - y) * (w * share));
            }
        }
        /* An idle lane has weight zero; its loss may be anything. */
        for (int i = 0; i < WIDTH; i++) total += w[i] != 0.0f ? (double)sum[i] * w[i] : 0.0;
    }
    return total;
}

/* One step of WIDTH parameters. */
INLINE void step_vector(const sn_optimizer *o, const int adam, vf learning_rate, float inv_weight, vf gradient, vf *w, vf *m, vf *v)
{
    const vf g = fma_(*w, splat(o->alpha), gradient) * inv_weight;
    if (adam) { /* Kingma & Ba (2015), algorithm 1 with the efficient order of its section 2 */
        *m = fma_(splat(o->beta_1), *m, (1.0f - o->beta_1) * g);
        *v = fma_(splat(o->beta_2), *v, (1.0f - o->beta_2) * (g * g));
        *w -= learning_rate * *m * reciprocal(vsqrt(*v) + o->epsilon);
    } else {
        const vf step = learning_rate * g;
        *m = fma_(splat(o->momentum), *m, -step);
        *w += o->nesterov ? fma_(splat(o->momentum), *m, -step) : *m;
    }
}

/* Learning rates [n_cohorts] of a step -> those of WIDTH parameters, of one cohort if `cohort` is NULL. */
INLINE vf rates_of(const float *rates, int64_t n_cohorts, const uint16_t *cohort)
{
    return cohort ? look_up(rates, n_cohorts, cohort) : splat(rates[0]);
}

INLINE void update_by(const sn_optimizer *o, const int adam, const uint16_t *cohort, int64_t n, float *parameter,
                      const float *gradient, float *first, float *second)
{
    for (int64_t i = 0; i < n; i += WIDTH) {
        const int64_t left = n - i;
        const vf learning_rate = rates_of(o->learning_rate, o->n_cohorts, cohort ? cohort + i : 0);
        vf w = load_partial(parameter + i, left), m = load_partial(first + i, left), v = {0};
        if (adam) v = load_partial(second + i, left);
        step_vector(o, adam, learning_rate, o->inv_weight, load_partial(gradient + i, left), &w, &m, &v);
        store_partial(parameter + i, w, left);
        store_partial(first + i, m, left);
        if (adam) store_partial(second + i, v, left);
    }
}

static void update(const sn_optimizer *o, const uint16_t *cohort, int64_t n, float *parameter, const float *gradient,
                   float *first, float *second)
{
    if (o->solver != SN_ADAM) update_by(o, 0, 0, n, parameter, gradient, first, second);
    else if (cohort && o->n_cohorts > 1) update_by(o, 1, cohort, n, parameter, gradient, first, second);
    else update_by(o, 1, 0, n, parameter, gradient, first, second);
}
