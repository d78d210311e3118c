/* kernels.h, `drop`. Its random bits are those of stochastic rounding, of a seed of its own. */
static void drop(float *z, int64_t n_rows, int64_t row, uint32_t threshold, uint64_t seed)
{
    const float scale = 65536.0f / (65536.0f - (float)threshold);
    const vi least = (vi)splat_uint(threshold);
    for (int64_t r = 0; r < n_rows; r++)
        unrolled_for (int v = 0; v < VECTORS; v++) {
            float *p = z + r * SN_LANES + v * WIDTH;
            const vi bits = random_bits(seed, (uint32_t)(row + r), v);
            store(p, select_float(bits < least, splat(0.0f), load(p) * scale));
        }
}
