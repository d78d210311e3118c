/* AVX-512: 32 registers of 64 bytes. */
#include <immintrin.h>
#define VECTOR_BYTES 64
#define VECTOR_REGISTERS 32
#include "vector/base.h"

INLINE __mmask16 first_lanes(int64_t n) { return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1); }
INLINE vf load_partial(const float *p, int64_t n) { return (vf)_mm512_maskz_loadu_ps(first_lanes(n), p); }
INLINE void store_partial(float *p, vf v, int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), (__m512)v); }
INLINE vf load_double(const double *p)
{
    const __m512d low = _mm512_castps_pd(_mm512_castps256_ps512(_mm512_cvtpd_ps(_mm512_loadu_pd(p))));
    return (vf)_mm512_castpd_ps(_mm512_insertf64x4(low, _mm256_castps_pd(_mm512_cvtpd_ps(_mm512_loadu_pd(p + 8))), 1));
}
INLINE vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vf fma_(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE vf vsqrt(vf a) { return (vf)_mm512_sqrt_ps((__m512)a); }
INLINE float sum_lanes(vf a) { return _mm512_reduce_add_ps((__m512)a); }
INLINE int32_t sum_lanes_int(vi a) { return _mm512_reduce_add_epi32((__m512i)a); }
INLINE float max_lanes(vf a) { return _mm512_reduce_max_ps((__m512)a); }

/* From the 14 bits of the estimate, by one Newton step: the relative error is below 2^-23. Division takes longer, and the
 * square root, which does not use the multipliers, can go on beside this one. */
INLINE vf reciprocal(vf a)
{
    const vf estimate = (vf)_mm512_rcp14_ps((__m512)a);
    return fma_(fma_(-a, estimate, splat(1.0f)), estimate, estimate);
}

/* 16 values are looked up in a register at a time: a replayed step of Adam takes 3.7 ns a vector for 16 values and 5.2
 * for 64, by gathering 7.7 (Zen 4). */
INLINE vf look_up(const float *table, int64_t n, const uint16_t *index)
{
    const __m512i i = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)index));
    if (n > 4 * WIDTH) return (vf)_mm512_i32gather_ps(i, table, 4);
    __m512 v = _mm512_permutexvar_ps(i, (__m512)load_partial(table, n));
    for (int64_t k = WIDTH; k < n; k += WIDTH) {
        const __mmask16 here = _mm512_cmpge_epi32_mask(i, _mm512_set1_epi32((int)k)); /* or in a later part */
        v = _mm512_mask_permutexvar_ps(v, here, i, (__m512)load_partial(table + k, n - k));
    }
    return (vf)v;
}

INLINE vi widen_unsigned(const void *p) { return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE vi widen_signed(const void *p) { return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE void store_bytes(void *p, vi v) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v)); }
INLINE vu widen_words(const void *p) { return (vu)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)); }
INLINE vf load_half(const uint16_t *x) { return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)x)); }
INLINE void store_half(uint16_t *x, vf v)
{
    _mm256_storeu_si256((__m256i *)x, _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

#if ISA_DOT
INLINE vi byte_dot_unsigned(vi acc, vi u, vi s)
{
    return (vi)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)u, (__m512i)s);
}
#else
INLINE vi byte_pairs(vi u, vi s) { return (vi)_mm512_maddubs_epi16((__m512i)u, (__m512i)s); }
INLINE vi add_pairs(vi a) { return (vi)_mm512_madd_epi16((__m512i)a, _mm512_set1_epi16(1)); }
INLINE vi abs_bytes(vi a) { return (vi)_mm512_abs_epi8((__m512i)a); }
INLINE vi sign_bytes(vi a, vi s) /* but for a zero of s, which multiplies by zero anyhow */
{
    return (vi)_mm512_mask_sub_epi8((__m512i)a, _mm512_movepi8_mask((__m512i)s), _mm512_setzero_si512(), (__m512i)a);
}
#endif
INLINE vi unpack_low_8(vi a, vi b) { return (vi)_mm512_unpacklo_epi8((__m512i)a, (__m512i)b); }
INLINE vi unpack_high_8(vi a, vi b) { return (vi)_mm512_unpackhi_epi8((__m512i)a, (__m512i)b); }
INLINE vi unpack_low_16(vi a, vi b) { return (vi)_mm512_unpacklo_epi16((__m512i)a, (__m512i)b); }
INLINE vi unpack_high_16(vi a, vi b) { return (vi)_mm512_unpackhi_epi16((__m512i)a, (__m512i)b); }
INLINE vi splat_sixteen(const void *p) { return (vi)_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)p)); }
INLINE vi shuffle_bytes(vi a, vi index) { return (vi)_mm512_shuffle_epi8((__m512i)a, (__m512i)index); }
#include "vector/x86.h"
