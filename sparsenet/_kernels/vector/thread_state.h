/* What kernels change of the thread that they run on, and put back. */
#if defined(__x86_64__)
#include <xmmintrin.h>
INLINE uint32_t denormals_off(void)
{
    const uint32_t state = _mm_getcsr();
    _mm_setcsr(state | 0x8040); /* flush to zero, denormals are zero */
    return state;
}
INLINE void denormals_restore(uint32_t state) { _mm_setcsr(state); }
#elif defined(__aarch64__)
INLINE uint32_t denormals_off(void)
{
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" : : "r"(state | (1u << 24)));
    return (uint32_t)state;
}
INLINE void denormals_restore(uint32_t state) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)state)); }
#else
INLINE uint32_t denormals_off(void) { return 0; }
INLINE void denormals_restore(uint32_t state) { (void)state; }
#endif

#if ISA_AMX
#include "vector/amx.h"
#endif

static void enter(sn_thread_state *before)
{
    before->denormals = denormals_off();
#if ISA_AMX
    _tile_storeconfig(before->tiles); /* another library may use tiles on this thread and rely on it */
#endif
}

static void leave(const sn_thread_state *before)
{
    denormals_restore(before->denormals);
#if ISA_AMX
    if (!tiles_are(before->tiles)) _tile_loadconfig(before->tiles);
#endif
}
