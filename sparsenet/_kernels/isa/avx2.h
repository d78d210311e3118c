/* x86-64-v3: AVX2, FMA and F16C (Haswell 2013, Zen 2017, and later). */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#include <immintrin.h>

#define ISA_COMPILED 1
#define VECTOR_BYTES 32
#define ISA_FMA 1
#define ISA_F16C 1
#define ISA_BYTE_DOT 1
#define ISA_VNNI 0
#define ISA_BF16 0
#define ISA_AMX 0
#endif
