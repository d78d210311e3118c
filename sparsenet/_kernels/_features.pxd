"""The first layer of a network whose rows are sparse: weights stored by feature."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

from sparsenet._kernels._input cimport Input
from sparsenet._kernels.kernels cimport sn_format_kernels, sn_optimizer

cdef enum:
    # Parameters that are updated together: their values, moments and gradients, and
    # how long they were absent, stay in L1 (20 bytes each).
    CHUNK = 1024
    # Absences of so many steps or more are not told apart when they are sorted.
    ABSENCES = 64

cdef struct Features:
    int64_t n_features
    int64_t n_units
    int64_t fan_out
    int64_t height           # units of a block
    const void *connections  # [n_features][fan_out / height] blocks; NULL: all units
    int wide                 # connections are uint32
    float *state             # [n_features][planes][stride]: weights, then moments
    int64_t planes
    int64_t stride
    char *table              # [n_features] rows as the forward product reads them
    int64_t row_bytes
    float *scale             # int8: [n_features]
    const uint16_t *cohort   # [n_features][fan_out]; NULL: all are of cohort 0

cdef struct FeatureRange:    # neighbouring features, and one batch's non-zeros there
    int64_t begin
    int64_t end
    int64_t n_touched
    uint32_t *touched        # the features that the batch holds
    uint32_t *offsets        # [n_touched + 1] into samples and values
    uint32_t *samples
    float *values
    int64_t capacity         # of samples and values

cdef struct FeatureScratch:  # of one thread
    uint32_t *indices        # one row of X, or the features of a chunk
    float *values
    void *terms
    float *rows              # [64][n_units]
    uint32_t *counts         # [features of a range], zero between uses
    int64_t *first           # [batch] where a row of X enters a range
    int64_t *last            # and leaves it
    int64_t last_range       # of which range and batch `last` is; range -1: none
    int64_t last_batch
    uint32_t *late           # [features of a range] those that lack steps
    uint32_t *sorted         # and the same by how many they lack
    float *weights           # the parameters of a chunk, feature after feature
    float *moments[2]
    float *gradient
    int32_t *missed
    uint16_t *cohort         # NULL where the features have none
    void *stored

cdef struct FeatureRun:      # a pass over the training rows
    const Features *features
    int64_t n_ranges
    FeatureRange *ranges
    uint32_t *seen           # [n_features] steps of this pass that a feature has had
    const float *rates       # [step][n_cohorts] learning rates of this pass
    float *inv_weight
    char *deltas             # [batch] rows, as encode_row makes them
    int64_t delta_bytes
    float *delta_scale       # [batch]
    int out_of_memory

cdef void sum_features(const Features *f, const sn_format_kernels *ops,
                       const Input *x, const int64_t *rows, int n,
                       FeatureScratch *s, float *z) noexcept nogil
cdef void keep_rows(const FeatureRun *run, const sn_format_kernels *ops,
                    const float *z, int64_t first_sample, int n, uint64_t seed,
                    FeatureScratch *s) noexcept nogil
cdef void plan(FeatureRun *run, const sn_format_kernels *ops,
               const sn_optimizer *optimizer, const Input *x, const int64_t *rows,
               int64_t n_rows, int64_t now, int64_t batch, int64_t r,
               FeatureScratch *s) noexcept nogil
cdef void learn(FeatureRun *run, const sn_format_kernels *ops,
                const sn_optimizer *optimizer, int64_t now, int64_t r, uint64_t seed,
                FeatureScratch *s) noexcept nogil
cdef void settle(FeatureRun *run, const sn_format_kernels *ops,
                 const sn_optimizer *optimizer, int64_t now, int64_t r,
                 FeatureScratch *s) noexcept nogil
cdef void gradient(const FeatureRun *run, const sn_format_kernels *ops,
                   const FeatureRange *part, int64_t i, int dense, uint64_t seed,
                   FeatureScratch *s, float *out) noexcept nogil
cdef void load(const Features *f, const uint32_t *features, int64_t n,
               FeatureScratch *s) noexcept nogil
cdef void save(const Features *f, const sn_format_kernels *ops,
               const uint32_t *features, int64_t n, FeatureScratch *s) noexcept nogil
