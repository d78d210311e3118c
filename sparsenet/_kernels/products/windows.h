/* One sample through a sparse layer of int8 (SN_WINDOWS, kernels.h): a lane is a row of the matrix. A row's columns are at
 * random, and fetching a sample's value for each takes a load of the index, one of the value, and what puts four of them
 * together. Here a byte shuffle finds the values of all lanes in a window of columns, which two loads bring: 0.3
 * instructions a weight at density 0.1, in place of five. The rows of a group share the window, which moves on with the
 * slowest of them: at density 0.1, two thirds of the places are filled (8 rows; 60 % with 16), at 0.3 nine tenths. */

enum { WINDOW_COLUMNS = 32, WINDOW_WEIGHTS = 4 };

/* A row that is being cut: its columns that no window had yet, from number `next` to `end` of the matrix. */
typedef struct {
    int64_t next, end;
} cut_t;
INLINE int64_t column_of(const sn_matrix *m, int64_t k)
{
    return m->layout == SN_DENSE ? k % m->n_columns : column_at(m->indices, m->wide, k);
}

static int64_t cut_windows(const sn_matrix *m, int64_t n_rows, int64_t *indptr, uint32_t *columns, void *weights)
{
    int64_t n_steps = 0, group = 0;
    int8_t *out = weights;
    for (int64_t first = 0; first < n_rows; first += WIDTH, group++) {
        const int n_cuts = n_rows - first < WIDTH ? (int)(n_rows - first) : WIDTH;
        cut_t cuts[WIDTH];
        int32_t *sums = (int32_t *)out;
        for (int i = 0; i < n_cuts; i++) {
            const int64_t block = (first + i) / m->height;
            cuts[i] = (cut_t){m->indptr[block], m->indptr[block + 1]};
        }
        indptr[group] = n_steps;
        if (columns) memset(out, 0, VECTOR_BYTES), out += VECTOR_BYTES;
        for (;; n_steps++) {
            int64_t start = m->n_columns;
            for (int i = 0; i < n_cuts; i++)
                if (cuts[i].next < cuts[i].end && column_of(m, cuts[i].next) < start)
                    start = column_of(m, cuts[i].next);
            if (start == m->n_columns) break;
            if (columns) {
                columns[n_steps] = (uint32_t)start;
                memset(out, LOOK_UP_OFFSET, VECTOR_BYTES), memset(out + VECTOR_BYTES, 0, VECTOR_BYTES);
            }
            for (int i = 0; i < n_cuts; i++) {
                cut_t *row = &cuts[i];
                for (int k = 0; k < WINDOW_WEIGHTS && row->next < row->end; k++, row->next++) {
                    const int64_t place = column_of(m, row->next) - start;
                    if (place >= WINDOW_COLUMNS) break;
                    if (!columns) continue;
                    const int8_t weight = ((const int8_t *)m->weights)[row->next * m->height + (first + i) % m->height];
                    out[i * WINDOW_WEIGHTS + k] = (int8_t)(place + LOOK_UP_OFFSET);
                    out[VECTOR_BYTES + i * WINDOW_WEIGHTS + k] = weight;
                    sums[i] += weight;
                }
            }
            if (columns) out += 2 * VECTOR_BYTES;
        }
    }
    indptr[group] = n_steps;
    return n_steps;
}

/* Two steps at a time, so that neither waits for the sums of the other. */
INLINE void spmv_windows(const sn_matrix *m, const uint8_t *x, const int is_signed, float *out)
{
    const int8_t *w = m->weights;
    const uint32_t *columns = m->indices;
    for (int64_t group = 0; group < m->n_blocks; group++) {
        vi sums = load_int(w) * (is_signed ? -SIGNED_OFFSET : 0), others = splat_int(0);
        const int64_t end = m->indptr[group + 1];
        int64_t k = m->indptr[group];
        w += VECTOR_BYTES;
#define STEP(sums, k, w) \
    byte_dot(sums, look_up_bytes(x + columns[k], load_int(w)), load_int((w) + VECTOR_BYTES), is_signed)
        for (; k + 2 <= end; k += 2, w += 4 * VECTOR_BYTES) {
            sums = STEP(sums, k, w);
            others = STEP(others, k + 1, w + 2 * VECTOR_BYTES);
        }
        if (k < end) sums = STEP(sums, k, w), w += 2 * VECTOR_BYTES;
#undef STEP
        store(out + group * WIDTH, to_float(sums + others));
    }
}

static __attribute__((noinline)) void spmv_windows_signed(const sn_matrix *m, const uint8_t *x, float *out)
{
    spmv_windows(m, x, 1, out);
}
static __attribute__((noinline)) void spmv_windows_unsigned(const sn_matrix *m, const uint8_t *x, float *out)
{
    spmv_windows(m, x, 0, out);
}
