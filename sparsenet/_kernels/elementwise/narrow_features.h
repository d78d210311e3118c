/* Features that have fewer parameters than a vector share one. */

/* Vectors of features that are looked up at a time. */
#define SHARED (2 * ABREAST)

/* The parameters of some features side by side, and the steps that each lane takes: one with a gradient, or none, then
 * those from begin[lane] to until[lane] - 1. */
typedef struct {
    float planes[4][WIDTH];
    vi begin, end; /* the same in all lanes of a feature */
    vi until;      /* the end, or where a lane has settled */
    vf gradient;
    uint16_t cohort[WIDTH];
    int64_t first, last; /* of any lane */
    int64_t from, to;    /* all lanes take the steps in between */
    int64_t n;           /* features */
} shared_vector;

INLINE vi select_int(vi mask, int64_t a, vi b) { return (mask & (int32_t)a) | (~mask & b); }

INLINE vi moving(const shared_vector *at, int64_t step)
{
    return (at->begin <= (int32_t)step) & (at->until > (int32_t)step);
}

INLINE parameters parameters_of(const shared_vector *at, const int adam)
{
    return (parameters){load(at->planes[0]), load(at->planes[1]), load(at->planes[2]), load(at->planes[adam ? 3 : 2])};
}

INLINE void keep_parameters(shared_vector *at, const int adam, const int averages, const parameters *p)
{
    store(at->planes[0], p->w);
    store(at->planes[1], p->m);
    if (adam) store(at->planes[2], p->v);
    if (averages) store(at->planes[adam ? 3 : 2], p->average);
}

/* Those of the lanes that take a step, or the old ones. */
INLINE parameters select_parameters(vi lanes, const parameters *new, const parameters *old)
{
    return (parameters){select_float(lanes, new->w, old->w), select_float(lanes, new->m, old->m),
                        select_float(lanes, new->v, old->v), select_float(lanes, new->average, old->average)};
}

/* What is left of the steps of lanes that have settled, at once. Each lane settles by itself: what becomes of a feature
 * depends on no other. */
static void settle_lanes(const sn_optimizer *o, const int adam, const int cohorts, const sn_steps *steps,
                         const drift_constants *c, int64_t step, shared_vector *at)
{
    vf of_m = splat(0.0f), of_v = of_m;
    parameters p = parameters_of(at, adam);
    const vi settled = settled_lanes(o, adam, cohorts, steps, c, step, &p) & moving(at, step);
    if (!any_lane(settled)) return;
    /* Few lanes end apart: features are sorted by the steps that they take. */
    for (int lane = 0; lane < WIDTH; lane++) {
        if (lane > 0 && at->end[lane] == at->end[lane - 1]) continue;
        const float left = (float)(at->end[lane] - step);
        const vi same = at->end == at->end[lane];
        of_m = select_float(same, splat(__builtin_powf(adam ? o->beta_1 : o->momentum, left)), of_m);
        of_v = select_float(same, splat(__builtin_powf(o->beta_2, left)), of_v);
    }
    p.m = select_float(settled, p.m * of_m, p.m);
    p.v = select_float(settled, p.v * of_v, p.v);
    keep_parameters(at, adam, 0, &p);
    at->until = select_int(settled, step, at->until);
    at->to = step;
    if (!any_lane(at->until > (int32_t)step)) at->last = step;
}

/* Steps `step` to `stop` - 1 of ABREAST vectors, of all lanes or of those that take them. */
INLINE void drift_lanes(const sn_optimizer *o, const int adam, const int cohorts, const int more, const int all,
                        const sn_steps *steps, const drift_constants *c, int64_t step, int64_t stop, shared_vector *at)
{
    const int averages = more && steps->averaged;
    parameters p[ABREAST];
    unrolled_for (int j = 0; j < ABREAST; j++) p[j] = parameters_of(at + j, adam);
    for (; step < stop; step++)
        unrolled_for (int j = 0; j < ABREAST; j++) {
            parameters new = p[j];
            drift(o, adam, more, rates_at(o, steps, step, cohorts ? at[j].cohort : 0), steps->inv_weight[step],
                  kept_at(steps, step, more), c, &new);
            if (averages) new.average = averaged(new.average, new.w, steps->averaged[step]);
            p[j] = all ? new : select_parameters(moving(at + j, step), &new, p + j);
        }
    unrolled_for (int j = 0; j < ABREAST; j++) keep_parameters(at + j, adam, averages, p + j);
}

/* Functions of their own, so that parameters stay in registers. */
static __attribute__((noinline)) void drift_adam(const sn_optimizer *o, const sn_steps *steps, const drift_constants *c,
                                                 int64_t step, int64_t stop, shared_vector *at)
{
    drift_lanes(o, 1, 0, 0, 1, steps, c, step, stop, at);
}

static __attribute__((noinline)) void drift_some(const sn_optimizer *o, const sn_steps *steps, const drift_constants *c,
                                                 int64_t step, int64_t stop, shared_vector *at)
{
    drift_lanes(o, 1, 0, 0, 0, steps, c, step, stop, at);
}

static __attribute__((noinline)) void drift_any(const sn_optimizer *o, const int adam, const int cohorts,
                                                const sn_steps *steps, const drift_constants *c, int64_t step,
                                                int64_t stop, shared_vector *at)
{
    if (!adam) drift_lanes(o, 0, 0, 1, 0, steps, c, step, stop, at);
    else if (cohorts) drift_lanes(o, 1, 1, 1, 0, steps, c, step, stop, at);
    else drift_lanes(o, 1, 0, 1, 0, steps, c, step, stop, at);
}

/* Adam's moments of lanes that take steps, times these. */
INLINE void scale_moments(shared_vector *at, float of_m, float of_v)
{
    for (int j = 0; j < ABREAST; j++) {
        const vi moves = at[j].begin < at[j].end;
        const parameters old = parameters_of(at + j, 1);
        parameters p = old;
        p.m *= of_m;
        p.v *= of_v;
        p = select_parameters(moves, &p, &old);
        keep_parameters(at + j, 1, 0, &p);
    }
}

/* All steps of ABREAST vectors. */
static void advance_shared(const sn_optimizer *o, const int adam, const int cohorts, const int learn,
                           const sn_steps *steps, shared_vector *at)
{
    const int more = steps->averaged || steps->kept;
    const drift_constants c = constants_of(o);
    int64_t first = at[0].first, last = at[0].last, from = at[0].from, to = at[0].to, stop;
    for (int j = 0; j < ABREAST; j++) {
        first = at[j].first < first ? at[j].first : first;
        last = at[j].last > last ? at[j].last : last;
        from = at[j].from > from ? at[j].from : from;
        to = at[j].to < to ? at[j].to : to;
        if (!learn) continue;
        const int64_t number = at[j].first - 1;
        const vf rates = rates_at(o, steps, number, cohorts ? at[j].cohort : 0);
        parameters p = parameters_of(at + j, adam);
        step_vector(o, adam, 1, rates, steps->inv_weight[number], kept_at(steps, number, 1), at[j].gradient, &p.w, &p.m,
                    &p.v);
        if (steps->averaged) p.average = averaged(p.average, p.w, steps->averaged[number]);
        keep_parameters(at + j, adam, steps->averaged != 0, &p);
    }
    if (first >= last) return;
    if (adam) scale_moments(at, c.of_m, c.of_v);
    for (int64_t step = first; step < last; step = stop) {
        if (step % 32 == 31 && !steps->averaged) {
            last = first;
            for (int j = 0; j < ABREAST; j++) {
                settle_lanes(o, adam, cohorts, steps, &c, step, at + j);
                last = at[j].last > last ? at[j].last : last;
                to = at[j].to < to ? at[j].to : to;
            }
        }
        stop = (step + 1) / 32 * 32 + 31;
        stop = stop < last ? stop : last;
        if (step < from) stop = stop < from ? stop : from;
        else if (step < to) stop = stop < to ? stop : to;
        if (!adam || cohorts || more) drift_any(o, adam, cohorts, steps, &c, step, stop, at);
        else if (from <= step && stop <= to) drift_adam(o, steps, &c, step, stop, at);
        else drift_some(o, steps, &c, step, stop, at);
    }
    if (adam) scale_moments(at, 1.0f / c.of_m, 1.0f / c.of_v);
}

/* The planes of features between where they lie and a shared vector: to it, or `back`. */
INLINE void exchange_planes(const int stride, const sn_feature_state *f, const uint32_t *features, const int back,
                            shared_vector *at)
{
    for (int64_t k = 0; k < at->n; k++) {
        float *own = f->values + (int64_t)features[k] * f->planes * stride;
        for (int64_t plane = 0; plane < f->planes; plane++) {
            float *there = at->planes[plane] + k * stride;
            if (back) memcpy(own + plane * stride, there, stride * sizeof(float));
            else memcpy(there, own + plane * stride, stride * sizeof(float));
        }
    }
}

INLINE void exchange(const sn_feature_state *f, const uint32_t *features, const int back, shared_vector *at)
{
    if (f->stride == 1) exchange_planes(1, f, features, back, at);
    else if (f->stride == 2) exchange_planes(2, f, features, back, at);
    else if (f->stride == 4) exchange_planes(4, f, features, back, at);
    else exchange_planes(8, f, features, back, at);
}

/* At most n features into a shared vector: those that have room, and where they learn, the same first step. Lanes that
 * are left over go with the last feature, and are not kept. */
INLINE void share(const sn_feature_state *f, const int cohorts, int64_t n, const uint32_t *features,
                  const uint32_t *begin, const uint32_t *end, const float *gradient, vi number, vi used,
                  shared_vector *at)
{
    const int64_t stride = f->stride, room = WIDTH / stride < n ? WIDTH / stride : n;
    vi begins = splat_int(0), ends = begins;
    at->first = at->from = begin[0] + (gradient != 0);
    at->last = at->to = end[0];
    for (at->n = 0; at->n < room && (!gradient || begin[at->n] == begin[0]); at->n++) {
        const int64_t k = at->n, first = begin[k] + (gradient != 0), last = end[k];
        at->first = first < at->first ? first : at->first;
        at->from = first > at->from ? first : at->from;
        at->last = last > at->last ? last : at->last;
        at->to = last < at->to ? last : at->to;
        begins = select_int(number >= (int32_t)k, first, begins);
        ends = select_int(number >= (int32_t)k, last, ends);
        for (int64_t u = 0; cohorts && u < f->fan_out; u++)
            at->cohort[k * stride + u] = f->cohort[features[k] * f->fan_out + u];
    }
    at->begin = begins;
    at->end = at->until = ends;
    if (gradient) at->gradient = select_float(used, load_partial(gradient, at->n * stride), splat(0.0f));
    exchange(f, features, 0, at);
}

static __attribute__((noinline)) void advance_narrow(const sn_optimizer *o, const int adam, const int cohorts,
                                                     const sn_feature_state *f, const sn_steps *steps, int64_t n,
                                                     const uint32_t *features, const uint32_t *begin,
                                                     const uint32_t *end, const float *gradient)
{
    shared_vector at[SHARED];
    vi number, used; /* of the feature that a lane belongs to; whether it is a parameter */
    for (int lane = 0; lane < WIDTH; lane++) {
        number[lane] = (int32_t)(lane / f->stride);
        used[lane] = -(lane % f->stride < f->fan_out);
    }
    memset(at, 0, sizeof at); /* no lane is uninitialized */
    for (int64_t i = 0, k; i < n;) {
        int64_t next = i, n_vectors = 0;
        for (; next < n && n_vectors < SHARED; next += at[n_vectors++].n)
            share(f, cohorts, n - next, features + next, begin + next, end + next,
                  gradient ? gradient + next * f->stride : 0, number, used, at + n_vectors);
        for (k = n_vectors; k % ABREAST; k++) at[k] = at[0], at[k].n = 0;
        for (k = 0; k < n_vectors; k += ABREAST) advance_shared(o, adam, cohorts, gradient != 0, steps, at + k);
        for (k = 0; k < n_vectors; i += at[k++].n) exchange(f, features + i, 1, at + k);
    }
}
