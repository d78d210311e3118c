/* BODY for both index types of the current format. */
#define INDEX uint16_t
#define INDEX_NAME u16
#include BODY
#undef INDEX
#undef INDEX_NAME
#define INDEX uint32_t
#define INDEX_NAME u32
#include BODY
#undef INDEX
#undef INDEX_NAME
#undef BODY
