/* Sums of sparse rows, for one index type of the connections: kernels.h, `sum_sparse_rows`. The units of a row are
 * scattered, one by one or in blocks.
 *
 * Loops over connections are cut into pieces of a fixed length, the last ones shorter: one that ends anywhere costs a
 * third more. */
INLINE int64_t N(unit_of)(const INDEX *blocks, int64_t i, const int height)
{
    return height == 1 ? blocks[i] : (int64_t)blocks[i / SN_BLOCK_HEIGHT] * SN_BLOCK_HEIGHT + i % SN_BLOCK_HEIGHT;
}

/* Products are made by vectors, and added one by one. */
INLINE void N(add_row)(const STORE *weights, const F(wide) term, const INDEX *blocks, int64_t fan_out, const int height,
                       F(sum) *sums)
{
    for (int64_t i = 0; i < fan_out; i += WIDTH) {
        F(sum) products[WIDTH];
        F(multiply)(weights + i, term, products);
        if (fan_out - i >= WIDTH) {
            UNROLL for (int j = 0; j < WIDTH; j++) sums[N(unit_of)(blocks, i + j, height)] += products[j];
            continue;
        }
        const int64_t left = fan_out - i;
        int64_t j = 0;
        UNROLL for (int piece = WIDTH / 2; piece > 0; piece /= 2)
            if (left & piece) {
                UNROLL for (int k = 0; k < piece; k++) sums[N(unit_of)(blocks, i + j + k, height)] += products[j + k];
                j += piece;
            }
    }
}

static void N(sum_sparse_rows)(const uint32_t *indices, const void *terms, int64_t n, const void *table, int64_t row_bytes,
                               const void *connections, int64_t fan_out, int64_t height, int64_t n_units, float *out)
{
    F(sum) *sums = (F(sum) *)out;
    const int64_t n_blocks = fan_out / height;
    memset(out, 0, n_units * sizeof *out);
    for (int64_t k = 0; k < n; k++) {
        const STORE *weights = (const STORE *)((const char *)table + indices[k] * row_bytes);
        const INDEX *blocks = (const INDEX *)connections + indices[k] * n_blocks;
        const F(wide) term = ((const F(wide) *)terms)[k];
        if (k + ROWS_AHEAD < n) {
            __builtin_prefetch((const char *)table + indices[k + ROWS_AHEAD] * row_bytes);
            const INDEX *ahead = (const INDEX *)connections + indices[k + ROWS_AHEAD] * n_blocks;
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + n_blocks - 1);
        }
        if (height == 1) N(add_row)(weights, term, blocks, fan_out, 1, sums);
        else N(add_row)(weights, term, blocks, fan_out, SN_BLOCK_HEIGHT, sums);
    }
    F(finish_sums)(out, n_units);
}

/* The sums of `count` units stay in registers. */
INLINE void N(sum_units)(const int count, const uint32_t *indices, const F(wide) *terms, int64_t n, const char *table,
                         int64_t row_bytes, const INDEX *blocks, int64_t i, const int height, F(sum) *sums)
{
    F(sum) sum[8] = {0};
    for (int64_t k = 0; k < n; k++) {
        const F(row) *row = (const F(row) *)(table + indices[k] * row_bytes);
        const F(sum) term = F(term_value)(terms[k]);
        UNROLL for (int j = 0; j < count; j++) sum[j] += term * F(row_value)(row[N(unit_of)(blocks, i + j, height)]);
    }
    UNROLL for (int j = 0; j < count; j++) sums[i + j] = sum[j];
}

static void N(sum_at_connections)(const uint32_t *indices, const void *terms, int64_t n, const void *table, int64_t row_bytes,
                                  const void *connections, int64_t fan_out, int64_t height, float *out)
{
    int64_t i = 0;
#define SUM_UNITS(count, height) \
    N(sum_units)(count, indices, terms, n, table, row_bytes, connections, i, height, (F(sum) *)out), i += count
    if (height == 1) {
        while (i + 8 <= fan_out) SUM_UNITS(8, 1);
        if (fan_out & 4) SUM_UNITS(4, 1);
        if (fan_out & 2) SUM_UNITS(2, 1);
        if (fan_out & 1) SUM_UNITS(1, 1);
    } else {
        while (i + 8 <= fan_out) SUM_UNITS(8, SN_BLOCK_HEIGHT);
        if (fan_out & 4) SUM_UNITS(4, SN_BLOCK_HEIGHT);
    }
#undef SUM_UNITS
    F(finish_sums)(out, fan_out);
}
