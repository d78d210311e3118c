/* x86-64-v3: AVX2, FMA and F16C (Haswell 2013, Zen 2017, and later). */
#if defined(__x86_64__)
#define ISA_COMPILED 1
#define ISA_TARGET "avx2,fma,f16c"
#define ISA_VECTORS "vector/x86_256.h"
#endif
