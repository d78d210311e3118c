/* Weight gradient at the connections (sampled dense-dense product, SDDMM): deltas times the inputs of chosen columns,
 * summed over the samples. The format's part is `dot_product`, over DOT_LANES samples in any order that both share. */

/* A chunk of the deltas of a block's rows, from piece number `first` on. */
INLINE void load_deltas(const operand_t *deltas, int64_t row_deltas, const int height, int first, const int chunk,
                        piece_t *delta)
{
    unrolled_for (int h = 0; h < height; h++)
        unrolled_for (int c = 0; c < chunk; c++)
            delta[h * chunk + c] = load_piece(deltas + h * row_deltas + (first + c) * DOT_LANES);
}

/* Weight gradient at WIDTH / height columns, of which n are wanted: WIDTH dot products over `pieces` pieces of the panels
 * that share one transposing sum at the end. `delta` holds a chunk of the pieces, and where that is not all, each in turn. */
INLINE dot_acc_t sddmm_group(const void *index, const int wide, int64_t n, const int height, const int pieces,
                             const int chunk, const operand_t *deltas, int64_t row_deltas, piece_t *delta,
                             const void *const *x, const int is_signed)
{
    enum { PIECES = SN_LANES / DOT_LANES };
    /* With all deltas in registers, four products at a time: their sums hide behind the next four's loads. */
    const int dots = chunk < pieces ? WIDTH : SN_BLOCK_HEIGHT;
    dot_acc_t sums[WIDTH / SN_BLOCK_HEIGHT];
    unrolled_for (int dot = 0; dot < WIDTH; dot += dots) {
        dot_acc_t acc[WIDTH];
        unrolled_for (int i = 0; i < dots; i++) acc[i] = (dot_acc_t){0};
        for (int begin = 0; begin < pieces; begin += chunk) {
            if (chunk < pieces) {
                /* Find the columns anew: kept over the chunks, their offsets would spill out of the registers. */
                __asm__("" : "+r"(index));
                load_deltas(deltas, row_deltas, height, begin, chunk, delta);
            }
            const STORE *panels[2] = {(const STORE *)x[begin / PIECES] + begin % PIECES * DOT_LANES, 0};
            if (chunk > PIECES) panels[1] = x[1];
            unrolled_for (int i = 0; i < dots; i += height) {
                const int64_t k = (dot + i) / height, column = k < n ? k : n - 1;
                if ((dot + i) % SN_BLOCK_HEIGHT == 0 && k >= n) break;
                const int64_t place = column_at(index, wide, column) * SN_LANES;
                unrolled_for (int c = 0; c < chunk; c++) {
                    const piece_t samples = load_x(panels[c / PIECES] + place + c % PIECES * DOT_LANES);
                    unrolled_for (int h = 0; h < height; h++)
                        acc[i + h] = dot_product(acc[i + h], samples, delta[h * chunk + c], is_signed);
                }
            }
        }
        unrolled_for (int i = 0; i < dots; i += SN_BLOCK_HEIGHT) sums[(dot + i) / SN_BLOCK_HEIGHT] = SUM_FOUR(acc + i);
    }
    return SUM_ALL(sums);
}

/* The same for all n columns. Sums stay as they are (int8: integers) while panels are left: gradient += sums, or else
 * gradient = factor * (gradient + sums - correction), those of WIDTH rows. */
INLINE void sddmm_run(const void *index, const int wide, int64_t n, const int height, const int pieces,
                      const operand_t *deltas, int64_t row_deltas, const void *const *x, const int is_signed,
                      const int more, const int last, const float *factors, const int32_t *corrections,
                      const float *const *ahead, float *gradient)
{
    enum { REGISTERS = DELTA_VECTORS * VECTOR_BYTES / sizeof(piece_t) };
    const int most = REGISTERS / height, chunk = most < pieces ? most : pieces;
    const int64_t columns = WIDTH / height;
    piece_t delta[REGISTERS];
    load_deltas(deltas, row_deltas, height, 0, chunk, delta);
#define SDDMM_GROUP(n) \
    sddmm_group(columns_from(index, wide, k), wide, n, height, pieces, chunk, deltas, row_deltas, delta, x, is_signed)
    for (int64_t k = 0; k < n; k += columns, gradient += WIDTH) {
        const int64_t left = (n - k) * height;
        if (ahead) fetch_ahead(ahead, k * height, WIDTH);
        /* A constant count unrolls without the clamp. */
        dot_acc_t sums = left >= WIDTH ? SDDMM_GROUP(columns) : SDDMM_GROUP(n - k);
        if (more) sums += (dot_acc_t)load_partial(gradient, left);
        if (last) sums = (dot_acc_t)(load(factors) * gradient_of(sums, load_int(corrections)));
        store_partial(gradient, (vf)sums, left);
    }
#undef SDDMM_GROUP
}

/* Two panels at a time, so that their deltas stay in registers for a whole row. Of the last two, half a panel, one, or one
 * and a half where no more lanes hold samples: to the same bits, since the others add zeros. */
INLINE void sddmm_layout(const void *index, const int wide, int64_t n, const int height, const operand_t *deltas,
                         const void *const *x, int64_t n_samples, const int is_signed, const float *factor,
                         const int32_t *correction, const float *const *ahead, float *gradient)
{
    enum { PIECES = SN_LANES / DOT_LANES, HALF = PIECES / 2 };
    const int64_t row_deltas = (n_samples + SN_LANES - 1) / SN_LANES * SN_LANES;
    float factors[WIDTH];
    int32_t corrections[WIDTH];
    repeat_rows(factor, correction, height, factors, corrections);
    for (int64_t lane = 0; lane < n_samples; lane += 2 * SN_LANES) {
        const int64_t left = (n_samples - lane + DOT_LANES - 1) / DOT_LANES;
#define SDDMM(pieces)                                                                                              \
    sddmm_run(index, wide, n, height, pieces, deltas + lane, row_deltas, x + lane / SN_LANES, is_signed, lane > 0, \
              left <= 2 * PIECES, factors, corrections, lane > 0 ? NULL : ahead, gradient)
        if (left > PIECES + HALF) SDDMM(2 * PIECES);
        else if (left > PIECES) SDDMM(PIECES + HALF);
        else if (left > HALF) SDDMM(PIECES);
#if SN_LANES > DOT_LANES
        else SDDMM(HALF);
#endif
#undef SDDMM
    }
}

/* A function each, or else the compiler runs short of registers; and two where SIGN_MATTERS. */
#define DEFINE_SDDMM(name, height, wide, is_signed)                                                                 \
    static __attribute__((noinline)) void sddmm_##name(                                                             \
        const void *index, int64_t n, const operand_t *deltas, const void *const *x, int64_t n_samples,             \
        const float *factor, const int32_t *correction, const float *const *ahead, float *gradient)                 \
    {                                                                                                               \
        sddmm_layout(index, wide, n, height, deltas, x, n_samples, is_signed, factor, correction, ahead, gradient); \
    }
DEFINE_SDDMM(rows_16, 1, 0, 1)
DEFINE_SDDMM(rows_32, 1, 1, 1)
DEFINE_SDDMM(rows_16_unsigned, 1, 0, 0)
DEFINE_SDDMM(rows_32_unsigned, 1, 1, 0)
#if !COLUMNS_AT_ONCE
DEFINE_SDDMM(blocks_16, SN_BLOCK_HEIGHT, 0, 1)
DEFINE_SDDMM(blocks_32, SN_BLOCK_HEIGHT, 1, 1)
DEFINE_SDDMM(blocks_16_unsigned, SN_BLOCK_HEIGHT, 0, 0)
DEFINE_SDDMM(blocks_32_unsigned, SN_BLOCK_HEIGHT, 1, 0)
#endif
#undef DEFINE_SDDMM

/* kernels.h, `sddmm`. */
static void sddmm(const void *indices, int wide, int64_t n, int64_t height, const void *deltas, const void *const *x,
                  int64_t n_samples, int is_signed, const float *factor, const int32_t *correction,
                  const float *const *ahead, float *gradient)
{
#define SDDMM_SIGNED(name) sddmm_##name(indices, n, deltas, x, n_samples, factor, correction, ahead, gradient)
#define SDDMM(name) (SIGN_MATTERS && !is_signed ? SDDMM_SIGNED(name##_unsigned) : SDDMM_SIGNED(name))
    if (!indices) SDDMM(dense);
    else if (height == 1 && wide) SDDMM(rows_32);
    else if (height == 1) SDDMM(rows_16);
    else if (wide) SDDMM(blocks_32);
    else SDDMM(blocks_16);
#undef SDDMM
#undef SDDMM_SIGNED
}
