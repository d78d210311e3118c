/* What the strips of both formats share: sizes and the configuration of the tile registers. */
#define STRIP_BLOCKS (SN_STRIP / SN_BLOCK_HEIGHT)

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_of_row[16];
    uint8_t rows[16];
} tile_config;

/* All eight registers whole. Another library may use them on this thread and rely on its own configuration. */
INLINE void begin_tiles(tile_config *before)
{
    static const tile_config whole = {
        1, 0, {0}, {SN_TILE_BYTES, SN_TILE_BYTES, SN_TILE_BYTES, SN_TILE_BYTES, SN_TILE_BYTES, SN_TILE_BYTES, SN_TILE_BYTES, SN_TILE_BYTES}, {SN_STRIP, SN_STRIP, SN_STRIP, SN_STRIP, SN_STRIP, SN_STRIP, SN_STRIP, SN_STRIP}};
    _tile_storeconfig(before);
    _tile_loadconfig(&whole);
    __asm__ volatile("" : : : "memory"); /* GCC's tile loads do not say that they read what was stored before */
}
INLINE void end_tiles(const tile_config *before) { _tile_loadconfig(before); }
