/* AVX2 with dot products of bytes: processors without AVX-512 since 2021 (Alder Lake, and later for clients), and Zen 5. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define ISA_COMPILED 1
#define ISA_TARGET "avx2,fma,f16c,avxvnni"
#define ISA_VECTORS "vector/x86_256.h"
#define ISA_DOT 1
#endif
