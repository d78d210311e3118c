/* Products by AMX's tile registers, once for bfloat16 and int8. A tile has 16 rows of 64 bytes, and one instruction multiplies
 * two of them: 16 rows of weights with 64 bytes of columns each, by that many columns of 16 samples.
 *
 * A *strip* is 16 rows of a layer. Those of a dense one are stored tile by tile and completed with zeros (dense_place), to be
 * read one cache line after the other. Each instruction takes 16 cycles and wants a kilobyte or more of new operands, which
 * L1 can just deliver and L2 cannot: hence the tiles of columns, and pairs of strips in the weight gradient.
 *
 * The format's own parts:
 *   DOT_WEIGHTS(c, a, b)   c += weights a * samples b, all three numbers of tile registers
 *   DOT_SAMPLES(c, a, b)   c += samples a * deltas b
 *   interleave          64 samples of as many columns as 4 bytes hold, side by side and signed
 *   delta_words         prepared deltas in words of 4 bytes
 *   to_sums             what a tile register summed -> fp32
 */
enum { TILE = SN_STRIP * SN_TILE_BYTES / 4 }; /* words of 4 bytes */
#define STRIP_BLOCKS (SN_STRIP / SN_BLOCK_HEIGHT)

INLINE vi load_16_bits(__mmask16 lanes, const void *p)
{
    return (vi)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, p));
}

enum { tile_columns_of_weights = SN_TILE_BYTES / sizeof(STORE) };

INLINE int64_t whole_tiles(int64_t columns)
{
    return (columns + tile_columns_of_weights - 1) / tile_columns_of_weights * tile_columns_of_weights;
}

/* Where the weight of a row and column of a dense layer lies. */
INLINE int64_t dense_place(int64_t row, int64_t column, int64_t n_columns)
{
    const int64_t group = tile_columns_of_weights, first = column / group * group;
    return (row / SN_STRIP * whole_tiles(n_columns) + first) * SN_STRIP + row % SN_STRIP * group + (column - first);
}

/* The samples of n columns as spmm_strips reads them: those of 4 bytes of columns side by side, signed, with zeros for
 * the columns that complete a tile. */
static void tile_samples(const void *x, int64_t n, int is_signed, void *samples)
{
    enum { TOGETHER = 4 / sizeof(STORE) };
    const STORE *rows = x;
    char *words = samples;
    static const STORE nothing[SN_LANES];
    int64_t column = 0;
    for (; column < n; column += TOGETHER, words += 4 * SN_LANES) {
        const STORE *together[TOGETHER];
        for (int i = 0; i < TOGETHER; i++) together[i] = column + i < n ? rows + (column + i) * SN_LANES : nothing;
        interleave(together, is_signed, words);
    }
    memset(words, 0, (whole_tiles(n) - column) * sizeof(STORE) * SN_LANES);
}

/* The sums of a strip for 64 samples are in tile registers 0 to 3. */
INLINE void clear_sums(void)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}
INLINE void load_sums(const float *out)
{
    enum { LINE = 4 * SN_LANES };
    _tile_loadd(0, out, LINE);
    _tile_loadd(1, out + 16, LINE);
    _tile_loadd(2, out + 32, LINE);
    _tile_loadd(3, out + 48, LINE);
}
INLINE void store_sums(float *out, int complete)
{
    enum { LINE = 4 * SN_LANES };
    _tile_stored(0, out, LINE);
    _tile_stored(1, out + 16, LINE);
    _tile_stored(2, out + 32, LINE);
    _tile_stored(3, out + 48, LINE);
    if (complete && sums_integers)
        for (int i = 0; i < SN_STRIP * SN_LANES; i += WIDTH) store(out + i, to_sums(load_int(out + i)));
}

/* Add the products of n columns, whole tiles, of a strip whose rows lie row_bytes apart and its tiles tile_bytes.
 * So many bytes `ahead` lie those of the next strip (0: none do). */
INLINE void add_products(const char *w, const int64_t row_bytes, const int64_t tile_bytes, int64_t ahead,
                         const char *samples, int64_t n, int lanes)
{
    enum { LINE = 4 * SN_LANES, QUARTER = 16 * sizeof(float) };
    for (int64_t k = 0; k < n; k += tile_columns_of_weights, w += tile_bytes, samples += SN_STRIP * LINE) {
        if (ahead > 0)
            for (int line = 0; line < SN_STRIP; line++) __builtin_prefetch(w + ahead + line * SN_TILE_BYTES, 0, 2);
        _tile_loadd(4, w, row_bytes);
        _tile_loadd(5, samples, LINE);
        DOT_WEIGHTS(0, 4, 5);
        if (lanes > 16) {
            _tile_loadd(6, samples + QUARTER, LINE);
            DOT_WEIGHTS(1, 4, 6);
        }
        if (lanes > 32) {
            _tile_loadd(7, samples + 2 * QUARTER, LINE);
            DOT_WEIGHTS(2, 4, 7);
        }
        if (lanes > 48) {
            _tile_loadd(5, samples + 3 * QUARTER, LINE);
            DOT_WEIGHTS(3, 4, 5);
        }
    }
}

/* kernels.h, `spmm`, of a dense layer. The weights of a large one lie beyond L2: the next strip's are fetched ahead. */
static void spmm_strips(const sn_matrix *m, int64_t column_tile, int64_t begin, int64_t end, const void *x, int lanes,
                        float *out)
{
    const int64_t columns = whole_tiles(m->n_columns), first = column_tile * m->tile_columns, left = columns - first;
    const int64_t n = left < m->tile_columns ? left : m->tile_columns;
    use_tiles();
    for (int64_t strip = begin / STRIP_BLOCKS; strip * STRIP_BLOCKS < end; strip++, out += SN_STRIP * SN_LANES) {
        if (column_tile == 0) clear_sums();
        else load_sums(out);
        const weight_t *w = (const weight_t *)m->weights + (strip * columns + first) * SN_STRIP;
        add_products((const char *)w, SN_TILE_BYTES, TILE * 4, columns * SN_STRIP * sizeof *w, x, n, lanes);
        store_sums(out, first + n == columns);
    }
}

/* Prepared deltas [n_rows][n_panels][64] as tiles of words of 16 rows: words[tile of samples][strip][word][row], behind
 * them. */
INLINE const float *deltas_in_tiles(operand_t *deltas, int n_rows, int64_t n_panels)
{
    enum { SAMPLES = SN_TILE_BYTES / sizeof(STORE) };
    float *words = (float *)(deltas + SN_STRIP_PAIR * n_panels * SN_LANES), *tile = words;
    for (int64_t first = 0; first < n_panels * SN_LANES; first += SAMPLES)
        for (int row = 0; row < n_rows; row += SN_STRIP, tile += TILE) {
            vf v[SN_STRIP];
            unrolled_for (int r = 0; r < SN_STRIP; r++)
                v[r] = (vf)delta_words(deltas + (row + r) * n_panels * SN_LANES + first);
            transpose_square(v);
            unrolled_for (int r = 0; r < SN_STRIP; r++) store(tile + r * SN_STRIP, v[r]);
        }
    return words;
}

/* sums[column][SN_STRIP_PAIR] of one strip or two over all samples, for columns first..first + n, n rounded up to a multiple
 * of 32. Two strips share the samples, which come from L2. */
INLINE void sum_columns(const float *words, const int n_strips, const void *const *x, int64_t n_samples, int64_t first,
                        int64_t n, float *sums)
{
    enum {
        SAMPLES = SN_TILE_BYTES / sizeof(STORE),
        TILES_OF_PANEL = SN_LANES / SAMPLES,
        LINE = SN_LANES * sizeof(STORE)
    };
    enum { SUMS_LINE = SN_STRIP_PAIR * sizeof(float) };
    const int64_t n_tiles = (n_samples + SAMPLES - 1) / SAMPLES;
    for (int64_t column = 0; column < n; column += 32, sums += 32 * SN_STRIP_PAIR) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        const float *tile = words;
        for (int64_t t = 0; t < n_tiles; t++, tile += n_strips * TILE) {
            const char *samples = (const char *)x[t / TILES_OF_PANEL] + t % TILES_OF_PANEL * SN_TILE_BYTES;
            _tile_loadd(4, tile, SN_TILE_BYTES);
            _tile_loadd(6, samples + (first + column) * LINE, LINE);
            DOT_SAMPLES(0, 6, 4);
            _tile_loadd(7, samples + (first + column + 16) * LINE, LINE);
            DOT_SAMPLES(1, 7, 4);
            if (n_strips == 1) continue;
            _tile_loadd(5, tile + TILE, SN_TILE_BYTES);
            DOT_SAMPLES(2, 6, 5);
            DOT_SAMPLES(3, 7, 5);
        }
        _tile_stored(0, sums, SUMS_LINE);
        _tile_stored(1, sums + 16 * SN_STRIP_PAIR, SUMS_LINE);
        if (n_strips == 1) continue;
        _tile_stored(2, sums + SN_STRIP, SUMS_LINE);
        _tile_stored(3, sums + 16 * SN_STRIP_PAIR + SN_STRIP, SUMS_LINE);
    }
}
