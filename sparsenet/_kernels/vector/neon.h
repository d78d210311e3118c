/* ARMv8-A: 32 registers of 16 bytes. */
#include <arm_neon.h>
#define VECTOR_BYTES 16
#define VECTOR_REGISTERS 32
#include "vector/base.h"

/* Lane by lane: with a count that it does not know, GCC calls memcpy. */
INLINE vf load_partial(const float *p, int64_t n)
{
    if (n >= WIDTH) return load(p);
    vf v = {0};
    unrolled_for (int i = 0; i < WIDTH - 1; i++)
        if (i < n) v[i] = p[i];
    return v;
}
INLINE void store_partial(float *p, vf v, int64_t n)
{
    if (n >= WIDTH) store(p, v);
    else
        unrolled_for (int i = 0; i < WIDTH - 1; i++)
            if (i < n) p[i] = v[i];
}
/* fmax would return NaN where either is, fmaxnm the other. */
INLINE vf vmax(vf a, vf b) { return select_float(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return select_float(a < b, a, b); }
INLINE vf fma_(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
INLINE v4f fma_four(v4f a, v4f b, v4f c) { return fma_(a, b, c); }
INLINE vf vsqrt(vf a) { return (vf)vsqrtq_f32((float32x4_t)a); }
INLINE vf reciprocal(vf a) { return 1.0f / a; }
INLINE float sum_lanes(vf a) { return vaddvq_f32((float32x4_t)a); }
INLINE int32_t sum_lanes_int(vi a) { return vaddvq_s32((int32x4_t)a); }
INLINE float max_lanes(vf a) { return vmaxvq_f32((float32x4_t)a); }
INLINE vf look_up(const float *table, int64_t n, const uint16_t *index)
{
    (void)n;
    return (vf){table[index[0]], table[index[1]], table[index[2]], table[index[3]]};
}

/* Four bytes in a register's front. */
INLINE uint8x8_t load_bytes(const void *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vcreate_u8(four);
}
INLINE vi widen_unsigned(const void *p) { return (vi)vmovl_u16(vget_low_u16(vmovl_u8(load_bytes(p)))); }
INLINE vi widen_signed(const void *p) { return (vi)vmovl_s16(vget_low_s16(vmovl_s8((int8x8_t)load_bytes(p)))); }
INLINE vu widen_words(const void *p) { return (vu)vmovl_u16(vld1_u16(p)); }
INLINE void store_bytes(void *p, vi v)
{
    const int16x4_t words = vmovn_s32((int32x4_t)v);
    const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    memcpy(p, &bytes, WIDTH);
}
INLINE vf load_half(const uint16_t *x) { return (vf)vcvt_f32_f16((float16x4_t)vld1_u16(x)); }
INLINE void store_half(uint16_t *x, vf v) { vst1_u16(x, (uint16x4_t)vcvt_f16_f32((float32x4_t)v)); }

#define BYTE_DOT 1
#define BYTE_DOT_OFFSET 0
#define BYTE_DOT_BY_SIGN 0
INLINE vi byte_dot(vi acc, vi x, vi s, const int is_signed)
{
    (void)is_signed;
    const int8x16_t a = (int8x16_t)x, b = (int8x16_t)s;
#if ISA_DOT
    return (vi)vdotq_s32((int32x4_t)acc, a, b);
#else
    /* s is at least -127, so that the sum of two products fits 16 bits. */
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    return (vi)vpadalq_s16((int32x4_t)acc, vpaddq_s16(low, high));
#endif
}
INLINE vi unpack_low_8(vi a, vi b) { return (vi)vzip1q_s8((int8x16_t)a, (int8x16_t)b); }
INLINE vi unpack_high_8(vi a, vi b) { return (vi)vzip2q_s8((int8x16_t)a, (int8x16_t)b); }
INLINE vi unpack_low_16(vi a, vi b) { return (vi)vzip1q_s16((int16x8_t)a, (int16x8_t)b); }
INLINE vi unpack_high_16(vi a, vi b) { return (vi)vzip2q_s16((int16x8_t)a, (int16x8_t)b); }
#define LOOK_UP_OFFSET 0
INLINE vi look_up_bytes(const uint8_t *table, vi index)
{
    return (vi)vqtbl2q_u8((uint8x16x2_t){{vld1q_u8(table), vld1q_u8(table + 16)}}, (uint8x16_t)index);
}

/* transpose.h: neighbours are added in one instruction. */
INLINE vf sum_four(const vf *v)
{
    return (vf)vpaddq_f32(vpaddq_f32((float32x4_t)v[0], (float32x4_t)v[1]),
                          vpaddq_f32((float32x4_t)v[2], (float32x4_t)v[3]));
}
INLINE vi sum_four_int(const vi *v)
{
    return (vi)vpaddq_s32(vpaddq_s32((int32x4_t)v[0], (int32x4_t)v[1]), vpaddq_s32((int32x4_t)v[2], (int32x4_t)v[3]));
}
#define SUM_FOUR(v) _Generic(*(v), vf: sum_four, vi: sum_four_int)(v)
