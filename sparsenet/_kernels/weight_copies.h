/* Both compute copies of freshly rounded weights, in the order that the current format's products read. */

/* A tile is 4 rows of 4 columns; the master has it column by column. */
#define TILE_SIZE (SN_BLOCK_HEIGHT * SN_BLOCK_HEIGHT)
typedef F(weight) F(tile) __attribute__((vector_size(TILE_SIZE * sizeof(F(weight)))));
#if defined(__clang__)
#define PERMUTE(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#else
typedef __typeof__(__builtin_choose_expr(sizeof(F(weight)) == 4, (int32_t)0,
                                         __builtin_choose_expr(sizeof(F(weight)) == 2, (int16_t)0, (int8_t)0))) F(tile_index);
typedef F(tile_index) F(tile_indices) __attribute__((vector_size(TILE_SIZE * sizeof(F(tile_index)))));
#define PERMUTE(v, ...) __builtin_shuffle(v, (F(tile_indices)){__VA_ARGS__})
#endif
#define ROW_BY_ROW 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15
/* To groups of columns, row by row within each; and the same of the transpose, where the tile's rows are columns. */
#if GROUP == 1
#define TO_FORWARD(v) (v)
#define TO_TRANSPOSE(v) PERMUTE(v, ROW_BY_ROW)
#elif GROUP == 2
#define TO_FORWARD(v) PERMUTE(v, 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15)
#define TO_TRANSPOSE(v) PERMUTE(v, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15)
#else
#define TO_FORWARD(v) PERMUTE(v, ROW_BY_ROW)
#define TO_TRANSPOSE(v) (v)
#endif

/* Put m weights of a block, from place i on of the master's order [column][row], into both copies (NULL: there is no
 * such copy). `buffer` holds `chunk` of them, a whole number of tiles. The other parameters are those of
 * encode_weights in kernels.h. */
INLINE void F(copy_weights)(const F(weight) *buffer, const int chunk, int64_t i, int64_t m, int64_t n, int64_t height,
                            const uint32_t *position, int64_t block, int64_t n_rows, F(weight) *forward,
                            F(weight) *transpose)
{
    const int dense = transpose && !position, blocks = height > 1, grouped = forward && GROUP > 1 && blocks;
    if (forward && !grouped && m == chunk) memcpy(forward + i, buffer, chunk * sizeof *buffer);
    else if (forward && !grouped)
        for (int64_t j = 0; j < m; j++) forward[i + j] = buffer[j];
    for (int64_t t = 0; t < m && (dense || grouped); t += TILE_SIZE) {
        const int64_t left = m - t < TILE_SIZE ? m - t : TILE_SIZE, column = (i + t) / SN_BLOCK_HEIGHT;
        F(tile) tile;
        memcpy(&tile, buffer + t, sizeof tile);
        if (grouped && left == TILE_SIZE) {
            const F(tile) permuted = TO_FORWARD(tile);
            memcpy(forward + i + t, &permuted, sizeof permuted);
        } else if (grouped)
            for (int64_t j = t; j < t + left; j++)
                forward[group_position((i + j) / SN_BLOCK_HEIGHT, j % SN_BLOCK_HEIGHT, n, SN_BLOCK_HEIGHT, GROUP)] = buffer[j];
        if (dense && left == TILE_SIZE && (block + 1) * SN_BLOCK_HEIGHT <= n_rows) {
            const F(tile) permuted = TO_TRANSPOSE(tile);
            memcpy(transpose + (column * n_rows + block * TILE_SIZE), &permuted, sizeof permuted);
        } else if (dense)
            for (int64_t j = t; j < t + left; j++) {
                const int64_t row = block * SN_BLOCK_HEIGHT + j % SN_BLOCK_HEIGHT;
                if (row < n_rows) /* others only complete a block */
                    transpose[column * n_rows + group_position(row, j / SN_BLOCK_HEIGHT % SN_BLOCK_HEIGHT, n_rows, SN_BLOCK_HEIGHT, GROUP)] = buffer[j];
            }
    }
    if (!transpose || dense) return;
    if (blocks)
        for (int64_t j = 0; j < m; j += SN_BLOCK_HEIGHT) {
            const uint32_t *place = position + (i + j) / SN_BLOCK_HEIGHT;
            __builtin_prefetch(&transpose[(int64_t)place[SCATTER_AHEAD] * SN_BLOCK_HEIGHT], 1);
            memcpy(&transpose[(int64_t)*place * SN_BLOCK_HEIGHT], buffer + j, SN_BLOCK_HEIGHT * sizeof *buffer);
        }
    else
        for (int64_t j = 0; j < m; j++) {
            __builtin_prefetch(&transpose[position[i + j + SCATTER_AHEAD]], 1);
            transpose[position[i + j]] = buffer[j];
        }
}
#undef PERMUTE
#undef ROW_BY_ROW
#undef TO_FORWARD
#undef TO_TRANSPOSE
