#if defined(ISA_TARGET) && defined(__clang__)
#pragma clang attribute pop
#endif
