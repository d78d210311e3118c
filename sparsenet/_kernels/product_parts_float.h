/* What products_body.h asks of a format whose values widen to fp32 (float32, float16, bfloat16 by shifts).
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
typedef float F(wide);
typedef STORE F(weight);
typedef vf F(acc);
typedef vf F(dot_acc);
typedef float F(operand);
typedef struct { vf a, b; } F(piece);

INLINE const float *F(widen)(const STORE *w, int64_t n, float *buffer)
{
    if (STORES_MASTER) return (const float *)w;
    for (int64_t i = 0; i < n; i += 2 * WIDTH) {
        vf a, b;
        F(load_pair)(w + i, &a, &b); /* reads past the end: arrays carry that much padding */
        F(order_pair)(&a, &b);
        store(buffer + i, a), store(buffer + i + WIDTH, b);
    }
    return buffer;
}

INLINE void F(shares)(vf *share, const int first, const int joint, const void *w, int64_t n, int64_t height, int offset)
{
    (void)share, (void)first, (void)joint, (void)w, (void)n, (void)height, (void)offset;
}

INLINE void F(step)(vf *acc, const int tiled, const int packed, const int joint, const int tile, const char *const *rows,
                    const float *w, int offset)
{
    (void)packed, (void)offset;
    UNROLL for (int v = 0; v < tile; v += 2)
    {
        vf a, b;
        const int both = v + 1 < tile; /* odd tiles: only where order_pair does nothing */
        if (tiled) {
            a = load((const float *)rows[0] + v * WIDTH);
            b = load((const float *)rows[0] + (v + both) * WIDTH);
        } else if (both) {
            F(load_pair)((const STORE *)rows[0] + v * WIDTH, &a, &b);
        } else {
            a = b = F(load_vector)((const STORE *)rows[0] + v * WIDTH);
        }
        UNROLL for (int j = 0; j < joint; j++)
        {
            const vf weight = splat(w[j]);
            acc[j * tile + v] = fma_(weight, a, acc[j * tile + v]);
            if (both) acc[j * tile + v + 1] = fma_(weight, b, acc[j * tile + v + 1]);
        }
    }
}

INLINE void F(resume)(vf *acc, const int tile, const float *out)
{
    UNROLL for (int v = 0; v < tile; v++) acc[v] = load(out + v * WIDTH);
}

INLINE void F(finish)(vf *acc, const vf *share, const int tiled, const int packed, const int tile, float *out)
{
    (void)share, (void)packed;
    UNROLL for (int v = 0; v < tile; v += 2)
    {
        const int both = v + 1 < tile;
        if (!tiled && both) F(order_pair)(acc + v, acc + v + 1);
        store(out + v * WIDTH, acc[v]);
        if (both) store(out + (v + 1) * WIDTH, acc[v + 1]);
    }
}

/* One sample's products (one_lane_body.h). */
typedef float F(lane);
typedef v4f F(lane_acc);
INLINE v4f F(lane_step)(v4f acc, const int height, const float *x, const float *w)
{
    return fma_four(*x - (v4f){0}, height == 1 ? (v4f){*w} : load_four(w), acc);
}
INLINE float F(lane_sum)(v4f acc, const int row) { return acc[row]; }
INLINE v4f F(lane_resume)(const float *out) { return (v4f){out[0], out[SN_LANES], out[2 * SN_LANES], out[3 * SN_LANES]}; }
INLINE float F(lane_value)(const STORE *x, int offset) { return (void)offset, F(load_vector)(x)[0]; }

INLINE F(piece) F(load_piece)(const float *d) { return (F(piece)){load(d), load(d + WIDTH)}; }
INLINE F(piece) F(load_x)(const STORE *x)
{
    F(piece) p;
    F(load_pair)(x, &p.a, &p.b);
    return p;
}
INLINE vf F(dot)(vf acc, F(piece) x, F(piece) d) { return fma_(x.b, d.b, fma_(x.a, d.a, acc)); }
/* A vector of samples, or the even or the odd ones of a vector of pairs. */
#define PARTS (SPLIT_LANES > 1 ? 2 : 1)
#define PART_LANES WIDTH
typedef vf F(part);
INLINE vf F(load_delta)(const float *d) { return load(d); }
INLINE vf F(dot_part)(vf acc, vf x, vf d) { return fma_(x, d, acc); }
INLINE vf F(gradient_of)(vf sums, vi correction) { return (void)correction, sums; }
#define LANE_SAMPLES 1
INLINE vf F(turned_lanes)(const STORE *x, int v) /* in the order that load_pair leaves, as the deltas are */
{
    vf a, b;
    F(load_pair)(x + v / (2 * WIDTH) * (2 * WIDTH), &a, &b);
    return v / WIDTH % 2 == 0 ? a : b;
}
INLINE vf F(outer)(vf acc, vf x, const float *delta) { return fma_(x, splat(*delta), acc); }
INLINE float F(term_value)(float term) { return term; }
typedef float F(row); /* what encode_row writes: fp32 values that the format has, no conversion per sum */
INLINE float F(row_value)(float value) { return value; }
INLINE void F(store_terms)(float *terms, const STORE *stored)
{
    vf a, b;
    F(load_pair)(stored, &a, &b);
    F(order_pair)(&a, &b);
    store(terms, a), store(terms + WIDTH, b);
}
INLINE void F(set_delta)(float *operand, const STORE *stored, vf a, vf b)
{
    (void)stored;
    store(operand, a), store(operand + WIDTH, b);
}
