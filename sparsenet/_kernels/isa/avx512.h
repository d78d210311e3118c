/* AVX-512 F, BW, DQ, VL (Skylake-X 2017 and later). */
#if defined(__x86_64__)
#define ISA_COMPILED 1
#define ISA_TARGET "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"
#define ISA_VECTORS "vector/x86_512.h"
#endif
