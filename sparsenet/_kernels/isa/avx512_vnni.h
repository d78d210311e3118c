/* AVX-512 with VNNI (Cascade Lake, Ice Lake). Also the best choice where Sapphire and Emerald Rapids do not offer AMX (in
 * some virtual machines): their vdpbf16ps takes two cycles, and shifting bf16 to fp32 is faster. */
#if defined(__x86_64__)
#define ISA_COMPILED 1
#define ISA_TARGET "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
#define ISA_VECTORS "vector/x86_512.h"
#define ISA_DOT 1
#endif
