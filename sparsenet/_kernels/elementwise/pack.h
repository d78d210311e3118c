/* From rows of X to a panel. */

/* The first n of WIDTH values of fp32 or fp64, as fp32. */
INLINE vf load_real(const void *x, const int double_precision, int64_t i, int64_t n)
{
    if (!double_precision) return load_partial((const float *)x + i, n);
    if (n >= WIDTH) return load_double((const double *)x + i);
    double last[WIDTH] = {0};
    memcpy(last, (const double *)x + i, n * sizeof(double));
    return load_double(last);
}

INLINE void pack_real(const void *x, const int double_precision, int64_t n_features, const int64_t *rows, int n,
                      float *z)
{
    const int64_t size = double_precision ? sizeof(double) : sizeof(float);
    for (int lane = 0; lane < SN_LANES; lane += WIDTH) {
        const int next = lane + WIDTH < n ? n - lane - WIDTH : 0;
        /* Rows are anywhere in memory: the first ones are fetched as streams, the next ones beside those before. */
        for (int r = 0; lane == 0 && r < WIDTH && r < n; r++)
            for (int64_t byte = 0; byte < n_features * size; byte += 64)
                __builtin_prefetch((const char *)x + rows[r] * n_features * size + byte);
        for (int64_t feature = 0; feature < n_features; feature += WIDTH) {
            const int64_t left = n_features - feature;
            for (int r = 0; r < WIDTH && r < next; r++)
                for (int64_t byte = 0; byte < WIDTH * size; byte += 64)
                    __builtin_prefetch((const char *)x + (rows[lane + WIDTH + r] * n_features + feature) * size + byte,
                                       0, 2);
            vf v[WIDTH];
            unrolled_for (int r = 0; r < WIDTH; r++)
                v[r] = lane + r < n ? load_real((const char *)x + rows[lane + r] * n_features * size, double_precision,
                                                feature, left)
                                    : splat(0.0f);
            transpose_square(v);
            unrolled_for (int f = 0; f < WIDTH; f++)
                if (f < left) store(z + (feature + f) * SN_LANES + lane, v[f]);
        }
    }
}

static void pack(const void *x, int double_precision, int64_t n_features, const int64_t *rows, int n, float *z)
{
    if (double_precision) pack_real(x, 1, n_features, rows, n, z);
    else pack_real(x, 0, n_features, rows, n, z);
}
