/* Sums of WIDTH vectors at once, fp32 or int32: SUM_FOUR of each four, then SUM_ALL of those: lane i is the sum of the
 * lanes of vector i. Transposes while it adds, 3 operations for every addition that a lane-by-lane sum would need WIDTH
 * of. */
#if WIDTH == 16
#define LOW_HALVES 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define HIGH_HALVES 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define LOW_PAIRS 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH_PAIRS 1, 9, 3, 11, 5, 13, 7, 15
#define EVEN_QUARTERS 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define ODD_QUARTERS 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#elif WIDTH == 8
#define LOW_HALVES 0, 8, 1, 9, 4, 12, 5, 13
#define HIGH_HALVES 2, 10, 3, 11, 6, 14, 7, 15
#define LOW_PAIRS 0, 4, 2, 6
#define HIGH_PAIRS 1, 5, 3, 7
#define EVEN_QUARTERS 0, 1, 2, 3, 8, 9, 10, 11
#define ODD_QUARTERS 4, 5, 6, 7, 12, 13, 14, 15
#else
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#define LOW_PAIRS 0, 2
#define HIGH_PAIRS 1, 3
#endif
#define ADD_SHUFFLED(a, b, first, second) (SHUFFLE(a, b, first) + SHUFFLE(a, b, second))
#ifndef SUM_FOUR
#define SUM_FOUR(v) /* each quarter of 128 bits sums itself */                               \
    ({                                                                                       \
        const __typeof__((v)[0]) a_ = ADD_SHUFFLED((v)[0], (v)[1], LOW_HALVES, HIGH_HALVES); \
        const __typeof__((v)[0]) b_ = ADD_SHUFFLED((v)[2], (v)[3], LOW_HALVES, HIGH_HALVES); \
        SHUFFLE_PAIRS(a_, b_, LOW_PAIRS) + SHUFFLE_PAIRS(a_, b_, HIGH_PAIRS);                \
    })
#endif
#define SUM_QUARTERS(a, b) ADD_SHUFFLED(a, b, EVEN_QUARTERS, ODD_QUARTERS)
#if WIDTH == 16
#define SUM_ALL(four) SUM_QUARTERS(SUM_QUARTERS(four[0], four[1]), SUM_QUARTERS(four[2], four[3]))
#elif WIDTH == 8
#define SUM_ALL(four) SUM_QUARTERS(four[0], four[1])
#else
#define SUM_ALL(four) four[0]
#endif

/* A 4 x 4 transpose of quarters of 128 bits, after an interleave within each has left four neighbours together. */
INLINE void order_quads(vi *v)
{
#if WIDTH == 16
#define FIRST_HALVES 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define SECOND_HALVES 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
    const vi a = SHUFFLE(v[0], v[1], FIRST_HALVES), b = SHUFFLE(v[2], v[3], FIRST_HALVES);
    const vi c = SHUFFLE(v[0], v[1], SECOND_HALVES), d = SHUFFLE(v[2], v[3], SECOND_HALVES);
    v[0] = SHUFFLE(a, b, EVEN_QUARTERS), v[1] = SHUFFLE(a, b, ODD_QUARTERS);
    v[2] = SHUFFLE(c, d, EVEN_QUARTERS), v[3] = SHUFFLE(c, d, ODD_QUARTERS);
#elif WIDTH == 8
    const vi a = v[0], b = v[1], c = v[2], d = v[3];
    v[0] = SHUFFLE(a, b, EVEN_QUARTERS), v[1] = SHUFFLE(c, d, EVEN_QUARTERS);
    v[2] = SHUFFLE(a, b, ODD_QUARTERS), v[3] = SHUFFLE(c, d, ODD_QUARTERS);
#else
    (void)v;
#endif
}

/* WIDTH columns of four rows -> the same column by column. */
INLINE void interleave_rows(vf *rows)
{
    const vf a = SHUFFLE(rows[0], rows[1], LOW_HALVES), b = SHUFFLE(rows[2], rows[3], LOW_HALVES);
    const vf c = SHUFFLE(rows[0], rows[1], HIGH_HALVES), d = SHUFFLE(rows[2], rows[3], HIGH_HALVES);
    vi v[4] = {(vi)SHUFFLE_PAIRS(a, b, LOW_PAIRS), (vi)SHUFFLE_PAIRS(a, b, HIGH_PAIRS),
               (vi)SHUFFLE_PAIRS(c, d, LOW_PAIRS), (vi)SHUFFLE_PAIRS(c, d, HIGH_PAIRS)};
    order_quads(v);
    unrolled_for (int i = 0; i < 4; i++) rows[i] = (vf)v[i];
}

/* Transpose WIDTH vectors of WIDTH values: within quarters of 128 bits, then the quarters. */
INLINE void transpose_square(vf *v)
{
    vf columns[WIDTH]; /* of each four rows: those of numbers 0, 1, 2, 3 modulo 4 */
    unrolled_for (int r = 0; r < WIDTH; r += 4) {
        const vf a = SHUFFLE(v[r], v[r + 1], LOW_HALVES), b = SHUFFLE(v[r + 2], v[r + 3], LOW_HALVES);
        const vf c = SHUFFLE(v[r], v[r + 1], HIGH_HALVES), d = SHUFFLE(v[r + 2], v[r + 3], HIGH_HALVES);
        columns[r] = SHUFFLE_PAIRS(a, b, LOW_PAIRS), columns[r + 1] = SHUFFLE_PAIRS(a, b, HIGH_PAIRS);
        columns[r + 2] = SHUFFLE_PAIRS(c, d, LOW_PAIRS), columns[r + 3] = SHUFFLE_PAIRS(c, d, HIGH_PAIRS);
    }
    unrolled_for (int c = 0; c < 4; c++) {
#if WIDTH == 16
        const vf even = SHUFFLE(columns[c], columns[4 + c], EVEN_QUARTERS),
                 odd = SHUFFLE(columns[c], columns[4 + c], ODD_QUARTERS);
        const vf even_2 = SHUFFLE(columns[8 + c], columns[12 + c], EVEN_QUARTERS);
        const vf odd_2 = SHUFFLE(columns[8 + c], columns[12 + c], ODD_QUARTERS);
        v[c] = SHUFFLE(even, even_2, EVEN_QUARTERS), v[8 + c] = SHUFFLE(even, even_2, ODD_QUARTERS);
        v[4 + c] = SHUFFLE(odd, odd_2, EVEN_QUARTERS), v[12 + c] = SHUFFLE(odd, odd_2, ODD_QUARTERS);
#elif WIDTH == 8
        v[c] = SHUFFLE(columns[c], columns[4 + c], EVEN_QUARTERS),
        v[4 + c] = SHUFFLE(columns[c], columns[4 + c], ODD_QUARTERS);
#else
        v[c] = columns[c];
#endif
    }
}
