/* Weight gradient of one panel at rows of few connections. sddmm.h takes a row at a time: of six connections, most of its
 * time went into calls and half-empty sums. Here WIDTH connections share a transposing sum, whatever rows they are of. */

/* What the sums of n connections become. */
INLINE void finish_connections(const dot_acc_t *sums, const float *factors, const int32_t *corrections, int64_t n,
                               float *gradient)
{
    dot_acc_t fours[WIDTH / 4];
    unrolled_for (int i = 0; i < WIDTH; i += 4) fours[i / 4] = SUM_FOUR(sums + i);
    store_partial(gradient, load(factors) * gradient_of(SUM_ALL(fours), load_int(corrections)), n);
}

INLINE void sddmm_connections(const sn_matrix *m, const int wide, int64_t begin, int64_t end, const delta_t *kept,
                              const float *delta_scale, const STORE *x, const float *x_scale, const int is_signed,
                              uint64_t seed, float *gradient, float *bias_gradient)
{
    enum { PIECES = SN_LANES / DOT_LANES };
    dot_acc_t sums[WIDTH] = {{0}};
    float factors[WIDTH] = {0};
    int32_t corrections[WIDTH] = {0};
    int64_t k = m->indptr[begin], n = 0;
    for (int64_t row = begin; row < end; row++) {
        const void *of_row = kept + row * SN_LANES;
        const uint64_t row_seed = seed + (uint64_t)row * 0x9E3779B97F4A7C15u; /* a Weyl sequence */
        operand_t deltas[SN_LANES];
        piece_t delta[PIECES];
        float factor;
        int32_t correction;
        bias_gradient[row] =
            prepare(&of_row, 1, &delta_scale, &x_scale, is_signed, row_seed, deltas, &factor, &correction);
        load_deltas(deltas, 0, 1, 0, PIECES, delta);
        for (; k < m->indptr[row + 1]; k++) {
            const STORE *samples = x + column_at(m->indices, wide, k) * SN_LANES;
            dot_acc_t sum = {0};
            unrolled_for (int i = 0; i < PIECES; i++)
                sum = dot_product(sum, load_x(samples + i * DOT_LANES), delta[i], is_signed);
            sums[n] = sum;
            factors[n] = factor;
            corrections[n] = correction;
            if (++n == WIDTH) {
                finish_connections(sums, factors, corrections, WIDTH, gradient + k + 1 - WIDTH);
                n = 0;
            }
        }
    }
    finish_connections(sums, factors, corrections, n, gradient + k - n);
}

/* kernels.h, `sddmm_panel`. */
static void sddmm_panel(const sn_matrix *m, int64_t begin, int64_t end, const void *kept, const float *delta_scale,
                        const void *x, const float *x_scale, int is_signed, uint64_t seed, float *gradient,
                        float *bias_gradient)
{
#define SDDMM(wide, is_signed) \
    sddmm_connections(m, wide, begin, end, kept, delta_scale, x, x_scale, is_signed, seed, gradient, bias_gradient)
#define SDDMM_SIGNED(wide)                         \
    do {                                           \
        if (!SIGN_MATTERS) SDDMM(wide, is_signed); \
        else if (is_signed) SDDMM(wide, 1);        \
        else SDDMM(wide, 0);                       \
    } while (0)
    if (m->wide) SDDMM_SIGNED(1);
    else SDDMM_SIGNED(0);
#undef SDDMM
#undef SDDMM_SIGNED
}
