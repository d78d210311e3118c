/* Strips of bfloat16: words of two columns, or of two samples. tdpbf16ps rounds to nearest even and treats denormals as
 * zero. */
#define DOT_WEIGHTS(c, a, b) _tile_dpbf16ps(c, a, b)
#define DOT_SAMPLES(c, a, b) _tile_dpbf16ps(c, a, b)
enum { sums_integers = 0 };
/* Measured on an Intel core: 1024 x 1024, one panel (spmm) or two. */
enum { strip_percent_rows = 4, strip_percent_blocks = 8 };
enum { spmm_percent_rows = 12, spmm_percent_blocks = 27, spmm_percent_columns = 9 };

INLINE void interleave(const uint16_t *const *rows, int is_signed, char *words)
{
    (void)is_signed;
    for (int half = 0; half < 2; half++, words += 2 * VECTOR_BYTES) {
        const __m512i a = _mm512_loadu_si512(rows[0] + half * SN_LANES / 2),
                      b = _mm512_loadu_si512(rows[1] + half * SN_LANES / 2);
        const vi low = (vi)_mm512_unpacklo_epi16(a, b), high = (vi)_mm512_unpackhi_epi16(a, b);
        const vi first = SHUFFLE(low, high, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        const vi second = SHUFFLE(low, high, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        memcpy(words, &first, sizeof first);
        memcpy(words + VECTOR_BYTES, &second, sizeof second);
    }
}

/* Prepared deltas are fp32 numbers that bfloat16 has, the even samples of 32 before the odd ones. */
INLINE vi delta_words(const float *deltas)
{
    const vu even = (vu)load(deltas), odd = (vu)load(deltas + WIDTH);
    return (vi)(even >> 16 | (odd & 0xffff0000u));
}
INLINE vf to_sums(vi tile) { return (vf)tile; }
