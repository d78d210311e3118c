/* bfloat16 is the upper half of fp32. A vector of pairs splits into its even values (shift) and its odd ones
 * (mask) without any shuffle; order_pair interleaves them again where the order matters. */
#define STORE uint16_t
typedef uint16_t delta_t; /* kept for the weight gradient */
#define STORES_MASTER 0
#define STRIPS ISA_AMX
#define SPLIT_LANES (ISA_BF16 ? 1 : 2 * WIDTH)
#define FORMAT_STORAGE "formats/float_storage.h"
#define FORMAT_TILES "formats/bfloat16_tiles.h"

INLINE vf load_vector(const uint16_t *x) { return (vf)(widen_words(x) << 16); }

INLINE void load_pair(const uint16_t *x, vf *a, vf *b)
{
    const vu pairs = (vu)load_int(x);
    *a = (vf)(pairs << 16);
    *b = (vf)(pairs & 0xffff0000u);
}

/* The even or the odd values of a pair. The mask is read each time: sddmm_blocks.h has no register for it. */
INLINE vf load_part(const uint16_t *x, const int part)
{
    static const uint32_t mask[16] __attribute__((aligned(64))) = {[0 ... 15] = 0xffff0000u};
    const vu pairs = (vu)load_int(x);
    return (vf)(part == 0 ? pairs << 16 : pairs & *(const volatile vu *)mask);
}

INLINE void order_pair(vf *a, vf *b)
{
    const vf even = *a, odd = *b;
#if WIDTH == 16
    *a = SHUFFLE(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    *b = SHUFFLE(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif WIDTH == 8
    *a = SHUFFLE(even, odd, 0, 8, 1, 9, 2, 10, 3, 11);
    *b = SHUFFLE(even, odd, 4, 12, 5, 13, 6, 14, 7, 15);
#else
    *a = SHUFFLE(even, odd, 0, 4, 1, 5);
    *b = SHUFFLE(even, odd, 2, 6, 3, 7);
#endif
}

/* To nearest even; NaN stays NaN. The instruction takes denormals for zeros, as all products do. */
#if ISA_BF16
INLINE void store_pair(uint16_t *x, vf a, vf b)
{
    const __m512bh both = _mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
    memcpy(x, &both, sizeof both);
}
#else
INLINE vu16 to_bfloat16(vf v)
{
    const vu bits = (vu)v;
    const vu rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const vu quiet = (bits >> 16) | 0x40u;
    return __builtin_convertvector((vu)select_float(v == v, (vf)rounded, (vf)quiet), vu16);
}

INLINE void store_pair(uint16_t *x, vf a, vf b)
{
    const vu16 low = to_bfloat16(a), high = to_bfloat16(b);
    memcpy(x, &low, sizeof low);
    memcpy(x + WIDTH, &high, sizeof high);
}
#endif

#if ISA_BF16
#include "formats/bfloat16_dot.h"
#else
#include "formats/fp32_products.h"
#endif
