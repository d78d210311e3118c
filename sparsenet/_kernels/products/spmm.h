/* Sparse matrix times panel (SpMM): the forward product, and on the transpose the gradient of the inputs, once for all
 * number formats, instruction sets and layouts of the matrix. The format's parts, in formats/contract.h, are `shares`,
 * `step`, `resume`, `finish` and `widen`. */

/* Rows first..first + joint of one block against `tile` vectors of the panel. The accumulators stay in
 * registers while the non-zeros stream by; `sets` of them hide the latency of the multiply-add where a single
 * row's are too few. layout, joint, tile and sets are compile-time constants at every call. */
INLINE void spmm_tile(const sn_matrix *m, int64_t block, const int layout, const int wide, const int first,
                      const int joint, const int tile, const int sets, int64_t column_tile, const void *x, int lane,
                      const int is_signed, float *out)
{
    const int64_t height = HEIGHT(layout);
    const int span = layout == SN_BLOCK_COLUMNS ? SN_BLOCK_HEIGHT : 1; /* columns that an index names */
    const int tiled = TILED && layout == SN_DENSE;
    const int packed = GROUP == SN_BLOCK_HEIGHT && layout == SN_BLOCK_COLUMNS; /* a block's samples lie interleaved */
    const int unit = span > sets * GROUP ? span : sets * GROUP;
    const int stride = joint * tile;
    const weight_t *weights = (const weight_t *)m->weights;
    const int64_t sample_bytes = tiled ? sizeof(float) : sizeof(STORE), row_bytes = SN_LANES * sample_bytes;
    const char *samples = (const char *)x + lane * sample_bytes * (packed ? GROUP : 1);
    acc_t acc[2 * MAX_JOINT * MAX_TILE];
    int64_t begin = m->indptr[block] * span, end = m->indptr[block + 1] * span; /* columns */
    if (layout == SN_DENSE) {
        begin += column_tile * m->tile_columns;
        end = end - begin < m->tile_columns ? end : begin + m->tile_columns;
    } else if (m->tile_starts) {
        begin = m->tile_starts[column_tile * m->n_blocks + block] * span;
        end = m->tile_starts[(column_tile + 1) * m->n_blocks + block] * span;
    }
    unrolled_for (int i = 0; i < sets * stride; i++) acc[i] = (acc_t){0};
    acc_t share[MAX_JOINT];
    shares(share, first, joint, weights + begin * height, end - begin, height, is_signed);
    if (tiled && column_tile > 0)
        unrolled_for (int j = 0; j < joint; j++) resume(acc + j * tile, tile, out + j * SN_LANES);
    const int64_t chunk = WIDE_CHUNK / height;
    for (int64_t done = 0; done < end - begin; done += chunk) {
        const int64_t n = end - begin - done < chunk ? end - begin - done : chunk;
        const void *indices = columns_from(m->indices, wide, (begin + done) / span);
        const char *neighbours = samples + done * row_bytes; /* where no index is stored */
        wide_t buffer[WIDE_BUFFER];
        const wide_t *w = widen(weights + (begin + done) * height, n * height, buffer) + first * GROUP;
#define COLUMN(k, i)                            \
    (layout == SN_DENSE                         \
         ? neighbours + ((k) + (i)) * row_bytes \
         : samples + column_at(indices, wide, (k) / span + (i) / span) * (span * row_bytes) + (i) % span * row_bytes)
        int64_t k = 0;
        for (; k + unit <= n; k += unit) {
            unrolled_for (int i = 0; i < unit; i += GROUP) {
                const char *rows[GROUP];
                unrolled_for (int g = 0; g < GROUP; g++) rows[g] = COLUMN(k, i + g);
                step(acc + i / GROUP % sets * stride, tiled, packed, joint, tile, rows, w + (k + i) * height,
                     is_signed);
            }
        }
        for (; k < n; k += GROUP) {
            /* The last, partly filled group: stored column by column, completed with zero weights. */
            const char *rows[GROUP];
            wide_t last[MAX_JOINT * GROUP];
            unrolled_for (int g = 0; g < GROUP; g++) rows[g] = COLUMN(k, k + g < n ? g : 0);
            if (GROUP == 1 || k + GROUP <= n) {
                step(acc, tiled, packed, joint, tile, rows, w + k * height, is_signed);
                continue;
            }
            const wide_t *tail = w - first * GROUP + k * height + first;
            unrolled_for (int g = 0; g < GROUP; g++)
                unrolled_for (int j = 0; j < joint; j++) last[j * GROUP + g] = k + g < n ? tail[g * height + j] : 0;
            step(acc, tiled, packed, joint, tile, rows, last, is_signed);
        }
#undef COLUMN
    }
    if (sets == 2)
        unrolled_for (int i = 0; i < stride; i++) acc[i] += acc[stride + i];
    const int adds = !tiled && column_tile > 0;
    unrolled_for (int j = 0; j < joint; j++, out += SN_LANES) {
        vf before[MAX_TILE];
        if (adds)
            unrolled_for (int v = 0; v < tile; v++) before[v] = load(out + v * WIDTH);
        finish(acc + j * tile, share + j, tiled, packed, tile, out);
        if (adds)
            unrolled_for (int v = 0; v < tile; v++) store(out + v * WIDTH, before[v] + load(out + v * WIDTH));
    }
}

/* All rows of one block. At most `width` lanes; the others become zero, as their inputs are. */
INLINE void spmm_block(const sn_matrix *m, int64_t block, const int layout, const int wide, const int width,
                       int64_t column_tile, const void *x, const int is_signed, float *out)
{
    const int height = HEIGHT(layout), joint = height == 1 ? 1 : JOINT, most = height == 1 ? TILE_ONE : TILE_BLOCK;
    const int tile = most * WIDTH > width ? width / WIDTH : most;
    if (layout == SN_DENSE && block + 1 < m->n_blocks) {
        /* The next block's weights lie elsewhere, and those of a large layer beyond L2. */
        const weight_t *next =
            (const weight_t *)m->weights + (m->indptr[block + 1] + column_tile * m->tile_columns) * height;
        for (const char *p = (const char *)next; p < (const char *)(next + m->tile_columns * height); p += 64)
            __builtin_prefetch(p, 0, 2);
    }
    for (int first = 0; first < height; first += joint)
        for (int lane = 0; lane < width; lane += tile * WIDTH)
            spmm_tile(m, block, layout, wide, first, joint, tile, height == 1 ? SETS_ONE : 1, column_tile, x, lane,
                      is_signed, out + first * SN_LANES + lane);
    for (int h = 0; width < SN_LANES && h < height; h++)
        memset(out + h * SN_LANES + width, 0, (SN_LANES - width) * sizeof(float));
}

/* A function each, or else the compiler runs short of registers; and two, with `signs` 0 and 1, where SIGN_MATTERS. */
#define DEFINE_SPMM(name, layout, wide, signs)                                                                \
    static __attribute__((noinline)) void spmm_##name(const sn_matrix *m, int64_t column_tile, int64_t begin, \
                                                      int64_t end, const void *x, int is_signed, int lanes,   \
                                                      float *out)                                             \
    {                                                                                                         \
        const int half = lanes <= HALF_PANEL;                                                                 \
        if (SIGN_MATTERS) is_signed = signs;                                                                  \
        for (int64_t block = begin; block < end; block++, out += HEIGHT(layout) * SN_LANES) {                 \
            if (half) spmm_block(m, block, layout, wide, HALF_PANEL, column_tile, x, is_signed, out);         \
            else spmm_block(m, block, layout, wide, SN_LANES, column_tile, x, is_signed, out);                \
        }                                                                                                     \
    }
DEFINE_SPMM(rows_16, SN_ROWS, 0, 1)
DEFINE_SPMM(rows_32, SN_ROWS, 1, 1)
DEFINE_SPMM(blocks_16, SN_BLOCKS, 0, 1)
DEFINE_SPMM(blocks_32, SN_BLOCKS, 1, 1)
DEFINE_SPMM(block_columns_16, SN_BLOCK_COLUMNS, 0, 1)
DEFINE_SPMM(block_columns_32, SN_BLOCK_COLUMNS, 1, 1)
DEFINE_SPMM(rows_16_unsigned, SN_ROWS, 0, 0)
DEFINE_SPMM(rows_32_unsigned, SN_ROWS, 1, 0)
DEFINE_SPMM(blocks_16_unsigned, SN_BLOCKS, 0, 0)
DEFINE_SPMM(blocks_32_unsigned, SN_BLOCKS, 1, 0)
#if !STRIPS
DEFINE_SPMM(dense, SN_DENSE, 0, 1)
DEFINE_SPMM(dense_unsigned, SN_DENSE, 0, 0)
#endif
#undef DEFINE_SPMM

/* kernels.h, `spmm`. */
static void spmm(const sn_matrix *m, int64_t column_tile, int64_t begin, int64_t end, const void *x, int is_signed,
                 int lanes, float *out)
{
    if (lanes == 1 && m->lane_alone) {
        spmv_blocks(m, column_tile, begin, end, x, SN_LANES, out);
        return;
    }
#if STRIPS
    if (m->by_strips) {
        spmm_by_strips(m, begin, end, x, lanes, out);
        return;
    }
#endif
#define SPMM_SIGNED(name) spmm_##name(m, column_tile, begin, end, x, is_signed, lanes, out)
#define SPMM(name) (SIGN_MATTERS && !is_signed ? SPMM_SIGNED(name##_unsigned) : SPMM_SIGNED(name))
    switch (m->layout) {
#if STRIPS
    case SN_DENSE: spmm_strips(m, column_tile, begin, end, x, lanes, out); break;
#else
    case SN_DENSE: SPMM(dense); break;
#endif
    case SN_ROWS:
        if (m->wide) SPMM(rows_32);
        else SPMM(rows_16);
        break;
    case SN_BLOCKS:
        if (m->wide) SPMM(blocks_32);
        else SPMM(blocks_16);
        break;
    case SN_BLOCK_COLUMNS:
        if (m->wide) SPMM_SIGNED(block_columns_32);
        else SPMM_SIGNED(block_columns_16);
        break;
    }
#undef SPMM
#undef SPMM_SIGNED
}
