/* AVX2 with dot products of bytes: processors without AVX-512 since 2021 (Alder Lake, and later for clients), and Zen 5. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avxvnni")
#endif
#include <immintrin.h>

#define ISA_COMPILED 1
#define VECTOR_BYTES 32
#define ISA_FMA 1
#define ISA_F16C 1
#define ISA_BYTE_DOT 1
#define ISA_VNNI 1
#define ISA_BF16 0
#define ISA_AMX 0
#endif
