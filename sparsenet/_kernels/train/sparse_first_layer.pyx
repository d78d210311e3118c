"""Sparse rows: the first layer's products and updates, feature by feature.

What a step costs goes with the non-zeros of its batch. A sample's sums read the
weights of the features that it holds; a feature's gradient reads the deltas of the
samples that hold it, and its weights are updated at once. A feature that a batch does
not hold costs nothing: what its momentum, second moment and L2 decay do in the
meantime is done all at once.

Batches are planned ahead. A feature that a planned batch holds again takes the steps
until then right after it has learned, so that its parameters are fetched once; others
take them when a batch that holds them is planned. Before a round of rewiring those
follow that have been seen since the last one, and at the end of the pass all.

Features are cut into ranges, which threads share. A range finds its part of a
batch by itself, in the order of the samples, so no sum depends on the threads.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport (
    SN_LANES,
    sn_format_kernels,
    sn_kernels,
    sn_optimizer,
)
from sparsenet._kernels.train.input cimport Input
from sparsenet._kernels.train.memory cimport Arena, allocate
from sparsenet._kernels.train.random cimport row_seed

cdef const sn_kernels *kernels = kernels_in_use()

# Numbers of the rows of a panel.
cdef int64_t[SN_LANES] LANES
for _lane in range(SN_LANES):
    LANES[_lane] = _lane
# Rows of X, entries or features whose memory is fetched so many early.
cdef int64_t AHEAD = 16

cdef extern from "prefetch.h" nogil:
    void sn_prefetch(const void *p, long n_bytes)

cdef extern from *:
    """
    #include <string.h>
    /* A few cache lines: a call of memcpy takes longer. */
    static inline void sn_copy(void *to, const void *from, long bytes)
    {
        long i = 0;
        for (; i + 32 <= bytes; i += 32)
            memcpy((char *)to + i, (const char *)from + i, 32);
        for (; i < bytes; i++) ((char *)to)[i] = ((const char *)from)[i];
    }
    """
    void sn_copy(void *to, const void *source, long n_bytes) noexcept nogil


# Memory ----------------------------------------------------------------------------

cdef int take_scratch(Arena arena, const Features *f, FeatureScratch *s,
                      int64_t n_terms, int64_t batch, int64_t largest_range) except -1:
    """Memory of a thread; `largest_range` is 0 for a prediction."""
    cdef int64_t stride = f.state.stride
    cdef int64_t chunk = max(<int64_t>CHUNK, stride) + 2 * SN_LANES
    cdef int64_t n_features = max(<int64_t>1, CHUNK // stride)
    n_terms = max(n_terms, batch) + 2 * SN_LANES
    s.indices = <uint32_t*>arena.take(n_terms * 4)
    s.values = <float*>arena.take(n_terms * 4)
    s.terms = arena.take(n_terms * 4)
    s.rows = <float*>arena.take((SN_LANES * f.n_units + 128) * 4)
    if largest_range == 0:
        return 0
    s.counts = <uint32_t*>arena.take(largest_range * 4)
    s.touched = <uint32_t*>arena.take((largest_range + 1) * 4)
    s.n_steps = <uint32_t*>arena.take(largest_range * 4)
    s.sorted = <uint32_t*>arena.take(largest_range * 4)
    s.first = <int64_t*>arena.take(batch * 8)
    s.last = <int64_t*>arena.take(batch * 8)
    s.last_range = s.last_batch = -1
    s.features = <uint32_t*>arena.take(n_features * 4)
    s.begin = <uint32_t*>arena.take(n_features * 4)
    s.end = <uint32_t*>arena.take(n_features * 4)
    s.gradient = <float*>arena.take(chunk * 4)
    s.weights = <float*>arena.take(chunk * 4)
    s.stored = arena.take(chunk * 4)
    return 0


cdef int reserve(PlannedBatch *batch, int64_t n_entries) noexcept nogil:
    """Make room for a batch's non-zeros; 0 where there is none."""
    if n_entries <= batch.capacity:
        return 1
    release(batch)
    cdef int64_t n = n_entries + n_entries // 2
    batch.touched = <uint32_t*>allocate(n * sizeof(uint32_t), False)
    batch.offsets = <uint32_t*>allocate((n + 1) * sizeof(uint32_t), False)
    batch.until = <uint32_t*>allocate(n * sizeof(uint32_t), False)
    batch.samples = <uint32_t*>allocate(n * sizeof(uint32_t), False)
    # Padded: terms are made from whole vectors of values.
    batch.values = <float*>allocate((n + SN_LANES) * sizeof(float), False)
    batch.capacity = n
    return (batch.touched != NULL and batch.offsets != NULL and batch.until != NULL
            and batch.samples != NULL and batch.values != NULL)


cdef void release(PlannedBatch *batch) noexcept nogil:
    free(batch.touched)
    free(batch.offsets)
    free(batch.until)
    free(batch.samples)
    free(batch.values)
    memset(batch, 0, sizeof(PlannedBatch))


# Rows of X -------------------------------------------------------------------------

cdef inline int64_t row_begin(const Input *x, int64_t row) noexcept nogil:
    if x.wide:
        return (<const int64_t*>x.indptr)[row]
    return (<const int32_t*>x.indptr)[row]


cdef inline int64_t index_at(const Input *x, int64_t k) noexcept nogil:
    if x.wide:
        return (<const int64_t*>x.indices)[k]
    return (<const int32_t*>x.indices)[k]


cdef inline float value_at(const Input *x, int64_t k) noexcept nogil:
    if x.double_precision:
        return <float>(<const double*>x.data)[k]
    return (<const float*>x.data)[k]


cdef inline void prefetch_entries(const Input *x, int64_t k,
                                  int64_t n) noexcept nogil:
    """n entries from number k on."""
    cdef int64_t index_size = 8 if x.wide else 4
    cdef int64_t value_size = 8 if x.double_precision else 4
    sn_prefetch(<const char*>x.indices + k * index_size, n * index_size)
    sn_prefetch(<const char*>x.data + k * value_size, n * value_size)


cdef inline void prefetch_weights(const Features *f, const Input *x, int64_t begin,
                                  int64_t end, int64_t n_bytes) noexcept nogil:
    """Those of some entries of X, and their connections."""
    cdef int64_t k
    for k in range(begin, end):
        sn_prefetch(f.table + index_at(x, k) * f.row_bytes, n_bytes)
        if f.connections != NULL:
            sn_prefetch(<const char*>f.connections
                        + index_at(x, k) * f.connections_bytes, f.connections_bytes)


cdef inline const uint32_t *row_indices(const Input *x, int64_t begin, int64_t n,
                                        FeatureScratch *s) noexcept nogil:
    cdef int64_t k
    if not x.wide:
        return <const uint32_t*>x.indices + begin
    for k in range(n):
        s.indices[k] = <uint32_t>(<const int64_t*>x.indices)[begin + k]
    return s.indices


cdef inline void read_values(const Input *x, int64_t begin, int64_t n,
                             FeatureScratch *s) noexcept nogil:
    """A copy: terms are made from whole vectors of values."""
    cdef int64_t k
    if x.double_precision:
        for k in range(n):
            s.values[k] = <float>(<const double*>x.data)[begin + k]
    else:
        memcpy(s.values, <const float*>x.data + begin, n * sizeof(float))


cdef inline int64_t lower_bound(const Input *x, int64_t begin, int64_t end,
                                int64_t feature) noexcept nogil:
    """The first entry of a row whose feature is not below `feature`."""
    cdef int64_t middle
    while begin < end:
        middle = (begin + end) // 2
        if index_at(x, middle) < feature:
            begin = middle + 1
        else:
            end = middle
    return begin


# Forward ---------------------------------------------------------------------------

cdef void sum_features(const Features *f, const sn_format_kernels *ops,
                       const Input *x, const int64_t *rows, int n,
                       FeatureScratch *s, float *z) noexcept nogil:
    """z[unit][lane] = sum over a row's non-zeros of value * weight; idle lanes 0.

    z NULL: the sums of each row stay side by side, in s.rows.
    """
    cdef int64_t begin, n_terms, k, unit
    cdef int lane
    cdef float factor
    cdef float *out
    cdef const uint32_t *indices
    for lane in range(n):
        if lane + 2 < n:
            begin = row_begin(x, rows[lane + 2])
            prefetch_entries(x, begin, row_begin(x, rows[lane + 2] + 1) - begin)
        if lane + 1 < n:
            begin = row_begin(x, rows[lane + 1])
            prefetch_weights(f, x, begin,
                             min(row_begin(x, rows[lane + 1] + 1), begin + AHEAD),
                             f.state.fan_out * ops.weight_size)
        begin = row_begin(x, rows[lane])
        n_terms = row_begin(x, rows[lane] + 1) - begin
        indices = row_indices(x, begin, n_terms, s)
        read_values(x, begin, n_terms, s)
        if f.scale != NULL:
            for k in range(n_terms):
                s.values[k] *= f.scale[indices[k]]
        factor = ops.encode_terms(s.values, n_terms, 0, 0, s.terms)
        out = s.rows + lane * f.n_units
        if f.connections == NULL:
            ops.sum_rows(indices, s.terms, n_terms, f.table, f.row_bytes, 0,
                         f.n_units, out)
        else:
            ops.sum_sparse_rows(
                indices, s.terms, n_terms, f.table, f.row_bytes, f.connections, f.wide,
                f.state.fan_out, f.height, f.n_units, out)
        if factor != 1:
            for unit in range(f.n_units):
                out[unit] *= factor
    if z != NULL:
        kernels.pack(s.rows, 0, f.n_units, LANES, n, z)


# Backward --------------------------------------------------------------------------

cdef void keep_rows(const FeatureRun *run, const sn_format_kernels *ops,
                    const float *z, int64_t first_sample, int n, uint64_t seed,
                    FeatureScratch *s) noexcept nogil:
    """Deltas z[unit][lane] of a panel -> one row for each sample."""
    cdef int64_t n_units = run.features.n_units
    cdef int64_t unit, sample
    cdef int lane
    for unit in range(n_units):
        for lane in range(n):
            s.rows[lane * n_units + unit] = z[unit * SN_LANES + lane]
    for lane in range(n):
        sample = first_sample + lane
        run.delta_scale[sample] = ops.encode_row(
            s.rows + lane * n_units, n_units, 1, row_seed(seed, lane),
            run.deltas + sample * run.delta_bytes)


cdef void plan(FeatureRun *run, const sn_format_kernels *ops,
               const sn_optimizer *optimizer, const Input *of, const int64_t *rows,
               int64_t n_rows, int64_t step, int64_t learned, int64_t r,
               FeatureScratch *s) noexcept nogil:
    """Sort the non-zeros of a step's batch in one range by feature.

    The range has learned from the batches of `learned` steps. Features that are not
    planned for one in between are brought up to date. Many parameters: the rows of a
    batch, and where in the run the thread stands.
    """
    cdef FeatureRange *part = &run.ranges[r]
    cdef PlannedBatch *batch = &part.batches[step % run.window]
    cdef Input x = of[0]  # a copy, which no store in the loops can change
    cdef int64_t i, n_entries
    cdef int64_t n_touched = count_entries(
        part, &x, rows, n_rows, s.last_batch == step and s.last_range == r - 1, s,
        &n_entries)
    s.last_batch = step
    s.last_range = r
    if not reserve(batch, n_entries):
        release(batch)
        run.out_of_memory = 1
        # The next range that this thread plans takes the counts for its own.
        for i in range(n_touched):
            s.counts[s.touched[i]] = 0
        n_touched = 0
    batch.n_touched = n_touched
    if n_touched > 0:
        sort_entries(run, part, batch, &x, n_rows, s)
        if run.features.scale == NULL:
            ops.encode_terms(batch.values, n_entries, 0, 0, batch.values)
    catch_up(run, ops, optimizer, announce(run, part, batch, step, learned, s), step, s)


cdef int64_t count_entries(const FeatureRange *part, const Input *x,
                           const int64_t *rows, int64_t n_rows, bint go_on,
                           FeatureScratch *s, int64_t *n_entries) noexcept nogil:
    """Find and count the non-zeros of each feature; returns how many features have any.

    A row's indices ascend: where it left the range before, it enters this one, if the
    thread goes on from that one.
    """
    cdef int64_t n_features = part.end - part.begin, n_touched = 0, b, k, begin, end
    cdef int64_t ahead, feature, total = 0
    cdef uint32_t count
    for b in range(n_rows):
        end = row_begin(x, rows[b] + 1)
        begin = s.last[b] if go_on else lower_bound(x, row_begin(x, rows[b]), end,
                                                    part.begin)
        if not go_on and b + AHEAD < n_rows:
            ahead = row_begin(x, rows[b + AHEAD])
            prefetch_entries(x, ahead, row_begin(x, rows[b + AHEAD] + 1) - ahead)
        k = begin
        while k < end:
            feature = index_at(x, k) - part.begin
            if feature >= n_features:
                break
            count = s.counts[feature]
            s.counts[feature] = count + 1
            # Written in any case: half of the branches would be mispredicted.
            s.touched[n_touched] = <uint32_t>feature
            n_touched += count == 0
            k += 1
        s.first[b] = begin
        s.last[b] = k
        total += k - begin
    n_entries[0] = total
    return n_touched


cdef void sort_entries(const FeatureRun *run, const FeatureRange *part,
                       PlannedBatch *batch, const Input *x, int64_t n_rows,
                       FeatureScratch *s) noexcept nogil:
    """Samples and values of a batch, those of each feature side by side.

    What `announce` reads of each is on its way then.
    """
    cdef int64_t i, b, k, feature
    cdef uint32_t offset = 0, count, place
    for i in range(batch.n_touched):
        feature = s.touched[i]
        count = s.counts[feature]
        batch.offsets[i] = offset
        s.counts[feature] = offset
        offset += count
        sn_prefetch(&run.progress[part.begin + feature], 1)
    batch.offsets[batch.n_touched] = offset
    for b in range(n_rows):
        for k in range(s.first[b], s.last[b]):
            feature = index_at(x, k) - part.begin
            place = s.counts[feature]
            s.counts[feature] = place + 1
            batch.samples[place] = <uint32_t>b
            batch.values[place] = value_at(x, k)


cdef int64_t announce(FeatureRun *run, const FeatureRange *part, PlannedBatch *batch,
                      int64_t step, int64_t learned, FeatureScratch *s) noexcept nogil:
    """Tell each feature's batch before when it is needed next.

    Those that no batch in between holds are too late: they go to `s.touched`, with the
    steps that they lack. Returns how many they are.
    """
    cdef PlannedBatch *before
    cdef Progress *progress
    cdef int64_t n_touched = batch.n_touched, n_late = 0, feature, i
    for i in range(n_touched):
        feature = s.touched[i]
        s.counts[feature] = 0
        feature += part.begin
        batch.touched[i] = <uint32_t>feature
        batch.until[i] = 0
        progress = &run.progress[feature]
        if progress.done > learned:
            before = &part.batches[(progress.done - 1) % run.window]
            before.until[progress.place] = <uint32_t>step
        elif progress.done < step:
            s.touched[n_late] = <uint32_t>feature
            s.n_steps[n_late] = <uint32_t>step - progress.done
            n_late += 1
        progress.done = <uint32_t>step + 1
        progress.place = <uint32_t>i
    return n_late


cdef void learn(FeatureRun *run, const sn_format_kernels *ops,
                const sn_optimizer *optimizer, int64_t step, int64_t end, int64_t r,
                uint64_t seed, FeatureScratch *s) noexcept nogil:
    """The step of the features of a batch, and those until a batch holds them again.

    Until step `end`, where no planned batch holds them.
    """
    cdef const Features *f = run.features
    cdef PlannedBatch *batch = &run.ranges[r].batches[step % run.window]
    cdef int64_t at_once = max(<int64_t>1, CHUNK // f.state.stride)
    cdef int64_t ahead = 2 * at_once  # features whose parameters are on their way
    cdef int64_t chunk = 0, n, i
    cdef uint32_t number
    for i in range(batch.n_touched):
        if batch.until[i] == 0:
            batch.until[i] = <uint32_t>end
            if end > step + 1:
                run.progress[batch.touched[i]].done = <uint32_t>end
        s.n_steps[i] = batch.until[i] - <uint32_t>step
    sort_by_steps(batch.n_touched, s)
    for i in range(min(ahead, batch.n_touched)):
        prefetch(f, batch.touched[s.sorted[i]])
    while chunk < batch.n_touched:
        n = min(at_once, batch.n_touched - chunk)
        for i in range(n):
            if chunk + ahead + i < batch.n_touched:
                prefetch(f, batch.touched[s.sorted[chunk + ahead + i]])
            number = s.sorted[chunk + i]
            s.features[i] = batch.touched[number]
            s.begin[i] = <uint32_t>step
            s.end[i] = <uint32_t>step + s.n_steps[number]
            gradient(run, ops, batch, number, 0, seed, s,
                     s.gradient + i * f.state.stride)
        if run.clipped < 1:
            for i in range(n * f.state.stride):
                s.gradient[i] *= <float>run.clipped
        kernels.advance(optimizer, &f.state, &run.steps, n, s.features, s.begin, s.end,
                        s.gradient)
        write_table(f, ops, s.features, n, s)
        chunk += n


cdef void gradient(const FeatureRun *run, const sn_format_kernels *ops,
                   const PlannedBatch *batch, int64_t i, int dense, uint64_t seed,
                   FeatureScratch *s, float *out) noexcept nogil:
    """Of the i-th feature of a batch; `dense`: at all units, not its own only."""
    cdef const Features *f = run.features
    cdef int64_t begin = batch.offsets[i], n_terms = batch.offsets[i + 1] - begin, k
    cdef const uint32_t *samples = batch.samples + begin
    cdef const void *terms = <const char*>batch.values + begin * ops.term_size
    cdef int64_t feature = batch.touched[i]
    cdef int64_t n_out = f.n_units if dense else f.state.fan_out
    cdef float factor = 1
    if f.scale != NULL:
        for k in range(n_terms):
            s.values[k] = batch.values[begin + k] * run.delta_scale[samples[k]]
        factor = ops.encode_terms(s.values, n_terms, 1, row_seed(seed, feature),
                                  s.terms)
        terms = s.terms
    if dense or f.connections == NULL:
        ops.sum_rows(samples, terms, n_terms, run.deltas, run.delta_bytes, 1,
                     f.n_units, out)
    else:
        ops.sum_at_connections(
            samples, terms, n_terms, run.deltas, run.delta_bytes,
            connections_of(f, feature), f.wide, f.state.fan_out, f.height, out)
    if factor != 1:
        for k in range(n_out):
            out[k] *= factor


cdef double sum_of_squares(const FeatureRun *run, const sn_format_kernels *ops,
                           int64_t step, int64_t r, float factor, uint64_t seed,
                           FeatureScratch *s) noexcept nogil:
    """Of `factor` times the gradient that `learn` will find in a range."""
    cdef PlannedBatch *batch = &run.ranges[r].batches[step % run.window]
    cdef int64_t i
    cdef double total = 0
    for i in range(batch.n_touched):
        gradient(run, ops, batch, i, 0, seed, s, s.gradient)
        total += kernels.sum_of_squares(
            s.gradient, run.features.state.fan_out, factor)
    return total


cdef void settle(FeatureRun *run, const sn_format_kernels *ops,
                 const sn_optimizer *optimizer, int64_t end, bint all_features,
                 int64_t r, FeatureScratch *s) noexcept nogil:
    """Bring features of a range up to date: all, or those seen since the last time."""
    cdef FeatureRange *part = &run.ranges[r]
    cdef uint8_t *seen = run.features.seen
    cdef int64_t feature, done, n_late = 0
    for feature in range(part.begin, part.end):
        done = run.progress[feature].done
        if done > run.settled:
            if seen != NULL:
                seen[feature] = 1
        elif not all_features:
            continue
        if done < end:
            s.touched[n_late] = <uint32_t>feature
            s.n_steps[n_late] = <uint32_t>(end - done)
            n_late += 1
            run.progress[feature].done = <uint32_t>end
    catch_up(run, ops, optimizer, n_late, end, s)


# Parameters ------------------------------------------------------------------------

cdef inline void sort_by_steps(int64_t n, FeatureScratch *s) noexcept nogil:
    """Numbers of features -> s.sorted: those with as many steps to take lie together.

    Their vectors are advanced side by side.
    """
    cdef int64_t[STEPS + 1] begin
    cdef int64_t i, bucket
    memset(begin, 0, sizeof(begin))
    for i in range(n):
        bucket = min(s.n_steps[i], <uint32_t>STEPS) - 1
        begin[bucket + 1] += 1
    for i in range(STEPS):
        begin[i + 1] += begin[i]
    for i in range(n):
        bucket = min(s.n_steps[i], <uint32_t>STEPS) - 1
        s.sorted[begin[bucket]] = <uint32_t>i
        begin[bucket] += 1


cdef void catch_up(FeatureRun *run, const sn_format_kernels *ops,
                   const sn_optimizer *optimizer, int64_t n_late, int64_t end,
                   FeatureScratch *s) noexcept nogil:
    """The last s.n_steps steps before step `end`, of the features in s.touched."""
    cdef const Features *f = run.features
    cdef int64_t at_once = max(<int64_t>1, CHUNK // f.state.stride)
    cdef int64_t chunk = 0, n, i
    cdef uint32_t number
    sort_by_steps(n_late, s)
    for i in range(min(at_once, n_late)):
        prefetch(f, s.touched[s.sorted[i]])
    while chunk < n_late:
        n = min(at_once, n_late - chunk)
        for i in range(n):
            if chunk + at_once + i < n_late:
                prefetch(f, s.touched[s.sorted[chunk + at_once + i]])
            number = s.sorted[chunk + i]
            s.features[i] = s.touched[number]
            s.begin[i] = <uint32_t>end - s.n_steps[number]
            s.end[i] = <uint32_t>end
        kernels.advance(optimizer, &f.state, &run.steps, n, s.features, s.begin, s.end,
                        NULL)
        write_table(f, ops, s.features, n, s)
        chunk += n


cdef inline const char *connections_of(const Features *f,
                                       int64_t feature) noexcept nogil:
    return <const char*>f.connections + feature * f.connections_bytes


cdef void prefetch(const Features *f, int64_t feature) noexcept nogil:
    cdef int64_t size = f.state.planes * f.state.stride
    sn_prefetch(f.state.values + feature * size, size * sizeof(float))
    if f.connections != NULL:
        sn_prefetch(connections_of(f, feature), f.connections_bytes)
    if f.state.cohort != NULL:
        sn_prefetch(f.state.cohort + feature * f.state.fan_out,
                    f.state.fan_out * sizeof(uint16_t))


cdef void write_table(const Features *f, const sn_format_kernels *ops,
                      const uint32_t *features, int64_t n,
                      FeatureScratch *s) noexcept nogil:
    """Weights of some features into the table, in its number format."""
    cdef int64_t stride = f.state.stride, size = f.state.planes * stride, i
    if f.table == <char*>f.state.values:
        return
    if f.scale != NULL:
        for i in range(n):
            f.scale[features[i]] = ops.encode_row(
                f.state.values + features[i] * size, f.state.fan_out, 0, 0, s.stored)
            sn_copy(f.table + features[i] * f.row_bytes, s.stored, f.row_bytes)
        return
    for i in range(n):
        sn_copy(s.weights + i * stride, f.state.values + features[i] * size,
                stride * sizeof(float))
    ops.encode(s.weights, (n * stride + SN_LANES - 1) // SN_LANES, 0, SN_LANES,
               s.stored, NULL)
    for i in range(n):
        sn_copy(f.table + features[i] * f.row_bytes,
                <char*>s.stored + i * f.row_bytes, f.row_bytes)
