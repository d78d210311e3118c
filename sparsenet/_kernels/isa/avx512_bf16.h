/* AVX-512 with VNNI and BF16 at full rate (Zen 4 and later). */
#if defined(__x86_64__)
#define ISA_COMPILED 1
#define ISA_TARGET "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16"
#define ISA_VECTORS "vector/x86_512.h"
#define ISA_DOT 1
#define ISA_BF16 1
#endif
