"""What a network is made of here, and a pass over data: all that passes share."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from sparsenet._kernels.kernels cimport (
    SN_LANES,
    sn_format,
    sn_format_kernels,
    sn_matrix,
    sn_optimizer,
    sn_panel_loss,
)
from sparsenet._kernels.train.input cimport Input
from sparsenet._kernels.train.sparse_first_layer cimport (
    FeatureRun,
    Features,
    FeatureScratch,
)

cdef enum:
    # Elements that must follow each array of weights: kernels read whole vectors.
    PADDING = 64

cdef struct CLayer:
    int64_t n_in
    int64_t n_out
    sn_matrix forward
    sn_matrix alone     # as spmv reads it, if its lane_alone says that it may
    sn_matrix transpose
    int activation      # of its outputs
    bint has_signed_inputs  # they may be negative
    bint in_strips      # its weight gradient takes a pair of strips at a time
    int blocks_at_once  # those of a pair of strips, or one
    float *weights
    float *bias
    float *row_scale
    float *moments[4]
    float *averages[2]  # running averages of weights and biases, or NULLs
    const uint16_t *cohort  # of each weight; NULL: all are as old as the network
    double density
    double young_rate       # learning rate of new weights over that of old ones
    bint far            # the transpose does not fit L2
    const uint32_t *transpose_position  # of each column of a block; NULL: dense

cdef struct Panel:
    void **activations       # inputs of each layer, [n_in][64] stored
    void **turned            # the same, turned (kernels.h), or NULLs
    float **derivatives      # of each layer's outputs, where they are kept, or NULLs
    void **deltas            # of each layer's outputs, [n_out][64] kept
    float *input_scale       # [layer][64]
    float *delta_scale       # [layer][64]
    float *gradients[2]      # of the last layer's weights and biases, or NULLs
    const uint32_t *dropout  # [layer] of 2^16, of its outputs; NULL: none
    uint64_t seed            # where there is dropout, of this step and panel
    sn_panel_loss *rated     # in training, what the loss of its outputs needs, or NULL
    double loss

cdef struct Scratch:         # of one thread
    float *z
    float *z_next
    void *kept               # deltas of the outputs, where no panel keeps them
    float *decoded           # rows of a part
    uint8_t *operand
    void *target             # [n_outputs][64] or int32 codes
    float *weight            # [64]
    sn_panel_loss loss       # of those
    void *tile               # samples as `tile_samples` makes them
    void *prepared           # deltas of one block, or those of a pair of strips twice
    float *gradient          # of one task
    const void **pointers    # 4 arrays of n_panels
    FeatureScratch features

cdef struct Net:
    const sn_format_kernels *ops
    const sn_format *format
    int loss
    const float *loss_parameters  # of each output
    int n_layers
    CLayer *layers
    int few                  # so many rows are done one by one, sooner than as a panel
    bint by_feature          # the first layer is stored by feature: rows are sparse,
    const Features *features  # and this is it

cdef struct Task:
    int layer
    int64_t begin
    int64_t end
    int64_t first            # of its parameters among those of all tasks, with padding

cdef struct Data:            # the training rows
    Input x
    const void *targets
    const float *weights     # NULL: ones
    const int64_t *order
    int64_t n_rows
    int64_t batch_size

cdef struct Memory:
    int64_t n_tasks
    Task *tasks              # of region 2
    Panel *panels
    Scratch *scratch         # one a thread
    float *gradients         # those of all tasks, where they are clipped, or NULL
    double *squares          # [task] sums of them

cdef struct Run:             # a pass over the training rows
    const Net *net
    Data data
    Memory memory
    FeatureRun features
    uint64_t seed
    int panel_threads        # of region 1
    int row_threads          # and 2
    double work              # multiply-adds of a step, about
    # The step
    sn_optimizer step
    const double *learning_rates  # [steps of this pass]
    const double *largest_later   # [steps of this pass] of them from this one on
    const float *averaged    # [steps of this pass] as sn_steps has it, or NULL
    double weight_decay
    double max_norm          # of gradients; 0: they are not clipped
    const uint32_t *dropout  # [layer] of 2^16; NULL: none
    double beta_1
    double beta_2
    double youth             # of weights as old as the network: beta_2 ** steps
    int64_t most_cohorts     # that this pass has room for
    double *decays           # [2][most_cohorts] beta ** age, in steps, of each cohort
    # What is known of the steps of this pass up to `n_weighed`; unless rows are sparse,
    # of one at a time.
    int64_t *first_row
    float *rates             # [layers + 1][step][most_cohorts], those of biases first
    int64_t steps_known      # steps that they have room for
    float *inv_weight        # [step]
    float *kept              # [step] what weight decay leaves, or NULL
    float *growth            # [step] as sn_steps has it
    # How far the pass has come
    int64_t start            # rows done
    int64_t weighed          # rows whose batches have been weighed, for steps to come
    int64_t n_steps          # of all passes
    int64_t steps_here       # of this pass
    int64_t n_weighed        # and those whose batches have been weighed
    double loss
    double total_weight


cdef inline int64_t panels_of(int64_t n_samples) noexcept nogil:
    return (n_samples + SN_LANES - 1) // SN_LANES
