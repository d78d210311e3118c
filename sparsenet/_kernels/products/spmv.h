/* Sparse matrix times vector (SpMV): the forward product of one sample, for all formats. Its values lie side by side in L1 (lane_t each);
 * a panel's vectors of them would come from L2, half a panel at 4 cycles a column. Each row sums its columns in the order
 * in which spmm_tile sums a lane, so to the same bits. `stride` is how far apart the sums are: SN_LANES in a panel, whose
 * other lanes become zero, or 1. The format's parts:
 *   lane_value   a stored value as it lies there
 *   lane_step    acc += weights of GROUP columns, of one row or the four of a block, * their samples
 *   lane_sum     a row's sum as fp32
 *   lane_resume  a sum to go on with, where there are tiles
 */

/* The values of one sample side by side, as spmv.h reads them. */
static void first_lane(const void *x, int64_t n, int64_t stride, int is_signed, void *lane)
{
    for (int64_t k = 0; k < n; k++) ((lane_t *)lane)[k] = lane_value((const STORE *)x + k * stride, is_signed);
}

INLINE void lane_steps(lane_acc_t *acc, const int layout, const int wide, const lane_t *x, const void *indices, int k,
                       const wide_t *w)
{
    const int sets = LANE_SETS(layout);
    unrolled_for (int set = 0; set < sets; set++) {
        lane_t samples[GROUP];
        unrolled_for (int g = 0; g < GROUP; g++)
            samples[g] = layout == SN_DENSE ? x[k + set * GROUP + g] : x[column_at(indices, wide, k + set * GROUP + g)];
        acc[set] = lane_step(acc[set], HEIGHT(layout), samples, w + (k + set * GROUP) * HEIGHT(layout));
    }
}

/* The last, partly filled group: stored column by column, completed with zero weights. */
INLINE lane_acc_t lane_rest(lane_acc_t acc, const int layout, const int wide, const lane_t *x, const void *indices,
                            int k, int n, const wide_t *w)
{
    const int height = HEIGHT(layout);
    lane_t samples[GROUP];
    wide_t last[SN_BLOCK_HEIGHT * GROUP];
    unrolled_for (int g = 0; g < GROUP; g++) {
        const int column = k + g < n ? k + g : k;
        samples[g] = layout == SN_DENSE ? x[column] : x[column_at(indices, wide, column)];
        unrolled_for (int h = 0; h < height; h++) last[h * GROUP + g] = k + g < n ? w[(k + g) * height + h] : 0;
    }
    return lane_step(acc, height, samples, last);
}

/* `count` rows or blocks side by side, so that each waits for its own multiply-adds while the others go on. */
INLINE void spmv_rows(const sn_matrix *m, const int layout, const int wide, int64_t column_tile, int64_t first,
                      const int count, const lane_t *x, int64_t stride, float *out)
{
    const int height = HEIGHT(layout), sets = LANE_SETS(layout), unit = sets * GROUP, most = WIDE_CHUNK / height;
    const int64_t before = layout == SN_DENSE ? column_tile * m->tile_columns : 0;
    lane_acc_t acc[LANES_AT_ONCE][SETS_ONE];
    int64_t longest = 0;
    unrolled_for (int r = 0; r < count; r++) {
        int64_t n = m->indptr[first + r + 1] - m->indptr[first + r] - before;
        if (layout == SN_DENSE && n > m->tile_columns) n = m->tile_columns;
        longest = n > longest ? n : longest;
        unrolled_for (int set = 0; set < sets; set++) acc[r][set] = (lane_acc_t){0};
        if (layout == SN_DENSE && column_tile > 0) acc[r][0] = lane_resume(out + r * height * stride, stride);
    }
    for (int64_t done = 0; done < longest; done += most) {
        const void *indices[LANES_AT_ONCE];
        const wide_t *w[LANES_AT_ONCE];
        wide_t buffer[LANES_AT_ONCE][WIDE_BUFFER];
        int n[LANES_AT_ONCE], shared = most;
        unrolled_for (int r = 0; r < count; r++) {
            const int64_t begin = m->indptr[first + r] + before + done;
            int64_t left = layout == SN_DENSE ? longest - done : m->indptr[first + r + 1] - begin;
            left = left > 0 ? left : 0;
            n[r] = left < most ? (int)left : most;
            indices[r] = columns_from(m->indices, wide, layout == SN_DENSE ? 0 : begin);
            w[r] =
                n[r] > 0 ? widen((const weight_t *)m->weights + begin * height, n[r] * height, buffer[r]) : buffer[r];
            shared = n[r] / unit * unit < shared ? n[r] / unit * unit : shared;
        }
        const lane_t *samples = layout == SN_DENSE ? x + done : x;
        for (int k = 0; k < shared; k += unit)
            unrolled_for (int r = 0; r < count; r++) lane_steps(acc[r], layout, wide, samples, indices[r], k, w[r]);
        unrolled_for (int r = 0; r < count; r++) {
            int k = shared;
            for (; k + unit <= n[r]; k += unit) lane_steps(acc[r], layout, wide, samples, indices[r], k, w[r]);
            for (; k < n[r]; k += GROUP)
                acc[r][0] = lane_rest(acc[r][0], layout, wide, samples, indices[r], k, n[r], w[r]);
        }
    }
    unrolled_for (int r = 0; r < count; r++) {
        if (sets == 2) acc[r][0] += acc[r][sets - 1];
        unrolled_for (int h = 0; h < height; h++) {
            float *row = out + (r * height + h) * stride;
            if (stride == SN_LANES) memset(row, 0, SN_LANES * sizeof(float));
            *row = lane_sum(acc[r][0], h);
        }
    }
}

#define DEFINE_SPMV(name, layout, wide)                                                                            \
    static __attribute__((noinline)) void spmv_##name(const sn_matrix *m, int64_t column_tile, int64_t begin,      \
                                                      int64_t end, const lane_t *x, int64_t stride, float *out)    \
    {                                                                                                              \
        int64_t i = begin;                                                                                         \
        for (; i + LANES_AT_ONCE <= end; i += LANES_AT_ONCE)                                                       \
            spmv_rows(m, layout, wide, column_tile, i, LANES_AT_ONCE, x, stride,                                   \
                      out + (i - begin) * HEIGHT(layout) * stride);                                                \
        for (; i < end; i++)                                                                                       \
            spmv_rows(m, layout, wide, column_tile, i, 1, x, stride, out + (i - begin) * HEIGHT(layout) * stride); \
    }
DEFINE_SPMV(rows_16, SN_ROWS, 0)
DEFINE_SPMV(rows_32, SN_ROWS, 1)
DEFINE_SPMV(blocks_16, SN_BLOCKS, 0)
DEFINE_SPMV(blocks_32, SN_BLOCKS, 1)
DEFINE_SPMV(dense, SN_DENSE, 0)
#undef DEFINE_SPMV

static void spmv_blocks(const sn_matrix *m, int64_t column_tile, int64_t begin, int64_t end, const void *x,
                        int64_t stride, float *out)
{
#define SPMV(name) spmv_##name(m, column_tile, begin, end, x, stride, out)
    if (m->layout == SN_DENSE) SPMV(dense);
    else if (m->layout == SN_ROWS && m->wide) SPMV(rows_32);
    else if (m->layout == SN_ROWS) SPMV(rows_16);
    else if (m->wide) SPMV(blocks_32);
    else SPMV(blocks_16);
#undef SPMV
}

/* kernels.h, `spmv`. */
static void spmv(const sn_matrix *m, int64_t column_tile, const void *x, int is_signed, float *out)
{
#if WINDOWS
    if (m->layout == SN_WINDOWS) {
        if (is_signed) spmv_windows_signed(m, x, out);
        else spmv_windows_unsigned(m, x, out);
        return;
    }
#endif
    (void)is_signed;
    spmv_blocks(m, column_tile, 0, m->n_blocks, x, 1, out);
}
