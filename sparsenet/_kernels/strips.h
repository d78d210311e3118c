/* What the strips of both formats share. */
enum { TILE = SN_STRIP * SN_TILE_BYTES / 4 }; /* words of 4 bytes */
#define STRIP_BLOCKS (SN_STRIP / SN_BLOCK_HEIGHT)

INLINE vi load_16_bits(__mmask16 lanes, const void *p) { return (vi)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, p)); }
