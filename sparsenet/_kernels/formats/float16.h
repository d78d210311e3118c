/* IEEE half precision <-> fp32. What half precision does not hold (from 65520 on, numbers no longer round to 65504)
 * becomes NaN: the outputs that depend on it are then NaN, too, and the caller sees it. An infinity could still end as
 * a zero, behind relu. */
INLINE vf in_half_range(vf x) { return select_float(vabs(x) < 65520.0f, x, splat(__builtin_nanf(""))); }

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
INLINE void store_pair(uint16_t *x, vf a, vf b)
{
    store_half(x, in_half_range(a)), store_half(x + WIDTH, in_half_range(b));
}

#include "formats/fp32_products.h"
