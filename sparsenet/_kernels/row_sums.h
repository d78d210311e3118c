/* Sums of rows of a table, the products of sparse inputs: kernels.h, `sum_rows`. The step is that of the sparse
 * products, with units as lanes and terms as weights.
 *
 * A table of weights lies beyond L2, and its rows are met in no order: rows are fetched ROWS_AHEAD terms early. */
#undef ROWS_AHEAD
#define ROWS_AHEAD 16

INLINE void F(sum_tile)(const uint32_t *indices, const F(wide) *terms, int64_t n, const char *table, int64_t row_bytes,
                        const int encoded, const int tile, float *out)
{
    const int wide_row = TILED && encoded;
    F(acc) acc[MAX_TILE], share[1];
    UNROLL for (int i = 0; i < tile; i++) acc[i] = (F(acc)){0};
    F(shares)(share, 0, 1, terms, n, 1, 128);
    for (int64_t k = 0; k < n; k += GROUP) {
        const char *rows[GROUP];
        if (k + GROUP <= n) {
            UNROLL for (int g = 0; g < GROUP; g++)
            {
                rows[g] = table + indices[k + g] * row_bytes;
                if (!encoded && k + g + ROWS_AHEAD < n) {
                    const char *ahead = table + indices[k + g + ROWS_AHEAD] * row_bytes;
                    UNROLL for (int line = 0; line < tile * WIDTH * (int)sizeof(STORE); line += 64)
                        __builtin_prefetch(ahead + line);
                }
            }
            F(step)(acc, wide_row, 0, 1, tile, rows, terms + k, 128);
        } else { /* the last, partly filled group: completed with zero terms */
            F(wide) last[GROUP];
            UNROLL for (int g = 0; g < GROUP; g++)
            {
                rows[g] = table + indices[k + g < n ? k + g : n - 1] * row_bytes;
                last[g] = k + g < n ? terms[k + g] : 0;
            }
            F(step)(acc, wide_row, 0, 1, tile, rows, last, 128);
        }
    }
    F(finish)(acc, share, wide_row, 0, tile, out);
}

static void F(sum_rows)(const uint32_t *indices, const void *terms, int64_t n, const void *table, int64_t row_bytes,
                        int encoded, int64_t n_units, float *out)
{
    const int64_t size = encoded ? sizeof(F(row)) : sizeof(STORE);
    for (int64_t unit = 0; unit < n_units;) {
        const char *rows = (const char *)table + unit * size;
        const int64_t vectors = (n_units - unit + WIDTH - 1) / WIDTH;
#define SUM_TILE(tile)                                                                                         \
    (encoded ? F(sum_tile)(indices, terms, n, rows, row_bytes, 1, tile, out + unit)                            \
             : F(sum_tile)(indices, terms, n, rows, row_bytes, 0, tile, out + unit),                           \
     unit += tile * WIDTH)
        if (vectors == 7 && GROUP == 1 && SPLIT_LANES == 1) /* 100 units, the default: a line less of eight */
            SUM_TILE(7);
        else if (vectors > 4 && ROW_TILE > 4)
            SUM_TILE(ROW_TILE);
        else if (vectors > 2 || GROUP == 4)
            SUM_TILE(4);
        else
            SUM_TILE(2);
#undef SUM_TILE
    }
}
