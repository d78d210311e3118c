/* ARMv8-A, which all ARM64 processors have: NEON with FMA and conversions of half precision. */
#if defined(__aarch64__)
#define ISA_COMPILED 1
#define ISA_VECTORS "vector/neon.h"
#endif
