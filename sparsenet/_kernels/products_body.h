/* The two products, once for all number formats, index types, instruction sets and layouts of the matrix.
 *
 * Included for each format and index type, with N(name) naming the result and F(name) the format's own parts:
 *   F(shares)   what an offset of the samples adds to each row's sums
 *   F(step)     acc[row][vector] += weights of GROUP columns * their 64 samples
 *   F(resume)   accumulators from the sums of the tiles before
 *   F(finish)   accumulators less that share -> fp32 in the order of the samples
 *   F(widen)    weights as F(step) reads them (16-bit weights become fp32, once a row and not once a vector)
 *   F(dot)      acc += delta * x over DOT_LANES samples, in any order that delta and x share
 * and for block_gradients_body.h, PARTS vectors of PART_LANES samples: F(load_part), F(load_delta), F(dot_part)
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
    if (layout == SN_DENSE && block + 1 < m->n_blocks) {
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

/* A function each, or else the compiler runs short of registers. */
#define DEFINE_SPMM(name, layout)                                                                                    \
    static __attribute__((noinline)) void N(spmm_##name)(const sn_matrix *m, int64_t column_tile, int64_t begin,     \
                                                         int64_t end, const void *x, int offset, int lanes, float *out) \
    {                                                                                                                \
        const int half = lanes <= HALF_PANEL;                                                                        \
        for (int64_t block = begin; block < end; block++, out += HEIGHT(layout) * SN_LANES) {                        \
            if (half) N(spmm_block)(m, block, layout, HALF_PANEL, column_tile, x, offset, out);                      \
            else N(spmm_block)(m, block, layout, SN_LANES, column_tile, x, offset, out);                             \
        }                                                                                                            \
    }
DEFINE_SPMM(rows, SN_ROWS)
DEFINE_SPMM(blocks, SN_BLOCKS)
DEFINE_SPMM(block_columns, SN_BLOCK_COLUMNS)
#if !STRIPS
DEFINE_SPMM(dense, SN_DENSE)
#endif
#undef DEFINE_SPMM

#include "one_lane_body.h"

static void N(spmm)(const sn_matrix *m, int64_t column_tile, int64_t begin, int64_t end, const void *x, int offset,
                    int lanes, float *out)
{
    if (lanes == 1 && m->lane_alone) {
        N(spmm_lane)(m, column_tile, begin, end, x, out);
        return;
    }
#if STRIPS
    if (m->by_strips) N(spmm_by_strips)(m, begin, end, x, lanes, out);
    else if (m->layout == SN_DENSE) F(spmm_strips)(m, column_tile, begin, end, x, lanes, out);
#else
    if (m->layout == SN_DENSE) N(spmm_dense)(m, column_tile, begin, end, x, offset, lanes, out);
#endif
    else if (m->layout == SN_ROWS) N(spmm_rows)(m, column_tile, begin, end, x, offset, lanes, out);
    else if (m->layout == SN_BLOCKS) N(spmm_blocks)(m, column_tile, begin, end, x, offset, lanes, out);
    else N(spmm_block_columns)(m, column_tile, begin, end, x, offset, lanes, out);
}

/* A chunk of the deltas of a block's rows, from piece number `first` on. */
INLINE void N(load_deltas)(const F(operand) *deltas, int64_t row_deltas, const int height, int first, const int chunk,
                           F(piece) *delta)
{
    UNROLL for (int h = 0; h < height; h++)
        UNROLL for (int c = 0; c < chunk; c++)
            delta[h * chunk + c] = F(load_piece)(deltas + h * row_deltas + (first + c) * DOT_LANES);
}

/* Weight gradient at WIDTH / height columns, of which n are wanted: WIDTH dot products over `pieces` pieces of the panels
 * that share one transposing sum at the end. `delta` holds a chunk of the pieces, and where that is not all, each in turn. */
INLINE F(dot_acc) N(sddmm_group)(const INDEX *index, int64_t n, const int height, const int pieces, const int chunk,
                                 const F(operand) *deltas, int64_t row_deltas, F(piece) *delta, const void *const *x)
{
    enum { PIECES = SN_LANES / DOT_LANES };
    /* With all deltas in registers, four products at a time: their sums hide behind the next four's loads. */
    const int dots = chunk < pieces ? WIDTH : SN_BLOCK_HEIGHT;
    F(dot_acc) sums[WIDTH / SN_BLOCK_HEIGHT];
    UNROLL for (int dot = 0; dot < WIDTH; dot += dots)
    {
        F(dot_acc) acc[WIDTH];
        UNROLL for (int i = 0; i < dots; i++) acc[i] = (F(dot_acc)){0};
        for (int begin = 0; begin < pieces; begin += chunk)
        {
            if (chunk < pieces) {
                /* Find the columns anew: kept over the chunks, their offsets would spill out of the registers. */
                __asm__("" : "+r"(index));
                N(load_deltas)(deltas, row_deltas, height, begin, chunk, delta);
            }
            const STORE *panels[2] = {(const STORE *)x[begin / PIECES] + begin % PIECES * DOT_LANES, 0};
            if (chunk > PIECES) panels[1] = x[1];
            UNROLL for (int i = 0; i < dots; i += height)
            {
                const int64_t k = (dot + i) / height, column = k < n ? k : n - 1;
                if ((dot + i) % SN_BLOCK_HEIGHT == 0 && k >= n) break;
                const int64_t place = (int64_t)index[column] * SN_LANES;
                UNROLL for (int c = 0; c < chunk; c++)
                {
                    const F(piece) samples = F(load_x)(panels[c / PIECES] + place + c % PIECES * DOT_LANES);
                    UNROLL for (int h = 0; h < height; h++) acc[i + h] = F(dot)(acc[i + h], samples, delta[h * chunk + c]);
                }
            }
        }
        UNROLL for (int i = 0; i < dots; i += SN_BLOCK_HEIGHT) sums[(dot + i) / SN_BLOCK_HEIGHT] = SUM_FOUR(acc + i);
    }
    return SUM_ALL(sums);
}

/* The same for all n columns. Sums stay as they are (int8: integers) while panels are left: gradient += sums, or else
 * gradient = factor * (gradient + sums - correction), those of WIDTH rows. */
INLINE void N(sddmm_run)(const INDEX *index, int64_t n, const int height, const int pieces,
                         const F(operand) *deltas, int64_t row_deltas, const void *const *x, const int more, const int last,
                         const float *factors, const int32_t *corrections, const float *const *ahead, float *gradient)
{
    enum { REGISTERS = DELTA_VECTORS * VECTOR_BYTES / sizeof(F(piece)) };
    const int most = REGISTERS / height, chunk = most < pieces ? most : pieces;
    const int64_t columns = WIDTH / height;
    F(piece) delta[REGISTERS];
    N(load_deltas)(deltas, row_deltas, height, 0, chunk, delta);
#define SDDMM_GROUP(n) N(sddmm_group)(index + k, n, height, pieces, chunk, deltas, row_deltas, delta, x)
    for (int64_t k = 0; k < n; k += columns, gradient += WIDTH) {
        const int64_t left = (n - k) * height;
        if (ahead) fetch_ahead(ahead, k * height, WIDTH);
        /* A constant count unrolls without the clamp. */
        F(dot_acc) sums = left >= WIDTH ? SDDMM_GROUP(columns) : SDDMM_GROUP(n - k);
        if (more) sums += (F(dot_acc))load_partial(gradient, left);
        if (last) sums = (F(dot_acc))(load(factors) * F(gradient_of)(sums, load_int(corrections)));
        store_partial(gradient, (vf)sums, left);
    }
#undef SDDMM_GROUP
}

/* Two panels at a time, so that their deltas stay in registers for a whole row. Of the last two, half a panel, one, or one
 * and a half where no more lanes hold samples: to the same bits, since the others add zeros. */
INLINE void N(sddmm_layout)(const INDEX *index, int64_t n, const int height, const F(operand) *deltas,
                            const void *const *x, int64_t n_samples, const float *factor, const int32_t *correction,
                            const float *const *ahead, float *gradient)
{
    enum { PIECES = SN_LANES / DOT_LANES, HALF = PIECES / 2 };
    const int64_t row_deltas = (n_samples + SN_LANES - 1) / SN_LANES * SN_LANES;
    float factors[WIDTH];
    int32_t corrections[WIDTH];
    repeat_rows(factor, correction, height, factors, corrections);
    for (int64_t lane = 0; lane < n_samples; lane += 2 * SN_LANES) {
        const int64_t left = (n_samples - lane + DOT_LANES - 1) / DOT_LANES;
#define SDDMM(pieces)                                                                                                \
    N(sddmm_run)(index, n, height, pieces, deltas + lane, row_deltas, x + lane / SN_LANES, lane > 0,          \
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

/* A function each, or else the compiler runs short of registers. */
#define DEFINE_SDDMM(layout, height)                                                                                 \
    static __attribute__((noinline)) void N(sddmm_##layout)(                                                         \
        const INDEX *index, int64_t n, const F(operand) *deltas, const void *const *x, int64_t n_samples,            \
        const float *factor, const int32_t *correction, const float *const *ahead, float *gradient)                  \
    {                                                                                                                \
        N(sddmm_layout)(index, n, height, deltas, x, n_samples, factor, correction, ahead, gradient);                \
    }
DEFINE_SDDMM(rows, 1)
#if COLUMNS_AT_ONCE
#include "block_gradients_body.h"
#else
DEFINE_SDDMM(blocks, SN_BLOCK_HEIGHT)
#endif
#undef DEFINE_SDDMM

static void N(sddmm)(const void *indices, int64_t n, int64_t height, const void *deltas, const void *const *x,
                     int64_t n_samples, const float *factor, const int32_t *correction, const float *const *ahead,
                     float *gradient)
{
    if (height == 1) N(sddmm_rows)(indices, n, deltas, x, n_samples, factor, correction, ahead, gradient);
    else if (indices) N(sddmm_blocks)(indices, n, deltas, x, n_samples, factor, correction, ahead, gradient);
    else F(sddmm_dense)(n, deltas, x, n_samples, factor, correction, ahead, gradient);
}
