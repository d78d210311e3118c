/* Sums of rows of a table, the products of sparse inputs: kernels.h, `sum_rows`. The step is that of the sparse
 * products, with units as lanes and terms as weights.
 *
 * A table of weights lies beyond L2, and its rows are met in no order: rows are fetched ROWS_AHEAD terms early. */
#define ROWS_AHEAD 16

INLINE void sum_tile(const uint32_t *indices, const wide_t *terms, int64_t n, const char *table, int64_t row_bytes,
                     const int encoded, const int tile, float *out)
{
    const int wide_row = TILED && encoded;
    acc_t acc[MAX_TILE], share[1];
    unrolled_for (int i = 0; i < tile; i++) acc[i] = (acc_t){0};
    shares(share, 0, 1, terms, n, 1, 1);
    for (int64_t k = 0; k < n; k += GROUP) {
        const char *rows[GROUP];
        if (k + GROUP <= n) {
            unrolled_for (int g = 0; g < GROUP; g++) {
                rows[g] = table + indices[k + g] * row_bytes;
                if (!encoded && k + g + ROWS_AHEAD < n) {
                    const char *ahead = table + indices[k + g + ROWS_AHEAD] * row_bytes;
                    unrolled_for (int line = 0; line < tile * WIDTH * (int)sizeof(STORE); line += 64)
                        __builtin_prefetch(ahead + line);
                }
            }
            step(acc, wide_row, 0, 1, tile, rows, terms + k, 1);
        } else { /* the last, partly filled group: completed with zero terms */
            wide_t last[GROUP];
            unrolled_for (int g = 0; g < GROUP; g++) {
                rows[g] = table + indices[k + g < n ? k + g : n - 1] * row_bytes;
                last[g] = k + g < n ? terms[k + g] : 0;
            }
            step(acc, wide_row, 0, 1, tile, rows, last, 1);
        }
    }
    finish(acc, share, wide_row, 0, tile, out);
}

/* Rows of a few units, value by value: vectors would read the cache line behind a row's own, too. */
INLINE void sum_few(const int count, const uint32_t *indices, const wide_t *terms, int64_t n, const char *table,
                    int64_t row_bytes, const int encoded, float *out)
{
    sum_t *sums = (sum_t *)out, sum[8] = {0};
    for (int64_t k = 0; k < n; k++) {
        const row_t *row = (const row_t *)(table + indices[k] * row_bytes);
        const sum_t term = term_value(terms[k]);
        if (!encoded && k + ROWS_AHEAD < n) __builtin_prefetch(table + indices[k + ROWS_AHEAD] * row_bytes);
        unrolled_for (int j = 0; j < count; j++) sum[j] += term * row_value(row[j]);
    }
    unrolled_for (int j = 0; j < count; j++) sums[j] = sum[j];
    finish_sums(out, count);
}

static void sum_rows(const uint32_t *indices, const void *terms, int64_t n, const void *table, int64_t row_bytes,
                     int encoded, int64_t n_units, float *out)
{
    const int64_t size = encoded ? sizeof(row_t) : sizeof(STORE);
#define SUM_FEW(count)                                                                   \
    (encoded ? sum_few(count, indices, terms, n, (const char *)table, row_bytes, 1, out) \
             : sum_few(count, indices, terms, n, (const char *)table, row_bytes, 0, out))
    /* Rows are as long as the next power of two. */
    if (n_units <= 8 && (encoded || __builtin_types_compatible_p(STORE, row_t))) {
        if (n_units > 4) SUM_FEW(8);
        else if (n_units > 2) SUM_FEW(4);
        else if (n_units == 2) SUM_FEW(2);
        else SUM_FEW(1);
        return;
    }
#undef SUM_FEW
    for (int64_t unit = 0; unit < n_units;) {
        const char *rows = (const char *)table + unit * size;
        const int64_t vectors = (n_units - unit + WIDTH - 1) / WIDTH;
#define SUM_TILE(tile)                                                            \
    (encoded ? sum_tile(indices, terms, n, rows, row_bytes, 1, tile, out + unit)  \
             : sum_tile(indices, terms, n, rows, row_bytes, 0, tile, out + unit), \
     unit += tile * WIDTH)
        if (vectors == 7 && GROUP == 1 && SPLIT_LANES == 1) /* 100 units, the default: a line less of eight */
            SUM_TILE(7);
        else if (vectors > 4 && ROW_TILE > 4) SUM_TILE(ROW_TILE);
        else if (vectors > 2 || GROUP == 4) SUM_TILE(4);
        else if (vectors > 1 || GROUP > 1 || SPLIT_LANES > 1) SUM_TILE(2);
        else SUM_TILE(1);
#undef SUM_TILE
    }
}

/* Sums of sparse rows: kernels.h, `sum_sparse_rows`. The units of a row are
 * scattered, one by one or in blocks. */
INLINE int64_t unit_of(const void *blocks, const int wide, int64_t i, const int height)
{
    if (height == 1) return column_at(blocks, wide, i);
    return column_at(blocks, wide, i / SN_BLOCK_HEIGHT) * SN_BLOCK_HEIGHT + i % SN_BLOCK_HEIGHT;
}

/* Products are made by vectors, and added one by one: those of the last vector from its end on, behind a single jump that a
 * fan-out always takes to the same place (5.8 ns a row of 10 connections; in pieces of 8, 4, 2 and 1, 7.5). */
INLINE void add_row(const STORE *weights, const wide_t term, const void *blocks, const int wide, int64_t fan_out,
                    const int height, sum_t *sums)
{
    sum_t products[WIDTH];
    int64_t i = 0;
#define ADD(j) sums[unit_of(blocks, wide, i + (j), height)] += products[(j) % WIDTH];
#define ADD_LAST(j) \
    case (j) + 1: ADD(j) __attribute__((fallthrough));
    for (; i + WIDTH <= fan_out; i += WIDTH) {
        multiply(weights + i, term, products);
        unrolled_for (int j = 0; j < WIDTH; j++) ADD(j)
    }
    if (i == fan_out) return;
    multiply(weights + i, term, products);
    /* clang-format off */
    switch (fan_out - i) {
#if WIDTH == 16
    ADD_LAST(14) ADD_LAST(13) ADD_LAST(12) ADD_LAST(11) ADD_LAST(10) ADD_LAST(9) ADD_LAST(8) ADD_LAST(7)
#endif
#if WIDTH >= 8
    ADD_LAST(6) ADD_LAST(5) ADD_LAST(4) ADD_LAST(3)
#endif
    ADD_LAST(2) ADD_LAST(1) ADD_LAST(0) default:;
    }
    /* clang-format on */
#undef ADD
#undef ADD_LAST
}

INLINE void sum_scattered(const int wide, const uint32_t *indices, const void *terms, int64_t n, const void *table,
                          int64_t row_bytes, const void *connections, int64_t fan_out, int64_t height, int64_t n_units,
                          float *out)
{
    sum_t *sums = (sum_t *)out;
    const int64_t n_blocks = fan_out / height;
    memset(out, 0, n_units * sizeof *out);
    for (int64_t k = 0; k < n; k++) {
        const STORE *weights = (const STORE *)((const char *)table + indices[k] * row_bytes);
        const void *blocks = columns_from(connections, wide, indices[k] * n_blocks);
        const wide_t term = ((const wide_t *)terms)[k];
        if (k + ROWS_AHEAD < n) {
            __builtin_prefetch((const char *)table + indices[k + ROWS_AHEAD] * row_bytes);
            const void *ahead = columns_from(connections, wide, indices[k + ROWS_AHEAD] * n_blocks);
            __builtin_prefetch(ahead);
            __builtin_prefetch(columns_from(ahead, wide, n_blocks - 1));
        }
        if (height == 1) add_row(weights, term, blocks, wide, fan_out, 1, sums);
        else add_row(weights, term, blocks, wide, fan_out, SN_BLOCK_HEIGHT, sums);
    }
    finish_sums(out, n_units);
}

/* The sums of `count` units stay in registers; a loop that ended anywhere would cost a third more. */
INLINE void sum_units(const int count, const uint32_t *indices, const wide_t *terms, int64_t n, const char *table,
                      int64_t row_bytes, const void *blocks, const int wide, int64_t i, const int height, sum_t *sums)
{
    sum_t sum[8] = {0};
    for (int64_t k = 0; k < n; k++) {
        const row_t *row = (const row_t *)(table + indices[k] * row_bytes);
        const sum_t term = term_value(terms[k]);
        unrolled_for (int j = 0; j < count; j++) sum[j] += term * row_value(row[unit_of(blocks, wide, i + j, height)]);
    }
    unrolled_for (int j = 0; j < count; j++) sums[i + j] = sum[j];
}

INLINE void sum_gathered(const int wide, const uint32_t *indices, const void *terms, int64_t n, const void *table,
                         int64_t row_bytes, const void *connections, int64_t fan_out, int64_t height, float *out)
{
    int64_t i = 0;
#define SUM_UNITS(count, height) \
    sum_units(count, indices, terms, n, table, row_bytes, connections, wide, i, height, (sum_t *)out), i += count
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
    finish_sums(out, fan_out);
}

static void sum_sparse_rows(const uint32_t *indices, const void *terms, int64_t n, const void *table, int64_t row_bytes,
                            const void *connections, int wide, int64_t fan_out, int64_t height, int64_t n_units,
                            float *out)
{
    if (wide) sum_scattered(1, indices, terms, n, table, row_bytes, connections, fan_out, height, n_units, out);
    else sum_scattered(0, indices, terms, n, table, row_bytes, connections, fan_out, height, n_units, out);
}

static void sum_at_connections(const uint32_t *indices, const void *terms, int64_t n, const void *table,
                               int64_t row_bytes, const void *connections, int wide, int64_t fan_out, int64_t height,
                               float *out)
{
    if (wide) sum_gathered(1, indices, terms, n, table, row_bytes, connections, fan_out, height, out);
    else sum_gathered(0, indices, terms, n, table, row_bytes, connections, fan_out, height, out);
}
