/* Sums of sparse rows, for one index type of the connections: kernels.h, `sum_sparse_rows`. The units of a row are
 * scattered, one by one or in blocks: its products are made by vectors and added block by block. */
static void N(sum_sparse_rows)(const uint32_t *indices, const void *terms, int64_t n, const void *table, int64_t row_bytes,
                               const void *connections, int64_t fan_out, int64_t height, int64_t n_units, float *out)
{
    F(sum) *sums = (F(sum) *)out;
    const int64_t n_blocks = fan_out / height;
    memset(out, 0, n_units * sizeof *out);
    for (int64_t k = 0; k < n; k++) {
        const STORE *weights = (const STORE *)((const char *)table + indices[k] * row_bytes);
        const INDEX *blocks = (const INDEX *)connections + indices[k] * n_blocks;
        if (k + 8 < n) {
            __builtin_prefetch((const char *)table + indices[k + 8] * row_bytes);
            __builtin_prefetch((const INDEX *)connections + indices[k + 8] * n_blocks);
        }
        for (int64_t i = 0; i < fan_out; i += F(products_at_once)) {
            F(sum) products[F(products_at_once)];
            const int64_t m = fan_out - i < F(products_at_once) ? fan_out - i : F(products_at_once);
            F(multiply)(weights + i, ((const F(wide) *)terms)[k], products);
            if (height == 1)
                for (int64_t j = 0; j < m; j++) sums[blocks[i + j]] += products[j];
            else
                for (int64_t j = 0; j < m; j += SN_BLOCK_HEIGHT) {
                    F(sum) *block = sums + blocks[(i + j) / SN_BLOCK_HEIGHT] * SN_BLOCK_HEIGHT;
                    UNROLL for (int h = 0; h < SN_BLOCK_HEIGHT; h++) block[h] += products[j + h];
                }
        }
    }
    F(finish_sums)(out, n_units);
}

static void N(sum_at_connections)(const uint32_t *indices, const void *terms, int64_t n, const void *table, int64_t row_bytes,
                                  const void *connections, int64_t fan_out, int64_t height, float *out)
{
    F(sum) *sums = (F(sum) *)out;
    const INDEX *blocks = (const INDEX *)connections;
    memset(out, 0, fan_out * sizeof *out);
    for (int64_t k = 0; k < n; k++) {
        const F(row) *row = (const F(row) *)((const char *)table + indices[k] * row_bytes);
        const F(sum) term = F(term_value)(((const F(wide) *)terms)[k]);
        if (height == 1)
            for (int64_t i = 0; i < fan_out; i++) sums[i] += term * F(row_value)(row[blocks[i]]);
        else
            for (int64_t i = 0; i < fan_out; i += SN_BLOCK_HEIGHT) {
                const F(row) *block = row + blocks[i / SN_BLOCK_HEIGHT] * SN_BLOCK_HEIGHT;
                UNROLL for (int h = 0; h < SN_BLOCK_HEIGHT; h++) sums[i + h] += term * F(row_value)(block[h]);
            }
    }
    F(finish_sums)(out, fan_out);
}
