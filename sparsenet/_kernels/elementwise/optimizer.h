/* One step of WIDTH parameters. With `decays`, Adam is AdamW (Loshchilov & Hutter 2019, algorithm 2); a multiplication
 * by 1 for all would take 3 % of a step, and 15 % of one of sparse rows. */
INLINE void step_vector(const sn_optimizer *o, const int adam, const int decays, vf learning_rate, float inv_weight,
                        float kept, vf gradient, vf *w, vf *m, vf *v)
{
    const vf g = fma_(*w, splat(o->alpha), gradient) * inv_weight;
    if (adam) { /* Kingma & Ba (2015), algorithm 1 with the efficient order of its section 2 */
        *m = fma_(splat(o->beta_1), *m, (1.0f - o->beta_1) * g);
        *v = fma_(splat(o->beta_2), *v, (1.0f - o->beta_2) * (g * g));
        const vf rate = learning_rate * *m, inverse = reciprocal(vsqrt(*v) + o->epsilon);
        if (decays) *w = fma_(-rate, inverse, kept * *w);
        else *w -= rate * inverse;
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

INLINE void update_by(const sn_optimizer *o, const int adam, const int decays, const uint16_t *cohort, int64_t n,
                      float *parameter, const float *gradient, float *first, float *second)
{
    for (int64_t i = 0; i < n; i += WIDTH) {
        const int64_t left = n - i;
        const vf learning_rate = rates_of(o->learning_rate, o->n_cohorts, cohort ? cohort + i : 0);
        vf w = load_partial(parameter + i, left), m = load_partial(first + i, left), v = {0};
        if (adam) v = load_partial(second + i, left);
        step_vector(o, adam, decays, learning_rate, o->inv_weight, o->kept, load_partial(gradient + i, left), &w, &m,
                    &v);
        store_partial(parameter + i, w, left);
        store_partial(first + i, m, left);
        if (adam) store_partial(second + i, v, left);
    }
}

static void update(const sn_optimizer *o, const uint16_t *cohort, int64_t n, float *parameter, const float *gradient,
                   float *first, float *second)
{
    if (o->n_cohorts == 1) cohort = 0;
#define UPDATE(adam, decays, cohort) update_by(o, adam, decays, cohort, n, parameter, gradient, first, second)
    if (!sn_solvers[o->solver].is_adam) UPDATE(0, 0, 0);
    else if (cohort && o->kept == 1.0f) UPDATE(1, 0, cohort);
    else if (cohort) UPDATE(1, 1, cohort);
    else if (o->kept == 1.0f) UPDATE(1, 0, 0);
    else UPDATE(1, 1, 0);
#undef UPDATE
}

/* A running average of WIDTH parameters, of which a step keeps the share `kept`. */
INLINE vf averaged(vf average, vf parameter, float kept) { return fma_(splat(kept), average - parameter, parameter); }

/* kernels.h. Sums in float32 of a task's few thousand values, in an order that depends on n alone. */
static double sum_of_squares(const float *x, int64_t n, float factor)
{
    vf sums[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
    for (int64_t i = 0; i < n; i += 4 * WIDTH)
        unrolled_for (int j = 0; j < 4; j++) {
            const int64_t left = n - i - j * WIDTH;
            const vf v = left > 0 ? factor * load_partial(x + i + j * WIDTH, left) : splat(0.0f);
            sums[j] = fma_(v, v, sums[j]);
        }
    double total = 0.0;
    for (int i = 0; i < WIDTH; i++) total += (double)(sums[0][i] + sums[1][i] + (sums[2][i] + sums[3][i]));
    return total;
}
