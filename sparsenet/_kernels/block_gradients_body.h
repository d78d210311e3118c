/* Weight gradient of blocks where 16 registers are too few to hold the deltas of four rows: products_body.h, `sddmm`.
 *
 * COLUMNS_AT_ONCE columns have their accumulators in registers, and a delta comes from L1 once for all of them; columns
 * behind the last are the last one again. The loops stay loops, or else the compiler spills the accumulators (AVX2,
 * float32: 71 GFLOP/s instead of 91, Zen 4). */
INLINE void N(sddmm_columns)(const INDEX *index, int64_t n, const F(operand) *deltas, int64_t row_deltas,
                             const void *const *x, int64_t n_samples, F(dot_acc) *sums)
{
    F(dot_acc) acc[COLUMNS_AT_ONCE * SN_BLOCK_HEIGHT];
    UNROLL for (int i = 0; i < COLUMNS_AT_ONCE * SN_BLOCK_HEIGHT; i++) acc[i] = (F(dot_acc)){0};
    for (int64_t first = 0; first < n_samples; first += SN_LANES) {
        const STORE *rows[COLUMNS_AT_ONCE];
        UNROLL for (int c = 0; c < COLUMNS_AT_ONCE; c++)
            rows[c] = (const STORE *)x[first / SN_LANES] + (int64_t)index[c < n ? c : n - 1] * SN_LANES;
        const int64_t lanes = n_samples - first < SN_LANES ? n_samples - first : SN_LANES;
        _Pragma("GCC unroll 1") for (int64_t lane = 0; lane < lanes; lane += PARTS * PART_LANES)
            UNROLL for (int part = 0; part < PARTS; part++)
            {
                F(part) samples[COLUMNS_AT_ONCE];
                UNROLL for (int c = 0; c < COLUMNS_AT_ONCE; c++) samples[c] = F(load_part)(rows[c] + lane, part);
                UNROLL for (int h = 0; h < SN_BLOCK_HEIGHT; h++)
                {
                    const F(part) delta = F(load_delta)(deltas + h * row_deltas + first + lane + part * PART_LANES);
                    UNROLL for (int c = 0; c < COLUMNS_AT_ONCE; c++)
                        acc[c * SN_BLOCK_HEIGHT + h] = F(dot_part)(acc[c * SN_BLOCK_HEIGHT + h], samples[c], delta);
                }
                if (PARTS > 1) __asm__("" : : : "memory"); /* no register is left to keep the samples for the next part */
            }
    }
    UNROLL for (int c = 0; c < COLUMNS_AT_ONCE; c++) sums[c] = SUM_FOUR(acc + c * SN_BLOCK_HEIGHT);
}

static __attribute__((noinline)) void N(sddmm_blocks)(const INDEX *index, int64_t n, const F(operand) *deltas,
                                                      const void *const *x, int64_t n_samples, const float *factor,
                                                      const int32_t *correction, const float *const *ahead, float *gradient)
{
    enum { RUN = 2 * COLUMNS_AT_ONCE, VALUES = RUN * SN_BLOCK_HEIGHT }; /* whole vectors of gradients */
    const int64_t row_deltas = (n_samples + SN_LANES - 1) / SN_LANES * SN_LANES;
    float factors[WIDTH];
    int32_t corrections[WIDTH];
    repeat_rows(factor, correction, SN_BLOCK_HEIGHT, factors, corrections);
    for (int64_t k = 0; k < n; k += RUN, gradient += VALUES) {
        F(dot_acc) sums[RUN];
        if (ahead) fetch_ahead(ahead, k * SN_BLOCK_HEIGHT, VALUES);
        _Pragma("GCC unroll 1") for (int c = 0; c < RUN; c += COLUMNS_AT_ONCE)
            N(sddmm_columns)(index + k + c, n - k - c, deltas, row_deltas, x, n_samples, sums + c);
        UNROLL for (int i = 0; i < VALUES; i += WIDTH)
        {
            const vf values = load(factors) * F(gradient_of)(SUM_ALL((sums + i / SN_BLOCK_HEIGHT)), load_int(corrections));
            if (n - k >= RUN) store(gradient + i, values);
            else store_partial(gradient + i, values, (n - k) * SN_BLOCK_HEIGHT - i);
        }
    }
}
