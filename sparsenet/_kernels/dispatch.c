/* Chooses the kernels for the processor found, asking the operating system too (__builtin_cpu_supports reads
 * XGETBV: registers that the system does not save are not offered). */
#include <string.h>
#include "kernels.h"

extern const sn_kernels sn_kernels_portable;
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
extern const sn_kernels sn_kernels_avx2, sn_kernels_avx512, sn_kernels_avx512_vnni, sn_kernels_avx512_bf16;
#if SN_HAS_AMX
#include <sys/syscall.h>
#include <unistd.h>
extern const sn_kernels sn_kernels_amx;
#endif

static int has_f16c(void) /* not every compiler's __builtin_cpu_supports knows it */
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c(); }
static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
static int has_vnni(void) { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }
static int has_bf16(void) { return has_vnni() && __builtin_cpu_supports("avx512bf16"); }
#if SN_HAS_AMX
/* Linux gives the tile registers' 8 KB to processes that ask (arch_prctl, ARCH_REQ_XCOMP_PERM, since 5.16): to all
 * threads of this one, and for good. */
static int has_amx(void)
{
    enum { TILE_BF16_INT8 = 1 << 22 | 1 << 24 | 1 << 25, REQUEST = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d;
    return has_bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & TILE_BF16_INT8) == TILE_BF16_INT8 &&
           syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#endif

/* Best last. */
static const struct { const sn_kernels *kernels; int (*supported)(void); } tables[] = {
    {&sn_kernels_avx2, has_avx2},
    {&sn_kernels_avx512, has_avx512},
    {&sn_kernels_avx512_vnni, has_vnni},
    {&sn_kernels_avx512_bf16, has_bf16},
#if SN_HAS_AMX
    {&sn_kernels_amx, has_amx},
#endif
};
#define N_TABLES ((int)(sizeof tables / sizeof *tables))
static int supported(int i) { return tables[i].supported(); }
static const sn_kernels *table(int i) { return tables[i].kernels; }
#else
#define N_TABLES 0
static int supported(int i) { return (void)i, 0; }
static const sn_kernels *table(int i) { return (void)i, (const sn_kernels *)0; }
#endif

static int usable(int i) /* 0 is the portable table */
{
    return i == 0 || supported(i - 1);
}
static const sn_kernels *at(int i) { return i == 0 ? &sn_kernels_portable : table(i - 1); }

const char *sn_isa_name(int i) { return i <= N_TABLES ? at(i)->name : (const char *)0; }

const sn_kernels *sn_kernels_by_name(const char *name)
{
    for (int i = 0; i <= N_TABLES; i++)
        if (strcmp(at(i)->name, name) == 0) return usable(i) ? at(i) : (const sn_kernels *)0;
    return (const sn_kernels *)0;
}

const sn_kernels *sn_kernels_best(void)
{
    int best = 0;
    for (int i = 1; i <= N_TABLES; i++)
        if (usable(i)) best = i;
#if defined(__x86_64__)
    /* vdpbf16ps runs at full rate on AMD; on Intel up to Emerald Rapids it takes two cycles and loses to the
     * shift form (measured on Emerald Rapids: 60 against 89 GFLOP/s). */
    if (best == 4 && !__builtin_cpu_is("amd")) best = 3;
#endif
    return at(best);
}
