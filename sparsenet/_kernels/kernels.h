/* What the Cython engine and the compute kernels agree on.
 *
 * A *panel* is 64 samples, stored feature by feature: x[feature][64]. A sample is a SIMD lane, so that every
 * product is a vertical operation and a sample's result depends on nothing but its own lane.
 *
 * Kernels validate nothing, allocate nothing and know nothing of threads. One table of them is compiled per
 * instruction set and number format (the files of units, for each header of isa) from the same bodies; isa/dispatch.c chooses a table for the processor it finds.
 */
#ifndef SPARSENET_KERNELS_H
#define SPARSENET_KERNELS_H

#include <stdint.h>
#include "registry.h"

#define SN_LANES 64
/* Rows that are multiplied before their epilogue runs over them: 8 KB of fp32, which stay in L1. */
#define SN_PART 32
/* Neighbouring rows that share their columns, where a layer is made of blocks. */
#define SN_BLOCK_HEIGHT 4
/* Neighbouring rows that AMX multiplies at a time, those of a tile register, whose rows have so many bytes; the weight
 * gradient takes two strips. */
#define SN_STRIP 16
#define SN_STRIP_PAIR 32
#define SN_TILE_BYTES 64

/* How a matrix is stored.
 *   SN_ROWS           CSR
 *   SN_BLOCKS         CSR over blocks of rows, the weights of a column of a block side by side (see weight_group)
 *   SN_BLOCK_COLUMNS  the transpose of that: CSR whose indices name blocks of columns, their weights side by side
 *   SN_DENSE          blocks of rows with all columns: no index is stored
 *   SN_WINDOWS        for one sample: CSR over groups of rows, whose indices (uint32_t) name the first columns of windows
 *                     (see cut_windows) */
enum { SN_ROWS, SN_BLOCKS, SN_BLOCK_COLUMNS, SN_DENSE, SN_WINDOWS };

/* A matrix as the products read it. The forward product reads the layer's own order, the input gradient reads the
 * same weights in the order of the transpose. */
typedef struct {
    int64_t n_blocks; /* of rows, or rows */
    int64_t n_columns;
    int64_t height; /* rows of a block: 1 or SN_BLOCK_HEIGHT; SN_WINDOWS: window_rows */
    int layout;
    const int64_t *indptr; /* n_blocks + 1 offsets into indices, or where they would be */
    const void *indices;   /* uint16_t, or uint32_t if `wide`; SN_DENSE: NULL */
    int wide;
    void *weights; /* compute copy in the layer's number format */
    /* Tiles of neighbouring columns, whose samples stay in a cache: L1 if SN_DENSE, else L2. */
    int64_t n_tiles;
    int64_t tile_columns;
    int64_t *tile_starts; /* not SN_DENSE: [n_tiles + 1][n_blocks] offsets into indices; NULL: one tile,
                           * as SN_BLOCKS has, whose weights are grouped from a block's start on */
    int by_strips;  /* not SN_DENSE: written out as strips while it is multiplied; x is tile_samples of all columns */
    int lane_alone; /* spmv may read it, and spmm of one lane does: first_lane of the columns of a tile */
} sn_matrix;

/* One step of the optimizer. Weights that came into being at the same step are a cohort: Adam corrects the bias of
 * their moments by their age. Cohort 0 is as old as the network. */
typedef struct {
    int solver;
    int nesterov;
    int64_t n_cohorts;
    const float *learning_rate; /* [n_cohorts]; Adam: with the bias corrections of this step folded in */
    float beta_1, beta_2, epsilon;
    float momentum;
    float alpha;      /* L2 */
    float inv_weight; /* 1 / sum of the step's sample weights */
    float kept;       /* Adam: what decoupled weight decay leaves of a weight; without it, 1 */
} sn_optimizer;

/* Numbers of each step of a pass. */
typedef struct {
    const float *rates; /* [step][stride], as sn_optimizer.learning_rate; 0 of a cohort that came later */
    int64_t stride;
    const float *inv_weight;
    const float *kept;     /* NULL: no weight decays */
    const float *growth;   /* the largest rate from this step on, over that of this step; bias corrections aside */
    const float *averaged; /* what stays of the running average of a parameter; NULL: there is none */
} sn_steps;

/* The parameters of a layer that is stored by feature. */
typedef struct {
    /* [n_features][planes][stride]: weights, the optimizer's moments, and where sn_steps has it the running average;
     * zero behind fan_out */
    float *values;
    int64_t planes;
    int64_t stride;
    int64_t fan_out;
    const uint16_t *cohort; /* [n_features][fan_out], readable behind its end; NULL: all are of cohort 0 */
} sn_feature_state;

/* The loss of a panel: what it is of, and what is known of each lane. */
typedef struct {
    int loss;
    int64_t n_outputs;
    const void *target;      /* [n_outputs][64], or class codes int32[64] for losses of those */
    const float *weight;     /* [64] */
    const float *parameters; /* [n_outputs] the loss's, zeros where it has none */
    float losses[SN_LANES];  /* without the weight */
    /* Losses of codes: */
    float *largest;        /* [1 + parts][64] largest logits before each part, and in the end, */
    float sum[SN_LANES];   /* and the sum of exp(logit - the largest), both of all classes but the correct one */
    float logit[SN_LANES]; /* of the correct class */
    float sum_of_logits[SN_LANES]; /* where targets are smoothed */
    float others[SN_LANES];        /* deltas over exponentials, */
    float share[SN_LANES];         /* less this, */
    float correct[SN_LANES];       /* but for the correct class's */
} sn_panel_loss;

/* Kernels that depend on the number format. */
typedef struct {
    int activation_size; /* bytes of a stored activation, and of the operand of an input gradient */
    int delta_size;      /* bytes of a delta kept for the weight gradient */
    int operand_size;    /* bytes of a delta as the weight gradient's product reads it */
    int weight_size;     /* bytes of a weight's compute copy */
    int weight_group;    /* columns of a block whose weights are stored row by row (a product's step) */
    int tile_columns;    /* most columns of a tile of a dense layer; 0: all */
    int turned_size;     /* bytes of a column of a turned panel */
    int term_size;       /* bytes of a term of sum_rows */
    int row_size;        /* bytes of a value that encode_row writes */
    int signed_offset;   /* what is added to a stored value that may be negative (int8) */
    int window_rows;     /* rows of a group of SN_WINDOWS; 0: there is no such layout */

    /* out[row][64] = sum over a row's non-zeros of weight * x[column][64], for the rows of blocks begin..end.
     * They sum one tile of columns, and tiles after the first add to `out`. Of a dense matrix x has the samples of
     * that tile, made by tile_samples where the format has it. Where there are strips, `begin` is the first block of
     * one, and all rows of the last one are written. `is_signed`: x may be negative, as in all that follows. Only the
     * first `lanes` lanes need be right; the others are finite. The operand of SN_BLOCK_COLUMNS is `packed` by
     * encode_deltas. */
    void (*spmm)(const sn_matrix *w, int64_t tile, int64_t begin, int64_t end, const void *x, int is_signed, int lanes,
                 float *out);
    /* The samples of n columns as a tile of a dense layer, or a matrix `by_strips`, reads them: fp32, or for strips the
     * size that they are stored in, n rounded up to the columns of a register. NULL: as they are stored. */
    void (*tile_samples)(const void *x, int64_t n, int is_signed, void *samples);
    /* The first lane of n columns, `stride` values apart, as spmm of one lane reads them, for a matrix with `lane_alone`:
     * 4 bytes each. */
    void (*first_lane)(const void *x, int64_t n, int64_t stride, int is_signed, void *lane);

    /* One sample, whose values lie side by side, with room for whole panels' rows of them. Its bits are those of a lane.
     *
     * n values as stored; returns their scale (int8). */
    float (*encode_sample)(const float *z, int64_t n, int is_signed, void *x);
    /* As spmm; x is first_lane's, or for SN_WINDOWS encode_sample's. */
    void (*spmv)(const sn_matrix *w, int64_t tile, const void *x, int is_signed, float *out);
    /* The first n_rows rows of a matrix as SN_WINDOWS; the weights of each of its blocks are [n][height], as those of
     * read_weights. Groups of window_rows rows are multiplied at a time, a row in each lane of a vector, in steps: a step
     * has a window of 32 neighbouring columns, and up to four weights of each row in it. `indptr` [groups + 1] and
     * `columns` [steps] are the result's; its `weights` have for each group the sums of the rows' weights (int32), and for
     * each step a vector of places in the window and one of weights, four bytes a row. Returns the number of steps;
     * `columns` NULL: writes `indptr` only. */
    int64_t (*cut_windows)(const sn_matrix *w, int64_t n_rows, int64_t *indptr, uint32_t *columns, void *weights);

    /* Turn a panel of n columns, which has room for whole 64 of them: how the gradient of all columns reads it. */
    void (*turn)(const void *x, int64_t n, void *turned);
    /* gradient[column][row] = factor[row] * (sum over n_samples lanes of the panels of delta * x[column] - correction[row]),
     * at the n columns of one block (`indices` NULL: the first n, of four rows and turned panels). `deltas` is
     * [height][n_panels][64] as prepared by `prepare`: zero in lanes without a sample, which may be read.
     * `ahead`: three arrays like `gradient` that the optimizer reads next, fetched meanwhile; or NULL. */
    void (*sddmm)(const void *indices, int wide, int64_t n, int64_t height, const void *deltas, const void *const *x,
                  int64_t n_samples, int is_signed, const float *factor, const int32_t *correction,
                  const float *const *ahead, float *gradient);
    /* The same of the rows begin..end of SN_ROWS, for one panel, from deltas as kept: all of a layer's, and so are both
     * results. A function of seed and row, too. */
    void (*sddmm_panel)(const sn_matrix *m, int64_t begin, int64_t end, const void *kept, const float *delta_scale,
                        const void *x, const float *x_scale, int is_signed, uint64_t seed, float *gradient,
                        float *bias_gradient);
    /* As sddmm, of one strip or two: the blocks from number `block` on that have SN_STRIP_PAIR rows together, or those that
     * are left, with the deltas, factors and corrections of whole strips; `gradient` is that of one block after another.
     * `deltas` has room for two pairs, a panel for 31 more columns. NULL: the format has no strips; else dense layers are
     * stored by strips, and the gradients of sparse ones are faster so from strip_percent of all connections on (rows,
     * blocks; 0: never). */
    void (*sddmm_strips)(const sn_matrix *m, int64_t block, void *deltas, const void *const *x, int64_t n_samples,
                         const float *factor, const int32_t *correction, float *gradient);
    int strip_percent[2];
    int spmm_strip_percent[3]; /* the same for spmm, sn_matrix.by_strips (rows, blocks, block columns) */

    /* Store n_rows x 64 fp32 values as activations, or at least `lanes` of each row. int8 fills scale[64] (per sample),
     * and values are -127..127; others leave both alone. Returns whether the products have to take values as negative:
     * never if not `is_signed`, and if so, in int8 without an offset only where there is such a value. */
    int (*encode)(const float *z, int64_t n_rows, int is_signed, int lanes, void *x, float *scale);
    void (*decode)(const void *x, int64_t n_rows, int is_signed, const float *scale, float *z);

    /* Keep n_rows x 64 fp32 deltas for the weight gradient (in place, kept == z, where they stay fp32). They are
     * also the operand of the input gradient, except in int8, which makes `operand` (if not NULL) from them: times
     * row_scale, rounded stochastically. The input gradient has to be multiplied by scale[64].
     * `packed`: the operand is for a matrix of SN_BLOCK_COLUMNS, and has room for whole blocks. */
    void (*encode_deltas)(const float *z, int64_t n_rows, const float *row_scale, int packed, uint64_t seed, void *kept,
                          void *operand, float *scale);

    /* One row's deltas over all panels, ready for sddmm; `kept` points to its row in each panel, and
     * delta_scale and x_scale to each panel's 64 scales. Returns the sum of the deltas (the bias gradient). */
    float (*prepare)(const void *const *kept, int64_t n_panels, const float *const *delta_scale,
                     const float *const *x_scale, int is_signed, uint64_t seed, void *deltas, float *factor,
                     int32_t *correction);

    /* Compute copies of one block's n columns from its fp32 weights [n][height]; `transpose` is NULL where the layer
     * has none, and `far` where it does not fit L2. Block -1 is one of a sparse layer: the weights of column k go to
     * position[k] of the transpose, in units of `height` weights, and `forward` is the block's. Else its number in a
     * dense layer of n_rows rows, whose copies are passed whole. int8 fills row_scale[height]. */
    void (*encode_weights)(const float *master, int64_t n, int64_t height, const uint32_t *position, int far,
                           int64_t block, int64_t n_rows, void *forward, void *transpose, float *row_scale);
    /* The same from weights [n][height] that are rounded already, and these from `forward`. */
    void (*write_weights)(const void *stored, int64_t n, int64_t height, const uint32_t *position, int64_t block,
                          int64_t n_rows, void *forward, void *transpose);
    void (*read_weights)(const void *forward, int64_t n, int64_t height, int64_t block, void *stored);

    /* Sparse inputs. A term is a non-zero of X; both products of the first layer sum rows of a table that the terms
     * name: a sample's sum reads the weights of its features, a feature's gradient the deltas of its samples. A lane
     * is a unit. Row arrays may be read past a row's end.
     *
     * n values, rounded to the format as the sums read them. int8: to the scale that is returned; stochastic: the
     * rounding is random. */
    float (*encode_terms)(const float *x, int64_t n, int stochastic, uint64_t seed, void *terms);
    /* A row of n values likewise: the deltas of one sample, and in int8 the weights of one feature. */
    float (*encode_row)(const float *values, int64_t n, int stochastic, uint64_t seed, void *row);
    /* out[unit] = sum over the n terms of term * table[index][unit]. `encoded`: rows are encode_row's, else stored
     * ones. Writes up to SN_LANES - 1 units too many. */
    void (*sum_rows)(const uint32_t *indices, const void *terms, int64_t n, const void *table, int64_t row_bytes,
                     int encoded, int64_t n_units, float *out);
    /* The same where feature f reaches the blocks of `height` units connections[f][fan_out / height] only
     * (uint16_t, or uint32_t if `wide`): forward from its stored weights; and its gradient, from rows of deltas. */
    void (*sum_sparse_rows)(const uint32_t *indices, const void *terms, int64_t n, const void *table, int64_t row_bytes,
                            const void *connections, int wide, int64_t fan_out, int64_t height, int64_t n_units,
                            float *out);
    void (*sum_at_connections)(const uint32_t *indices, const void *terms, int64_t n, const void *table,
                               int64_t row_bytes, const void *connections, int wide, int64_t fan_out, int64_t height,
                               float *out);
} sn_format_kernels;

/* What a thread had before its first kernel. */
typedef struct {
    uint32_t denormals;
    uint8_t tiles[64]; /* AMX: the configuration of the tile registers */
} sn_thread_state;

/* Kernels on fp32 values, whatever the number format. */
typedef struct {
    const char *name;
    const sn_format_kernels *format[SN_N_FORMATS];

    /* Around a thread's kernels: denormals are zero meanwhile (moments that decay would otherwise stall). */
    void (*enter)(sn_thread_state *before);
    void (*leave)(const sn_thread_state *before);
    /* Gather n rows of n_features values (fp32, or fp64), convert and transpose them into z[n_features][64]; the other
     * lanes become zero. */
    void (*pack)(const void *x, int double_precision, int64_t n_features, const int64_t *rows, int n, float *z);
    /* z = activation(z * row_scale[row] * lane_scale[lane] + bias[row]), for at least `lanes` lanes; NULL scales are
     * ones. Activations that keep their derivative write it to `derivative` [n_rows][64], unless that is NULL. */
    void (*activate)(int activation, float *z, int64_t n_rows, const float *bias, const float *row_scale,
                     const float *lane_scale, int lanes, float *derivative);
    /* The same of n values of one sample, side by side; a `row_scale` NULL: no scales. */
    void (*activate_sample)(int activation, float *z, int64_t n, const float *bias, const float *row_scale,
                            float scale);
    /* z *= lane_scale[lane] * activation'(.), the derivative computed from the activations a, or a itself where it is
     * kept. */
    void (*chain)(int activation, float *z, const float *a, int64_t n_rows, const float *lane_scale);
    /* Logits in, output activations out (softmax over the n_outputs rows of each lane, or per element). */
    void (*output)(int loss, float *z, int64_t n_outputs);
    /* The loss of a panel in three steps, so that outputs are rated while they are in L1 and become deltas,
     * d(loss)/d(logit) * weight, where those are read. `z` has n_rows rows of outputs, from number `row` on, which is the
     * first of a part; parts come in order.
     * rate: logits -> what `deltas` wants; loss: after all of them, the weighted sum over the 64 lanes. */
    void (*rate)(sn_panel_loss *p, float *z, int64_t row, int64_t n_rows);
    double (*loss)(sn_panel_loss *p);
    void (*deltas)(const sn_panel_loss *p, float *z, int64_t row, int64_t n_rows);
    /* z = 0 with the probability `threshold` / 2^16, else z divided by the probability of the rest: rows `row` to
     * row + n_rows - 1 of a panel. A function of seed, row and lane. */
    void (*drop)(float *z, int64_t n_rows, int64_t row, uint32_t threshold, uint64_t seed);
    /* Of factor * x[i]: the squares of the numbers themselves may be out of range. */
    double (*sum_of_squares)(const float *x, int64_t n, float factor);
    /* Optimizer step for n parameters: `first` is Adam's m or SGD's velocity, `second` Adam's v; `cohort` is that
     * of each parameter (NULL: all are of cohort 0), and may be read past its end. */
    void (*update)(const sn_optimizer *o, const uint16_t *cohort, int64_t n, float *parameter, const float *gradient,
                   float *first, float *second);
    /* Steps begin[i] to end[i] - 1 of the parameters of n features, in place, as `update` would do them: the first with
     * the gradient [n][stride], or without one if that is NULL, the others without. Neighbours should have about as
     * many steps to do. */
    void (*advance)(const sn_optimizer *o, const sn_feature_state *f, const sn_steps *steps, int64_t n,
                    const uint32_t *features, const uint32_t *begin, const uint32_t *end, const float *gradient);
} sn_kernels;

/* isa/dispatch.c */
const sn_kernels *sn_kernels_best(void);
const sn_kernels *sn_kernels_by_name(const char *name); /* NULL: not compiled, or this machine lacks it */
const char *sn_isa_name(int i);                         /* NULL past the last one */

#endif
