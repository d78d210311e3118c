/* int8 by dot products of four bytes: four columns at once, their samples interleaved so that each 32-bit lane
 * holds one sample's four values. Where the instruction wants these unsigned, those that may be negative are stored
 * with an offset, whose share, offset * sum of weights, is taken off at the end, exactly. The deltas of a block of four
 * rows are stored interleaved (`packed`), so that the input gradient of sparse blocks has nothing to shuffle.
 * Integers: every instruction set gives the same bits. */
#define STORE uint8_t
typedef float delta_t; /* kept for the weight gradient */
#define STORES_MASTER 0
#define STRIPS ISA_AMX
#define SPLIT_LANES 1
#define FORMAT_SUMS_INTEGERS 1
#define SIGNED_OFFSET BYTE_DOT_OFFSET
#define WINDOWS BYTE_DOT
#define SIGN_MATTERS BYTE_DOT_BY_SIGN
#define FORMAT_STORAGE "formats/int8_storage.h"
#define FORMAT_TILES "formats/int8_tiles.h"
/* Stored bytes as numbers. */
INLINE int32_t value_of(uint8_t stored, int is_signed)
{
    return SIGNED_OFFSET ? stored - (is_signed ? SIGNED_OFFSET : 0) : (int8_t)stored;
}
INLINE vi values_of(const uint8_t *stored, int is_signed)
{
    return SIGNED_OFFSET ? widen_unsigned(stored) - (is_signed ? SIGNED_OFFSET : 0) : widen_signed(stored);
}

#if BYTE_DOT
#define GROUP 4
#define TILED 0
#define DOT_LANES VECTOR_BYTES
typedef int8_t wide_t;
typedef vi piece_t;

INLINE const int8_t *widen(const int8_t *w, int64_t n, int8_t *buffer)
{
    (void)n, (void)buffer;
    return w;
}

/* Rows first..first + joint of a block of n columns: whole groups hold four bytes of each row, so a lane sums those
 * of the row of its number modulo the height; a row of height 1 is one long group. */
INLINE void shares(vi *share, const int first, const int joint, const void *weights, int64_t n, int64_t height,
                   int is_signed)
{
    const int8_t *w = weights;
    static const int8_t first_bytes[2 * VECTOR_BYTES] = {[0 ... VECTOR_BYTES - 1] = -1};
    unrolled_for (int j = 0; j < joint; j++) share[j] = splat_int(0);
    if (!is_signed || !SIGNED_OFFSET) return;
    const int64_t grouped = height == 1 ? n : n / GROUP * GROUP * height;
    vi sums = splat_int(0);
    int64_t i = 0;
    for (; i + VECTOR_BYTES <= grouped; i += VECTOR_BYTES)
        sums = byte_dot(sums, splat_int(0x01010101), load_int(w + i), 0);
    if (i < grouped)
        sums = byte_dot(sums, splat_int(0x01010101),
                        load_int(w + i) & load_int(first_bytes + VECTOR_BYTES - (grouped - i)), 0);
    if (height == 1) {
        share[0] = splat_int(SIGNED_OFFSET * sum_lanes_int(sums));
        return;
    }
    for (int j = 0; j < joint; j++) {
        int32_t sum = 0;
        unrolled_for (int lane = 0; lane < WIDTH; lane += SN_BLOCK_HEIGHT) sum += sums[lane + first + j];
        for (int64_t k = n / GROUP * GROUP; k < n; k++) sum += w[k * height + first + j];
        share[j] = splat_int(SIGNED_OFFSET * sum);
    }
}

INLINE void step(vi *acc, const int tiled, const int packed, const int joint, const int tile, const char *const *rows,
                 const int8_t *w, const int is_signed)
{
    (void)tiled;
    unrolled_for (int v = 0; v < tile; v += 4) {
        if (packed) {
            int32_t four;
            memcpy(&four, w, sizeof four);
            unrolled_for (int q = 0; q < 4; q++)
                acc[v + q] =
                    byte_dot(acc[v + q], load_int(rows[0] + (v + q) * VECTOR_BYTES), splat_int(four), is_signed);
            continue;
        }
        const vi a = load_int(rows[0] + v * WIDTH), b = load_int(rows[1] + v * WIDTH);
        const vi c = load_int(rows[2] + v * WIDTH), d = load_int(rows[3] + v * WIDTH);
        const vi ab_low = unpack_low_8(a, b), ab_high = unpack_high_8(a, b);
        const vi cd_low = unpack_low_8(c, d), cd_high = unpack_high_8(c, d);
        const vi quads[4] = {unpack_low_16(ab_low, cd_low), unpack_high_16(ab_low, cd_low),
                             unpack_low_16(ab_high, cd_high), unpack_high_16(ab_high, cd_high)};
        unrolled_for (int j = 0; j < joint; j++) {
            int32_t four;
            memcpy(&four, w + j * GROUP, sizeof four);
            const vi weights = splat_int(four);
            unrolled_for (int q = 0; q < 4; q++)
                acc[j * tile + v + q] = byte_dot(acc[j * tile + v + q], quads[q], weights, is_signed);
        }
    }
}

INLINE void finish(vi *acc, const vi *share, const int tiled, const int packed, const int tile, float *out)
{
    (void)tiled;
    unrolled_for (int v = 0; v < tile; v += 4) {
        unrolled_for (int q = 0; q < 4; q++) acc[v + q] -= *share;
        if (packed) {
            unrolled_for (int q = 0; q < 4; q++) store(out + (v + q) * WIDTH, to_float(acc[v + q]));
            continue;
        }
        order_quads(acc + v);
        unrolled_for (int q = 0; q < 4; q++) store(out + (v + q) * WIDTH, to_float(acc[v + q]));
    }
}

/* One sample's products (spmv.h): four of its values, without their offset. */
#if BYTE_DOT_OFFSET == 0 && !BYTE_DOT_BY_SIGN
typedef vi lane_acc_t;
INLINE vi lane_step(vi acc, const int height, const uint32_t *x, const int8_t *w)
{
    int32_t four;
    memcpy(&four, w, sizeof four);
    const uint32_t samples = (x[0] & 0xff) | (x[1] & 0xff) << 8 | (x[2] & 0xff) << 16 | x[3] << 24;
    return byte_dot(acc, (vi)splat_uint(samples), height == 1 ? (vi){four} : load_int(w), 1);
}
INLINE int32_t lane_total(vi acc, const int row) { return acc[row]; }
#else /* as 16 bits each */
typedef int32_t lane_acc_t __attribute__((vector_size(32)));
INLINE lane_acc_t lane_step(lane_acc_t acc, const int height, const uint32_t *x, const int8_t *w)
{
    int32_t four;
    memcpy(&four, w, sizeof four);
    const int64_t samples = (x[0] | x[1] << 16) | (int64_t)(x[2] | x[3] << 16) << 32;
    const __m128i weights = height == 1 ? _mm_cvtsi32_si128(four) : _mm_loadu_si128((const __m128i *)w);
    return acc + (lane_acc_t)_mm256_madd_epi16(_mm256_set1_epi64x(samples), _mm256_cvtepi8_epi16(weights));
}
INLINE int32_t lane_total(lane_acc_t acc, const int row) { return acc[2 * row] + acc[2 * row + 1]; }
#endif

INLINE vi load_piece(const int8_t *d) { return load_int(d); }
INLINE vi load_x(const uint8_t *x) { return load_int(x); }
INLINE vi dot_product(vi acc, vi x, vi d, const int is_signed) { return byte_dot(acc, x, d, is_signed); }
#define LANE_SAMPLES 4
INLINE vf turned_lanes(const uint8_t *x, int v) { return load((const float *)x + v); }
INLINE vi outer(vi acc, vf x, const int8_t *delta, const int is_signed)
{
    int32_t four;
    memcpy(&four, delta, sizeof four);
    return byte_dot(acc, (vi)x, splat_int(four), is_signed);
}

#else /* no byte dot product: widen everything to int32, which any compiler vectorises */
#define GROUP 1
#define TILED 0
#define DOT_LANES WIDTH
typedef int32_t wide_t;
typedef vi piece_t;

INLINE const int32_t *widen(const int8_t *w, int64_t n, int32_t *buffer)
{
    for (int64_t i = 0; i < n; i++) buffer[i] = w[i];
    return buffer;
}
typedef int32_t lane_acc_t __attribute__((vector_size(16)));
INLINE lane_acc_t lane_step(lane_acc_t acc, const int height, const uint32_t *x, const int32_t *w)
{
    lane_acc_t weights = {*w};
    if (height > 1) memcpy(&weights, w, sizeof weights);
    return acc + (int16_t)*x * weights;
}
INLINE int32_t lane_total(lane_acc_t acc, const int row) { return acc[row]; }
INLINE vi load_x(const uint8_t *x) { return widen_signed(x); }
INLINE vi load_piece(const int8_t *d) { return widen_signed(d); }
INLINE void shares(vi *share, const int first, const int joint, const void *w, int64_t n, int64_t height, int is_signed)
{
    (void)share, (void)first, (void)joint, (void)w, (void)n, (void)height, (void)is_signed;
}
INLINE void step(vi *acc, const int tiled, const int packed, const int joint, const int tile, const char *const *rows,
                 const int32_t *w, int is_signed)
{
    (void)tiled, (void)packed, (void)is_signed;
    unrolled_for (int v = 0; v < tile; v++) {
        const vi x = load_x((const uint8_t *)rows[0] + v * WIDTH);
        unrolled_for (int j = 0; j < joint; j++) acc[j * tile + v] += x * w[j];
    }
}
INLINE void finish(vi *acc, const vi *share, const int tiled, const int packed, const int tile, float *out)
{
    (void)share, (void)tiled, (void)packed;
    unrolled_for (int v = 0; v < tile; v++) store(out + v * WIDTH, to_float(acc[v]));
}
INLINE vi dot_product(vi acc, vi x, vi d, const int is_signed) { return (void)is_signed, acc + x * d; }
#define LANE_SAMPLES 1
INLINE vf turned_lanes(const uint8_t *x, int v) { return (vf)widen_signed(x + v); }
INLINE vi outer(vi acc, vf x, const int8_t *delta, const int is_signed)
{
    return (void)is_signed, acc + (vi)x * *delta;
}
#endif

typedef uint32_t lane_t;
INLINE float lane_sum(lane_acc_t acc, const int row) { return (float)lane_total(acc, row); }
INLINE lane_acc_t lane_resume(const float *out, int64_t stride) { return (void)out, (void)stride, (lane_acc_t){0}; }
INLINE uint32_t lane_value(const uint8_t *x, int is_signed) { return (uint16_t)value_of(*x, is_signed); }

INLINE void resume(vi *acc, const int tile, const float *out) { (void)acc, (void)tile, (void)out; }
typedef int8_t weight_t;
typedef vi acc_t;
typedef vi dot_acc_t;
typedef int8_t operand_t;
INLINE vf gradient_of(vi sums, vi correction) { return to_float(sums - correction); }

/* sddmm_blocks.h takes whole pieces. */
#define PARTS 1
#define PART_LANES DOT_LANES
typedef piece_t part_t;
INLINE vi load_part(const uint8_t *x, const int part) { return (void)part, load_x(x); }
INLINE vi load_delta(const int8_t *d) { return load_piece(d); }
INLINE vi dot_part(vi acc, vi x, vi delta, const int is_signed) { return dot_product(acc, x, delta, is_signed); }
