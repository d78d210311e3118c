"""Features of sparse rows, cut into ranges that threads share; memory of a pass."""

from libc.stdint cimport int64_t

from sparsenet._kernels.train.memory cimport Arena
from sparsenet._kernels.train.network cimport Run
from sparsenet._kernels.train.sparse_first_layer cimport (
    FeatureRange,
    Features,
    PlannedBatch,
    Progress,
    take_scratch,
)

import numpy as np

# Ranges of features for each thread, and at least, but as many for any number of
# threads where sums of squares are theirs; rows of X that tell how often each
# feature is met; and what the update of a feature costs, in non-zeros.
cdef int64_t RANGES_PER_THREAD = 4, MIN_RANGES = 8, CLIPPED_RANGES = 64
SAMPLED_ROWS = 2048
UPDATE_COST = 8.0
# Batches that are planned ahead at most, and the non-zeros of all of them (12 to 20
# bytes each).
cdef int64_t WINDOW = 16
cdef double PLANNED = 1e6


def work_of_features(X, n_features, batch_size):
    """Work of a step for each feature and those before it, by the first rows of X.

    Found once for all passes: it decides who works on a feature, not on what.
    """
    rows = min(X.shape[0], SAMPLED_ROWS)
    counts = np.bincount(X.indices[:X.indptr[rows]], minlength=n_features)
    met = counts * (batch_size / rows)  # in a batch
    return np.cumsum(met + UPDATE_COST * -np.expm1(-met) + 1e-3)


cdef int64_t take_ranges(Arena arena, Run *run, int64_t n_features, work,
                         int n_threads) except -1:
    """Cut the features into ranges of about the same work; returns the largest."""
    cdef int64_t n = max(MIN_RANGES, RANGES_PER_THREAD * n_threads)
    cdef int64_t largest = 0, i
    cdef FeatureRange *part
    if run.memory.gradients != NULL:
        n = CLIPPED_RANGES
    share = work.max() * np.arange(1, n) / n
    ends = np.unique([*np.searchsorted(work, share), n_features])
    ends = ends[ends > 0]
    run.features.n_ranges = len(ends)
    run.features.ranges = <FeatureRange*>arena.take(len(ends) * sizeof(FeatureRange))
    for i in range(len(ends)):
        part = &run.features.ranges[i]
        part.begin = 0 if i == 0 else ends[i - 1]
        part.end = ends[i]
        part.batches = <PlannedBatch*>arena.take(
            run.features.window * sizeof(PlannedBatch))
        largest = max(largest, part.end - part.begin)
    return largest


cdef int start_features(Arena arena, Run *run, const Features *features, X, work,
                        double entries, double most_steps, int n_threads) except -1:
    """Take the memory of a pass over sparse rows, `entries` of X in a batch.

    `work` is that of `work_of_features`; at most `most_steps` are planned.
    """
    cdef int64_t units = (features.n_units + 63) // 64 * 64, largest, longest
    cdef int t
    run.features.features = features
    run.features.window = max(1, <int64_t>min(
        <double>WINDOW, PLANNED / max(entries, 1.0), most_steps))
    run.features.progress = <Progress*>arena.take(
        features.n_features * sizeof(Progress))
    run.features.delta_bytes = units * run.net.ops.row_size
    run.features.deltas = <char*>arena.take(
        run.data.batch_size * run.features.delta_bytes + 512)
    run.features.delta_scale = <float*>arena.take(run.data.batch_size * 4)
    largest = take_ranges(arena, run, features.n_features, work, n_threads)
    longest = np.diff(X.indptr).max()
    for t in range(n_threads):
        take_scratch(arena, features, &run.memory.scratch[t].features, longest,
                     run.data.batch_size, largest)
    return 0
