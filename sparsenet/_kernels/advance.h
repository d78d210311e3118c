/* The optimizer's steps of parameters that are stored by feature, in place: kernels.h, `advance`. */

/* Vectors that take their steps side by side: a step takes 70 cycles until the next can begin. */
#define ABREAST (VECTOR_BYTES == 64 ? 8 : 4)
/* What is left of a parameter's drift does not matter below this: float32 rounds a weight of 0.01 by more. */
#define SETTLED 0x1p-33f

typedef struct {
    float *w_at; /* where the vector's weights lie */
    const uint16_t *cohort;
    int64_t lanes;
    int64_t begin, n_steps;
    vf w, m, v;
} drifting;

/* Steps without a gradient take Adam's moments divided by what multiplies gradients in them: M = m / (1 - beta_1) and
 * V = v / (1 - beta_2). Then learning_rate m / (sqrt(v) + epsilon) = learning_rate M / (unit sqrt(V) + epsilon'). */
typedef struct {
    float unit, epsilon;
} drift_constants;

INLINE drift_constants constants_of(const sn_optimizer *o)
{
    return (drift_constants){__builtin_sqrtf(1.0f - o->beta_2) / (1.0f - o->beta_1), o->epsilon / (1.0f - o->beta_1)};
}

INLINE void scale_moments(const sn_optimizer *o, vf *m, vf *v, const int back)
{
    const float first = 1.0f - o->beta_1, second = 1.0f - o->beta_2;
    *m *= back ? first : 1.0f / first;
    *v *= back ? second : 1.0f / second;
}

/* A step without a gradient. */
INLINE void drift(const sn_optimizer *o, const int adam, const int cohorts, const float *rates, const float *inv_weight,
                  const drift_constants *c, int64_t step, drifting *a)
{
    const vf rate = rates_of(rates + step * o->n_cohorts, o->n_cohorts, cohorts ? a->cohort : 0);
    if (!adam) {
        step_vector(o, 0, rate, inv_weight[step], splat(0.0f), &a->w, &a->m, &a->v);
        return;
    }
    const vf g = a->w * (o->alpha * inv_weight[step]);
    a->m = fma_(splat(o->beta_1), a->m, g);
    a->v = fma_(g, g, o->beta_2 * a->v);
    a->w -= rate * a->m * reciprocal(fma_(splat(c->unit), vsqrt(a->v), splat(c->epsilon)));
}

/* Whether nothing is left that would move the parameters further. */
INLINE int has_settled(const sn_optimizer *o, const int adam, const int cohorts, const float *rates, const float *inv_weight,
                       int64_t step, const drifting *a)
{
    const float decay = adam ? o->beta_1 : o->momentum;
    float largest = rates[step * o->n_cohorts];
    for (int64_t c = 1; cohorts && c < o->n_cohorts; c++)
        largest = rates[step * o->n_cohorts + c] > largest ? rates[step * o->n_cohorts + c] : largest;
    /* What L2 moves a weight by in one step, at most, relative to the weight. */
    const float pull = o->alpha * inv_weight[step] * largest / (adam ? o->epsilon : 1.0f);
    if (!(pull < 1.0f)) return 0;
    /* At most so much is left in the moments, whatever v becomes; and in L2, the weight itself. */
    const float left = adam ? decay * largest / o->epsilon : decay / (1.0f - decay);
    vi settled = vabs(a->m * left) < SETTLED; /* NaN is not */
    if (o->alpha > 0.0f) settled &= vabs(a->w) < SETTLED;
    return max_lanes(select_float(settled, splat(0.0f), splat(1.0f))) == 0.0f;
}

INLINE void drift_abreast(const sn_optimizer *o, const int adam, const int cohorts, const float *rates,
                            const float *inv_weight, drifting *a)
{
    const float decay = adam ? o->beta_1 : o->momentum;
    int64_t longest = a[0].n_steps, shortest = longest, step = 0;
    UNROLL for (int j = 1; j < ABREAST; j++)
    {
        longest = a[j].n_steps > longest ? a[j].n_steps : longest;
        shortest = a[j].n_steps < shortest ? a[j].n_steps : shortest;
    }
    if (longest == 0) return;
    const drift_constants c = constants_of(o);
    UNROLL for (int j = 0; j < ABREAST; j++)
        if (adam) scale_moments(o, &a[j].m, &a[j].v, 0);
    for (; step < longest; step++) {
        int settled = step % 32 == 31;
        UNROLL for (int j = 0; j < ABREAST; j++)
            if (settled && step < a[j].n_steps)
                settled = has_settled(o, adam, cohorts, rates, inv_weight, a[j].begin + step, a + j);
        if (settled) break;
        if (step < shortest) {
            UNROLL for (int j = 0; j < ABREAST; j++)
                drift(o, adam, cohorts, rates, inv_weight, &c, a[j].begin + step, a + j);
        } else {
            UNROLL for (int j = 0; j < ABREAST; j++)
                if (step < a[j].n_steps)
                    drift(o, adam, cohorts, rates, inv_weight, &c, a[j].begin + step, a + j);
        }
    }
    UNROLL for (int j = 0; j < ABREAST; j++)
    {
        if (adam) scale_moments(o, &a[j].m, &a[j].v, 1);
        if (step < a[j].n_steps) {
            a[j].m *= __builtin_powf(decay, (float)(a[j].n_steps - step));
            if (adam) a[j].v *= __builtin_powf(o->beta_2, (float)(a[j].n_steps - step));
        }
    }
}

/* Steps begin[i] + taken to end[i] - 1, without a gradient. */
INLINE void drift_by(const sn_optimizer *o, const int adam, const int cohorts, const sn_feature_state *f,
                     const float *rates, const float *inv_weight, int64_t n, const uint32_t *features,
                     const uint32_t *begin, const uint32_t *end, int64_t taken)
{
    /* Whole vectors where there is room for them: what is behind the last parameter is zero and stays so. */
    const int64_t lanes = f->stride % WIDTH ? f->fan_out : f->stride;
    for (int64_t i = 0, lane = 0; i < n;) {
        drifting a[ABREAST];
        int n_vectors = 0;
        UNROLL for (int j = 0; j < ABREAST; j++)
        {
            while (i < n && begin[i] + taken >= end[i]) i++;
            if (i >= n) { /* nothing is left to do beside the others */
                a[j] = a[0];
                a[j].n_steps = 0;
                continue;
            }
            a[j].w_at = f->values + (int64_t)features[i] * f->planes * f->stride + lane;
            a[j].cohort = cohorts ? f->cohort + features[i] * f->fan_out + lane : 0;
            a[j].lanes = lanes - lane;
            a[j].begin = begin[i] + taken, a[j].n_steps = end[i] - a[j].begin;
            a[j].w = load_partial(a[j].w_at, a[j].lanes);
            a[j].m = load_partial(a[j].w_at + f->stride, a[j].lanes);
            a[j].v = adam ? load_partial(a[j].w_at + 2 * f->stride, a[j].lanes) : splat(0.0f);
            lane += WIDTH;
            if (lane >= lanes) lane = 0, i++;
            n_vectors++;
        }
        if (n_vectors == 0) return;
        drift_abreast(o, adam, cohorts, rates, inv_weight, a);
        UNROLL for (int j = 0; j < ABREAST; j++)
        {
            if (j >= n_vectors) break;
            store_partial(a[j].w_at, a[j].w, a[j].lanes);
            store_partial(a[j].w_at + f->stride, a[j].m, a[j].lanes);
            if (adam) store_partial(a[j].w_at + 2 * f->stride, a[j].v, a[j].lanes);
        }
    }
}

INLINE void advance_by(const sn_optimizer *o, const int adam, const int cohorts, const sn_feature_state *f,
                       const float *rates, const float *inv_weight, int64_t n, const uint32_t *features,
                       const uint32_t *begin, const uint32_t *end, const float *gradient)
{
    sn_optimizer step = *o;
    for (int64_t i = 0; gradient && i < n; i++) {
        float *w = f->values + (int64_t)features[i] * f->planes * f->stride;
        step.learning_rate = rates + begin[i] * o->n_cohorts;
        step.inv_weight = inv_weight[begin[i]];
        update_by(&step, adam, cohorts ? f->cohort + features[i] * f->fan_out : 0, f->fan_out, w, gradient + i * f->stride,
                  w + f->stride, w + 2 * f->stride);
    }
    drift_by(o, adam, cohorts, f, rates, inv_weight, n, features, begin, end, gradient != 0);
}

static void advance(const sn_optimizer *o, const sn_feature_state *f, const float *rates, const float *inv_weight, int64_t n,
                    const uint32_t *features, const uint32_t *begin, const uint32_t *end, const float *gradient)
{
    if (o->solver != SN_ADAM) advance_by(o, 0, 0, f, rates, inv_weight, n, features, begin, end, gradient);
    else if (f->cohort && o->n_cohorts > 1) advance_by(o, 1, 1, f, rates, inv_weight, n, features, begin, end, gradient);
    else advance_by(o, 1, 0, f, rates, inv_weight, n, features, begin, end, gradient);
}
