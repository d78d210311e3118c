/* Prefetching from Cython. */
#ifndef SPARSENET_PREFETCH_H
#define SPARSENET_PREFETCH_H

/* To L2: L1 is full of what kernels read meanwhile. The empty statement keeps GCC from dropping calls of functions that
 * only prefetch. */
static inline void sn_prefetch(const void *p, long n_bytes)
{
    __asm__ volatile("");
    for (long i = -((long)p & 63); i < n_bytes; i += 64) __builtin_prefetch((const char *)p + i, 0, 2);
}

#endif
