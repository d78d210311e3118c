/* Weight gradient of one strip or two: kernels.h, `sddmm_strips`. Tiles multiply so much faster than vectors that
 * the sums at all columns are computed, some columns at a time, and those without a connection dropped. */

/* One row's connections in columns first..end, from its connection number k on; returns the number of the next. */
INLINE int64_t take_row(const void *index, const int wide, int64_t k, int64_t n, int64_t first, int64_t end,
                        const float *sums, int row, float factor, int32_t correction, float *gradient)
{
    for (;;) {
        const __mmask16 left = first_lanes(n - k);
        vi column = wide ? (vi)_mm512_maskz_loadu_epi32(left, columns_from(index, 1, k))
                         : load_16_bits(left, columns_from(index, 0, k));
        const __mmask16 here = left & _mm512_cmplt_epu32_mask((__m512i)column, _mm512_set1_epi32((int)end));
        column = (column - (int32_t)first) * SN_STRIP_PAIR + row;
        const vi sum = (vi)_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), here, (__m512i)column, sums, 4);
        _mm512_mask_storeu_ps(gradient + k, here, (__m512)(to_sums(sum - correction) * factor));
        if (here != 0xffff) return k + __builtin_popcount(here);
        k += WIDTH;
    }
}

/* The same of a block's columns, all of them where no index is stored. */
INLINE int64_t take_block(const void *index, const int wide, int64_t k, int64_t n, int64_t first, int64_t end,
                          const float *sums, int row, const float *factor, const int32_t *correction, float *gradient)
{
    const __m128 factors = _mm_loadu_ps(factor + row);
    const __m128i corrections = _mm_loadu_si128((const __m128i *)(correction + row));
    for (; k < n; k++) {
        const int64_t column = index ? column_at(index, wide, k) : k;
        if (column >= end) break;
        const __m128i sum = _mm_sub_epi32(
            _mm_loadu_si128((const __m128i *)(sums + (column - first) * SN_STRIP_PAIR + row)), corrections);
        const __m128 g = sums_integers ? _mm_cvtepi32_ps(sum) : _mm_castsi128_ps(sum);
        _mm_storeu_ps(gradient + k * SN_BLOCK_HEIGHT, _mm_mul_ps(g, factors));
    }
    return k;
}

INLINE void sddmm_of_strips(const sn_matrix *m, const int wide, int64_t block, void *deltas, const void *const *x,
                            int64_t n_samples, const float *factor, const int32_t *correction, float *gradient)
{
    enum { COLUMNS = 32768 / (SN_STRIP_PAIR * sizeof(float)) }; /* 32 KB of sums stay in L1 */
    float sums[COLUMNS * SN_STRIP_PAIR] __attribute__((aligned(64)));
    const int64_t height = HEIGHT(m->layout), *begin = m->indptr + block;
    const int64_t left = m->n_blocks - block, n_blocks = left < SN_STRIP_PAIR / height ? left : SN_STRIP_PAIR / height;
    const int n_strips = n_blocks * height > SN_STRIP ? 2 : 1;
    const float *words = deltas_in_tiles(deltas, n_strips * SN_STRIP, (n_samples + SN_LANES - 1) / SN_LANES);
    int64_t done[SN_STRIP_PAIR] = {0};
    use_tiles();
    for (int64_t first = 0; first < m->n_columns; first += COLUMNS) {
        const int64_t end = first + COLUMNS < m->n_columns ? first + COLUMNS : m->n_columns;
        if (n_strips == 2) sum_columns(words, 2, x, n_samples, first, end - first, sums);
        else sum_columns(words, 1, x, n_samples, first, end - first, sums);
        for (int b = 0; b < n_blocks; b++) {
            const void *index = m->indices ? columns_from(m->indices, wide, begin[b]) : 0;
            const int64_t n = begin[b + 1] - begin[b];
            float *place = gradient + (begin[b] - begin[0]) * height;
            if (height == 1)
                done[b] = take_row(index, wide, done[b], n, first, end, sums, b, factor[b], correction[b], place);
            else
                done[b] = take_block(index, wide, done[b], n, first, end, sums, b * SN_BLOCK_HEIGHT, factor, correction,
                                     place);
        }
    }
}

static void sddmm_strips(const sn_matrix *m, int64_t block, void *deltas, const void *const *x, int64_t n_samples,
                         const float *factor, const int32_t *correction, float *gradient)
{
    if (m->wide) sddmm_of_strips(m, 1, block, deltas, x, n_samples, factor, correction, gradient);
    else sddmm_of_strips(m, 0, block, deltas, x, n_samples, factor, correction, gradient);
}
