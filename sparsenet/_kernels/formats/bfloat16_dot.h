/* bfloat16 with the dot-product instruction: two columns at once, their samples interleaved so that each 32-bit
 * lane holds one sample's pair. vdpbf16ps rounds once per pair and treats denormals as zero. */
#define GROUP 2
#define TILED 0
#define DOT_LANES (VECTOR_BYTES / 2)
typedef uint16_t wide_t;
typedef uint16_t weight_t;
typedef vf acc_t;
typedef vf dot_acc_t;
typedef uint16_t operand_t;
typedef __m512i piece_t;

INLINE const uint16_t *widen(const uint16_t *w, int64_t n, uint16_t *buffer)
{
    (void)n, (void)buffer;
    return w;
}

INLINE vf dot_product(vf acc, __m512i x, __m512i d, const int is_signed)
{
    (void)is_signed;
    return (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)x, (__m512bh)d);
}

INLINE void shares(vf *share, const int first, const int joint, const void *w, int64_t n, int64_t height, int is_signed)
{
    (void)share, (void)first, (void)joint, (void)w, (void)n, (void)height, (void)is_signed;
}

INLINE void step(vf *acc, const int tiled, const int packed, const int joint, const int tile, const char *const *rows,
                 const uint16_t *w, int is_signed)
{
    (void)tiled, (void)packed;
    unrolled_for (int v = 0; v < tile; v += 2) {
        const __m512i a = _mm512_loadu_si512(rows[0] + v * WIDTH * 2);
        const __m512i b = _mm512_loadu_si512(rows[1] + v * WIDTH * 2);
        const __m512i low = _mm512_unpacklo_epi16(a, b), high = _mm512_unpackhi_epi16(a, b);
        unrolled_for (int j = 0; j < joint; j++) {
            int32_t pair;
            memcpy(&pair, w + j * GROUP, sizeof pair);
            const __m512i weights = _mm512_set1_epi32(pair);
            acc[j * tile + v] = dot_product(acc[j * tile + v], low, weights, is_signed);
            acc[j * tile + v + 1] = dot_product(acc[j * tile + v + 1], high, weights, is_signed);
        }
    }
}

INLINE void resume(vf *acc, const int tile, const float *out) { (void)acc, (void)tile, (void)out; }

INLINE void finish(vf *acc, const vf *share, const int tiled, const int packed, const int tile, float *out)
{
    (void)share, (void)tiled, (void)packed;
    unrolled_for (int v = 0; v < tile; v += 2) {
        store(out + v * WIDTH, SHUFFLE(acc[v], acc[v + 1], 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23));
        store(out + (v + 1) * WIDTH,
              SHUFFLE(acc[v], acc[v + 1], 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31));
    }
}

/* One sample's products (spmv.h). */
typedef uint32_t lane_t;
typedef v4f lane_acc_t;
INLINE v4f lane_step(v4f acc, const int height, const uint32_t *x, const uint16_t *w)
{
    int32_t pair;
    memcpy(&pair, w, sizeof pair);
    const __m128i weights = height == 1 ? _mm_cvtsi32_si128(pair) : _mm_loadu_si128((const __m128i *)w);
    return (v4f)_mm_dpbf16_ps((__m128)acc, (__m128bh)_mm_set1_epi32((int32_t)(x[0] | x[1] << 16)), (__m128bh)weights);
}
INLINE float lane_sum(v4f acc, const int row) { return acc[row]; }
INLINE v4f lane_resume(const float *out, int64_t stride) { return (void)out, (void)stride, (v4f){0}; }
INLINE uint32_t lane_value(const uint16_t *x, int is_signed) { return (void)is_signed, *x; }

INLINE __m512i load_piece(const uint16_t *d) { return _mm512_loadu_si512(d); }
INLINE __m512i load_x(const uint16_t *x) { return _mm512_loadu_si512(x); }
INLINE vf gradient_of(vf sums, vi correction) { return (void)correction, sums; }
#define LANE_SAMPLES 2
INLINE vf turned_lanes(const uint16_t *x, int v) { return load((const float *)x + v); }
INLINE vf outer(vf acc, vf x, const uint16_t *delta, const int is_signed)
{
    int32_t pair;
    memcpy(&pair, delta, sizeof pair);
    return dot_product(acc, (__m512i)x, _mm512_set1_epi32(pair), is_signed);
}
INLINE float row_value(uint16_t value)
{
    const uint32_t bits = (uint32_t)value << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
INLINE float term_value(uint16_t term) { return row_value(term); }
typedef uint16_t row_t;
INLINE void store_terms(uint16_t *terms, const uint16_t *stored)
{
    memcpy(terms, stored, 2 * WIDTH * sizeof(uint16_t));
}
INLINE void set_delta(uint16_t *operand, const uint16_t *stored, vf a, vf b)
{
    (void)a, (void)b;
    memcpy(operand, stored, 2 * WIDTH * sizeof(uint16_t));
}
