/* AVX-512 with VNNI and BF16 at full rate (Zen 4 and later). */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(                                                                          \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16"))), \
    apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16")
#endif
#include <immintrin.h>

#define ISA_COMPILED 1
#define VECTOR_BYTES 64
#define ISA_FMA 1
#define ISA_F16C 1
#define ISA_BYTE_DOT 1
#define ISA_VNNI 1
#define ISA_BF16 1
#define ISA_AMX 0
#endif
