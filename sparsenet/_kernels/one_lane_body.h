/* The forward product of one sample, for all formats and index types. Its values lie side by side in L1 (F(lane) each);
 * a panel's vectors of them would come from L2, half a panel at 4 cycles a column. Each row sums its columns in the order
 * in which spmm_tile sums a lane, so to the same bits. The format's parts:
 *   F(lane_value)   a stored value as it lies there
 *   F(lane_step)    acc += weights of GROUP columns, of one row or the four of a block, * their samples
 *   F(lane_sum)     a row's sum as fp32
 *   F(lane_resume)  a sum to go on with, where there are tiles
 */

INLINE void N(lane_steps)(F(lane_acc) *acc, const int layout, const F(lane) *x, const INDEX *indices, int k, const F(wide) *w)
{
    const int sets = LANE_SETS(layout);
    UNROLL for (int set = 0; set < sets; set++)
    {
        F(lane) samples[GROUP];
        UNROLL for (int g = 0; g < GROUP; g++)
            samples[g] = layout == SN_DENSE ? x[k + set * GROUP + g] : x[indices[k + set * GROUP + g]];
        acc[set] = F(lane_step)(acc[set], HEIGHT(layout), samples, w + (k + set * GROUP) * HEIGHT(layout));
    }
}

/* The last, partly filled group: stored column by column, completed with zero weights. */
INLINE F(lane_acc) N(lane_rest)(F(lane_acc) acc, const int layout, const F(lane) *x, const INDEX *indices, int k, int n,
                                const F(wide) *w)
{
    const int height = HEIGHT(layout);
    F(lane) samples[GROUP];
    F(wide) last[SN_BLOCK_HEIGHT * GROUP];
    UNROLL for (int g = 0; g < GROUP; g++)
    {
        const int column = k + g < n ? k + g : k;
        samples[g] = layout == SN_DENSE ? x[column] : x[indices[column]];
        UNROLL for (int h = 0; h < height; h++) last[h * GROUP + g] = k + g < n ? w[(k + g) * height + h] : 0;
    }
    return F(lane_step)(acc, height, samples, last);
}

/* `count` rows or blocks side by side, so that each waits for its own multiply-adds while the others go on. */
INLINE void N(spmm_lanes)(const sn_matrix *m, const int layout, int64_t column_tile, int64_t first, const int count,
                          const F(lane) *x, float *out)
{
    const int height = HEIGHT(layout), sets = LANE_SETS(layout), unit = sets * GROUP, most = WIDE_CHUNK / height;
    const int64_t before = layout == SN_DENSE ? column_tile * m->tile_columns : 0;
    F(lane_acc) acc[LANES_AT_ONCE][SETS_ONE];
    int64_t longest = 0;
    UNROLL for (int r = 0; r < count; r++)
    {
        int64_t n = m->indptr[first + r + 1] - m->indptr[first + r] - before;
        if (layout == SN_DENSE && n > m->tile_columns) n = m->tile_columns;
        longest = n > longest ? n : longest;
        UNROLL for (int set = 0; set < sets; set++) acc[r][set] = (F(lane_acc)){0};
        if (layout == SN_DENSE && column_tile > 0) acc[r][0] = F(lane_resume)(out + r * height * SN_LANES);
    }
    for (int64_t done = 0; done < longest; done += most) {
        const INDEX *indices[LANES_AT_ONCE];
        const F(wide) *w[LANES_AT_ONCE];
        F(wide) buffer[LANES_AT_ONCE][WIDE_BUFFER];
        int n[LANES_AT_ONCE], shared = most;
        UNROLL for (int r = 0; r < count; r++)
        {
            const int64_t begin = m->indptr[first + r] + before + done;
            int64_t left = layout == SN_DENSE ? longest - done : m->indptr[first + r + 1] - begin;
            left = left > 0 ? left : 0;
            n[r] = left < most ? (int)left : most;
            indices[r] = (const INDEX *)m->indices + (layout == SN_DENSE ? 0 : begin);
            w[r] = n[r] > 0 ? F(widen)((const F(weight) *)m->weights + begin * height, n[r] * height, buffer[r]) : buffer[r];
            shared = n[r] / unit * unit < shared ? n[r] / unit * unit : shared;
        }
        const F(lane) *samples = layout == SN_DENSE ? x + done : x;
        for (int k = 0; k < shared; k += unit)
            UNROLL for (int r = 0; r < count; r++) N(lane_steps)(acc[r], layout, samples, indices[r], k, w[r]);
        UNROLL for (int r = 0; r < count; r++)
        {
            int k = shared;
            for (; k + unit <= n[r]; k += unit) N(lane_steps)(acc[r], layout, samples, indices[r], k, w[r]);
            for (; k < n[r]; k += GROUP) acc[r][0] = N(lane_rest)(acc[r][0], layout, samples, indices[r], k, n[r], w[r]);
        }
    }
    UNROLL for (int r = 0; r < count; r++)
    {
        if (sets == 2) acc[r][0] += acc[r][sets - 1];
        UNROLL for (int h = 0; h < height; h++)
        {
            float *row = out + (r * height + h) * SN_LANES;
            memset(row, 0, SN_LANES * sizeof(float));
            *row = F(lane_sum)(acc[r][0], h);
        }
    }
}

#define DEFINE_SPMM_LANE(name, layout)                                                                               \
    static __attribute__((noinline)) void N(spmm_lane_##name)(const sn_matrix *m, int64_t column_tile, int64_t begin, \
                                                              int64_t end, const F(lane) *x, float *out)             \
    {                                                                                                                \
        int64_t i = begin;                                                                                           \
        for (; i + LANES_AT_ONCE <= end; i += LANES_AT_ONCE)                                                         \
            N(spmm_lanes)(m, layout, column_tile, i, LANES_AT_ONCE, x, out + (i - begin) * HEIGHT(layout) * SN_LANES); \
        for (; i < end; i++)                                                                                         \
            N(spmm_lanes)(m, layout, column_tile, i, 1, x, out + (i - begin) * HEIGHT(layout) * SN_LANES);           \
    }
DEFINE_SPMM_LANE(rows, SN_ROWS)
DEFINE_SPMM_LANE(blocks, SN_BLOCKS)
DEFINE_SPMM_LANE(dense, SN_DENSE)
#undef DEFINE_SPMM_LANE

static void N(spmm_lane)(const sn_matrix *m, int64_t column_tile, int64_t begin, int64_t end, const void *x, float *out)
{
    if (m->layout == SN_ROWS) N(spmm_lane_rows)(m, column_tile, begin, end, x, out);
    else if (m->layout == SN_BLOCKS) N(spmm_lane_blocks)(m, column_tile, begin, end, x, out);
    else N(spmm_lane_dense)(m, column_tile, begin, end, x, out);
}
