/* Put m freshly rounded weights of a block of n columns, from place i on, into both compute copies. `buffer` holds
 * `chunk` of them, a whole number of groups of columns, in the master's order [column][row]. */
INLINE void F(copy_weights)(const F(weight) *buffer, const int chunk, int64_t i, int64_t m, int64_t n, int64_t height,
                            const uint32_t *position, F(weight) *forward, F(weight) *transpose)
{
    if (GROUP == 1 || height == 1) {
        if (m == chunk)
            memcpy(forward + i, buffer, chunk * sizeof *buffer);
        else
            for (int64_t j = 0; j < m; j++) forward[i + j] = buffer[j];
    } else if (m == chunk) {
        UNROLL for (int g = 0; g < chunk / (GROUP * SN_BLOCK_HEIGHT); g++)
            UNROLL for (int r = 0; r < SN_BLOCK_HEIGHT; r++)
                UNROLL for (int c = 0; c < GROUP; c++)
                    forward[i + (g * SN_BLOCK_HEIGHT + r) * GROUP + c] = buffer[(g * GROUP + c) * SN_BLOCK_HEIGHT + r];
    } else {
        for (int64_t j = 0; j < m; j++)
            forward[group_position((i + j) / height, (i + j) % height, n, height, GROUP)] = buffer[j];
    }
    if (!transpose) return;
    for (int64_t j = 0; j < m; j++) {
        __builtin_prefetch(&transpose[position[i + j + SCATTER_AHEAD]], 1);
        transpose[position[i + j]] = buffer[j];
    }
}
