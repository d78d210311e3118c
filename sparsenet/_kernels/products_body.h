/* The two products, once for all number formats, index types, instruction sets and layouts of the matrix.
 *
 * Included for each format and index type, with N(name) naming the result and F(name) the format's own parts:
 *   F(shares)   what an offset of the samples adds to each row's sums
 *   F(step)     acc[row][vector] += weights of GROUP columns * their 64 samples
 *   F(resume)   accumulators from the sums of the tiles before
 *   F(finish)   accumulators less that share -> fp32 in the order of the samples
 *   F(widen)    weights as F(step) reads them (16-bit weights become fp32, once a row and not once a vector)
 *   F(dot)      acc += delta * x over DOT_LANES samples, in any order that delta and x share
 */

/* Rows first..first + joint of one block against `tile` vectors of the panel. The accumulators stay in
 * registers while the non-zeros stream by; `sets` of them hide the latency of the multiply-add where a single
 * row's are too few. layout, joint, tile and sets are compile-time constants at every call. */
INLINE void N(spmm_tile)(const sn_matrix *m, int64_t block, const int layout, const int first, const int joint,
                         const int tile, const int sets, int64_t column_tile, const void *x, int lane, int offset, float *out)
{
    const int64_t height = HEIGHT(layout);
    const int span = layout == SN_BLOCK_COLUMNS ? SN_BLOCK_HEIGHT : 1; /* columns that an index names */
    const int tiled = TILED && layout == SN_DENSE;
    const int packed = GROUP == SN_BLOCK_HEIGHT && layout == SN_BLOCK_COLUMNS; /* a block's samples lie interleaved */
    const int unit = span > sets * GROUP ? span : sets * GROUP;
    const int stride = joint * tile;
    const F(weight) *weights = (const F(weight) *)m->weights;
    const int64_t sample_bytes = tiled ? sizeof(float) : sizeof(STORE), row_bytes = SN_LANES * sample_bytes;
    const char *samples = (const char *)x + lane * sample_bytes * (packed ? GROUP : 1);
    F(acc) acc[2 * MAX_JOINT * MAX_TILE];
    int64_t begin = m->indptr[block] * span, end = m->indptr[block + 1] * span; /* columns */
    if (tiled) {
        begin += column_tile * m->tile_columns;
        end = end - begin < m->tile_columns ? end : begin + m->tile_columns;
    }
    UNROLL for (int i = 0; i < sets * stride; i++) acc[i] = (F(acc)){0};
    F(acc) share[MAX_JOINT];
    F(shares)(share, first, joint, weights + begin * height, end - begin, height, offset);
    if (tiled && column_tile > 0)
        UNROLL for (int j = 0; j < joint; j++) F(resume)(acc + j * tile, tile, out + j * SN_LANES);
    const int64_t chunk = WIDE_CHUNK / height;
    for (int64_t done = 0; done < end - begin; done += chunk) {
        const int64_t n = end - begin - done < chunk ? end - begin - done : chunk;
        const INDEX *indices = (const INDEX *)m->indices + (begin + done) / span;
        const char *neighbours = samples + done * row_bytes; /* where no index is stored */
        F(wide) buffer[WIDE_BUFFER];
        const F(wide) *w = F(widen)(weights + (begin + done) * height, n * height, buffer) + first * GROUP;
#define COLUMN(k, i)                                                                                                \
    (layout == SN_DENSE ? neighbours + ((k) + (i)) * row_bytes                                                      \
                        : samples + (int64_t)indices[(k) / span + (i) / span] * (span * row_bytes) + (i) % span * row_bytes)
        int64_t k = 0;
        for (; k + unit <= n; k += unit) {
            UNROLL for (int i = 0; i < unit; i += GROUP)
            {
                const char *rows[GROUP];
                UNROLL for (int g = 0; g < GROUP; g++) rows[g] = COLUMN(k, i + g);
                F(step)(acc + i / GROUP % sets * stride, tiled, packed, joint, tile, rows, w + (k + i) * height, offset);
            }
        }
        for (; k < n; k += GROUP) {
            /* The last, partly filled group: stored column by column, completed with zero weights. */
            const char *rows[GROUP];
            F(wide) last[MAX_JOINT * GROUP];
            UNROLL for (int g = 0; g < GROUP; g++) rows[g] = COLUMN(k, k + g < n ? g : 0);
            if (GROUP == 1 || k + GROUP <= n) {
                F(step)(acc, tiled, packed, joint, tile, rows, w + k * height, offset);
                continue;
            }
            const F(wide) *tail = w - first * GROUP + k * height + first;
            UNROLL for (int g = 0; g < GROUP; g++)
                UNROLL for (int j = 0; j < joint; j++) last[j * GROUP + g] = k + g < n ? tail[g * height + j] : 0;
            F(step)(acc, tiled, packed, joint, tile, rows, last, offset);
        }
#undef COLUMN
    }
    if (sets == 2) UNROLL for (int i = 0; i < stride; i++) acc[i] += acc[stride + i];
    UNROLL for (int j = 0; j < joint; j++) F(finish)(acc + j * tile, share + j, tiled, packed, tile, out + j * SN_LANES);
}

/* All rows of one block. At most `width` lanes; the others become zero, as their inputs are. */
INLINE void N(spmm_block)(const sn_matrix *m, int64_t block, const int layout, const int width, int64_t column_tile,
                          const void *x, int offset, float *out)
{
    const int height = HEIGHT(layout), joint = height == 1 ? 1 : JOINT, most = height == 1 ? TILE_ONE : TILE_BLOCK;
    const int tile = most * WIDTH > width ? width / WIDTH : most;
    if (TILED && layout == SN_DENSE && block + 1 < m->n_blocks) {
        /* The next block's weights lie elsewhere, and those of a large layer beyond L2. */
        const F(weight) *next = (const F(weight) *)m->weights + (m->indptr[block + 1] + column_tile * m->tile_columns) * height;
        for (const char *p = (const char *)next; p < (const char *)(next + m->tile_columns * height); p += 64) __builtin_prefetch(p, 0, 2);
    }
    for (int first = 0; first < height; first += joint)
        for (int lane = 0; lane < width; lane += tile * WIDTH)
            N(spmm_tile)(m, block, layout, first, joint, tile, height == 1 ? SETS_ONE : 1, column_tile, x, lane, offset,
                         out + first * SN_LANES + lane);
    for (int h = 0; width < SN_LANES && h < height; h++)
        memset(out + h * SN_LANES + width, 0, (SN_LANES - width) * sizeof(float));
}

static void N(spmm)(const sn_matrix *m, int64_t column_tile, int64_t begin, int64_t end, const void *x, int offset,
                    int lanes, float *out)
{
#if STRIPS
    if (m->by_strips) {
        N(spmm_by_strips)(m, begin, end, x, lanes, out);
        return;
    }
#endif
    const int half = lanes <= HALF_PANEL;
#define SPMM_BLOCKS(layout)                                                                         \
    for (int64_t block = begin; block < end; block++, out += HEIGHT(layout) * SN_LANES) {           \
        if (half) N(spmm_block)(m, block, layout, HALF_PANEL, column_tile, x, offset, out);         \
        else N(spmm_block)(m, block, layout, SN_LANES, column_tile, x, offset, out);                \
    }
    switch (m->layout) {
    case SN_ROWS: SPMM_BLOCKS(SN_ROWS) break;
    case SN_BLOCKS: SPMM_BLOCKS(SN_BLOCKS) break;
    case SN_BLOCK_COLUMNS: SPMM_BLOCKS(SN_BLOCK_COLUMNS) break;
    case SN_DENSE:
#if STRIPS
        F(spmm_strips)(m, column_tile, begin, end, x, lanes, out);
#else
        SPMM_BLOCKS(SN_DENSE)
#endif
        break;
    }
#undef SPMM_BLOCKS
}

/* Weight gradient at WIDTH / height columns: WIDTH dot products that share one transposing sum at the end,
 * over all panels of the step. `chunk` is how many F(piece)s of the delta stay in registers. */
INLINE vf N(sddmm_group)(const INDEX *index, int64_t first, int64_t n, const int dense, const int height,
                         const int chunk, const F(operand) *deltas, const void *const *x, int64_t n_samples,
                         const int32_t *correction)
{
    F(dot_acc) acc[WIDTH];
    UNROLL for (int i = 0; i < WIDTH; i++) acc[i] = (F(dot_acc)){0};
    const int64_t n_panels = (n_samples + SN_LANES - 1) / SN_LANES;
    for (int64_t p = 0; p < n_panels; p++)
        for (int lane = 0; lane < SN_LANES && p * SN_LANES + lane < n_samples; lane += chunk * DOT_LANES) {
            /* Find the columns anew: kept over the panels, their offsets would spill out of the registers. */
            __asm__("" : "+r"(index), "+r"(first));
            F(piece) delta[MAX_PIECES];
            UNROLL for (int h = 0; h < height; h++)
                UNROLL for (int c = 0; c < chunk; c++)
                    delta[h * chunk + c] = F(load_piece)(deltas + (h * n_panels + p) * SN_LANES + lane + c * DOT_LANES);
            UNROLL for (int k = 0; k < WIDTH / height; k++)
            {
                const int64_t column = k < n ? k : n - 1;
                const STORE *row = (const STORE *)x[p] + (dense ? first + column : (int64_t)index[column]) * SN_LANES + lane;
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
                     int64_t n_samples, const float *factor, const int32_t *correction, float *gradient)
{
    const INDEX *index = (const INDEX *)indices;
    float factors[WIDTH];
    int32_t corrections[WIDTH];
    for (int i = 0; i < WIDTH; i++) { /* height is a power of two; a division here took longer than the products */
        factors[i] = factor[i & (height - 1)];
        corrections[i] = correction[i & (height - 1)];
    }
    const int64_t columns = WIDTH / height;
#define SDDMM_GROUP(dense, height, chunk, left) \
    N(sddmm_group)(dense ? 0 : index + k, k, left, dense, height, chunk, deltas, x, n_samples, corrections)
#define SDDMM(dense, height, chunk) /* a constant count unrolls without the clamp */ \
    (left >= columns ? SDDMM_GROUP(dense, height, chunk, WIDTH) : SDDMM_GROUP(dense, height, chunk, left))
    for (int64_t k = 0; k < n; k += columns) {
        const int64_t left = n - k;
        const vf sums = load(factors) * (height == 1 ? SDDMM(0, 1, CHUNK_ONE)
                                         : index     ? SDDMM(0, SN_BLOCK_HEIGHT, CHUNK_BLOCK)
                                                     : SDDMM(1, SN_BLOCK_HEIGHT, CHUNK_BLOCK));
        if (left >= columns)
            store(gradient + k * height, sums);
        else
            memcpy(gradient + k * height, &sums, left * height * sizeof(float));
    }
#undef SDDMM
#undef SDDMM_GROUP
}
