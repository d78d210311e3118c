/* Weight gradient of dense layers as outer products, for the current format: a vector holds WIDTH columns, a 32-bit lane of
 * it LANE_SAMPLES samples of its column, and every delta of a block meets it as a broadcast. Nothing is summed over lanes,
 * which takes a quarter to a half of the time where columns are chosen one by one. That wants *turned* panels:
 * [tile of TURNED columns][group of LANE_SAMPLES samples][column].
 *
 * The format's parts:
 *   SPLIT_LANES      so many neighbouring samples may be in another order, which deltas and turned panels share
 *   turned_lanes  WIDTH groups of a column's samples, from group v on
 *   outer         acc += delta * x, over a group of samples */
#define TURNED 64
#define GROUPS (SN_LANES / LANE_SAMPLES)

static void turn(const void *x, int64_t n, void *turned)
{
    for (int64_t column = 0; column < n; column += WIDTH)
        for (int v = 0; v < GROUPS; v += WIDTH) {
            float *out = (float *)turned + column / TURNED * TURNED * GROUPS + v * TURNED + column % TURNED;
            vf square[WIDTH];
            unrolled_for (int c = 0; c < WIDTH; c++)
                square[c] = column + c < n ? turned_lanes((const STORE *)x + (column + c) * SN_LANES, v) : splat(0.0f);
            transpose_square(square);
            unrolled_for (int g = 0; g < WIDTH; g++) store(out + g * TURNED, square[g]);
        }
}

INLINE void sddmm_turned(int64_t n, const operand_t *deltas, const void *const *x, int64_t n_samples,
                         const int is_signed, const float *factor, const int32_t *correction, const float *const *ahead,
                         float *gradient)
{
    enum { VECTORS_AT_ONCE = VECTOR_REGISTERS == 32 ? 4 : 2, PART = VECTORS_AT_ONCE * WIDTH };
    const int64_t row_deltas = (n_samples + SN_LANES - 1) / SN_LANES * SN_LANES;
    for (int64_t column = 0; column < n; column += PART) {
        if (ahead) fetch_ahead(ahead, column * SN_BLOCK_HEIGHT, PART * SN_BLOCK_HEIGHT);
        dot_acc_t acc[SN_BLOCK_HEIGHT][VECTORS_AT_ONCE];
        unrolled_for (int h = 0; h < SN_BLOCK_HEIGHT; h++)
            unrolled_for (int v = 0; v < VECTORS_AT_ONCE; v++) acc[h][v] = (dot_acc_t){0};
        for (int64_t sample = 0; sample < n_samples; sample += SN_LANES) {
            const float *samples =
                (const float *)x[sample / SN_LANES] + column / TURNED * TURNED * GROUPS + column % TURNED;
            const int64_t left = n_samples - sample < SN_LANES ? n_samples - sample : SN_LANES;
            const int64_t end = (left + SPLIT_LANES - 1) / SPLIT_LANES * SPLIT_LANES;
            for (int64_t i = 0; i < end; i += LANE_SAMPLES, samples += TURNED)
                unrolled_for (int h = 0; h < SN_BLOCK_HEIGHT; h++)
                    unrolled_for (int v = 0; v < VECTORS_AT_ONCE; v++)
                        acc[h][v] = outer(acc[h][v], load(samples + v * WIDTH), deltas + h * row_deltas + sample + i,
                                          is_signed);
        }
        unrolled_for (int v = 0; v < VECTORS_AT_ONCE; v++) {
            vf rows[SN_BLOCK_HEIGHT];
            unrolled_for (int h = 0; h < SN_BLOCK_HEIGHT; h++)
                rows[h] = factor[h] * gradient_of(acc[h][v], splat_int(correction[h]));
            interleave_rows(rows);
            for (int q = 0; q < SN_BLOCK_HEIGHT; q++) {
                const int64_t first = (column + v * WIDTH) * SN_BLOCK_HEIGHT + q * WIDTH;
                if (first < n * SN_BLOCK_HEIGHT) store_partial(gradient + first, rows[q], n * SN_BLOCK_HEIGHT - first);
            }
        }
    }
}

#define DEFINE_SDDMM_DENSE(name, is_signed)                                                             \
    static __attribute__((noinline)) void sddmm_##name(                                                 \
        const void *index, int64_t n, const operand_t *deltas, const void *const *x, int64_t n_samples, \
        const float *factor, const int32_t *correction, const float *const *ahead, float *gradient)     \
    {                                                                                                   \
        (void)index;                                                                                    \
        sddmm_turned(n, deltas, x, n_samples, is_signed, factor, correction, ahead, gradient);          \
    }
DEFINE_SDDMM_DENSE(dense, 1)
DEFINE_SDDMM_DENSE(dense_unsigned, 0)
#undef DEFINE_SDDMM_DENSE
enum { TURNED_SIZE = GROUPS * sizeof(float) };
#undef GROUPS
#undef TURNED
