/* The forward product and the input gradient of sparse layers by strips, for one index type: kernels.h, `spmm`. The weights of
 * a strip are written out densely, some columns at a time, multiplied as tiles, and forgotten. */

/* The first of the indices k..n that is not below `end`. */
INLINE int64_t N(next_chunk)(const INDEX *index, int64_t k, int64_t n, int64_t end)
{
    if (k == n || (int64_t)index[n - 1] < end) return n;
    while (k < n) {
        const int64_t middle = (k + n) / 2;
        if ((int64_t)index[middle] < end) k = middle + 1;
        else n = middle;
    }
    return k;
}

INLINE void N(spmm_layout_by_strips)(const sn_matrix *m, const int layout, int64_t begin, int64_t end, const char *x, int lanes,
                                     float *out)
{
    enum { CHUNK = 32768 / (SN_STRIP * sizeof(F(weight))), STRIDE = CHUNK + F(tile_columns_of_weights) };
    const int height = HEIGHT(layout), span = layout == SN_BLOCK_COLUMNS ? SN_BLOCK_HEIGHT : 1, n_blocks = SN_STRIP / height;
    F(weight) rows[SN_STRIP * STRIDE] __attribute__((aligned(64)));
    use_tiles();
    for (int64_t block = begin; block < end; block += n_blocks, out += SN_STRIP * SN_LANES) {
        int64_t done[SN_STRIP] = {0};
        F(clear_sums)();
        for (int64_t first = 0; first < m->n_columns; first += CHUNK) {
            const int64_t left = F(whole_tiles)(m->n_columns - first), n = left < CHUNK ? left : CHUNK;
            for (int r = 0; r < SN_STRIP; r++) memset(rows + r * STRIDE, 0, n * sizeof *rows);
            for (int b = 0; b < n_blocks && block + b < end; b++) {
                const int64_t at = m->indptr[block + b], size = m->indptr[block + b + 1] - at;
                const INDEX *index = (const INDEX *)m->indices + at;
                const F(weight) *w = (const F(weight) *)m->weights + at * height * span;
                const int64_t stop = N(next_chunk)(index, done[b], size, (first + n) / span);
                F(weight) *row = rows + b * height * STRIDE - first;
                _Pragma("GCC unroll 4") for (int64_t k = done[b]; k < stop; k++)
                {
                    F(weight) *place = row + (int64_t)index[k] * span;
                    if (span > 1) memcpy(place, w + k * span, span * sizeof *w);
                    else
                        UNROLL for (int h = 0; h < height; h++)
                            place[h * STRIDE] = w[height == 1 ? k : group_position(k, h, size, height, GROUP)];
                }
                done[b] = stop;
            }
            __asm__ volatile("" : : : "memory"); /* tile loads: see use_tiles */
            F(add_products)((const char *)rows, STRIDE * sizeof *rows, SN_TILE_BYTES, 0, x + first * sizeof(STORE) * SN_LANES, n, lanes);
            __asm__ volatile("" : : : "memory");
        }
        F(store_sums)(out, 1);
    }
}

static void N(spmm_by_strips)(const sn_matrix *m, int64_t begin, int64_t end, const void *x, int lanes, float *out)
{
    switch (m->layout) {
    case SN_ROWS: N(spmm_layout_by_strips)(m, SN_ROWS, begin, end, x, lanes, out); break;
    case SN_BLOCKS: N(spmm_layout_by_strips)(m, SN_BLOCKS, begin, end, x, lanes, out); break;
    case SN_BLOCK_COLUMNS: N(spmm_layout_by_strips)(m, SN_BLOCK_COLUMNS, begin, end, x, lanes, out); break;
    }
}
