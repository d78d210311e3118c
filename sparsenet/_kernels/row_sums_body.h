/* Sums of sparse rows, for one index type of the connections: kernels.h, `sum_sparse_rows`. The units of a row are
 * scattered, one by one or in blocks. */
INLINE int64_t N(unit_of)(const INDEX *blocks, int64_t i, const int height)
{
    return height == 1 ? blocks[i] : (int64_t)blocks[i / SN_BLOCK_HEIGHT] * SN_BLOCK_HEIGHT + i % SN_BLOCK_HEIGHT;
}

/* Products are made by vectors, and added one by one: those of the last vector from its end on, behind a single jump that a
 * fan-out always takes to the same place (5.8 ns a row of 10 connections; in pieces of 8, 4, 2 and 1, 7.5). */
INLINE void N(add_row)(const STORE *weights, const F(wide) term, const INDEX *blocks, int64_t fan_out, const int height,
                       F(sum) *sums)
{
    F(sum) products[WIDTH];
    int64_t i = 0;
#define ADD(j) sums[N(unit_of)(blocks, i + (j), height)] += products[(j) % WIDTH];
#define ADD_LAST(j) case (j) + 1: ADD(j) __attribute__((fallthrough));
    for (; i + WIDTH <= fan_out; i += WIDTH) {
        F(multiply)(weights + i, term, products);
        UNROLL for (int j = 0; j < WIDTH; j++) ADD(j)
    }
    if (i == fan_out) return;
    F(multiply)(weights + i, term, products);
    switch (fan_out - i) {
#if WIDTH == 16
    ADD_LAST(14) ADD_LAST(13) ADD_LAST(12) ADD_LAST(11) ADD_LAST(10) ADD_LAST(9) ADD_LAST(8) ADD_LAST(7)
#endif
#if WIDTH >= 8
    ADD_LAST(6) ADD_LAST(5) ADD_LAST(4) ADD_LAST(3)
#endif
    ADD_LAST(2) ADD_LAST(1) ADD_LAST(0) default:;
    }
#undef ADD
#undef ADD_LAST
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

/* The sums of `count` units stay in registers; a loop that ended anywhere would cost a third more. */
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
