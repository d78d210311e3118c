/* The vector vocabulary that all kernel bodies are written in. The header of isa/ has named the file of its instruction
 * set, ISA_VECTORS, which chooses the size of vectors, says what base.h needs to know, and defines by intrinsics, or
 * as plain C where no instruction is missed:
 *
 *   VECTOR_BYTES, VECTOR_REGISTERS
 *   load_partial, store_partial  the first n of WIDTH values; zeros beyond them
 *   load_double                  WIDTH values of fp64, rounded to fp32 (vectors of 16 bytes: base.h)
 *   vmax, vmin                   a > b ? a : b and a < b ? a : b, so b where either is NaN: what x86's instructions do
 *   fma_, fma_four               a * b + c, and of four lanes
 *   vsqrt, reciprocal
 *   sum_lanes, sum_lanes_int, max_lanes   over the lanes of a vector, in any order
 *   look_up(table, n, index)     table[index[lane]] of a table of n values
 *   widen_unsigned, widen_signed, store_bytes   bytes <-> int32 lanes
 *   widen_words                  16 bits -> uint32 lanes
 *   load_half, store_half        half precision <-> fp32, to nearest even, of values that half precision holds, or NaN
 *   BYTE_DOT                     1: there are byte_dot, look_up_bytes and unpack_*, for formats/int8.h
 *   byte_dot(acc, x, s, is_signed)   acc + the products of four neighbouring bytes in each lane, which are -127..127;
 *                                x is 0..127 unless is_signed
 *   BYTE_DOT_OFFSET              what has been added to signed x, because the instruction takes them unsigned
 *   BYTE_DOT_BY_SIGN             1: signed x take more instructions than others
 *   look_up_bytes(table, index)  for each byte of `index`, table[index - LOOK_UP_OFFSET], of 32 bytes
 *   unpack_low_8, unpack_high_8, unpack_low_16, unpack_high_16
 *                                a and b interleaved by 8 or 16 bits, within quarters of 128 bits
 */
#include <stdint.h>
#include <string.h>
#include "kernels.h"
#include ISA_VECTORS
#include "vector/transpose.h"
#include "vector/rounding.h"
