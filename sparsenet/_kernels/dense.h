/* How the current format multiplies dense layers: tiles of columns whose samples stay in L1 (32 KB of them). With AMX by
 * strips, as it does sparse ones that are dense enough. */
#include "outer_products.h"
#if STRIPS
#include STRIP_PARTS
#include "strips_body.h"
#define BODY "strip_gradients_body.h"
#include "both_indices.h"
#define BODY "strip_products_body.h"
#include "both_indices.h"
enum { F(tile_columns) = 32768 / (SN_LANES * sizeof(STORE)) };
#else
enum { F(tile_columns) = TILED ? 32768 / (SN_LANES * sizeof(float)) : 0 };
enum { F(sddmm_strips_u16) = 0, F(sddmm_strips_u32) = 0, F(strip_percent_rows) = 0, F(strip_percent_blocks) = 0 };
enum { F(spmm_percent_rows) = 0, F(spmm_percent_blocks) = 0, F(spmm_percent_columns) = 0 };
#if TILED && !STORES_MASTER
static void F(decode)(const void *x, int64_t n_rows, int offset, const float *scale, float *z);
static void F(tile_samples)(const void *x, int64_t n, int offset, void *samples) { F(decode)(x, n, offset, NULL, samples); }
#else
enum { F(tile_samples) = 0 };
#endif
#endif
enum { F(weight_group) = GROUP };
