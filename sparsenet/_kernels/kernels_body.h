/* All kernels of one instruction set. An isa_*.c file sets the target, defines
 *   ISA            name, also of the exported table sn_kernels_<ISA>
 *   VECTOR_BYTES   16, 32 or 64
 *   ISA_FMA, ISA_F16C, ISA_BYTE_DOT, ISA_VNNI, ISA_BF16, ISA_AMX   0 or 1: what the target offers
 * and includes this file. Everything but the table is static: no inline function is shared between targets. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "sparsenet's kernels assume a little-endian machine"
#endif
#include "vector.h"
#include "functions.h"
#include "advance.h"
#include "thread_state.h"
#if ISA_AMX
#include "strips.h"
#endif

#define STRING_(a) #a
#define STRING(a) STRING_(a)
#define PASTE_(a, b, c) a##b##c
#define PASTE(a, b, c) PASTE_(a, b, c)
#define F(name) PASTE(FORMAT, _, name)
#define N(name) PASTE(F(name), _, INDEX_NAME)

/* How the accumulators of a product fill the registers (32 of 64 bytes; 16 of 32 or 16): TILE vectors of one row or
 * of JOINT rows of a block at a time, and two sets of them where the registers allow it and one row's are too few to
 * hide the latency of the multiply-add. */
#if VECTOR_BYTES == 64
#define SETS_ONE 2
#define TILE_ONE_FLOAT 4
#define TILE_BLOCK_FLOAT 4
#define JOINT_FLOAT 4
#define ROW_TILE_INT8 8
#define TILE_ONE_INT8 4
#define TILE_BLOCK_INT8 4
#define JOINT_INT8 4
#else
#define SETS_ONE 1
#define TILE_ONE_FLOAT 8
#define TILE_BLOCK_FLOAT 2
#define JOINT_FLOAT 4
#define ROW_TILE_INT8 4
#define TILE_ONE_INT8 (VECTOR_BYTES == 32 ? 4 : 8)
#define TILE_BLOCK_INT8 4
#define JOINT_INT8 2
#endif

/* fp32 copies of up to this many 16-bit weights at a time (1 KB of stack) while a row is multiplied. */
#define WIDE_CHUNK 256
#define WIDE_BUFFER (WIDE_CHUNK + 2 * WIDTH)
#define MAX_JOINT 4
#define MAX_TILE 8
/* Rows or blocks that are multiplied side by side with one sample: as many multiply-adds as hide the latency of one. */
#define LANES_AT_ONCE 4
#define LANE_SETS(layout) ((layout) == SN_ROWS ? SETS_ONE : 1)
/* Registers for deltas during the weight gradient; and if not 0, how many columns of a block share a delta from L1. */
#if VECTOR_BYTES == 64
#define DELTA_VECTORS 8
#define COLUMNS_AT_ONCE 0
#else
#define DELTA_VECTORS 4
#define COLUMNS_AT_ONCE 3
#endif

/* What belongs to a block's rows, for a vector of its gradients: column by column. */
INLINE void repeat_rows(const float *factor, const int32_t *correction, const int height, float *factors, int32_t *corrections)
{
    for (int i = 0; i < WIDTH; i++) {
        factors[i] = factor[i % height];
        corrections[i] = correction[i % height];
    }
}

/* Where the weight of column k and row h of a block lies: whole groups of columns are stored row by row, so
 * that a row's group is one broadcast; the columns left over follow one by one. */
INLINE int64_t group_position(int64_t k, int64_t h, int64_t n, int64_t height, int64_t group)
{
    const int64_t base = k / group * group;
    return base + group <= n ? base * height + h * group + (k - base) : k * height + h;
}

#define TILE_ONE TILE_ONE_FLOAT
#define TILE_BLOCK TILE_BLOCK_FLOAT
#define JOINT JOINT_FLOAT
#define ROW_TILE 8
/* Weights of neighbouring columns lie far apart in the transpose: without prefetching so many weights ahead, each
 * store waits for its cache line. Positions carry that much padding. */
#define SCATTER_AHEAD 32
/* A panel with at most 32 samples takes half the time where vectors are short enough for the format's step. */
#define HALF_PANEL (SN_LANES / 2 / WIDTH < (GROUP == 4 ? 4 : 2) ? SN_LANES : SN_LANES / 2)
#define HEIGHT(layout) ((layout) == SN_BLOCKS || (layout) == SN_DENSE ? SN_BLOCK_HEIGHT : 1)

#define FORMAT float32
#define STORE float
#define STRIPS 0
#define SPLIT_LANES 1
INLINE vf F(load_vector)(const float *x) { return load(x); }
INLINE vf F(load_part)(const float *x, const int part) { return (void)part, load(x); }
INLINE void F(load_pair)(const float *x, vf *a, vf *b) { *a = load(x), *b = load(x + WIDTH); }
INLINE void F(order_pair)(vf *a, vf *b) { (void)a, (void)b; }
INLINE void F(store_pair)(float *x, vf a, vf b) { store(x, a), store(x + WIDTH, b); }
#define STORES_MASTER 1
#include "product_parts_float.h"
#include "one_lane.h"
#include "dense.h"
#define BODY "products_body.h"
#include "both_indices.h"
#include "format_float.h"
#include "row_sums.h"
#define BODY "row_sums_body.h"
#include "both_indices.h"
#include "format_end.h"

#define FORMAT float16
#define STORE uint16_t
#define DELTA_EXPONENT 12
#define STRIPS 0
#include "float16.h"
#define STORES_MASTER 0
#include "product_parts_float.h"
#include "one_lane.h"
#include "dense.h"
#define BODY "products_body.h"
#include "both_indices.h"
#include "format_float.h"
#include "row_sums.h"
#define BODY "row_sums_body.h"
#include "both_indices.h"
#include "format_end.h"

#define FORMAT bfloat16
#define STORE uint16_t
#define STRIPS ISA_AMX
#define STRIP_PARTS "strip_parts_bfloat16.h"
#include "bfloat16.h"
#define STORES_MASTER 0
#if ISA_BF16
#include "product_parts_bfloat16.h"
#else
#include "product_parts_float.h"
#endif
#include "one_lane.h"
#include "dense.h"
#define BODY "products_body.h"
#include "both_indices.h"
#include "format_float.h"
#include "row_sums.h"
#define BODY "row_sums_body.h"
#include "both_indices.h"
#include "format_end.h"

#undef TILE_ONE
#undef TILE_BLOCK
#undef JOINT
#undef ROW_TILE
#define ROW_TILE ROW_TILE_INT8
#define TILE_ONE TILE_ONE_INT8
#define TILE_BLOCK TILE_BLOCK_INT8
#define JOINT JOINT_INT8
#define FORMAT int8
#define STORE uint8_t
#define STORES_MASTER 0
#define STRIPS ISA_AMX
#define STRIP_PARTS "strip_parts_int8.h"
#include "product_parts_int8.h"
#include "one_lane.h"
#include "dense.h"
#define BODY "products_body.h"
#include "both_indices.h"
#include "format_int8.h"
#include "row_sums.h"
#define BODY "row_sums_body.h"
#include "both_indices.h"
#include "format_end.h"

typedef void tile_samples(const void *x, int64_t n, int offset, void *samples);
typedef void sddmm_strips(const sn_matrix *m, int64_t block, void *deltas, const void *const *x, int64_t n_samples,
                         const float *factor, const int32_t *correction, float *gradient);
#define FORMAT_TABLE(name, activation, delta, operand, weight)                                                      \
    {activation, delta, operand, weight, name##_weight_group, name##_tile_columns, name##_turned_size,            \
     sizeof(name##_wide), sizeof(name##_row), {name##_spmm_u16, name##_spmm_u32},                                   \
     (tile_samples *)name##_tile_samples, name##_first_lane, name##_turn, {name##_sddmm_u16, name##_sddmm_u32},                                     \
     {(sddmm_strips *)name##_sddmm_strips_u16, (sddmm_strips *)name##_sddmm_strips_u32},                                \
     {name##_strip_percent_rows, name##_strip_percent_blocks},                                                      \
     {name##_spmm_percent_rows, name##_spmm_percent_blocks, name##_spmm_percent_columns}, name##_encode, name##_decode, \
     name##_encode_deltas, name##_prepare, name##_encode_weights, name##_encode_terms, name##_encode_row,           \
     name##_sum_rows, {name##_sum_sparse_rows_u16, name##_sum_sparse_rows_u32},                                     \
     {name##_sum_at_connections_u16, name##_sum_at_connections_u32}}

const sn_kernels PASTE(sn_kernels_, ISA, ) = {
    STRING(ISA),
    {FORMAT_TABLE(float32, 4, 4, 4, 4), FORMAT_TABLE(float16, 2, 2, 4, 2),
     FORMAT_TABLE(bfloat16, 2, 2, sizeof(bfloat16_operand), 2), FORMAT_TABLE(int8, 1, 4, 1, 1)},
    enter, leave, pack, activate, chain, output, loss_and_deltas, update, advance,
};
