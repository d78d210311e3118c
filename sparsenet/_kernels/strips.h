/* What the strips of both formats share: sizes and the configuration of the tile registers. */
enum { TILE = SN_TILE_ROWS * SN_TILE_BYTES / 4 }; /* words of 4 bytes */
#define TILE_BLOCKS (SN_TILE_ROWS / SN_BLOCK_HEIGHT)

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_of_row[16];
    uint8_t rows[16];
} tile_config;

/* All eight registers whole. Another library may use them on this thread and rely on its own configuration. */
INLINE void begin_tiles(tile_config *before)
{
    static const tile_config whole = {
        .palette = 1,
        .bytes_of_row = {[0 ... 7] = SN_TILE_BYTES},
        .rows = {[0 ... 7] = SN_TILE_ROWS},
    };
    _tile_storeconfig(before);
    _tile_loadconfig(&whole);
    __asm__ volatile("" : : : "memory"); /* GCC's tile loads do not say that they read what was stored before */
}
INLINE void end_tiles(const tile_config *before) { _tile_loadconfig(before); }

INLINE vi load_16_bits(__mmask16 lanes, const void *p) { return (vi)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, p)); }
