/* Any processor with the compiler's baseline (SSE2 on x86-64, NEON on ARM64). */
#define ISA portable
#define VECTOR_BYTES 16
#define ISA_FMA 0
#define ISA_F16C 0
#define ISA_BYTE_DOT 0
#define ISA_VNNI 0
#define ISA_BF16 0
#define SETS_ONE 1
#define TILE_ONE_FLOAT 8
#define TILE_BLOCK_FLOAT 2
#define JOINT_FLOAT 4
#define TILE_ONE_INT8 8
#define TILE_BLOCK_INT8 2
#define JOINT_INT8 4
#include "kernels_body.h"
