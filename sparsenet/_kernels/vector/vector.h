/* The vector vocabulary that all kernel bodies are written in: GCC/Clang vector extensions of the width that
 * the header of isa/ chose (VECTOR_BYTES), and the few operations that they lack. */
#include <stdint.h>
#include <string.h>
#include "../kernels.h"

#define INLINE static inline __attribute__((always_inline, unused))
#define unrolled_for(...) _Pragma("GCC unroll 16") for (__VA_ARGS__)
#define WIDTH (VECTOR_BYTES / 4)   /* fp32 lanes of a vector */
#define VECTORS (SN_LANES / WIDTH) /* vectors of a panel's row */

typedef float vf __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t vi __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t vu __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t vl __attribute__((vector_size(VECTOR_BYTES)));
typedef float v4f __attribute__((vector_size(16)));
typedef v4f v4f_unaligned __attribute__((aligned(1), may_alias));
typedef vf vf_unaligned __attribute__((aligned(1), may_alias));
typedef vi vi_unaligned __attribute__((aligned(1), may_alias));
typedef uint16_t vu16 __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef int8_t vi8 __attribute__((vector_size(VECTOR_BYTES / 4), aligned(1), may_alias));
typedef uint8_t vu8 __attribute__((vector_size(VECTOR_BYTES / 4), aligned(1), may_alias));

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define SHUFFLE_PAIRS(a, b, ...) (__typeof__(a))__builtin_shufflevector((vl)(a), (vl)(b), __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#define SHUFFLE_PAIRS(a, b, ...) (__typeof__(a))__builtin_shuffle((vl)(a), (vl)(b), (vl){__VA_ARGS__})
#endif

INLINE vf splat(float x) { return x - (vf){0}; }
INLINE vi splat_int(int32_t x) { return x - (vi){0}; }
INLINE vu splat_uint(uint32_t x) { return x - (vu){0}; }
INLINE vf load(const float *p) { return *(const vf_unaligned *)p; }
INLINE v4f load_four(const float *p) { return *(const v4f_unaligned *)p; }
INLINE void store(float *p, vf v) { *(vf_unaligned *)p = v; }
INLINE vi load_int(const void *p) { return *(const vi_unaligned *)p; }
/* The first n of WIDTH values; zeros beyond them. */
#if VECTOR_BYTES == 64
INLINE __mmask16 first_lanes(int64_t n) { return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1); }
INLINE vf load_partial(const float *p, int64_t n) { return (vf)_mm512_maskz_loadu_ps(first_lanes(n), p); }
INLINE void store_partial(float *p, vf v, int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), (__m512)v); }
#else
INLINE vf load_partial(const float *p, int64_t n)
{
    if (n >= WIDTH) return load(p);
    vf v = {0};
    for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}
INLINE void store_partial(float *p, vf v, int64_t n)
{
    if (n >= WIDTH) store(p, v);
    else
        for (int64_t i = 0; i < n; i++) p[i] = v[i];
}
#endif
/* n values of three arrays from place i on, to L2: they come from beyond while sums are under way. */
INLINE void fetch_ahead(const float *const *arrays, int64_t i, const int n)
{
    for (int a = 0; a < 3; a++)
        unrolled_for (int j = 0; j < n; j += 16) __builtin_prefetch(arrays[a] + i + j, 0, 2);
}
INLINE vf select_float(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
/* a > b ? a : b and a < b ? a : b, so b where either is NaN: what x86's instructions do. */
#if VECTOR_BYTES == 64
INLINE vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
#elif VECTOR_BYTES == 32
INLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
#else
INLINE vf vmax(vf a, vf b) { return select_float(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return select_float(a < b, a, b); }
#endif
INLINE vf vabs(vf a) { return (vf)((vi)a & 0x7fffffff); }
INLINE vf to_float(vi a) { return __builtin_convertvector(a, vf); }

#if ISA_FMA
#if VECTOR_BYTES == 64
INLINE vf fma_(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE vf vsqrt(vf a) { return (vf)_mm512_sqrt_ps((__m512)a); }
#else
INLINE vf fma_(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE vf vsqrt(vf a) { return (vf)_mm256_sqrt_ps((__m256)a); }
#endif
INLINE v4f fma_four(v4f a, v4f b, v4f c) { return (v4f)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c); }
#else
INLINE v4f fma_four(v4f a, v4f b, v4f c) { return a * b + c; }
INLINE vf fma_(vf a, vf b, vf c) { return a * b + c; }
INLINE vf vsqrt(vf a)
{
    for (int i = 0; i < WIDTH; i++) a[i] = __builtin_sqrtf(a[i]);
    return a;
}
#endif

/* 1 / a: on 64 bytes from the 14 bits of the estimate, by one Newton step: the relative error is below 2^-23. Division
 * takes longer, and the square root, which does not use the multipliers, can go on beside this one. */
INLINE vf reciprocal(vf a)
{
#if VECTOR_BYTES == 64
    const vf estimate = (vf)_mm512_rcp14_ps((__m512)a);
    return fma_(fma_(-a, estimate, splat(1.0f)), estimate, estimate);
#else
    return 1.0f / a;
#endif
}

/* Bytes <-> int32 lanes. GCC 12 takes __builtin_convertvector between them apart into scalars. */
#if VECTOR_BYTES == 64
INLINE vi widen_unsigned(const void *p) { return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE vi widen_signed(const void *p) { return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE void store_bytes(void *p, vi v) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v)); }
#elif VECTOR_BYTES == 32
INLINE vi widen_unsigned(const void *p) { return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
INLINE vi widen_signed(const void *p) { return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
INLINE void store_bytes(void *p, vi v)
{
    const __m256i low = _mm256_and_si256((__m256i)v, _mm256_set1_epi32(0xff)); /* packing saturates: keep 8 bits */
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    const __m128i half = _mm256_castsi256_si128(words);
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(half, half));
}
#else
INLINE vi widen_unsigned(const void *p) { return __builtin_convertvector(*(const vu8 *)p, vi); }
INLINE vi widen_signed(const void *p) { return __builtin_convertvector(*(const vi8 *)p, vi); }
INLINE void store_bytes(void *p, vi v) { *(vi8 *)p = __builtin_convertvector(v, vi8); }
#endif

/* table[index[lane]] of a table of n values. On 64 bytes 16 values are looked up in a register at a time: a replayed step
 * of Adam takes 3.7 ns a vector for 16 values and 5.2 for 64, by gathering 7.7 (Zen 4). */
INLINE vf look_up(const float *table, int64_t n, const uint16_t *index)
{
#if VECTOR_BYTES == 64
    const __m512i i = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)index));
    if (n > 4 * WIDTH) return (vf)_mm512_i32gather_ps(i, table, 4);
    __m512 v = _mm512_permutexvar_ps(i, (__m512)load_partial(table, n));
    for (int64_t k = WIDTH; k < n; k += WIDTH) {
        const __mmask16 here = _mm512_cmpge_epi32_mask(i, _mm512_set1_epi32((int)k)); /* or in a later part */
        v = _mm512_mask_permutexvar_ps(v, here, i, (__m512)load_partial(table + k, n - k));
    }
    return (vf)v;
#elif VECTOR_BYTES == 32
    (void)n;
    return (vf)_mm256_i32gather_ps(table, _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)index)), 4);
#else
    (void)n;
    vf v = {0};
    for (int i = 0; i < WIDTH; i++) v[i] = table[index[i]];
    return v;
#endif
}

/* Round to nearest, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves the integer in the low mantissa. */
INLINE vi round_to_int(vf x)
{
    const vf magic = splat(12582912.0f);
    return (vi)(x + magic) - (vi)magic;
}

#if VECTOR_BYTES == 64
INLINE float sum_lanes(vf a) { return _mm512_reduce_add_ps((__m512)a); }
INLINE int32_t sum_lanes_int(vi a) { return _mm512_reduce_add_epi32((__m512i)a); }
#else
#define DEFINE_SUM_LANES(NAME, TYPE, LANE)         \
    INLINE LANE NAME(TYPE a)                       \
    {                                              \
        LANE s = 0;                                \
        for (int i = 0; i < WIDTH; i++) s += a[i]; \
        return s;                                  \
    }
DEFINE_SUM_LANES(sum_lanes, vf, float)
DEFINE_SUM_LANES(sum_lanes_int, vi, int32_t)
#endif
INLINE float max_lanes(vf a) /* the order does not matter to a maximum */
{
#if VECTOR_BYTES == 64
    return _mm512_reduce_max_ps((__m512)a);
#endif
    float m = a[0];
    for (int i = 1; i < WIDTH; i++) m = a[i] > m ? a[i] : m;
    return m;
}

/* Sums of WIDTH vectors at once, fp32 or int32: SUM_FOUR of each four, then SUM_ALL of those: lane i is the sum of the
 * lanes of vector i. Transposes while it adds, 3 operations for every addition that a lane-by-lane sum would need WIDTH
 * of. */
#if WIDTH == 16
#define LOW_HALVES 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define HIGH_HALVES 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define LOW_PAIRS 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH_PAIRS 1, 9, 3, 11, 5, 13, 7, 15
#define EVEN_QUARTERS 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define ODD_QUARTERS 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#elif WIDTH == 8
#define LOW_HALVES 0, 8, 1, 9, 4, 12, 5, 13
#define HIGH_HALVES 2, 10, 3, 11, 6, 14, 7, 15
#define LOW_PAIRS 0, 4, 2, 6
#define HIGH_PAIRS 1, 5, 3, 7
#define EVEN_QUARTERS 0, 1, 2, 3, 8, 9, 10, 11
#define ODD_QUARTERS 4, 5, 6, 7, 12, 13, 14, 15
#else
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#define LOW_PAIRS 0, 2
#define HIGH_PAIRS 1, 3
#endif
#define ADD_SHUFFLED(a, b, first, second) (SHUFFLE(a, b, first) + SHUFFLE(a, b, second))
#define SUM_FOUR(v) /* each quarter of 128 bits sums itself */                               \
    ({                                                                                       \
        const __typeof__((v)[0]) a_ = ADD_SHUFFLED((v)[0], (v)[1], LOW_HALVES, HIGH_HALVES); \
        const __typeof__((v)[0]) b_ = ADD_SHUFFLED((v)[2], (v)[3], LOW_HALVES, HIGH_HALVES); \
        SHUFFLE_PAIRS(a_, b_, LOW_PAIRS) + SHUFFLE_PAIRS(a_, b_, HIGH_PAIRS);                \
    })
#define SUM_QUARTERS(a, b) ADD_SHUFFLED(a, b, EVEN_QUARTERS, ODD_QUARTERS)
#if WIDTH == 16
#define SUM_ALL(four) SUM_QUARTERS(SUM_QUARTERS(four[0], four[1]), SUM_QUARTERS(four[2], four[3]))
#elif WIDTH == 8
#define SUM_ALL(four) SUM_QUARTERS(four[0], four[1])
#else
#define SUM_ALL(four) four[0]
#endif

/* A 4 x 4 transpose of quarters of 128 bits, after an interleave within each has left four neighbours together. */
INLINE void order_quads(vi *v)
{
#if WIDTH == 16
#define FIRST_HALVES 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define SECOND_HALVES 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
    const vi a = SHUFFLE(v[0], v[1], FIRST_HALVES), b = SHUFFLE(v[2], v[3], FIRST_HALVES);
    const vi c = SHUFFLE(v[0], v[1], SECOND_HALVES), d = SHUFFLE(v[2], v[3], SECOND_HALVES);
    v[0] = SHUFFLE(a, b, EVEN_QUARTERS), v[1] = SHUFFLE(a, b, ODD_QUARTERS);
    v[2] = SHUFFLE(c, d, EVEN_QUARTERS), v[3] = SHUFFLE(c, d, ODD_QUARTERS);
#elif WIDTH == 8
    const vi a = v[0], b = v[1], c = v[2], d = v[3];
    v[0] = SHUFFLE(a, b, EVEN_QUARTERS), v[1] = SHUFFLE(c, d, EVEN_QUARTERS);
    v[2] = SHUFFLE(a, b, ODD_QUARTERS), v[3] = SHUFFLE(c, d, ODD_QUARTERS);
#else
    (void)v;
#endif
}

/* WIDTH columns of four rows -> the same column by column. */
INLINE void interleave_rows(vf *rows)
{
    const vf a = SHUFFLE(rows[0], rows[1], LOW_HALVES), b = SHUFFLE(rows[2], rows[3], LOW_HALVES);
    const vf c = SHUFFLE(rows[0], rows[1], HIGH_HALVES), d = SHUFFLE(rows[2], rows[3], HIGH_HALVES);
    vi v[4] = {(vi)SHUFFLE_PAIRS(a, b, LOW_PAIRS), (vi)SHUFFLE_PAIRS(a, b, HIGH_PAIRS),
               (vi)SHUFFLE_PAIRS(c, d, LOW_PAIRS), (vi)SHUFFLE_PAIRS(c, d, HIGH_PAIRS)};
    order_quads(v);
    unrolled_for (int i = 0; i < 4; i++) rows[i] = (vf)v[i];
}

/* Transpose WIDTH vectors of WIDTH values: within quarters of 128 bits, then the quarters. */
INLINE void transpose_square(vf *v)
{
    vf columns[WIDTH]; /* of each four rows: those of numbers 0, 1, 2, 3 modulo 4 */
    unrolled_for (int r = 0; r < WIDTH; r += 4) {
        const vf a = SHUFFLE(v[r], v[r + 1], LOW_HALVES), b = SHUFFLE(v[r + 2], v[r + 3], LOW_HALVES);
        const vf c = SHUFFLE(v[r], v[r + 1], HIGH_HALVES), d = SHUFFLE(v[r + 2], v[r + 3], HIGH_HALVES);
        columns[r] = SHUFFLE_PAIRS(a, b, LOW_PAIRS), columns[r + 1] = SHUFFLE_PAIRS(a, b, HIGH_PAIRS);
        columns[r + 2] = SHUFFLE_PAIRS(c, d, LOW_PAIRS), columns[r + 3] = SHUFFLE_PAIRS(c, d, HIGH_PAIRS);
    }
    unrolled_for (int c = 0; c < 4; c++) {
#if WIDTH == 16
        const vf even = SHUFFLE(columns[c], columns[4 + c], EVEN_QUARTERS),
                 odd = SHUFFLE(columns[c], columns[4 + c], ODD_QUARTERS);
        const vf even_2 = SHUFFLE(columns[8 + c], columns[12 + c], EVEN_QUARTERS);
        const vf odd_2 = SHUFFLE(columns[8 + c], columns[12 + c], ODD_QUARTERS);
        v[c] = SHUFFLE(even, even_2, EVEN_QUARTERS), v[8 + c] = SHUFFLE(even, even_2, ODD_QUARTERS);
        v[4 + c] = SHUFFLE(odd, odd_2, EVEN_QUARTERS), v[12 + c] = SHUFFLE(odd, odd_2, ODD_QUARTERS);
#elif WIDTH == 8
        v[c] = SHUFFLE(columns[c], columns[4 + c], EVEN_QUARTERS),
        v[4 + c] = SHUFFLE(columns[c], columns[4 + c], ODD_QUARTERS);
#else
        v[c] = columns[c];
#endif
    }
}

/* 16 uniform random bits a lane for stochastic rounding, a function of (seed, row, lane) alone: MurmurHash3's finalizer
 * over a counter (A. Appleby, public domain). The first half of a row's lanes takes the upper half of each word, the
 * second half the lower one (a word for each lane: `prepare` took 11 instead of 9 % of an int8 step with blocks). */
INLINE vi random_bits(uint64_t seed, uint32_t row, int vector)
{
    enum { HALF = VECTORS / 2 };
    vu x = splat_uint((row * HALF + vector % HALF) * WIDTH * 2654435769u + (uint32_t)seed);
    vu lane;
    for (int i = 0; i < WIDTH; i++) lane[i] = (uint32_t)i * 2654435769u;
    x = (x + lane) ^ (uint32_t)(seed >> 32);
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    x ^= x >> 16;
    return (vi)(vector < HALF ? x >> 16 : x & 0xffff);
}
/* floor(x + u), u uniform in (0, 1): unbiased. u has 16 bits and is centred in its interval, so that x + u - 1/2 is
 * exact for |x| near 127 and never reaches +-127.5, which would round to a value that is not a signed byte's. */
INLINE vi round_stochastically(vf x, vi bits)
{
    return round_to_int(fma_(to_float(bits), splat(0x1p-16f), x + (0x1p-17f - 0.5f)));
}
