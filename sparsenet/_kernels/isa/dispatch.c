/* Chooses the kernels for the processor found, asking the operating system too (x86: __builtin_cpu_supports reads
 * XGETBV: registers that the system does not save are not offered). */
#include <string.h>
#include "kernels.h"

static int is_portable(void) { return 1; }
#if defined(__x86_64__)
#include <cpuid.h>

static int has_f16c(void) /* not every compiler's __builtin_cpu_supports knows it */
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
static int is_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c(); }
__attribute__((unused)) static int is_avx_vnni(void)
{
    enum { AVX_VNNI = 1 << 4 };
    unsigned a, b, c, d;
    return is_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & AVX_VNNI;
}
static int is_avx512(void)
{
    return is_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
           && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
static int is_avx512_vnni(void) { return is_avx512() && __builtin_cpu_supports("avx512vnni"); }
static int is_avx512_bf16(void) { return is_avx512_vnni() && __builtin_cpu_supports("avx512bf16"); }

/* Linux gives the tile registers' 8 KB to processes that ask (arch_prctl, ARCH_REQ_XCOMP_PERM, since 5.16): to all
 * threads of this one, and for good. */
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((unused)) static int is_amx(void)
{
    enum { TILE_BF16_INT8 = 1 << 22 | 1 << 24 | 1 << 25, REQUEST = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d;
    return is_avx512_bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & TILE_BF16_INT8) == TILE_BF16_INT8
           && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#endif
#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

static int is_neon(void) { return 1; }
__attribute__((unused)) static int is_neon_dot(void)
{
#if defined(__linux__)
    enum { DOT_PRODUCT = 1 << 20 }; /* HWCAP_ASIMDDP */
    return (getauxval(AT_HWCAP) & DOT_PRODUCT) != 0;
#elif defined(__APPLE__)
    int has = 0;
    size_t size = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, NULL, 0) == 0 && has;
#else
    return 0;
#endif
}
#endif

#define DECLARE(isa) extern const sn_kernels sn_kernels_##isa;
SN_ISAS(DECLARE)

/* Best last. */
static const struct {
    const sn_kernels *kernels;
    int (*is_supported)(void);
} tables[] = {
#define ENTRY(isa) {&sn_kernels_##isa, is_##isa},
    SN_ISAS(ENTRY)
#undef ENTRY
};
enum { N_TABLES = sizeof tables / sizeof *tables };

const char *sn_isa_name(int i) { return i < N_TABLES ? tables[i].kernels->name : (const char *)0; }

const sn_kernels *sn_kernels_by_name(const char *name)
{
    for (int i = 0; i < N_TABLES; i++)
        if (strcmp(tables[i].kernels->name, name) == 0)
            return tables[i].is_supported() ? tables[i].kernels : (const sn_kernels *)0;
    return (const sn_kernels *)0;
}

/* Whether an instruction set is the better choice where the processor has it. */
static int pays(const char *name)
{
#if defined(__x86_64__)
    /* vdpbf16ps runs at full rate on AMD; on Intel up to Emerald Rapids it takes two cycles and loses to the
     * shift form (measured on Emerald Rapids: 60 against 89 GFLOP/s). */
    if (strcmp(name, "avx512_bf16") == 0) return __builtin_cpu_is("amd");
#endif
    return (void)name, 1;
}

const sn_kernels *sn_kernels_best(void)
{
    const sn_kernels *best = tables[0].kernels;
    for (int i = 1; i < N_TABLES; i++)
        if (tables[i].is_supported() && pays(tables[i].kernels->name)) best = tables[i].kernels;
    return best;
}
