/* Column numbers of 16 or 32 bits: `wide` is a constant at every call, so that no loop asks. */
INLINE int64_t column_at(const void *columns, const int wide, int64_t k)
{
    return wide ? (int64_t)((const uint32_t *)columns)[k] : (int64_t)((const uint16_t *)columns)[k];
}
/* The columns from number k on. */
INLINE const void *columns_from(const void *columns, const int wide, int64_t k)
{
    return (const char *)columns + k * (wide ? 4 : 2);
}
