/* What AVX2 and AVX-512 do alike. */
INLINE v4f fma_four(v4f a, v4f b, v4f c) { return (v4f)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c); }

#define BYTE_DOT 1
#define BYTE_DOT_SIGNED 0
#if !ISA_DOT
/* vpmaddubsw would saturate at u > 127: widen even and odd bytes to 16 bits and use vpmaddwd. */
INLINE vi byte_dot(vi acc, vi u, vi s)
{
    const vi even = u & 0x00ff00ff, odd = (vi)((vu)u >> 8) & 0x00ff00ff;
    return acc + (pair_dot(even, low_bytes(s)) + pair_dot(odd, high_bytes(s)));
}
#endif
