/* IEEE half precision <-> fp32. What half precision does not hold (from 65520 on, numbers no longer round to 65504)
 * becomes NaN: the outputs that depend on it are then NaN, too, and the caller sees it. An infinity could still end as
 * a zero, behind relu. */
INLINE vf in_half_range(vf x) { return select_float(vabs(x) < 65520.0f, x, splat(__builtin_nanf(""))); }

#if ISA_F16C && VECTOR_BYTES == 64
INLINE vf load_half(const uint16_t *x) { return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)x)); }
INLINE void store_half(uint16_t *x, vf v)
{
    _mm256_storeu_si256((__m256i *)x,
                        _mm512_cvtps_ph((__m512)in_half_range(v), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
#elif ISA_F16C
INLINE vf load_half(const uint16_t *x) { return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)x)); }
INLINE void store_half(uint16_t *x, vf v)
{
    _mm_storeu_si128((__m128i *)x,
                     _mm256_cvtps_ph((__m256)in_half_range(v), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
#else
INLINE vf load_half(const uint16_t *x)
{
    vu16 stored;
    memcpy(&stored, x, sizeof stored);
    const vu half = __builtin_convertvector(stored, vu);
    /* The exponent bias differs by 112. A denormal is an integer times 2^-24: shifted into place it would be an
     * fp32 denormal, which the engine has flushed to zero. */
    const vu bits = half & 0x7fffu;
    const vf normal = (vf)((bits << 13) + (112u << 23)), denormal = to_float((vi)bits) * 0x1p-24f;
    const vf magnitude = select_float((vi)(bits < 0x400u), denormal, normal);
    const vi special = (vi)(half & 0x7c00u) == 0x7c00;
    return (vf)((vi)magnitude | (vi)((half & 0x8000u) << 16) | (special & 0x7f800000));
}
INLINE void store_half(uint16_t *x, vf v)
{
    v = in_half_range(v);
    const vu sign = ((vu)v >> 16) & 0x8000u;
    const vf a = vabs(v);
    /* Adding 2^(exponent + 13) leaves the 10 bits that half keeps at the bottom of the mantissa, rounded to
     * nearest even; exponents below half's smallest normal are raised to it, which makes denormals. */
    const vu exponent = (vu)vmax(a, splat(0x1p-14f)) & 0x7f800000u;
    const vf magic = (vf)(exponent + (13u << 23));
    const vu mantissa = (vu)(a + magic) - (vu)magic;
    vu half = mantissa + ((exponent >> 13) - (113u << 10));
    half = (vu)((vi)half & (vi)(a == a)) | (vu)((vi)splat_uint(0x7e00u) & (vi)(a != a));
    const vu16 stored = __builtin_convertvector(half | sign, vu16);
    memcpy(x, &stored, sizeof stored);
}
#endif

#define STORE uint16_t
typedef uint16_t delta_t; /* kept for the weight gradient */
#define STORES_MASTER 0
#define STRIPS 0
#define SPLIT_LANES 1
#define DELTA_EXPONENT 12
#define FORMAT_STORAGE "formats/float_storage.h"

INLINE vf load_vector(const uint16_t *x) { return load_half(x); }
INLINE vf load_part(const uint16_t *x, const int part) { return (void)part, load_half(x); }
INLINE void load_pair(const uint16_t *x, vf *a, vf *b) { *a = load_half(x), *b = load_half(x + WIDTH); }
INLINE void order_pair(vf *a, vf *b) { (void)a, (void)b; }
INLINE void store_pair(uint16_t *x, vf a, vf b) { store_half(x, a), store_half(x + WIDTH, b); }

#include "formats/fp32_products.h"
