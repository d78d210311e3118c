/* What a number format supplies, for the products and layouts that include it: formats/<name>.h. A missing name does
 * not compile. WIDTH fp32 values make a vector, VECTOR_BYTES bytes; `vf` and `vi` are vectors of fp32 and of int32.
 *
 * Constants
 *   GROUP            columns that one step of a product takes (1, 2 or 4): their weights are one broadcast
 *   TILED            1: dense layers read samples as fp32, from a tile of columns that stays in L1
 *   DOT_LANES        samples of a piece of the weight gradient
 *   PARTS            vectors of PART_LANES samples that a piece of two is taken apart into (sddmm_blocks.h)
 *   LANE_SAMPLES     samples of a column in 32 bits of a turned panel (sddmm_dense.h)
 *   SPLIT_LANES      so many neighbouring samples may be in another order, which deltas and inputs share
 *   STORES_MASTER    1: the optimizer's fp32 weights are the compute copy
 *   STRIPS           1: AMX multiplies, with FORMAT_TILES
 *   DELTA_EXPONENT   deltas are scaled so that the largest is about 2 to this power; 0: not at all
 *   FORMAT_SUMS_INTEGERS  1: sums are int32
 *   SIGNED_OFFSET    what is added to a stored value that may be negative
 *   WINDOWS          1: products/windows.h multiplies the rows of one sample by byte shuffles
 *   SIGN_MATTERS     1: products of samples that may be negative (is_signed) have code of their own
 *   FORMAT_STORAGE   header of what is not a product: encode, encode_sample, decode, encode_deltas, prepare, encode_weights,
 *                    encode_terms, encode_row, as kernels.h says, and multiply, finish_sums for rows of a table
 *
 * Types
 *   STORE            an activation as stored           delta_t     a delta as kept for the weight gradient
 *   weight_t         a weight's compute copy           wide_t      a weight as `step` reads it
 *   acc_t            accumulators of SpMM              dot_acc_t   and of SDDMM
 *   operand_t        a delta as SDDMM reads it         piece_t     DOT_LANES of them; part_t: PART_LANES
 *   lane_t           a value of SpMV's sample          lane_acc_t  its accumulators, of a row or the four of a block
 *   row_t            a value that encode_row writes    sum_t       a sum over rows of a table
 *
 * SpMM (products/spmm.h): for `joint` rows and `tile` vectors of samples
 *   widen(w, n, buffer)      n weights as `step` reads them, once a row and not once a vector
 *   shares(share, ...)       what an offset of the samples adds to each row's sums
 *   step(acc, ...)           acc[row][vector] += weights of GROUP columns * their samples
 *   resume(acc, tile, out)   accumulators from the sums of the tiles before
 *   finish(acc, share, ...)  accumulators less that share -> fp32 in the order of the samples
 *
 * SpMV (products/spmv.h)
 *   lane_value(x, is_signed) a stored value as it lies there
 *   lane_step, lane_sum, lane_resume   as `step`, `finish` and `resume`
 *
 * SDDMM (products/sddmm.h)
 *   load_x, load_piece       DOT_LANES inputs, or prepared deltas
 *   dot_product(acc, x, d, is_signed)   acc += x * d over them, in any order that both share
 *   gradient_of(sums, c)     sums less a correction -> fp32
 *   load_part, load_delta, dot_part    the same of PART_LANES samples
 *   turned_lanes(x, v)       WIDTH groups of LANE_SAMPLES samples of a column, from group v on
 *   outer(acc, x, delta, is_signed)     acc += delta * x over such a group
 *
 * Sums of rows (products/row_sums.h)
 *   term_value, row_value    a term, or a value of an encoded row, as sum_t
 */
#ifndef DELTA_EXPONENT
#define DELTA_EXPONENT 0
#endif
#ifndef FORMAT_SUMS_INTEGERS
#define FORMAT_SUMS_INTEGERS 0
#endif
#ifndef SIGNED_OFFSET
#define SIGNED_OFFSET 0
#endif
#ifndef WINDOWS
#define WINDOWS 0
#endif
#ifndef SIGN_MATTERS
#define SIGN_MATTERS 0
#endif
_Static_assert(GROUP == 1 || GROUP == 2 || GROUP == 4, "weights are broadcast as 1, 2 or 4 columns");
_Static_assert(sizeof(lane_t) == 4, "first_lane writes 4 bytes for each column");
_Static_assert(DOT_LANES <= SN_LANES && SN_LANES % DOT_LANES == 0, "pieces make whole panels");
