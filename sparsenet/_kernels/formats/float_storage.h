/* float32, float16 and bfloat16: everything but the products (formats/contract.h), by load_pair and store_pair, which
 * turn 2 * WIDTH stored values into two fp32 vectors and back. */
#define PAIR (2 * WIDTH)

INLINE void encode_lanes(const float *z, int64_t n_rows, const int lanes, STORE *x)
{
    for (int64_t r = 0; r < n_rows; r++)
        unrolled_for (int i = 0; i < lanes; i += PAIR)
            store_pair(x + r * SN_LANES + i, load(z + r * SN_LANES + i), load(z + r * SN_LANES + i + WIDTH));
}

static int encode(const float *z, int64_t n_rows, int is_signed, int lanes, void *x, float *scale)
{
    (void)scale;
    if (lanes <= SN_LANES / 2) encode_lanes(z, n_rows, SN_LANES / 2, x);
    else encode_lanes(z, n_rows, SN_LANES, x);
    return is_signed;
}

static float encode_sample(const float *z, int64_t n, int is_signed, void *x)
{
    (void)is_signed;
    for (int64_t i = 0; i < n; i += PAIR) store_pair((STORE *)x + i, load(z + i), load(z + i + WIDTH));
    return 1.0f;
}

static void decode(const void *x, int64_t n_rows, int is_signed, const float *scale, float *z)
{
    (void)is_signed, (void)scale;
    for (int64_t i = 0; i < n_rows * SN_LANES; i += PAIR) {
        vf a, b;
        load_pair((const STORE *)x + i, &a, &b);
        order_pair(&a, &b);
        store(z + i, a), store(z + i + WIDTH, b);
    }
}

#if TILED && !STORES_MASTER && !STRIPS
/* kernels.h, `tile_samples`: dense layers read fp32. */
static void tile_samples(const void *x, int64_t n, int is_signed, void *samples)
{
    decode(x, n, is_signed, NULL, samples);
}
#endif

#if DELTA_EXPONENT
INLINE float delta_multiplier(float maximum)
{
    if (!(maximum > 0.0f)) return 1.0f;
    /* A power of two, so that scaling is exact; 126 keeps both it and its inverse normal numbers. */
    int exponent = DELTA_EXPONENT - __builtin_ilogbf(maximum);
    exponent = exponent > 126 ? 126 : exponent < -126 ? -126 : exponent;
    return __builtin_ldexpf(1.0f, exponent);
}
#endif

static void encode_deltas(const float *z, int64_t n_rows, const float *row_scale, int packed, uint64_t seed, void *kept,
                          void *operand, float *scale)
{
    (void)row_scale, (void)packed, (void)seed, (void)operand;
    float multiplier = 1.0f;
    for (int lane = 0; lane < SN_LANES; lane++) scale[lane] = 1.0f;
    if (kept == z) return;
#if DELTA_EXPONENT
    vf largest = splat(0.0f);
    for (int64_t i = 0; i < n_rows * SN_LANES; i += WIDTH) largest = vmax(vabs(load(z + i)), largest);
    const float maximum = max_lanes(largest);
    if (maximum > 0.0f) {
        multiplier = delta_multiplier(maximum);
        for (int lane = 0; lane < SN_LANES; lane++) scale[lane] = 1.0f / multiplier;
    }
#endif
    for (int64_t i = 0; i < n_rows * SN_LANES; i += PAIR)
        store_pair((STORE *)kept + i, load(z + i) * multiplier, load(z + i + WIDTH) * multiplier);
}

static float prepare(const void *const *kept, int64_t n_panels, const float *const *delta_scale,
                     const float *const *x_scale, int is_signed, uint64_t seed, void *deltas, float *factor,
                     int32_t *correction)
{
    (void)x_scale, (void)is_signed, (void)seed;
    vf total = splat(0.0f);
    for (int64_t p = 0; p < n_panels; p++) {
        const float scale = delta_scale[p][0];
        for (int i = 0; i < SN_LANES; i += PAIR) {
            const STORE *row = (const STORE *)kept[p] + i;
            vf a, b;
            load_pair(row, &a, &b);
            a *= scale, b *= scale;
            total += a + b;
            set_delta((operand_t *)deltas + p * SN_LANES + i, row, a, b);
        }
    }
    *factor = 1.0f;
    *correction = 0;
    return sum_lanes(total);
}

static void encode_weights(const float *master, int64_t n, int64_t height, const uint32_t *position, int far,
                           int64_t block, int64_t n_rows, void *forward, void *transpose, float *row_scale)
{
    enum { CHUNK = PAIR > TILE_SIZE ? PAIR : TILE_SIZE };
    (void)row_scale;
    if (STORES_MASTER) forward = 0; /* fp32 products read the master weights themselves */
    if (!forward && !transpose) return;
    for (int64_t i = 0; i < n * height; i += CHUNK) {
        const int64_t m = n * height - i < CHUNK ? n * height - i : CHUNK;
        STORE buffer[CHUNK];
        unrolled_for (int j = 0; j < CHUNK; j += PAIR)
            store_pair(buffer + j, load_partial(master + i + j, m - j),
                       load_partial(master + i + j + WIDTH, m - j - WIDTH));
        copy_weights(buffer, CHUNK, i, m, n, height, position, far, block, n_rows, forward, transpose);
    }
}

static float encode_terms(const float *x, int64_t n, int stochastic, uint64_t seed, void *terms)
{
    (void)stochastic, (void)seed;
    for (int64_t i = 0; i < n; i += PAIR) {
        STORE stored[PAIR];
        store_pair(stored, load(x + i), load(x + i + WIDTH));
        store_terms((wide_t *)terms + i, stored);
    }
    return 1.0f;
}

static float encode_row(const float *values, int64_t n, int stochastic, uint64_t seed, void *row)
{
    float multiplier = 1.0f;
#if DELTA_EXPONENT
    float maximum = 0.0f;
    for (int64_t i = 0; i < n; i++)
        maximum = __builtin_fabsf(values[i]) > maximum ? __builtin_fabsf(values[i]) : maximum;
    multiplier = delta_multiplier(maximum);
#endif
    for (int64_t i = 0; i < n; i += PAIR) {
        STORE stored[PAIR];
        store_pair(stored, load(values + i) * multiplier, load(values + i + WIDTH) * multiplier);
        store_terms((row_t *)row + i, stored);
#if DELTA_EXPONENT
        float *r = (float *)row + i;
        store(r, load(r) * (1.0f / multiplier)), store(r + WIDTH, load(r + WIDTH) * (1.0f / multiplier));
#endif
    }
    (void)stochastic, (void)seed;
    return 1.0f;
}

/* Products of a sparse row's weights with a term. */
typedef float sum_t;
INLINE void multiply(const STORE *weights, wide_t term, float *products)
{
    store(products, load_vector(weights) * term_value(term));
}
INLINE void finish_sums(float *sums, int64_t n) { (void)sums, (void)n; }
#undef PAIR
