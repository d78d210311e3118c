/* Any processor with the compiler's baseline (SSE2 on x86-64, NEON on ARM64). */
#define ISA_COMPILED 1
#define ISA_VECTORS "vector/portable.h"
