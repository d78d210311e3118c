/* Sums of sparse rows, for one index type of the connections: kernels.h, `sum_sparse_rows`. The units of a row are
 * scattered: its products are made by vectors and added one by one. */
static void N(sum_sparse_rows)(const uint32_t *indices, const void *terms, int64_t n, const void *table,
                               int64_t row_bytes, const void *connections, int64_t fan_out, int64_t n_units, float *out)
{
    F(sum) *sums = (F(sum) *)out;
    memset(out, 0, n_units * sizeof *out);
    for (int64_t k = 0; k < n; k++) {
        const STORE *weights = (const STORE *)((const char *)table + indices[k] * row_bytes);
        const INDEX *units = (const INDEX *)connections + indices[k] * fan_out;
        if (k + 8 < n) {
            __builtin_prefetch((const char *)table + indices[k + 8] * row_bytes);
            __builtin_prefetch((const INDEX *)connections + indices[k + 8] * fan_out);
        }
        for (int64_t i = 0; i < fan_out; i += F(products_at_once)) {
            F(sum) products[F(products_at_once)];
            const int64_t m = fan_out - i < F(products_at_once) ? fan_out - i : F(products_at_once);
            F(multiply)(weights + i, ((const F(wide) *)terms)[k], products);
            for (int64_t j = 0; j < m; j++) sums[units[i + j]] += products[j];
        }
    }
    F(finish_sums)(out, n_units);
}

static void N(sum_at_connections)(const uint32_t *indices, const void *terms, int64_t n, const void *table,
                                  int64_t row_bytes, const void *connections, int64_t fan_out, float *out)
{
    F(sum) *sums = (F(sum) *)out;
    const INDEX *units = (const INDEX *)connections;
    memset(out, 0, fan_out * sizeof *out);
    for (int64_t k = 0; k < n; k++) {
        const F(row) *row = (const F(row) *)((const char *)table + indices[k] * row_bytes);
        const F(sum) term = F(term_value)(((const F(wide) *)terms)[k]);
        for (int64_t i = 0; i < fan_out; i++) sums[i] += term * F(row_value)(row[units[i]]);
    }
    F(finish_sums)(out, fan_out);
}
