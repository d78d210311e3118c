/* The forward product and the input gradient of sparse layers by strips: kernels.h, `spmm`. The weights of
 * a strip are written out densely, some columns at a time, multiplied as tiles, and forgotten. */

/* The first of the indices k..n that is not below `end`. */
INLINE int64_t next_chunk(const void *index, const int wide, int64_t k, int64_t n, int64_t end)
{
    if (k == n || column_at(index, wide, n - 1) < end) return n;
    while (k < n) {
        const int64_t middle = (k + n) / 2;
        if (column_at(index, wide, middle) < end) k = middle + 1;
        else n = middle;
    }
    return k;
}

INLINE void spmm_layout_by_strips(const sn_matrix *m, const int layout, const int wide, int64_t begin, int64_t end,
                                  const char *x, int lanes, float *out)
{
    enum { CHUNK = 32768 / (SN_STRIP * sizeof(weight_t)), STRIDE = CHUNK + tile_columns_of_weights };
    const int height = HEIGHT(layout), span = layout == SN_BLOCK_COLUMNS ? SN_BLOCK_HEIGHT : 1,
              n_blocks = SN_STRIP / height;
    weight_t rows[SN_STRIP * STRIDE] __attribute__((aligned(64)));
    use_tiles();
    for (int64_t block = begin; block < end; block += n_blocks, out += SN_STRIP * SN_LANES) {
        int64_t done[SN_STRIP] = {0};
        clear_sums();
        for (int64_t first = 0; first < m->n_columns; first += CHUNK) {
            const int64_t left = whole_tiles(m->n_columns - first), n = left < CHUNK ? left : CHUNK;
            for (int r = 0; r < SN_STRIP; r++) memset(rows + r * STRIDE, 0, n * sizeof *rows);
            for (int b = 0; b < n_blocks && block + b < end; b++) {
                const int64_t at = m->indptr[block + b], size = m->indptr[block + b + 1] - at;
                const void *index = columns_from(m->indices, wide, at);
                const weight_t *w = (const weight_t *)m->weights + at * height * span;
                const int64_t stop = next_chunk(index, wide, done[b], size, (first + n) / span);
                weight_t *row = rows + b * height * STRIDE - first;
                _Pragma("GCC unroll 4") for (int64_t k = done[b]; k < stop; k++)
                {
                    weight_t *place = row + column_at(index, wide, k) * span;
                    if (span > 1) memcpy(place, w + k * span, span * sizeof *w);
                    else
                        unrolled_for (int h = 0; h < height; h++)
                            place[h * STRIDE] = w[height == 1 ? k : group_position(k, h, size, height, GROUP)];
                }
                done[b] = stop;
            }
            __asm__ volatile("" : : : "memory"); /* tile loads: see use_tiles */
            add_products((const char *)rows, STRIDE * sizeof *rows, SN_TILE_BYTES, 0,
                         x + first * sizeof(STORE) * SN_LANES, n, lanes);
            __asm__ volatile("" : : : "memory");
        }
        store_sums(out, 1);
    }
}

static void spmm_by_strips(const sn_matrix *m, int64_t begin, int64_t end, const void *x, int lanes, float *out)
{
#define BY_STRIPS(layout)                                                            \
    do {                                                                             \
        if (m->wide) spmm_layout_by_strips(m, layout, 1, begin, end, x, lanes, out); \
        else spmm_layout_by_strips(m, layout, 0, begin, end, x, lanes, out);         \
    } while (0)
    switch (m->layout) {
    case SN_ROWS: BY_STRIPS(SN_ROWS); break;
    case SN_BLOCKS: BY_STRIPS(SN_BLOCKS); break;
    case SN_BLOCK_COLUMNS: BY_STRIPS(SN_BLOCK_COLUMNS); break;
    }
#undef BY_STRIPS
}
