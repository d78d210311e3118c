/* Any processor with the compiler's baseline (SSE2 on x86-64, NEON on ARM64). */
#define ISA_COMPILED 1
#define VECTOR_BYTES 16
#define ISA_FMA 0
#define ISA_F16C 0
#define ISA_BYTE_DOT 0
#define ISA_VNNI 0
#define ISA_BF16 0
#define ISA_AMX 0
