/* The instruction set that this unit is compiled for, -DSN_ISA=<name>, and how names are made of it. */
#define STRING_(a) #a
#define STRING(a) STRING_(a)
#define PASTE_(a, b, c) a##b##c
#define PASTE(a, b, c) PASTE_(a, b, c)
/* Formatted, the name would have spaces. */
/* clang-format off */
#include STRING(isa/SN_ISA.h)
/* clang-format on */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "sparsenet's kernels assume a little-endian machine"
#endif

/* What few instruction sets have. */
#ifndef ISA_DOT
#define ISA_DOT 0 /* one instruction multiplies bytes and adds four products */
#endif
#ifndef ISA_BF16
#define ISA_BF16 0 /* AVX-512 BF16 */
#endif
#ifndef ISA_AMX
#define ISA_AMX 0
#endif

/* In front of the first header that has intrinsics: they are compiled for the same target. */
#define PRAGMA_(...) _Pragma(#__VA_ARGS__)
#define PRAGMA(...) PRAGMA_(__VA_ARGS__)
#if defined(ISA_TARGET) && defined(__clang__)
PRAGMA(clang attribute push(__attribute__((target(ISA_TARGET))), apply_to = function))
#elif defined(ISA_TARGET)
PRAGMA(GCC target(ISA_TARGET))
#endif
