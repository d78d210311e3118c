/* Weight gradient of blocks where registers are too few, or too short, to hold the deltas of four rows: sddmm.h.
 *
 * COLUMNS_AT_ONCE columns have their accumulators in registers, and a delta comes from L1 once for all of them; columns
 * behind the last are the last one again. The loops stay loops, or else the compiler spills the accumulators (AVX2,
 * float32: 71 GFLOP/s instead of 91, Zen 4). */
INLINE void sddmm_columns(const void *index, const int wide, int64_t n, const operand_t *deltas, int64_t row_deltas,
                          const void *const *x, int64_t n_samples, const int is_signed, dot_acc_t *sums)
{
    dot_acc_t acc[COLUMNS_AT_ONCE * SN_BLOCK_HEIGHT];
    unrolled_for (int i = 0; i < COLUMNS_AT_ONCE * SN_BLOCK_HEIGHT; i++) acc[i] = (dot_acc_t){0};
    for (int64_t first = 0; first < n_samples; first += SN_LANES) {
        const STORE *rows[COLUMNS_AT_ONCE];
        unrolled_for (int c = 0; c < COLUMNS_AT_ONCE; c++)
            rows[c] = (const STORE *)x[first / SN_LANES] + column_at(index, wide, c < n ? c : n - 1) * SN_LANES;
        const int64_t lanes = n_samples - first < SN_LANES ? n_samples - first : SN_LANES;
        _Pragma("GCC unroll 1") for (int64_t lane = 0; lane < lanes; lane += PARTS * PART_LANES)
            unrolled_for (int part = 0; part < PARTS; part++)
        {
            part_t samples[COLUMNS_AT_ONCE];
            unrolled_for (int c = 0; c < COLUMNS_AT_ONCE; c++) samples[c] = load_part(rows[c] + lane, part);
            unrolled_for (int h = 0; h < SN_BLOCK_HEIGHT; h++) {
                const part_t delta = load_delta(deltas + h * row_deltas + first + lane + part * PART_LANES);
                unrolled_for (int c = 0; c < COLUMNS_AT_ONCE; c++)
                    acc[c * SN_BLOCK_HEIGHT + h] = dot_part(acc[c * SN_BLOCK_HEIGHT + h], samples[c], delta, is_signed);
            }
            if (PARTS > 1) __asm__("" : : : "memory"); /* no register is left to keep the samples for the next part */
        }
    }
    unrolled_for (int c = 0; c < COLUMNS_AT_ONCE; c++) sums[c] = SUM_FOUR(acc + c * SN_BLOCK_HEIGHT);
}

INLINE void sddmm_blocks(const void *index, const int wide, int64_t n, const operand_t *deltas, const void *const *x,
                         int64_t n_samples, const int is_signed, const float *factor, const int32_t *correction,
                         const float *const *ahead, float *gradient)
{
    enum { RUN = 2 * COLUMNS_AT_ONCE, VALUES = RUN * SN_BLOCK_HEIGHT }; /* whole vectors of gradients */
    const int64_t row_deltas = (n_samples + SN_LANES - 1) / SN_LANES * SN_LANES;
    float factors[WIDTH];
    int32_t corrections[WIDTH];
    repeat_rows(factor, correction, SN_BLOCK_HEIGHT, factors, corrections);
    for (int64_t k = 0; k < n; k += RUN, gradient += VALUES) {
        dot_acc_t sums[RUN];
        if (ahead) fetch_ahead(ahead, k * SN_BLOCK_HEIGHT, VALUES);
        _Pragma("GCC unroll 1") for (int c = 0; c < RUN; c += COLUMNS_AT_ONCE) sddmm_columns(
            columns_from(index, wide, k + c), wide, n - k - c, deltas, row_deltas, x, n_samples, is_signed, sums + c);
        unrolled_for (int i = 0; i < VALUES; i += WIDTH) {
            const vf values = load(factors) * gradient_of(SUM_ALL((sums + i / SN_BLOCK_HEIGHT)), load_int(corrections));
            if (n - k >= RUN) store(gradient + i, values);
            else store_partial(gradient + i, values, (n - k) * SN_BLOCK_HEIGHT - i);
        }
    }
}

#define DEFINE_SDDMM_BLOCKS(name, wide, is_signed)                                                          \
    static __attribute__((noinline)) void sddmm_##name(                                                     \
        const void *index, int64_t n, const operand_t *deltas, const void *const *x, int64_t n_samples,     \
        const float *factor, const int32_t *correction, const float *const *ahead, float *gradient)         \
    {                                                                                                       \
        sddmm_blocks(index, wide, n, deltas, x, n_samples, is_signed, factor, correction, ahead, gradient); \
    }
DEFINE_SDDMM_BLOCKS(blocks_16, 0, 1)
DEFINE_SDDMM_BLOCKS(blocks_32, 1, 1)
DEFINE_SDDMM_BLOCKS(blocks_16_unsigned, 0, 0)
DEFINE_SDDMM_BLOCKS(blocks_32_unsigned, 1, 0)
#undef DEFINE_SDDMM_BLOCKS
