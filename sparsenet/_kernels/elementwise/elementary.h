/* Elementary functions on vectors. exp and log follow the Cephes library (S. Moshier): polynomials of degree 5 and 8,
 * errors below 2 ulp. */

/* exp(x) = (1 + r + r^2 p) scale: returns p. */
INLINE vf exp_parts(vf x, vf *r, vf *scale)
{
    /* Below -87.3 the result is denormal, above 88.3 it would not fit the exponent trick: saturate. NaN passes. */
    x = vmax(splat(-87.3f), vmin(splat(88.3f), x));
    const vf magic = splat(12582912.0f), shifted = fma_(x, splat(1.44269504088896341f), magic); /* as round_to_int */
    const vf k = shifted - magic;
    *r = fma_(k, splat(-0.693359375f), x);
    *r = fma_(k, splat(2.12194440e-4f), *r);
    *scale = (vf)(((vi)shifted - (vi)magic + 127) << 23);
    vf p = splat(1.9875691500e-4f);
    p = fma_(p, *r, splat(1.3981999507e-3f));
    p = fma_(p, *r, splat(8.3334519073e-3f));
    p = fma_(p, *r, splat(4.1665795894e-2f));
    p = fma_(p, *r, splat(1.6666665459e-1f));
    return fma_(p, *r, splat(5.0000001201e-1f));
}

INLINE vf vexp(vf x)
{
    vf r, scale;
    const vf p = exp_parts(x, &r, &scale);
    return fma_(p, r * r, r + 1.0f) * scale;
}

/* exp(x) - 1, also accurate near zero, where the difference cancels. */
INLINE vf vexpm1(vf x)
{
    vf r, scale;
    const vf p = exp_parts(x, &r, &scale);
    return fma_(fma_(p, r * r, r), scale, scale - 1.0f);
}

INLINE vf vlog(vf x) /* of positive numbers that are not denormal */
{
    const vi bits = (vi)x;
    vf e = to_float((vi)((vu)bits >> 23) - 126);
    vf m = (vf)((bits & 0x007fffff) | 0x3f000000); /* in [0.5, 1) */
    const vi small = m < 0.707106781186547524f;
    e -= select_float(small, splat(1.0f), splat(0.0f));
    m += select_float(small, m, splat(0.0f)) - 1.0f;
    const vf z = m * m;
    vf p = splat(7.0376836292e-2f);
    p = fma_(p, m, splat(-1.1514610310e-1f));
    p = fma_(p, m, splat(1.1676998740e-1f));
    p = fma_(p, m, splat(-1.2420140846e-1f));
    p = fma_(p, m, splat(1.4249322787e-1f));
    p = fma_(p, m, splat(-1.6668057665e-1f));
    p = fma_(p, m, splat(2.0000714765e-1f));
    p = fma_(p, m, splat(-2.4999993993e-1f));
    p = fma_(p, m, splat(3.3333331174e-1f));
    p = p * m * z;
    p = fma_(e, splat(-2.12194440e-4f), p);
    p = fma_(z, splat(-0.5f), p);
    const vf y = fma_(e, splat(0.693359375f), m + p);
    return select_float(x == x, y, x);
}

/* log(1 + x), also accurate near zero: the rounding of 1 + x is made up for (W. Kahan). */
INLINE vf vlog1p(vf x)
{
    const vf y = 1.0f + x, rounded = y - 1.0f;
    return select_float(rounded == 0.0f, x, vlog(y) * (x / rounded));
}

INLINE vf vlogistic(vf x) { return 1.0f / (1.0f + vexp(-x)); }

INLINE vf vtanh(vf x)
{
    /* 1 - 2 / (exp(2x) + 1) cancels near zero, where the odd polynomial takes over. */
    const vf a = vabs(x), z = x * x;
    vf p = splat(-5.70498872745e-3f);
    p = fma_(p, z, splat(2.06390887954e-2f));
    p = fma_(p, z, splat(-5.37397155531e-2f));
    p = fma_(p, z, splat(1.33314422036e-1f));
    p = fma_(p, z, splat(-3.33332819422e-1f));
    const vf near = fma_(p * z, x, x);
    const vf far = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
    return select_float(a < 0.625f, near, (vf)((vi)far | ((vi)x & (vi)splat_uint(0x80000000u))));
}
