"""C declarations of kernels.h."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t


cdef extern from "kernels.h" nogil:
    enum:
        SN_LANES
        SN_PART
        SN_BLOCK_HEIGHT
        SN_STRIP_PAIR
        SN_STRIP
        SN_TILE_BYTES
        SN_N_FORMATS
        SN_N_ACTIVATIONS
        SN_N_LOSSES
        SN_N_SOLVERS
        SN_IDENTITY
        SN_ROWS
        SN_BLOCKS
        SN_BLOCK_COLUMNS
        SN_DENSE
        SN_WINDOWS

    ctypedef struct sn_format:
        const char *name
        double largest
        int has_scales
        int is_own_storage
        int stores_rows_at_once
        int stores_deltas_at_once

    ctypedef struct sn_activation:
        const char *name
        int is_signed
        int keeps_derivative

    ctypedef struct sn_loss:
        const char *name
        const char *out_activation
        int is_of_codes
        int is_mean
        const char *classifier
        const char *parameter

    ctypedef struct sn_solver:
        const char *name
        int n_moments
        bint is_adam

    const sn_format *sn_formats
    const sn_activation *sn_activations
    const sn_loss *sn_losses
    const sn_solver *sn_solvers

    ctypedef struct sn_matrix:
        int64_t n_blocks
        int64_t n_columns
        int64_t height
        int layout
        const int64_t *indptr
        const void *indices
        int wide
        void *weights
        int64_t n_tiles
        int64_t tile_columns
        int64_t *tile_starts
        int by_strips
        int lane_alone

    ctypedef struct sn_optimizer:
        int solver
        int nesterov
        int64_t n_cohorts
        const float *learning_rate
        float beta_1
        float beta_2
        float epsilon
        float momentum
        float alpha
        float inv_weight
        float kept

    ctypedef struct sn_steps:
        const float *rates
        int64_t stride
        const float *inv_weight
        const float *kept
        const float *growth
        const float *averaged

    ctypedef struct sn_feature_state:
        float *values
        int64_t planes
        int64_t stride
        int64_t fan_out
        const uint16_t *cohort

    ctypedef struct sn_panel_loss:
        int loss
        int64_t n_outputs
        const void *target
        const float *weight
        const float *parameters
        float *largest

    ctypedef struct sn_format_kernels:
        int activation_size
        int delta_size
        int operand_size
        int weight_size
        int weight_group
        int tile_columns
        int turned_size
        int term_size
        int row_size
        int signed_offset
        int window_rows
        void (*spmm)(const sn_matrix *w, int64_t tile, int64_t begin, int64_t end,
                     const void *x, bint is_signed, int lanes,
                     float *out) noexcept nogil
        void (*tile_samples)(const void *x, int64_t n, bint is_signed,
                             void *samples) noexcept nogil
        void (*first_lane)(const void *x, int64_t n, int64_t stride, bint is_signed,
                           void *lane) noexcept nogil
        float (*encode_sample)(const float *z, int64_t n, bint is_signed,
                               void *x) noexcept nogil
        void (*spmv)(const sn_matrix *w, int64_t tile, const void *x, bint is_signed,
                     float *out) noexcept nogil
        int64_t (*cut_windows)(const sn_matrix *w, int64_t n_rows, int64_t *indptr,
                               uint32_t *columns, void *weights) noexcept nogil
        void (*turn)(const void *x, int64_t n, void *turned) noexcept nogil
        void (*sddmm)(const void *indices, int wide, int64_t n, int64_t height,
                      const void *deltas, const void *const *x,
                      int64_t n_samples, bint is_signed, const float *factor,
                      const int32_t *correction, const float *const *ahead,
                      float *gradient) noexcept nogil
        void (*sddmm_panel)(const sn_matrix *m, int64_t begin, int64_t end,
                            const void *kept, const float *delta_scale, const void *x,
                            const float *x_scale, int is_signed, uint64_t seed,
                            float *gradient, float *bias_gradient) noexcept nogil
        void (*sddmm_strips)(const sn_matrix *m, int64_t block, void *deltas,
                             const void *const *x, int64_t n_samples,
                             const float *factor, const int32_t *correction,
                             float *gradient)noexcept nogil
        int *strip_percent
        int *spmm_strip_percent
        bint (*encode)(const float *z, int64_t n_rows, bint is_signed, int lanes,
                       void *x, float *scale) noexcept nogil
        void (*decode)(const void *x, int64_t n_rows, bint is_signed,
                       const float *scale, float *z) noexcept nogil
        void (*encode_deltas)(const float *z, int64_t n_rows,
                              const float *row_scale, int packed, uint64_t seed,
                              void *kept, void *operand, float *scale) noexcept nogil
        float (*prepare)(const void *const *kept, int64_t n_panels,
                         const float *const *delta_scale,
                         const float *const *x_scale, bint is_signed, uint64_t seed,
                         void *deltas, float *factor,
                         int32_t *correction) noexcept nogil
        void (*encode_weights)(const float *master, int64_t n, int64_t height,
                               const uint32_t *position, int far, int64_t block,
                               int64_t n_rows, void *forward, void *transpose,
                               float *row_scale) noexcept nogil
        void (*write_weights)(const void *stored, int64_t n, int64_t height,
                              const uint32_t *position, int64_t block, int64_t n_rows,
                              void *forward, void *transpose) noexcept nogil
        void (*read_weights)(const void *forward, int64_t n, int64_t height,
                             int64_t block, void *stored) noexcept nogil
        float (*encode_terms)(const float *x, int64_t n, int stochastic,
                              uint64_t seed, void *terms) noexcept nogil
        float (*encode_row)(const float *values, int64_t n, int stochastic,
                            uint64_t seed, void *row) noexcept nogil
        void (*sum_rows)(const uint32_t *indices, const void *terms, int64_t n,
                         const void *table, int64_t row_bytes, int encoded,
                         int64_t n_units, float *out) noexcept nogil
        void (*sum_sparse_rows)(const uint32_t *indices, const void *terms,
                                int64_t n, const void *table, int64_t row_bytes,
                                const void *connections, int wide, int64_t fan_out,
                                int64_t height, int64_t n_units,
                                float *out)noexcept nogil
        void (*sum_at_connections)(const uint32_t *indices, const void *terms,
                                   int64_t n, const void *table, int64_t row_bytes,
                                   const void *connections, int wide, int64_t fan_out,
                                   int64_t height, float *out)noexcept nogil

    ctypedef struct sn_thread_state:
        pass

    ctypedef struct sn_kernels:
        const char *name
        const sn_format_kernels **format
        void (*enter)(sn_thread_state *before) noexcept nogil
        void (*leave)(const sn_thread_state *before) noexcept nogil
        void (*pack)(const void *x, int double_precision, int64_t n_features,
                     const int64_t *rows, int n, float *z) noexcept nogil
        void (*activate)(int activation, float *z, int64_t n_rows,
                         const float *bias, const float *row_scale,
                         const float *lane_scale, int lanes,
                         float *derivative) noexcept nogil
        void (*activate_sample)(int activation, float *z, int64_t n, const float *bias,
                                const float *row_scale, float scale) noexcept nogil
        void (*chain)(int activation, float *z, const float *a, int64_t n_rows,
                      const float *lane_scale) noexcept nogil
        void (*output)(int loss, float *z, int64_t n_outputs) noexcept nogil
        void (*rate)(sn_panel_loss *p, float *z, int64_t row,
                     int64_t n_rows) noexcept nogil
        double (*loss)(sn_panel_loss *p) noexcept nogil
        void (*deltas)(const sn_panel_loss *p, float *z, int64_t row,
                       int64_t n_rows) noexcept nogil
        void (*drop)(float *z, int64_t n_rows, int64_t row, uint32_t threshold,
                     uint64_t seed) noexcept nogil
        double (*sum_of_squares)(const float *x, int64_t n,
                                 float factor) noexcept nogil
        void (*update)(const sn_optimizer *o, const uint16_t *cohort, int64_t n,
                       float *parameter, const float *gradient, float *first,
                       float *second) noexcept nogil
        void (*advance)(const sn_optimizer *o, const sn_feature_state *f,
                        const sn_steps *steps, int64_t n, const uint32_t *features,
                        const uint32_t *begin, const uint32_t *end,
                        const float *gradient) noexcept nogil

    const sn_kernels *sn_kernels_best()
    const sn_kernels *sn_kernels_by_name(const char *name)
    const char *sn_isa_name(int i)
