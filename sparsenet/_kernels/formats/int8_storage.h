/* int8: everything but the products. Symmetric quantisation to -127..127 with scales that factor out of each
 * product exactly (per output row for weights, per sample for activations and deltas of the input gradient,
 * per output row for deltas of the weight gradient). A stored byte is the value, plus
 * SIGNED_OFFSET where it may be negative. */

INLINE float inverse_or_zero(float x) { return x > 0.0f ? 1.0f / x : 0.0f; }
/* The largest value times its scale's inverse is 127 but for 3 roundings: to the nearest byte nothing need be clamped, and
 * after this shrinking neither when rounding stochastically, which may go up from 127 and anything. */
#define SHRINK (1.0f - 0x1p-20f)

/* Quantise n_rows x 64 values per lane; row_scale multiplies rows first (NULL: ones). `packed`: the bytes of a sample
 * in the four rows of a block lie side by side. Returns whether products have to take values as negative (kernels.h). */
INLINE int quantize_lanes(const float *z, int64_t n_rows, const float *row_scale, int is_signed, const int stochastic,
                          const int packed, uint64_t seed, const int vectors, uint8_t *x, float *scale)
{
    const int32_t offset = is_signed ? SIGNED_OFFSET : 0;
    vf largest[VECTORS], inverse[VECTORS];
    vi signs = splat_int(0); /* of all values together */
    unrolled_for (int v = 0; v < vectors; v++) largest[v] = splat(0.0f);
    for (int64_t r = 0; r < n_rows; r++) {
        const float factor = row_scale ? row_scale[r] : 1.0f;
        unrolled_for (int v = 0; v < vectors; v++)
            largest[v] = vmax(vabs(load(z + r * SN_LANES + v * WIDTH) * factor), largest[v]);
    }
    for (int v = 0; v < vectors; v++) {
        store(scale + v * WIDTH, largest[v] * (1.0f / 127.0f));
        for (int i = 0; i < WIDTH; i++)
            inverse[v][i] = inverse_or_zero(scale[v * WIDTH + i]) * (stochastic ? SHRINK : 1.0f);
    }
    for (int64_t first = 0; first < n_rows; first += SN_BLOCK_HEIGHT) {
        vi four[VECTORS];
        unrolled_for (int h = 0; h < SN_BLOCK_HEIGHT; h++) {
            const int64_t r = first + h;
            if (r == n_rows) break;
            const float factor = row_scale ? row_scale[r] : 1.0f;
            unrolled_for (int v = 0; v < vectors; v++) {
                const vf y = load(z + r * SN_LANES + v * WIDTH) * factor * inverse[v];
                const vi q =
                    offset
                    + (stochastic ? round_stochastically(y, random_bits(seed, (uint32_t)r, v)) : round_to_int(y));
                signs |= q;
                if (!packed) store_bytes(x + r * SN_LANES + v * WIDTH, q);
                else four[v] = h == 0 ? q & 255 : four[v] | (q & 255) << 8 * h;
            }
        }
        if (packed)
            unrolled_for (int v = 0; v < vectors; v++)
                memcpy(x + first * SN_LANES + v * VECTOR_BYTES, &four[v], VECTOR_BYTES);
    }
    return is_signed && (SIGNED_OFFSET || sum_lanes_int(signs < 0) != 0);
}

static int encode(const float *z, int64_t n_rows, int is_signed, int lanes, void *x, float *scale)
{
    if (lanes <= SN_LANES / 2) return quantize_lanes(z, n_rows, NULL, is_signed, 0, 0, 0, VECTORS / 2, x, scale);
    return quantize_lanes(z, n_rows, NULL, is_signed, 0, 0, 0, VECTORS, x, scale);
}

static void decode(const void *x, int64_t n_rows, int is_signed, const float *scale, float *z)
{
    for (int64_t i = 0; i < n_rows * SN_LANES; i += WIDTH) {
        const vi q = values_of((const uint8_t *)x + i, is_signed);
        store(z + i, to_float(q) * load(scale + i % SN_LANES));
    }
}

static void encode_deltas(const float *z, int64_t n_rows, const float *row_scale, int packed, uint64_t seed, void *kept,
                          void *operand, float *scale)
{
    if (kept != z) memcpy(kept, z, n_rows * SN_LANES * sizeof(float));
    if (operand && packed && GROUP == SN_BLOCK_HEIGHT)
        quantize_lanes(z, n_rows, row_scale, 1, 1, 1, seed, VECTORS, operand, scale);
    else if (operand) quantize_lanes(z, n_rows, row_scale, 1, 1, 0, seed, VECTORS, operand, scale);
}

static float prepare(const void *const *kept, int64_t n_panels, const float *const *delta_scale,
                     const float *const *x_scale, int is_signed, uint64_t seed, void *deltas, float *factor,
                     int32_t *correction)
{
    (void)delta_scale;
    vf total = splat(0.0f), largest = splat(0.0f);
    for (int64_t p = 0; p < n_panels; p++)
        for (int i = 0; i < SN_LANES; i += WIDTH) {
            const vf d = load((const float *)kept[p] + i);
            total += d;
            largest = vmax(vabs(d * load(x_scale[p] + i)), largest);
        }
    const float scale = max_lanes(largest) * (1.0f / 127.0f);
    const float inverse = inverse_or_zero(scale) * SHRINK;
    vi sum = splat_int(0);
    for (int64_t p = 0; p < n_panels; p++)
        unrolled_for (int v = 0; v < VECTORS; v++) {
            const vf y = load((const float *)kept[p] + v * WIDTH) * load(x_scale[p] + v * WIDTH) * inverse;
            const vi q = round_stochastically(y, random_bits(seed, (uint32_t)p, v));
            sum += q;
            store_bytes((int8_t *)deltas + p * SN_LANES + v * WIDTH, q);
        }
    *factor = scale;
    *correction = is_signed ? SIGNED_OFFSET * sum_lanes_int(sum) : 0;
    return sum_lanes(total);
}

static void encode_weights(const float *master, int64_t n, int64_t height, const uint32_t *position, int far,
                           int64_t block, int64_t n_rows, void *forward, void *transpose, float *row_scale)
{
    vf largest = splat(0.0f);
    for (int64_t i = 0; i < n * height; i += WIDTH)
        largest = vmax(vabs(load_partial(master + i, n * height - i)), largest);
    vf inverse;
    if (height == 1) {
        row_scale[0] = max_lanes(largest) / 127.0f;
        inverse = splat(inverse_or_zero(row_scale[0]));
    } else { /* WIDTH is a multiple of the height, so a lane always holds the same row of the block */
        for (int64_t h = 0; h < height; h++) {
            float maximum = 0.0f;
            for (int i = (int)h; i < WIDTH; i += SN_BLOCK_HEIGHT) maximum = largest[i] > maximum ? largest[i] : maximum;
            row_scale[h] = maximum / 127.0f;
        }
        for (int i = 0; i < WIDTH; i++) inverse[i] = inverse_or_zero(row_scale[i % SN_BLOCK_HEIGHT]);
    }
    for (int64_t i = 0; i < n * height; i += TILE_SIZE) {
        const int64_t m = n * height - i < TILE_SIZE ? n * height - i : TILE_SIZE;
        int8_t buffer[TILE_SIZE];
        unrolled_for (int j = 0; j < TILE_SIZE; j += WIDTH)
            store_bytes(buffer + j, round_to_int(load_partial(master + i + j, m - j) * inverse));
        copy_weights(buffer, TILE_SIZE, i, m, n, height, position, far, block, n_rows, forward, transpose);
    }
}

/* n values with one scale for all of them, as signed bytes plus an offset. */
INLINE float quantize_values(const float *x, int64_t n, int offset, int stochastic, uint64_t seed, uint8_t *bytes)
{
    vf largest = splat(0.0f);
    for (int64_t i = 0; i < n; i += WIDTH) largest = vmax(vabs(load_partial(x + i, n - i)), largest);
    const float scale = max_lanes(largest) * (1.0f / 127.0f),
                inverse = inverse_or_zero(scale) * (stochastic ? SHRINK : 1.0f);
    for (int64_t i = 0; i < n; i += WIDTH) {
        const vf y = load_partial(x + i, n - i) * inverse;
        const vi q =
            stochastic
                ? round_stochastically(y, random_bits(seed, (uint32_t)(i / SN_LANES), (int)(i % SN_LANES / WIDTH)))
                : round_to_int(y);
        store_bytes(bytes + i, q + offset);
    }
    return scale;
}

static float encode_sample(const float *z, int64_t n, int is_signed, void *x)
{
    return quantize_values(z, n, is_signed ? SIGNED_OFFSET : 0, 0, 0, x);
}

static float encode_terms(const float *x, int64_t n, int stochastic, uint64_t seed, void *terms)
{
    wide_t *wide = terms;
    if (sizeof *wide == 1) return quantize_values(x, n, 0, stochastic, seed, terms);
    /* In place, from the last to the first: the bytes lie at the front. */
    const float scale = quantize_values(x, n, 0, stochastic, seed, terms);
    const int8_t *bytes = terms;
    for (int64_t i = n - 1; i >= 0; i--) wide[i] = bytes[i];
    return scale;
}

static float encode_row(const float *values, int64_t n, int stochastic, uint64_t seed, void *row)
{
    return quantize_values(values, n, SIGNED_OFFSET, stochastic, seed, row);
}

typedef int32_t sum_t;
typedef uint8_t row_t;
INLINE int32_t term_value(int32_t term) { return term; }
INLINE int32_t row_value(uint8_t value) { return value_of(value, 1); }
INLINE void multiply(const uint8_t *weights, int32_t term, int32_t *products)
{
    const vi p = values_of(weights, 1) * term;
    memcpy(products, &p, sizeof p);
}
INLINE void finish_sums(float *sums, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t sum;
        memcpy(&sum, sums + i, sizeof sum);
        sums[i] = (float)sum;
    }
}
