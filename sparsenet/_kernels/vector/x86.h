/* What AVX2 and AVX-512 do alike. */
INLINE v4f fma_four(v4f a, v4f b, v4f c) { return (v4f)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c); }

#define BYTE_DOT 1
#if ISA_DOT
#define BYTE_DOT_OFFSET 128
#define BYTE_DOT_BY_SIGN 0
INLINE vi byte_dot(vi acc, vi x, vi s, const int is_signed) { return (void)is_signed, byte_dot_unsigned(acc, x, s); }
#else
#define BYTE_DOT_OFFSET 0
#define BYTE_DOT_BY_SIGN 1
/* vpmaddubsw multiplies unsigned bytes by signed ones and adds two products, which fit its 16 bits where all are at most
 * 127. Samples that may be negative give their sign, times that of s, to the signed side. */
INLINE vi byte_dot(vi acc, vi x, vi s, const int is_signed)
{
    return acc + add_pairs(is_signed ? byte_pairs(abs_bytes(s), sign_bytes(x, s)) : byte_pairs(x, s));
}
#endif

/* vpshufb takes the lower four bits of an index, and makes a zero where bit 7 is set: of an index plus 0x70, that is so from
 * 16 on, and of the same with bit 7 turned, below. */
#define LOOK_UP_OFFSET 0x70
INLINE vi look_up_bytes(const uint8_t *table, vi index)
{
    return shuffle_bytes(splat_sixteen(table), index)
           | shuffle_bytes(splat_sixteen(table + 16), index ^ splat_int((int32_t)0x80808080));
}
