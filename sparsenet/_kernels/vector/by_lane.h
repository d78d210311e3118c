/* For instruction sets that have neither masks nor sums over lanes: one lane after another. */
INLINE vf load_partial(const float *p, int64_t n)
{
    if (n >= WIDTH) return load(p);
    vf v = {0};
    for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}
INLINE void store_partial(float *p, vf v, int64_t n)
{
    if (n >= WIDTH) store(p, v);
    else
        for (int64_t i = 0; i < n; i++) p[i] = v[i];
}

#define DEFINE_SUM_LANES(NAME, TYPE, LANE)         \
    INLINE LANE NAME(TYPE a)                       \
    {                                              \
        LANE s = 0;                                \
        for (int i = 0; i < WIDTH; i++) s += a[i]; \
        return s;                                  \
    }
DEFINE_SUM_LANES(sum_lanes, vf, float)
DEFINE_SUM_LANES(sum_lanes_int, vi, int32_t)
#undef DEFINE_SUM_LANES
INLINE float max_lanes(vf a)
{
    float m = a[0];
    for (int i = 1; i < WIDTH; i++) m = a[i] > m ? a[i] : m;
    return m;
}
