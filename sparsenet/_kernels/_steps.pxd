"""What the two regions of a training step share."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from sparsenet._kernels._features cimport FeatureRun, Features, FeatureScratch
from sparsenet._kernels._input cimport Input
from sparsenet._kernels.kernels cimport (
    SN_LANES,
    sn_format,
    sn_format_kernels,
    sn_matrix,
    sn_optimizer,
)

cdef enum:
    # Rows that are multiplied before their epilogue runs over them: 8 KB of fp32,
    # which stay in L1.
    ROWS = 32

cdef struct CLayer:
    int64_t n_in
    int64_t n_out
    sn_matrix forward
    sn_matrix transpose
    int activation      # of its outputs (hidden layers)
    int input_offset    # int8: what is added to its stored inputs
    bint in_strips      # its weight gradient takes a pair of strips at a time
    int blocks_at_once  # those of a pair of strips, or one
    float *weights
    float *bias
    float *row_scale
    float *moments[4]
    const uint16_t *cohort  # of each weight; NULL: all are as old as the network
    bint far            # the transpose does not fit L2
    const uint32_t *transpose_position  # of each column of a block; NULL: dense

cdef struct Panel:
    void **activations       # inputs of each layer, [n_in][64] stored
    void **turned            # the same, turned (kernels.h), or NULLs
    float **derivatives      # of each layer's outputs, where they are kept, or NULLs
    void **deltas            # of each layer's outputs, [n_out][64] kept
    float *input_scale       # [layer][64]
    float *delta_scale       # [layer][64]
    double loss

cdef struct Scratch:         # of one thread
    float *z
    float *z_next
    float *decoded           # ROWS rows
    uint8_t *operand
    void *target             # [n_outputs][64] or int32 codes
    float *weight            # [64]
    void *tile               # samples as `tile_samples` makes them
    void *prepared           # deltas of one block, or those of a pair of strips twice
    float *gradient
    float *bias_gradient
    const void **pointers    # 4 arrays of n_panels
    FeatureScratch features

cdef struct Net:
    const sn_format_kernels *ops
    const sn_format *format
    int loss
    int n_layers
    CLayer *layers
    const Features *features  # of the first layer where rows are sparse, else NULL

cdef struct Task:
    int layer
    int64_t begin
    int64_t end

cdef struct Run:             # a pass over the training rows
    const Net *net
    Input x
    const void *targets
    const float *weights     # NULL: ones
    const int64_t *order
    int64_t n_rows
    int64_t batch_size
    int64_t start            # rows done
    int64_t weighed          # rows whose batches have been weighed, for steps to come
    int64_t n_steps
    uint64_t seed
    double learning_rate
    double beta_1
    double beta_2
    double young_rate
    sn_optimizer step
    double *decays           # [2][n_cohorts] beta ** age, in steps, of each cohort
    # What is known of the steps of this pass up to `n_weighed`; unless rows are sparse,
    # of one at a time.
    int64_t *first_row
    float *rates             # [step][n_cohorts]
    float *inv_weight        # [step]
    int64_t n_tasks
    Task *tasks
    Panel *panels
    Scratch *scratch
    FeatureRun features
    int64_t steps_here       # steps of this pass
    int64_t n_weighed        # and those whose batches have been weighed
    int panel_threads
    int row_threads
    double work              # multiply-adds of a step, about
    double loss
    double total_weight


cdef inline int64_t panels_of(int64_t n_samples) noexcept nogil:
    return (n_samples + SN_LANES - 1) // SN_LANES


cdef void run_steps(Run *run, int64_t n_steps) noexcept nogil
cdef void plan_batch(Run *run, int64_t first_row, int64_t step) noexcept nogil
cdef void run_panels(Run *run, int64_t batch, uint64_t seed) noexcept nogil
cdef void point_to_panels(const Net *net, int l, Panel *panels, int64_t batch,
                          Scratch *s) noexcept nogil
cdef void block_gradient(const Net *net, int l, int64_t first_row, int64_t height,
                         const void *columns, int64_t n, Panel *panels,
                         int64_t batch, uint64_t seed, Scratch *s,
                         const float *const *ahead, float *gradient,
                         float *bias_gradient) noexcept nogil
cdef void encode_blocks(const Net *net, int l, int64_t begin,
                        int64_t end) noexcept nogil
cdef void settle_features(Run *run) noexcept nogil
cdef void predict_panels(const Net *net, const Input *x, int64_t n_rows, Panel *panels,
                         Scratch *scratch, int n_threads, float *out) noexcept nogil
