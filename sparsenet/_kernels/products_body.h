/* The two sparse products, once for all number formats, index types, instruction sets and block heights.
 *
 * Included for each format and index type, with N(name) naming the result and F(name) the format's own parts:
 *   F(step)     acc[row][vector] += weights of GROUP columns * their 64 samples
 *   F(resume)   accumulators from the sums of the tiles before
 *   F(finish)   accumulators -> fp32 in the order of the samples
 *   F(widen)    weights as F(step) reads them (16-bit weights become fp32, once a row and not once a vector)
 *   F(dot)      acc += delta * x over DOT_LANES samples, in any order that delta and x share
 */

/* Rows first..first + joint of one block against `tile` vectors of the panel. The accumulators stay in
 * registers while the non-zeros stream by; `sets` of them hide the latency of the multiply-add where a single
 * row's are too few. joint, tile, sets and height are compile-time constants at every call. */
INLINE void N(spmm_tile)(const sn_matrix *m, int64_t block, const int64_t height, const int first, const int joint,
                         const int tile, const int sets, int64_t column_tile, const void *x, int lane, int offset, float *out)
{
    const INDEX *indices = (const INDEX *)m->indices;
    const F(weight) *weights = (const F(weight) *)m->weights;
    const int stride = joint * tile + joint * EXTRA;
    const int tiled = TILED && height > 1;
    const int64_t sample_bytes = tiled ? sizeof(float) : sizeof(STORE), row_bytes = SN_LANES * sample_bytes;
    const char *samples = (const char *)x + lane * sample_bytes;
    F(acc) acc[2 * MAX_JOINT * (MAX_TILE + EXTRA)];
    UNROLL for (int i = 0; i < sets * stride; i++) acc[i] = (F(acc)){0};
    int64_t begin = m->indptr[block], end = m->indptr[block + 1];
    const int64_t chunk = WIDE_CHUNK / height;
    if (tiled) {
        begin += column_tile * m->tile_columns;
        end = end - begin < m->tile_columns ? end : begin + m->tile_columns;
        if (column_tile > 0)
            UNROLL for (int j = 0; j < joint; j++) F(resume)(acc + j * tile, tile, out + j * SN_LANES);
    }
    for (; begin < end; begin += chunk) {
        const int64_t n = end - begin < chunk ? end - begin : chunk;
        const INDEX *index = indices + begin;
        F(wide) buffer[WIDE_BUFFER];
        const F(wide) *w = F(widen)(weights + begin * height, n * height, buffer) + first * GROUP;
        int64_t k = 0;
        for (; k + sets * GROUP <= n; k += sets * GROUP) {
            UNROLL for (int s = 0; s < sets; s++)
            {
                const char *rows[GROUP];
                UNROLL for (int g = 0; g < GROUP; g++) rows[g] = samples + index[k + s * GROUP + g] * row_bytes;
                F(step)(acc + s * stride, tiled, joint, tile, rows, w + (k + s * GROUP) * height, offset);
            }
        }
        for (; k < n; k += GROUP) {
            /* The last, partly filled group: stored column by column, completed with zero weights. */
            const char *rows[GROUP];
            F(wide) last[MAX_JOINT * GROUP];
            UNROLL for (int g = 0; g < GROUP; g++) rows[g] = samples + index[k + g < n ? k + g : n - 1] * row_bytes;
            if (GROUP == 1 || k + GROUP <= n) {
                F(step)(acc, tiled, joint, tile, rows, w + k * height, offset);
                continue;
            }
            const F(wide) *tail = w - first * GROUP + k * height + first;
            UNROLL for (int g = 0; g < GROUP; g++)
                UNROLL for (int j = 0; j < joint; j++) last[j * GROUP + g] = k + g < n ? tail[g * height + j] : 0;
            F(step)(acc, tiled, joint, tile, rows, last, offset);
        }
    }
    if (sets == 2) UNROLL for (int i = 0; i < stride; i++) acc[i] += acc[stride + i];
    UNROLL for (int j = 0; j < joint; j++) F(finish)(acc + j * tile, acc + joint * tile + j, tiled, tile, out + j * SN_LANES);
}

static void N(spmm)(const sn_matrix *m, int64_t column_tile, int64_t begin, int64_t end, const void *x, int offset,
                    int lanes, float *out)
{
    const int half = lanes <= SN_LANES / 2;
    for (int64_t block = begin; block < end; block++, out += m->height * SN_LANES) {
        if (half) /* idle lanes are defined: zero, as their inputs are */
            for (int64_t h = 0; h < m->height; h++) memset(out + h * SN_LANES + SN_LANES / 2, 0, SN_LANES / 2 * sizeof(float));
        if (m->height == 1 && half) {
            for (int lane = 0; lane < SN_LANES / 2; lane += HALF_TILE(TILE_ONE) * WIDTH)
                N(spmm_tile)(m, block, 1, 0, 1, HALF_TILE(TILE_ONE), SETS_ONE, column_tile, x, lane, offset, out + lane);
        } else if (m->height == 1) {
            for (int lane = 0; lane < SN_LANES; lane += TILE_ONE * WIDTH)
                N(spmm_tile)(m, block, 1, 0, 1, TILE_ONE, SETS_ONE, column_tile, x, lane, offset, out + lane);
        } else if (half) {
            for (int first = 0; first < SN_BLOCK_HEIGHT; first += JOINT)
                for (int lane = 0; lane < SN_LANES / 2; lane += HALF_TILE(TILE_BLOCK) * WIDTH)
                    N(spmm_tile)(m, block, SN_BLOCK_HEIGHT, first, JOINT, HALF_TILE(TILE_BLOCK), 1, column_tile, x,
                                 lane, offset, out + first * SN_LANES + lane);
        } else {
            for (int first = 0; first < SN_BLOCK_HEIGHT; first += JOINT)
                for (int lane = 0; lane < SN_LANES; lane += TILE_BLOCK * WIDTH)
                    N(spmm_tile)(m, block, SN_BLOCK_HEIGHT, first, JOINT, TILE_BLOCK, 1, column_tile, x, lane, offset,
                                 out + first * SN_LANES + lane);
        }
    }
}

/* Weight gradient at WIDTH / height columns: WIDTH dot products that share one transposing sum at the end,
 * over all panels of the step. `chunk` is how many F(piece)s of the delta stay in registers. */
INLINE vf N(sddmm_group)(const INDEX *index, int64_t n, const int height, const int chunk, const F(operand) *deltas,
                         const void *const *x, int64_t n_panels, const int32_t *correction)
{
    F(dot_acc) acc[WIDTH];
    UNROLL for (int i = 0; i < WIDTH; i++) acc[i] = (F(dot_acc)){0};
    for (int64_t p = 0; p < n_panels; p++)
        for (int lane = 0; lane < SN_LANES; lane += chunk * DOT_LANES) {
            /* Read the indices anew: kept over the panels, their offsets would spill out of the registers. */
            __asm__("" : "+r"(index));
            F(piece) delta[MAX_PIECES];
            UNROLL for (int h = 0; h < height; h++)
                UNROLL for (int c = 0; c < chunk; c++)
                    delta[h * chunk + c] = F(load_piece)(deltas + (h * n_panels + p) * SN_LANES + lane + c * DOT_LANES);
            UNROLL for (int k = 0; k < WIDTH / height; k++)
            {
                const STORE *row = (const STORE *)x[p] + (int64_t)index[k < n ? k : n - 1] * SN_LANES + lane;
                UNROLL for (int c = 0; c < chunk; c++)
                {
                    const F(piece) piece = F(load_x)(row + c * DOT_LANES);
                    UNROLL for (int h = 0; h < height; h++)
                        acc[k * height + h] = F(dot)(acc[k * height + h], piece, delta[h * chunk + c]);
                }
            }
        }
    return F(sum_dots)(acc, correction);
}

static void N(sddmm)(const void *indices, int64_t n, int64_t height, const void *deltas, const void *const *x,
                     int64_t n_panels, const float *factor, const int32_t *correction, float *gradient)
{
    const INDEX *index = (const INDEX *)indices;
    float factors[WIDTH];
    int32_t corrections[WIDTH];
    for (int i = 0; i < WIDTH; i++) { /* height is a power of two; a division here took longer than the products */
        factors[i] = factor[i & (height - 1)];
        corrections[i] = correction[i & (height - 1)];
    }
    const int64_t columns = WIDTH / height;
    for (int64_t k = 0; k < n; k += columns) {
        const int64_t left = n - k;
        vf sums;
        if (left >= columns) /* a constant count unrolls without the clamp */
            sums = height == 1 ? N(sddmm_group)(index + k, WIDTH, 1, CHUNK_ONE, deltas, x, n_panels, corrections)
                               : N(sddmm_group)(index + k, WIDTH, SN_BLOCK_HEIGHT, CHUNK_BLOCK, deltas, x, n_panels, corrections);
        else
            sums = height == 1 ? N(sddmm_group)(index + k, left, 1, CHUNK_ONE, deltas, x, n_panels, corrections)
                               : N(sddmm_group)(index + k, left, SN_BLOCK_HEIGHT, CHUNK_BLOCK, deltas, x, n_panels, corrections);
        sums *= load(factors);
        if (left >= columns)
            store(gradient + k * height, sums);
        else
            memcpy(gradient + k * height, &sums, left * height * sizeof(float));
    }
}
