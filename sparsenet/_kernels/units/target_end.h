#if defined(__clang__) && defined(__x86_64__) && VECTOR_BYTES > 16
#pragma clang attribute pop
#endif
