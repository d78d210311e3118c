/* Vectors of VECTOR_BYTES, which the header of an instruction set has defined, and what GCC's and Clang's vector
 * extensions express well on every processor. */
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
#if VECTOR_BYTES == 16 /* longer ones GCC takes through the stack */
INLINE vf load_double(const double *p)
{
    typedef double vd __attribute__((vector_size(2 * VECTOR_BYTES), aligned(1), may_alias));
    return __builtin_convertvector(*(const vd *)p, vf);
}
#endif
INLINE vi load_int(const void *p) { return *(const vi_unaligned *)p; }
/* n values of three arrays from place i on, to L2: they come from beyond while sums are under way. */
INLINE void fetch_ahead(const float *const *arrays, int64_t i, const int n)
{
    for (int a = 0; a < 3; a++)
        unrolled_for (int j = 0; j < n; j += 16) __builtin_prefetch(arrays[a] + i + j, 0, 2);
}
INLINE vf select_float(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
INLINE vf vabs(vf a) { return (vf)((vi)a & 0x7fffffff); }
INLINE vf to_float(vi a) { return __builtin_convertvector(a, vf); }

/* Round to nearest, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves the integer in the low mantissa. */
INLINE vi round_to_int(vf x)
{
    const vf magic = splat(12582912.0f);
    return (vi)(x + magic) - (vi)magic;
}
