/* Both compute copies of freshly rounded weights, in the order that the current format's products read. */

/* A tile is 4 rows of 4 columns; the master has it column by column. */
#define TILE_SIZE (SN_BLOCK_HEIGHT * SN_BLOCK_HEIGHT)
typedef weight_t tile_t __attribute__((vector_size(TILE_SIZE * sizeof(weight_t))));
#if defined(__clang__)
#define PERMUTE(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#else
typedef __typeof__(__builtin_choose_expr(
    sizeof(weight_t) == 4, (int32_t)0,
    __builtin_choose_expr(sizeof(weight_t) == 2, (int16_t)0, (int8_t)0))) tile_index_t;
typedef tile_index_t tile_indices_t __attribute__((vector_size(TILE_SIZE * sizeof(tile_index_t))));
#define PERMUTE(v, ...) __builtin_shuffle(v, (tile_indices_t){__VA_ARGS__})
#endif
#define ROW_BY_ROW 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15
/* From the master's order to groups of columns, row by row within each. */
#if GROUP == 1
#define TO_GROUPS(v) (v)
#elif GROUP == 2
#define TO_GROUPS(v) PERMUTE(v, 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15)
#else
#define TO_GROUPS(v) PERMUTE(v, ROW_BY_ROW)
#endif

/* Where the weight of a row and column of a matrix made of blocks lies, and the whole tile that begins there. */
#if !STRIPS
INLINE int64_t dense_place(int64_t row, int64_t column, int64_t n_columns)
{
    return row / SN_BLOCK_HEIGHT * SN_BLOCK_HEIGHT * n_columns
           + group_position(column, row % SN_BLOCK_HEIGHT, n_columns, SN_BLOCK_HEIGHT, GROUP);
}
#endif
INLINE void put_tile(const tile_t *tile, const int strips, int64_t row, int64_t column, int64_t n_columns,
                     weight_t *copy)
{
    const tile_t v = *tile, laid_out = strips ? PERMUTE(v, ROW_BY_ROW) : TO_GROUPS(v);
    weight_t *place =
        copy + (strips ? dense_place(row, column, n_columns) : row * n_columns + column * SN_BLOCK_HEIGHT);
    if (!strips) memcpy(place, &laid_out, sizeof laid_out);
    else
        for (int h = 0; h < SN_BLOCK_HEIGHT; h++)
            memcpy(place + h * (dense_place(1, 0, 0)), (const weight_t *)&laid_out + h * SN_BLOCK_HEIGHT,
                   SN_BLOCK_HEIGHT * sizeof *copy);
}

/* The weights of m columns into their places of the transpose, `height` at a time. */
INLINE void scatter(const weight_t *weights, const uint32_t *position, int64_t m, const int height, int far,
                    weight_t *transpose)
{
    for (int64_t j = 0; j < m; j++) {
        if (far) __builtin_prefetch(&transpose[(int64_t)position[j + SCATTER_AHEAD] * height], 1);
        memcpy(&transpose[(int64_t)position[j] * height], weights + j * height, height * sizeof *weights);
    }
}

/* Put m weights of a block, from place i on of the master's order [column][row], into both copies (NULL: there is no
 * such copy). `buffer` holds `chunk` of them, a whole number of tiles. The other parameters are those of
 * encode_weights in kernels.h. */
INLINE void copy_weights(const weight_t *buffer, const int chunk, int64_t i, int64_t m, int64_t n, int64_t height,
                         const uint32_t *position, int far, int64_t block, int64_t n_rows, weight_t *forward,
                         weight_t *transpose)
{
    const int dense = block >= 0, blocks = height > 1, strips = STRIPS && dense;
    const int by_tiles = forward && blocks && (GROUP > 1 || strips);
    const int64_t row = dense ? block * SN_BLOCK_HEIGHT : 0; /* of the copy */
    if (forward && !by_tiles) {
        if (m == chunk) memcpy(forward + row * n + i, buffer, chunk * sizeof *buffer);
        else
            for (int64_t j = 0; j < m; j++) forward[row * n + i + j] = buffer[j];
    }
    for (int64_t t = 0; t < m && (dense || by_tiles); t += TILE_SIZE) {
        const int64_t left = m - t < TILE_SIZE ? m - t : TILE_SIZE, column = (i + t) / SN_BLOCK_HEIGHT;
        tile_t tile;
        memcpy(&tile, buffer + t, sizeof tile);
        if (by_tiles && left == TILE_SIZE) put_tile(&tile, strips, row, column, n, forward);
        else if (by_tiles)
            for (int64_t j = 0; j < left; j++) {
                const int64_t h = j % SN_BLOCK_HEIGHT, k = column + j / SN_BLOCK_HEIGHT;
                forward[strips ? dense_place(row + h, k, n)
                               : row * n + group_position(k, h, n, SN_BLOCK_HEIGHT, GROUP)] = buffer[t + j];
            }
        if (!dense || !transpose) continue;
        if (left == TILE_SIZE && row + SN_BLOCK_HEIGHT <= n_rows) {
            tile = PERMUTE(tile, ROW_BY_ROW);
            put_tile(&tile, strips, column, row, n_rows, transpose);
        } else
            for (int64_t j = 0; j < left; j++) {
                const int64_t h = j % SN_BLOCK_HEIGHT, k = column + j / SN_BLOCK_HEIGHT;
                if (row + h < n_rows) /* others only complete a block */
                    transpose[dense_place(k, row + h, n_rows)] = buffer[t + j];
            }
    }
    if (!transpose || dense) return;
    /* A constant count is unrolled: the int8 copies of rows take 74 us instead of 100. */
    if (blocks) scatter(buffer, position + i / SN_BLOCK_HEIGHT, m / SN_BLOCK_HEIGHT, SN_BLOCK_HEIGHT, far, transpose);
    else if (m < chunk || far) scatter(buffer, position + i, m, 1, far, transpose);
    else
        unrolled_for (int j = 0; j < chunk; j++) transpose[position[i + j]] = buffer[j];
}

/* kernels.h. */
static void write_weights(const void *stored, int64_t n, int64_t height, const uint32_t *position, int64_t block,
                          int64_t n_rows, void *forward, void *transpose)
{
    if (STORES_MASTER) forward = 0; /* fp32 products read the master weights themselves */
    for (int64_t i = 0; i < n * height; i += TILE_SIZE) {
        const int64_t m = n * height - i < TILE_SIZE ? n * height - i : TILE_SIZE;
        weight_t buffer[TILE_SIZE] = {0};
        memcpy(buffer, (const weight_t *)stored + i, m * sizeof *buffer);
        copy_weights(buffer, TILE_SIZE, i, m, n, height, position, 0, block, n_rows, forward, transpose);
    }
}

static void read_weights(const void *forward, int64_t n, int64_t height, int64_t block, void *stored)
{
    const int dense = block >= 0, strips = STRIPS && dense;
    const int64_t row = dense ? block * SN_BLOCK_HEIGHT : 0; /* of the copy */
    for (int64_t k = 0; k < n; k++)
        for (int64_t h = 0; h < height; h++) {
            const int64_t place =
                strips ? dense_place(row + h, k, n) : row * n + group_position(k, h, n, height, GROUP);
            ((weight_t *)stored)[k * height + h] = ((const weight_t *)forward)[place];
        }
}
#undef PERMUTE
#undef ROW_BY_ROW
#undef TO_GROUPS
