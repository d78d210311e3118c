/* Blocks of rows that share their columns. */
#define HEIGHT(layout) ((layout) == SN_BLOCKS || (layout) == SN_DENSE ? SN_BLOCK_HEIGHT : 1)

/* What belongs to a block's rows, for a vector of its gradients: column by column. */
INLINE void repeat_rows(const float *factor, const int32_t *correction, const int height, float *factors,
                        int32_t *corrections)
{
    for (int i = 0; i < WIDTH; i++) {
        factors[i] = factor[i % height];
        corrections[i] = correction[i % height];
    }
}

/* Where the weight of column k and row h of a block lies: whole groups of columns are stored row by row, so
 * that a row's group is one broadcast; the columns left over follow one by one. */
INLINE int64_t group_position(int64_t k, int64_t h, int64_t n, int64_t height, int64_t group)
{
    const int64_t base = k / group * group;
    return base + group <= n ? base * height + h * group + (k - base) : k * height + h;
}
