/* NEON with dot products of bytes (ARMv8.2; Cortex-A55, A75 and A76, Neoverse N1, Apple's A13 and M1, and later). */
#if defined(__aarch64__) && (!defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_DOTPROD))
#define ISA_COMPILED 1
#define ISA_TARGET "arch=armv8.2-a+dotprod"
#define ISA_VECTORS "vector/neon.h"
#define ISA_DOT 1
#endif
