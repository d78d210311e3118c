/* What products/spmm.h and sddmm.h asks of a format whose values widen to fp32 (float32, float16, bfloat16 by shifts).
 * The including file has defined STORE, load_pair, load_part and order_pair.
 *
 * Dense blocks read fp32 samples from a tile of columns that stays in L1: 16-bit samples are widened once a tile,
 * and a row's non-zeros do not fetch 256 bytes each from L2. Sparse rows read stored samples: a row holds about ten
 * non-zeros of a tile, a random number, and the mispredicted end of each costs more than the tile saves (measured:
 * prediction in fp32 took 88 ms with tiles and 75 without, in bf16 97 and 69).
 */
#define GROUP 1
#define TILED 1
#define DOT_LANES (2 * WIDTH)
typedef float wide_t;
typedef STORE weight_t;
typedef vf acc_t;
typedef vf dot_acc_t;
typedef float operand_t;
typedef struct {
    vf a, b;
} piece_t;

INLINE const float *widen(const STORE *w, int64_t n, float *buffer)
{
    if (STORES_MASTER) return (const float *)w;
    for (int64_t i = 0; i < n; i += 2 * WIDTH) {
        vf a, b;
        load_pair(w + i, &a, &b); /* reads past the end: arrays carry that much padding */
        order_pair(&a, &b);
        store(buffer + i, a), store(buffer + i + WIDTH, b);
    }
    return buffer;
}

INLINE void shares(vf *share, const int first, const int joint, const void *w, int64_t n, int64_t height, int is_signed)
{
    (void)share, (void)first, (void)joint, (void)w, (void)n, (void)height, (void)is_signed;
}

INLINE void step(vf *acc, const int tiled, const int packed, const int joint, const int tile, const char *const *rows,
                 const float *w, int is_signed)
{
    (void)packed, (void)is_signed;
    unrolled_for (int v = 0; v < tile; v += 2) {
        vf a, b;
        const int both = v + 1 < tile; /* odd tiles: only where order_pair does nothing */
        if (tiled) {
            a = load((const float *)rows[0] + v * WIDTH);
            b = load((const float *)rows[0] + (v + both) * WIDTH);
        } else if (both) {
            load_pair((const STORE *)rows[0] + v * WIDTH, &a, &b);
        } else {
            a = b = load_vector((const STORE *)rows[0] + v * WIDTH);
        }
        unrolled_for (int j = 0; j < joint; j++) {
            const vf weight = splat(w[j]);
            acc[j * tile + v] = fma_(weight, a, acc[j * tile + v]);
            if (both) acc[j * tile + v + 1] = fma_(weight, b, acc[j * tile + v + 1]);
        }
    }
}

INLINE void resume(vf *acc, const int tile, const float *out)
{
    unrolled_for (int v = 0; v < tile; v++) acc[v] = load(out + v * WIDTH);
}

INLINE void finish(vf *acc, const vf *share, const int tiled, const int packed, const int tile, float *out)
{
    (void)share, (void)packed;
    unrolled_for (int v = 0; v < tile; v += 2) {
        const int both = v + 1 < tile;
        if (!tiled && both) order_pair(acc + v, acc + v + 1);
        store(out + v * WIDTH, acc[v]);
        if (both) store(out + (v + 1) * WIDTH, acc[v + 1]);
    }
}

/* One sample's products (spmv.h). */
typedef float lane_t;
typedef v4f lane_acc_t;
INLINE v4f lane_step(v4f acc, const int height, const float *x, const float *w)
{
    return fma_four(*x - (v4f){0}, height == 1 ? (v4f){*w} : load_four(w), acc);
}
INLINE float lane_sum(v4f acc, const int row) { return acc[row]; }
INLINE v4f lane_resume(const float *out, int64_t stride)
{
    return (v4f){out[0], out[stride], out[2 * stride], out[3 * stride]};
}
INLINE float lane_value(const STORE *x, int is_signed) { return (void)is_signed, load_vector(x)[0]; }

INLINE piece_t load_piece(const float *d) { return (piece_t){load(d), load(d + WIDTH)}; }
INLINE piece_t load_x(const STORE *x)
{
    piece_t p;
    load_pair(x, &p.a, &p.b);
    return p;
}
INLINE vf dot_product(vf acc, piece_t x, piece_t d, const int is_signed)
{
    return (void)is_signed, fma_(x.b, d.b, fma_(x.a, d.a, acc));
}
/* A vector of samples, or the even or the odd ones of a vector of pairs. */
#define PARTS (SPLIT_LANES > 1 ? 2 : 1)
#define PART_LANES WIDTH
typedef vf part_t;
INLINE vf load_delta(const float *d) { return load(d); }
INLINE vf dot_part(vf acc, vf x, vf d, const int is_signed) { return (void)is_signed, fma_(x, d, acc); }
INLINE vf gradient_of(vf sums, vi correction) { return (void)correction, sums; }
#define LANE_SAMPLES 1
INLINE vf turned_lanes(const STORE *x, int v) /* in the order that load_pair leaves, as the deltas are */
{
    vf a, b;
    load_pair(x + v / (2 * WIDTH) * (2 * WIDTH), &a, &b);
    return v / WIDTH % 2 == 0 ? a : b;
}
INLINE vf outer(vf acc, vf x, const float *delta, const int is_signed)
{
    return (void)is_signed, fma_(x, splat(*delta), acc);
}
INLINE float term_value(float term) { return term; }
typedef float row_t; /* what encode_row writes: fp32 values that the format has, no conversion per sum */
INLINE float row_value(float value) { return value; }
INLINE void store_terms(float *terms, const STORE *stored)
{
    vf a, b;
    load_pair(stored, &a, &b);
    order_pair(&a, &b);
    store(terms, a), store(terms + WIDTH, b);
}
INLINE void set_delta(float *operand, const STORE *stored, vf a, vf b)
{
    (void)stored;
    store(operand, a), store(operand + WIDTH, b);
}
