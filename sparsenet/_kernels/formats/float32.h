/* float32: stored as it is. */
#define STORE float
typedef float delta_t; /* kept for the weight gradient */
#define STORES_MASTER 1
#define STRIPS 0
#define SPLIT_LANES 1
#define FORMAT_STORAGE "formats/float_storage.h"

INLINE vf load_vector(const float *x) { return load(x); }
INLINE vf load_part(const float *x, const int part) { return (void)part, load(x); }
INLINE void load_pair(const float *x, vf *a, vf *b) { *a = load(x), *b = load(x + WIDTH); }
INLINE void order_pair(vf *a, vf *b) { (void)a, (void)b; }
INLINE void store_pair(float *x, vf a, vf b) { store(x, a), store(x + WIDTH, b); }

#include "formats/fp32_products.h"
