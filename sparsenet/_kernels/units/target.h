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
