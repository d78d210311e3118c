/* AVX-512 with VNNI, and AMX's tile registers in bfloat16 and int8, for dense layers and those that are dense enough (Sapphire
 * Rapids and later). */
#if defined(__x86_64__) && defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define ISA_COMPILED 1
#define ISA_TARGET "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-bf16,amx-int8"
#define ISA_VECTORS "vector/x86_512.h"
#define ISA_DOT 1
#define ISA_AMX 1
#endif
