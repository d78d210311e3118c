/* 16 uniform random bits a lane for stochastic rounding, a function of (seed, row, lane) alone: MurmurHash3's finalizer
 * over a counter (A. Appleby, public domain). The first half of a row's lanes takes the upper half of each word, the
 * second half the lower one (a word for each lane: `prepare` took 11 instead of 9 % of an int8 step with blocks). */
INLINE vi random_bits(uint64_t seed, uint32_t row, int vector)
{
    enum { HALF = VECTORS / 2 };
    vu x = splat_uint((row * HALF + vector % HALF) * WIDTH * 2654435769u + (uint32_t)seed);
    vu lane;
    for (int i = 0; i < WIDTH; i++) lane[i] = (uint32_t)i * 2654435769u;
    x = (x + lane) ^ (uint32_t)(seed >> 32);
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    x ^= x >> 16;
    return (vi)(vector < HALF ? x >> 16 : x & 0xffff);
}
/* floor(x + u), u uniform in (0, 1): unbiased. u has 16 bits and is centred in its interval, so that x + u - 1/2 is
 * exact for |x| near 127 and never reaches +-127.5, which would round to a value that is not a signed byte's. */
INLINE vi round_stochastically(vf x, vi bits)
{
    return round_to_int(fma_(to_float(bits), splat(0x1p-16f), x + (0x1p-17f - 0.5f)));
}
