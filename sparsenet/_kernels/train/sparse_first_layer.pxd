"""The first layer of a network whose rows are sparse: weights stored by feature."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from sparsenet._kernels.kernels cimport (
    sn_feature_state,
    sn_format_kernels,
    sn_optimizer,
    sn_steps,
)
from sparsenet._kernels.train.input cimport Input
from sparsenet._kernels.train.memory cimport Arena

cdef enum:
    # Parameters that are updated together: their values, moments and gradients stay
    # in L1 (16 bytes each).
    CHUNK = 1024
    # So many steps or more are not told apart when features are sorted by them.
    STEPS = 256

cdef struct Features:
    int64_t n_features
    int64_t n_units
    int64_t height           # units of a block
    const void *connections  # [n_features] rows of blocks; NULL: all units
    int wide                 # connections are uint32
    int64_t connections_bytes   # of a row
    sn_feature_state state
    char *table              # [n_features] rows as the forward product reads them
    int64_t row_bytes
    float *scale             # int8: [n_features]
    uint8_t *seen            # [n_features] since the last round of rewiring, or NULL

cdef struct PlannedBatch:    # a batch's non-zeros in a range, sorted by feature
    int64_t n_touched
    uint32_t *touched        # the features that the batch holds
    uint32_t *offsets        # [n_touched + 1] into samples and values
    uint32_t *until          # [n_touched] the step that needs them next; 0: unknown
    uint32_t *samples
    float *values            # in other formats than int8, as the sums read them
    int64_t capacity         # non-zeros that there is room for

cdef struct FeatureRange:    # neighbouring features
    int64_t begin
    int64_t end
    PlannedBatch *batches    # [window]
    double squares           # sum of them in the step's gradient, where it is clipped

cdef struct Progress:        # of a feature in a pass
    # Steps that it has had, or will have had after the last one it is planned for.
    uint32_t done
    uint32_t place           # its number in that step's batch

cdef struct FeatureScratch:  # of one thread
    uint32_t *indices        # of one row of X, where they are stored in 64 bits
    float *values
    void *terms
    float *rows              # [64][n_units]
    uint32_t *counts         # [features of a range], zero between uses
    int64_t *first           # [batch] where a row of X enters a range
    int64_t *last            # and leaves it
    int64_t last_range       # of which range and batch `last` is; range -1: none
    int64_t last_batch
    uint32_t *touched        # [features of a range] those of a batch
    uint32_t *n_steps        # [features of a range] that they have to take
    uint32_t *sorted         # and their numbers, by that
    uint32_t *features       # of a chunk
    uint32_t *begin          # the steps that each of them takes
    uint32_t *end
    float *gradient
    float *weights
    void *stored

cdef struct FeatureRun:      # a pass over the training rows
    const Features *features
    int64_t n_ranges
    FeatureRange *ranges
    int64_t window           # batches that are planned at a time
    Progress *progress       # [n_features]
    int64_t settled          # steps of this pass before it was settled last
    sn_steps steps           # of this pass
    double clipped           # what the step's gradients are multiplied by
    char *deltas             # [batch] rows, as encode_row makes them
    int64_t delta_bytes
    float *delta_scale       # [batch]
    int out_of_memory

cdef int take_scratch(Arena arena, const Features *f, FeatureScratch *s,
                      int64_t n_terms, int64_t batch, int64_t largest_range) except -1
cdef void release(PlannedBatch *batch) noexcept nogil
cdef void sum_features(const Features *f, const sn_format_kernels *ops,
                       const Input *x, const int64_t *rows, int n,
                       FeatureScratch *s, float *z) noexcept nogil
cdef void keep_rows(const FeatureRun *run, const sn_format_kernels *ops,
                    const float *z, int64_t first_sample, int n, uint64_t seed,
                    FeatureScratch *s) noexcept nogil
cdef void plan(FeatureRun *run, const sn_format_kernels *ops,
               const sn_optimizer *optimizer, const Input *x, const int64_t *rows,
               int64_t n_rows, int64_t step, int64_t learned, int64_t r,
               FeatureScratch *s) noexcept nogil
cdef void learn(FeatureRun *run, const sn_format_kernels *ops,
                const sn_optimizer *optimizer, int64_t step, int64_t end, int64_t r,
                uint64_t seed, FeatureScratch *s) noexcept nogil
cdef double sum_of_squares(const FeatureRun *run, const sn_format_kernels *ops,
                           int64_t step, int64_t r, float factor, uint64_t seed,
                           FeatureScratch *s) noexcept nogil
cdef void settle(FeatureRun *run, const sn_format_kernels *ops,
                 const sn_optimizer *optimizer, int64_t end, bint all_features,
                 int64_t r, FeatureScratch *s) noexcept nogil
cdef void gradient(const FeatureRun *run, const sn_format_kernels *ops,
                   const PlannedBatch *batch, int64_t i, int dense, uint64_t seed,
                   FeatureScratch *s, float *out) noexcept nogil
cdef void prefetch(const Features *f, int64_t feature) noexcept nogil
cdef void write_table(const Features *f, const sn_format_kernels *ops,
                      const uint32_t *features, int64_t n,
                      FeatureScratch *s) noexcept nogil
