/* Strips of int8: words of four columns, or of four samples. Integers: the bits are those of all instruction sets. */
#define DOT_WEIGHTS(c, a, b) _tile_dpbssd(c, a, b)
#define DOT_SAMPLES(c, a, b) _tile_dpbusd(c, a, b)
enum { sums_integers = 1 };
/* As in bfloat16_tiles.h. Tiles could not read deltas that are interleaved for block columns. */
enum { strip_percent_rows = 9, strip_percent_blocks = 18 };
enum { spmm_percent_rows = 25, spmm_percent_blocks = 0, spmm_percent_columns = 0 };

INLINE void interleave(const uint8_t *const *rows, int is_signed, char *words)
{
    const vi a = load_int(rows[0]), b = load_int(rows[1]), c = load_int(rows[2]), d = load_int(rows[3]);
    const vi ab_low = unpack_low_8(a, b), ab_high = unpack_high_8(a, b);
    const vi cd_low = unpack_low_8(c, d), cd_high = unpack_high_8(c, d);
    vi quads[4] = {unpack_low_16(ab_low, cd_low), unpack_high_16(ab_low, cd_low), unpack_low_16(ab_high, cd_high),
                   unpack_high_16(ab_high, cd_high)};
    order_quads(quads);
    const vi sign =
        splat_int(is_signed ? (int32_t)0x80808080u : 0); /* value + 128 -> value, in place of a subtraction */
    unrolled_for (int q = 0; q < 4; q++) {
        quads[q] ^= sign;
        memcpy(words + q * VECTOR_BYTES, &quads[q], sizeof quads[q]);
    }
}

INLINE vi delta_words(const int8_t *deltas) { return load_int(deltas); }
INLINE vf to_sums(vi tile) { return to_float(tile); }
