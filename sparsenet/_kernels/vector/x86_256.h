/* AVX2, FMA and F16C: 16 registers of 32 bytes. */
#include <immintrin.h>
#define VECTOR_BYTES 32
#define VECTOR_REGISTERS 16
#include "vector/base.h"
#include "vector/by_lane.h"

INLINE vf load_double(const double *p)
{
    return (vf)_mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(p + 4)), _mm256_cvtpd_ps(_mm256_loadu_pd(p)));
}
INLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vf fma_(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE vf vsqrt(vf a) { return (vf)_mm256_sqrt_ps((__m256)a); }
INLINE vf reciprocal(vf a) { return 1.0f / a; }
INLINE vf look_up(const float *table, int64_t n, const uint16_t *index)
{
    (void)n;
    return (vf)_mm256_i32gather_ps(table, _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)index)), 4);
}

INLINE vi widen_unsigned(const void *p) { return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
INLINE vi widen_signed(const void *p) { return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
INLINE void store_bytes(void *p, vi v)
{
    const __m256i low = _mm256_and_si256((__m256i)v, _mm256_set1_epi32(0xff)); /* packing saturates: keep 8 bits */
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    const __m128i half = _mm256_castsi256_si128(words);
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(half, half));
}
INLINE vu widen_words(const void *p) { return (vu)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE vf load_half(const uint16_t *x) { return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)x)); }
INLINE void store_half(uint16_t *x, vf v)
{
    _mm_storeu_si128((__m128i *)x, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

#if ISA_DOT
INLINE vi byte_dot_unsigned(vi acc, vi u, vi s)
{
    return (vi)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)u, (__m256i)s);
}
#else
INLINE vi byte_pairs(vi u, vi s) { return (vi)_mm256_maddubs_epi16((__m256i)u, (__m256i)s); }
INLINE vi add_pairs(vi a) { return (vi)_mm256_madd_epi16((__m256i)a, _mm256_set1_epi16(1)); }
INLINE vi abs_bytes(vi a) { return (vi)_mm256_abs_epi8((__m256i)a); }
INLINE vi sign_bytes(vi a, vi s) { return (vi)_mm256_sign_epi8((__m256i)a, (__m256i)s); }
#endif
INLINE vi unpack_low_8(vi a, vi b) { return (vi)_mm256_unpacklo_epi8((__m256i)a, (__m256i)b); }
INLINE vi unpack_high_8(vi a, vi b) { return (vi)_mm256_unpackhi_epi8((__m256i)a, (__m256i)b); }
INLINE vi unpack_low_16(vi a, vi b) { return (vi)_mm256_unpacklo_epi16((__m256i)a, (__m256i)b); }
INLINE vi unpack_high_16(vi a, vi b) { return (vi)_mm256_unpackhi_epi16((__m256i)a, (__m256i)b); }
INLINE vi splat_sixteen(const void *p) { return (vi)_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p)); }
INLINE vi shuffle_bytes(vi a, vi index) { return (vi)_mm256_shuffle_epi8((__m256i)a, (__m256i)index); }
#include "vector/x86.h"
