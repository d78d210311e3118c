/* Plain C, in vectors of 16 bytes, which any processor of today has at least 16 registers for. */
#define VECTOR_BYTES 16
#define VECTOR_REGISTERS 16
#include "vector/base.h"
#include "vector/by_lane.h"

INLINE vf vmax(vf a, vf b) { return select_float(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return select_float(a < b, a, b); }
INLINE vf fma_(vf a, vf b, vf c) { return a * b + c; }
INLINE v4f fma_four(v4f a, v4f b, v4f c) { return a * b + c; }
INLINE vf vsqrt(vf a)
{
    for (int i = 0; i < WIDTH; i++) a[i] = __builtin_sqrtf(a[i]);
    return a;
}
INLINE vf reciprocal(vf a) { return 1.0f / a; }
INLINE vf look_up(const float *table, int64_t n, const uint16_t *index)
{
    (void)n;
    vf v = {0};
    for (int i = 0; i < WIDTH; i++) v[i] = table[index[i]];
    return v;
}

INLINE vi widen_unsigned(const void *p) { return __builtin_convertvector(*(const vu8 *)p, vi); }
INLINE vi widen_signed(const void *p) { return __builtin_convertvector(*(const vi8 *)p, vi); }
INLINE vu widen_words(const void *p)
{
    vu16 words;
    memcpy(&words, p, sizeof words);
    return __builtin_convertvector(words, vu);
}
INLINE void store_bytes(void *p, vi v) { *(vi8 *)p = __builtin_convertvector(v, vi8); }
INLINE vf load_half(const uint16_t *x)
{
    const vu half = widen_words(x);
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

#define BYTE_DOT 0
#define BYTE_DOT_OFFSET 0
#define BYTE_DOT_BY_SIGN 0
