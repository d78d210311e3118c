/* AVX-512 with VNNI, and AMX's tile registers in bfloat16 and int8, for dense layers and those that are dense enough (Sapphire
 * Rapids and later). */
#if defined(__x86_64__) && defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#if defined(__clang__)
#pragma clang attribute push(                                                                                          \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-bf16,amx-int8"))), \
    apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-bf16,amx-int8")
#endif
#include <immintrin.h>

#define ISA_COMPILED 1
#define VECTOR_BYTES 64
#define ISA_FMA 1
#define ISA_F16C 1
#define ISA_BYTE_DOT 1
#define ISA_VNNI 1
#define ISA_BF16 0
#define ISA_AMX 1
#endif
