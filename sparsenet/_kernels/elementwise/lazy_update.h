/* The optimizer's steps of parameters that are stored by feature, in place: kernels.h, `advance`. */

/* Vectors that take their steps side by side: a step takes 70 cycles until the next can begin. Seven are a feature of 100
 * units with AVX-512. With 16 registers some parameters are on the stack, which costs less than waiting (AVX2: a step of
 * a vector takes 1.9 ns, four abreast 3.0). */
#define ABREAST (VECTOR_REGISTERS == 32 ? 7 : 8)
/* Vectors whose places are looked up at a time, so that the steps themselves have no branch. */
#define PLACES (16 * ABREAST)
/* What is left of a parameter's drift does not matter below this: float32 rounds a weight of 0.01 by more. */
#define SETTLED 0x1p-33f

/* A vector of parameters and the steps that it takes: one with a gradient, or none, then n_steps from number `begin` on. */
typedef struct {
    float *w;
    const float *gradient;
    const uint16_t *cohort;
    int64_t lanes; /* of parameters */
    int64_t begin, n_steps;
} place;

typedef struct {
    vf w, m, v, average;
} parameters;

/* Steps without a gradient take Adam's moments times what leaves the fewest operations: M = unit m / (1 - beta_1) and
 * V = unit^2 v / (1 - beta_2), for which L2's gradient is unit alpha w, and
 * learning_rate m / (sqrt(v) + epsilon) = learning_rate / unit M / (sqrt(V) + epsilon / (1 - beta_1)). */
typedef struct {
    float unit, epsilon, of_m, of_v;
} drift_constants;

INLINE drift_constants constants_of(const sn_optimizer *o)
{
    const float first = 1.0f - o->beta_1, unit = __builtin_sqrtf(1.0f - o->beta_2) / first;
    return (drift_constants){unit, o->epsilon / first, unit / first, 1.0f / (first * first)};
}

/* Learning rates of step `number`, those of WIDTH parameters: `rates_of`. */
INLINE vf rates_at(const sn_optimizer *o, const sn_steps *steps, int64_t number, const uint16_t *cohort)
{
    return rates_of(steps->rates + number * steps->stride, o->n_cohorts, cohort);
}

INLINE float kept_at(const sn_steps *steps, int64_t number, const int more)
{
    return more && steps->kept ? steps->kept[number] : 1.0f;
}

/* A step without a gradient; `more`: weights may decay. */
INLINE void drift(const sn_optimizer *o, const int adam, const int more, vf rate, float inv_weight, float kept,
                  const drift_constants *c, parameters *p)
{
    if (!adam) {
        step_vector(o, 0, 0, rate, inv_weight, kept, splat(0.0f), &p->w, &p->m, &p->v);
        return;
    }
    const vf g = p->w * (o->alpha * inv_weight * c->unit);
    p->m = fma_(splat(o->beta_1), p->m, g);
    p->v = fma_(g, g, o->beta_2 * p->v);
    const vf step = rate * (1.0f / c->unit) * p->m, inverse = reciprocal(vsqrt(p->v) + c->epsilon);
    if (more) p->w = fma_(-step, inverse, kept * p->w);
    else p->w -= step * inverse;
}

/* The lanes in which nothing is left that would move the parameters further. */
INLINE vi settled_lanes(const sn_optimizer *o, const int adam, const int cohorts, const sn_steps *steps,
                        const drift_constants *c, int64_t step, const parameters *p)
{
    const float decay = adam ? o->beta_1 : o->momentum;
    const float *rates = steps->rates + step * steps->stride;
    float largest = rates[0];
    for (int64_t i = 1; cohorts && i < o->n_cohorts; i++) largest = rates[i] > largest ? rates[i] : largest;
    largest *= steps->growth[step];
    /* What L2 moves a weight by in one step, at most, relative to the weight. */
    const float pull = o->alpha * steps->inv_weight[step] * largest / (adam ? o->epsilon : 1.0f);
    if (!(pull < 1.0f)) return splat_int(0);
    /* At most so much is left in the moments, whatever v becomes; and in L2 and weight decay, the weight itself. */
    const float left = adam ? decay * largest / c->unit / o->epsilon : decay / (1.0f - decay);
    vi settled = vabs(p->m * left) < SETTLED; /* NaN is not */
    if (o->alpha > 0.0f || steps->kept) settled &= vabs(p->w) < SETTLED;
    return settled;
}

INLINE int any_lane(vi mask) { return max_lanes(select_float(mask, splat(1.0f), splat(0.0f))) != 0.0f; }

INLINE void drift_abreast(const sn_optimizer *o, const int adam, const int cohorts, const int more,
                          const sn_steps *steps, const place *at, parameters *p)
{
    const int averages = more && steps->averaged;
    const float decay = adam ? o->beta_1 : o->momentum;
    int64_t n_steps[ABREAST], longest = 0, together = at[0].n_steps;
    unrolled_for (int j = 0; j < ABREAST; j++) {
        n_steps[j] = at[j].n_steps;
        longest = n_steps[j] > longest ? n_steps[j] : longest;
        together = n_steps[j] < together ? n_steps[j] : together;
        together = at[j].begin == at[0].begin ? together : 0;
    }
    if (longest == 0) return;
    const drift_constants c = constants_of(o);
    /* A vector without steps keeps its bits, whatever those beside it do. */
    unrolled_for (int j = 0; j < ABREAST; j++)
        if (adam && at[j].n_steps > 0) p[j].m *= c.of_m, p[j].v *= c.of_v;
    for (int64_t step = 0; step < longest; step++) {
        if (step % 32 == 31 && !averages) { /* what is left of those that have settled, at once */
            longest = 0;
            unrolled_for (int j = 0; j < ABREAST; j++) {
                if (step < n_steps[j]
                    && !any_lane(~settled_lanes(o, adam, cohorts, steps, &c, at[j].begin + step, p + j))) {
                    p[j].m *= __builtin_powf(decay, (float)(n_steps[j] - step));
                    if (adam) p[j].v *= __builtin_powf(o->beta_2, (float)(n_steps[j] - step));
                    n_steps[j] = step;
                    together = together < step ? together : step;
                }
                longest = n_steps[j] > longest ? n_steps[j] : longest;
            }
        }
#define DRIFT(j, number)                                                                                    \
    drift(o, adam, more, rates_at(o, steps, number, cohorts ? at[j].cohort : 0), steps->inv_weight[number], \
          kept_at(steps, number, more), &c, p + j);                                                         \
    if (averages) p[j].average = averaged(p[j].average, p[j].w, steps->averaged[number])
        if (step < together) { /* the same step of all of them, with one learning rate and decay */
            unrolled_for (int j = 0; j < ABREAST; j++) {
                DRIFT(j, at[0].begin + step);
            }
        } else {
            unrolled_for (int j = 0; j < ABREAST; j++)
                if (step < n_steps[j]) {
                    DRIFT(j, at[j].begin + step);
                }
        }
#undef DRIFT
    }
    unrolled_for (int j = 0; j < ABREAST; j++)
        if (adam && at[j].n_steps > 0) p[j].m *= 1.0f / c.of_m, p[j].v *= 1.0f / c.of_v;
}

/* All steps of ABREAST vectors, of which n are stored. What is behind the last parameter is zero, and stays so. */
INLINE void advance_abreast(const sn_optimizer *o, const int adam, const int cohorts, const int more, const int learn,
                            int64_t stride, const sn_steps *steps, const place *at, int64_t n)
{
    const int averages = more && steps->averaged;
    const int64_t plane = (adam ? 3 : 2) * stride; /* of averages */
    parameters p[ABREAST];
    unrolled_for (int j = 0; j < ABREAST; j++) {
        const int64_t number = at[j].begin - 1;
        p[j].w = load(at[j].w);
        p[j].m = load(at[j].w + stride);
        p[j].v = adam ? load(at[j].w + 2 * stride) : splat(0.0f);
        p[j].average = averages ? load(at[j].w + plane) : splat(0.0f);
        if (learn)
            step_vector(o, adam, more, rates_at(o, steps, number, cohorts ? at[j].cohort : 0),
                        steps->inv_weight[number], kept_at(steps, number, more),
                        load_partial(at[j].gradient, at[j].lanes), &p[j].w, &p[j].m, &p[j].v);
        if (learn && averages) p[j].average = averaged(p[j].average, p[j].w, steps->averaged[number]);
    }
    drift_abreast(o, adam, cohorts, more, steps, at, p);
    unrolled_for (int j = 0; j < ABREAST; j++) {
        if (j >= n) break;
        store(at[j].w, p[j].w);
        store(at[j].w + stride, p[j].m);
        if (adam) store(at[j].w + 2 * stride, p[j].v);
        if (averages) store(at[j].w + plane, p[j].average);
    }
}

/* `more`: weights may decay, or have running averages. */
INLINE void advance_by(const sn_optimizer *o, const int adam, const int cohorts, const int more,
                       const sn_feature_state *f, const sn_steps *steps, int64_t n, const uint32_t *features,
                       const uint32_t *begin, const uint32_t *end, const float *gradient)
{
    place at[PLACES];
    for (int64_t i = 0, lane = 0; i < n;) {
        int64_t n_places = 0;
        for (; i < n && n_places < PLACES; n_places++) {
            place *next = at + n_places;
            next->w = f->values + (int64_t)features[i] * f->planes * f->stride + lane;
            next->gradient = gradient ? gradient + i * f->stride + lane : 0;
            next->cohort = cohorts ? f->cohort + features[i] * f->fan_out + lane : 0;
            next->lanes = f->fan_out - lane;
            next->begin = begin[i] + (gradient != 0);
            next->n_steps = end[i] - next->begin;
            lane += WIDTH;
            if (lane >= f->fan_out) lane = 0, i++;
        }
        for (int64_t k = n_places; k % ABREAST; k++) at[k] = at[0], at[k].n_steps = 0;
        for (int64_t k = 0; k < n_places; k += ABREAST) {
            if (gradient) advance_abreast(o, adam, cohorts, more, 1, f->stride, steps, at + k, n_places - k);
            else advance_abreast(o, adam, cohorts, more, 0, f->stride, steps, at + k, n_places - k);
        }
    }
}

#include "elementwise/narrow_features.h"

#define ADVANCE(adam, cohorts, more) advance_by(o, adam, cohorts, more, f, steps, n, features, begin, end, gradient)

/* A function of its own: in one of twice the size, GCC leaves parameters on the stack, which takes 1.4 times as long. */
static __attribute__((noinline)) void advance_more(const sn_optimizer *o, const int adam, const int cohorts,
                                                   const sn_feature_state *f, const sn_steps *steps, int64_t n,
                                                   const uint32_t *features, const uint32_t *begin, const uint32_t *end,
                                                   const float *gradient)
{
    if (adam && cohorts) ADVANCE(1, 1, 1);
    else if (adam) ADVANCE(1, 0, 1);
    else ADVANCE(0, 0, 1);
}

/* kernels.h, `advance`. */
static void advance(const sn_optimizer *o, const sn_feature_state *f, const sn_steps *steps, int64_t n,
                    const uint32_t *features, const uint32_t *begin, const uint32_t *end, const float *gradient)
{
    const int adam = sn_solvers[o->solver].is_adam, cohorts = f->cohort && o->n_cohorts > 1;
    if (f->stride < WIDTH) advance_narrow(o, adam, cohorts, f, steps, n, features, begin, end, gradient);
    else if (steps->averaged || steps->kept)
        advance_more(o, adam, cohorts, f, steps, n, features, begin, end, gradient);
    else if (!adam) ADVANCE(0, 0, 0);
    else if (cohorts) ADVANCE(1, 1, 0);
    else ADVANCE(1, 0, 0);
}
#undef ADVANCE
