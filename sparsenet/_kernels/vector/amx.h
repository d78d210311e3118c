/* AMX's tile registers. */
/* All eight tile registers whole. Loading a configuration takes 130 cycles, looking at it 16. */
INLINE int tiles_are(const uint8_t *configuration)
{
    uint8_t now[64];
    _tile_storeconfig(now);
    __asm__ volatile("" : : "r"(now) : "memory"); /* GCC believes that 8 bytes were written */
    return memcmp(now, configuration, sizeof now) == 0;
}
INLINE void use_tiles(void)
{
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes_of_row[16];
        uint8_t rows[16];
    } whole = {.palette = 1, .bytes_of_row = {[0 ... 7] = SN_TILE_BYTES}, .rows = {[0 ... 7] = SN_STRIP}};
    if (!tiles_are((const uint8_t *)&whole)) _tile_loadconfig(&whole);
    __asm__ volatile("" : : : "memory"); /* GCC's tile loads do not say that they read what was stored before */
}
