/* How the accumulators of a product fill the registers (32 of 64 bytes or of 16, or 16 of 32 or of 16): TILE_ONE vectors
 * of one row, or TILE_BLOCK of JOINT rows of a block, at a time, and two sets of them where the registers allow it and one
 * row's are too few to hide the latency of the multiply-add. ROW_TILE is that of the sums over rows of a table. */
#if VECTOR_REGISTERS == 32
#define SETS_ONE (VECTORS < 8 ? 2 : 1)
#define TILE_ONE VECTORS
#define TILE_BLOCK 4
#define JOINT 4
#define ROW_TILE 8
#else
#define SETS_ONE 1
#if FORMAT_SUMS_INTEGERS
#define TILE_ONE (VECTOR_BYTES == 32 ? 4 : 8)
#define TILE_BLOCK 4
#define JOINT 2
#define ROW_TILE 4
#else
#define TILE_ONE 8
#define TILE_BLOCK 2
#define JOINT 4
#define ROW_TILE 8
#endif
#endif

/* fp32 copies of up to this many 16-bit weights at a time (1 KB of stack) while a row is multiplied. */
#define WIDE_CHUNK 256
#define WIDE_BUFFER (WIDE_CHUNK + 2 * WIDTH)
#define MAX_JOINT 4
#define MAX_TILE 16
/* Rows or blocks that are multiplied side by side with one sample: as many multiply-adds as hide the latency of one. */
#define LANES_AT_ONCE 4
#define LANE_SETS(layout) ((layout) == SN_ROWS ? SETS_ONE : 1)
/* Registers for deltas during the weight gradient; and if not 0, how many columns of a block share a delta from L1. */
#if VECTOR_REGISTERS == 32
#define DELTA_VECTORS 8
#define COLUMNS_AT_ONCE (VECTOR_BYTES == 64 ? 0 : 4)
#else
#define DELTA_VECTORS 4
#define COLUMNS_AT_ONCE 3
#endif
/* Weights of neighbouring columns lie far apart in the transpose: without prefetching so many weights ahead, each
 * store waits for its cache line. Positions carry that much padding. */
#define SCATTER_AHEAD 32
/* A panel with at most 32 samples takes half the time where vectors are short enough for the format's step. */
#define HALF_PANEL (SN_LANES / 2 / WIDTH < (GROUP == 4 ? 4 : 2) ? SN_LANES : SN_LANES / 2)

/* Tiles of neighbouring columns of a dense layer, whose samples stay in L1 (32 KB of them); 0: all columns. */
#if STRIPS
#define TILE_COLUMNS (32768 / (SN_LANES * sizeof(STORE)))
#elif TILED
#define TILE_COLUMNS (32768 / (SN_LANES * sizeof(float)))
#else
#define TILE_COLUMNS 0
#endif
