"""Sparse rows: the first layer's products and updates, feature by feature.

What a step costs goes with the non-zeros of its batch. A sample's sums read the
weights of the features that it holds; a feature's gradient reads the deltas of the
samples that hold it, and its weights are updated at once. A feature that a batch does
not hold costs nothing: its momentum, second moment and L2 decay are replayed when it
is met again, before the forward pass, and at the end of the epoch.

Features are cut into ranges, which threads share. A range finds its part of the
batch by itself, in the order of the samples, so no sum depends on the threads.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels._input cimport Input
from sparsenet._kernels._random cimport mix
from sparsenet._kernels.kernels cimport (
    SN_LANES,
    sn_format_kernels,
    sn_kernels,
    sn_optimizer,
)

cdef const sn_kernels *kernels = kernels_in_use()

cdef extern from *:
    """
    static void sn_prefetch(const void *p, long bytes)
    {
        for (long i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)p + i);
    }
    """
    void sn_prefetch(const void *p, long n_bytes) noexcept nogil


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


cdef inline void read_row(const Input *x, int64_t begin, int64_t n,
                          FeatureScratch *s) noexcept nogil:
    """n entries as the sums read them: uint32 indices, float32 values."""
    cdef int64_t k
    if x.wide:
        for k in range(n):
            s.indices[k] = <uint32_t>(<const int64_t*>x.indices)[begin + k]
    else:
        memcpy(s.indices, <const int32_t*>x.indices + begin, n * sizeof(int32_t))
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
    """z[unit][lane] = sum over a row's non-zeros of value * weight; idle lanes 0."""
    cdef int64_t begin, n_terms, k, unit
    cdef int lane
    cdef float factor
    cdef float *out
    for lane in range(n):
        begin = row_begin(x, rows[lane])
        n_terms = row_begin(x, rows[lane] + 1) - begin
        read_row(x, begin, n_terms, s)
        if f.scale != NULL:
            for k in range(n_terms):
                s.values[k] *= f.scale[s.indices[k]]
        factor = ops.encode_terms(s.values, n_terms, 0, 0, s.terms)
        out = s.rows + lane * f.n_units
        if f.connections == NULL:
            ops.sum_rows(s.indices, s.terms, n_terms, f.table, f.row_bytes, 0,
                         f.n_units, out)
        else:
            ops.sum_sparse_rows[f.wide](
                s.indices, s.terms, n_terms, f.table, f.row_bytes, f.connections,
                f.fan_out, f.height, f.n_units, out)
        if factor != 1:
            for unit in range(f.n_units):
                out[unit] *= factor
    for unit in range(f.n_units):
        for lane in range(n):
            z[unit * SN_LANES + lane] = s.rows[lane * f.n_units + unit]
        memset(z + unit * SN_LANES + n, 0, (SN_LANES - n) * sizeof(float))


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
            s.rows + lane * n_units, n_units, 1, mix(seed, lane),
            run.deltas + sample * run.delta_bytes)


cdef void plan(FeatureRun *run, const sn_format_kernels *ops,
               const sn_optimizer *optimizer, const Input *of, const int64_t *rows,
               int64_t n_rows, int64_t now, int64_t batch, int64_t r,
               FeatureScratch *s) noexcept nogil:
    """Sort a batch's non-zeros in one range by feature, and bring those up to date."""
    cdef FeatureRange *part = &run.ranges[r]
    cdef Input rows_of_x = of[0]  # a copy, which no store in the loops can change
    cdef const Input *x = &rows_of_x
    cdef int64_t b, k, begin, end, n_entries = 0, n_touched = 0, n_late = 0, feature, i
    cdef uint32_t offset = 0, count, place
    cdef bint go_on = s.last_batch == batch and s.last_range == r - 1
    for b in range(n_rows):
        end = row_begin(x, rows[b] + 1)
        # A row's indices ascend: where it left the range before, it enters this one.
        begin = s.last[b] if go_on else lower_bound(x, row_begin(x, rows[b]), end,
                                                    part.begin)
        k = begin
        while k < end:
            feature = index_at(x, k) - part.begin
            if feature >= part.end - part.begin:
                break
            if s.counts[feature] == 0:
                part.touched[n_touched] = <uint32_t>feature
                n_touched += 1
            s.counts[feature] += 1
            k += 1
        s.first[b] = begin
        s.last[b] = k
        n_entries += k - begin
    s.last_batch = batch
    s.last_range = r
    part.n_touched = n_touched
    if n_entries > part.capacity:
        free(part.samples)
        free(part.values)
        part.capacity = n_entries + n_entries // 2
        # Padded: terms are made from whole vectors of values.
        part.samples = <uint32_t*>malloc(part.capacity * sizeof(uint32_t))
        part.values = <float*>malloc((part.capacity + SN_LANES) * sizeof(float))
        if part.samples == NULL or part.values == NULL:
            part.capacity = part.n_touched = 0
            run.out_of_memory = 1
    for i in range(n_touched):
        feature = part.touched[i]
        count = s.counts[feature]
        part.offsets[i] = offset
        s.counts[feature] = offset
        offset += count
    part.offsets[n_touched] = offset
    if part.n_touched > 0:
        for b in range(n_rows):
            for k in range(s.first[b], s.last[b]):
                feature = index_at(x, k) - part.begin
                place = s.counts[feature]
                s.counts[feature] = place + 1
                part.samples[place] = <uint32_t>b
                part.values[place] = value_at(x, k)
    for i in range(n_touched):
        feature = part.touched[i]
        s.counts[feature] = 0
        feature += part.begin
        part.touched[i] = <uint32_t>feature
        if run.seen[feature] < now:
            s.late[n_late] = <uint32_t>feature
            n_late += 1
    catch_up(run, ops, optimizer, n_late, now, s)


cdef void learn(FeatureRun *run, const sn_format_kernels *ops,
                const sn_optimizer *optimizer, int64_t now, int64_t r, uint64_t seed,
                FeatureScratch *s) noexcept nogil:
    """Gradients of the features that were planned, and at once their step."""
    cdef const Features *f = run.features
    cdef FeatureRange *part = &run.ranges[r]
    cdef int64_t at_once = max(<int64_t>1, CHUNK // f.fan_out)
    cdef int64_t number, chunk, n, i
    for number in range((part.n_touched + at_once - 1) // at_once):
        chunk = number * at_once
        n = min(at_once, part.n_touched - chunk)
        if chunk == 0:
            prefetch(f, part.touched, n)
        for i in range(n):
            # The next chunk's parameters arrive while this one's gradients are summed.
            if chunk + at_once + i < part.n_touched:
                prefetch(f, part.touched + chunk + at_once + i, 1)
            gradient(run, ops, part, chunk + i, 0, seed, s, s.gradient + i * f.fan_out)
            run.seen[part.touched[chunk + i]] = <uint32_t>(now + 1)
        load(f, part.touched + chunk, n, s)
        kernels.update(optimizer, s.cohort, n * f.fan_out, s.weights, s.gradient,
                       s.moments[0], s.moments[1])
        save(f, ops, part.touched + chunk, n, s)


cdef void gradient(const FeatureRun *run, const sn_format_kernels *ops,
                   const FeatureRange *part, int64_t i, int dense, uint64_t seed,
                   FeatureScratch *s, float *out) noexcept nogil:
    """Of the i-th feature of a batch; `dense`: at all units, not its own only."""
    cdef const Features *f = run.features
    cdef int64_t begin = part.offsets[i], n_terms = part.offsets[i + 1] - begin, k
    cdef const uint32_t *samples = part.samples + begin
    cdef const float *values = part.values + begin
    cdef uint32_t feature = part.touched[i]
    cdef int64_t index_size = 4 if f.wide else 2
    cdef int64_t n_out = f.n_units if dense else f.fan_out
    cdef float factor
    if f.scale != NULL:
        for k in range(n_terms):
            s.values[k] = values[k] * run.delta_scale[samples[k]]
        values = s.values
    factor = ops.encode_terms(values, n_terms, 1, mix(seed, feature), s.terms)
    if dense or f.connections == NULL:
        ops.sum_rows(samples, s.terms, n_terms, run.deltas, run.delta_bytes, 1,
                     f.n_units, out)
    else:
        ops.sum_at_connections[f.wide](
            samples, s.terms, n_terms, run.deltas, run.delta_bytes,
            <const char*>f.connections + feature * (f.fan_out // f.height) * index_size,
            f.fan_out, f.height, out)
    if factor != 1:
        for k in range(n_out):
            out[k] *= factor


cdef void settle(FeatureRun *run, const sn_format_kernels *ops,
                 const sn_optimizer *optimizer, int64_t now, int64_t r,
                 FeatureScratch *s) noexcept nogil:
    """At the end of a pass: bring all features of a range up to date."""
    cdef FeatureRange *part = &run.ranges[r]
    cdef int64_t feature, n_late = 0
    for feature in range(part.begin, part.end):
        if run.seen[feature] < now:
            s.late[n_late] = <uint32_t>feature
            n_late += 1
    catch_up(run, ops, optimizer, n_late, now, s)


# Parameters ------------------------------------------------------------------------

cdef inline void sort_by_absence(const FeatureRun *run, int64_t n_late, int64_t now,
                                 FeatureScratch *s) noexcept nogil:
    """s.late -> s.sorted: features that were absent for as long lie together.

    A vector of parameters takes as long as its longest absence.
    """
    cdef int64_t[ABSENCES + 1] begin
    cdef int64_t i, absence
    memset(begin, 0, sizeof(begin))
    for i in range(n_late):
        absence = min(now - run.seen[s.late[i]], <int64_t>ABSENCES) - 1
        begin[absence + 1] += 1
    for i in range(ABSENCES):
        begin[i + 1] += begin[i]
    for i in range(n_late):
        absence = min(now - run.seen[s.late[i]], <int64_t>ABSENCES) - 1
        s.sorted[begin[absence]] = s.late[i]
        begin[absence] += 1


cdef void catch_up(FeatureRun *run, const sn_format_kernels *ops,
                   const sn_optimizer *optimizer, int64_t n_late, int64_t now,
                   FeatureScratch *s) noexcept nogil:
    """Replay the steps that the features in s.late were absent from."""
    cdef const Features *f = run.features
    cdef int64_t at_once = max(<int64_t>1, CHUNK // f.fan_out)
    cdef int64_t number, chunk, n, i, k, padded
    cdef const uint32_t *late
    cdef int32_t missed
    sort_by_absence(run, n_late, now, s)
    for number in range((n_late + at_once - 1) // at_once):
        chunk = number * at_once
        n = min(at_once, n_late - chunk)
        late = s.sorted + chunk
        prefetch(f, late, n)
        for i in range(n):
            missed = <int32_t>(now - run.seen[late[i]])
            run.seen[late[i]] = <uint32_t>now
            for k in range(i * f.fan_out, (i + 1) * f.fan_out):
                s.missed[k] = missed
        load(f, late, n, s)
        padded = (n * f.fan_out + SN_LANES - 1) // SN_LANES * SN_LANES
        for k in range(n * f.fan_out, padded):
            s.missed[k] = 0
        kernels.replay(optimizer, s.cohort, run.rates, run.inv_weight, now, s.missed,
                       padded, s.weights, s.moments[0], s.moments[1])
        save(f, ops, late, n, s)


cdef inline void prefetch(const Features *f, const uint32_t *features,
                          int64_t n) noexcept nogil:
    cdef int64_t i, size = f.planes * f.stride
    for i in range(n):
        sn_prefetch(f.state + features[i] * size, size * sizeof(float))


cdef void load(const Features *f, const uint32_t *features, int64_t n,
               FeatureScratch *s) noexcept nogil:
    """Gather the parameters of some features, one after the other."""
    cdef int64_t i, plane, size = f.planes * f.stride
    cdef const float *state
    for i in range(n):
        state = f.state + features[i] * size
        memcpy(s.weights + i * f.fan_out, state, f.fan_out * sizeof(float))
        for plane in range(1, f.planes):
            memcpy(s.moments[plane - 1] + i * f.fan_out, state + plane * f.stride,
                   f.fan_out * sizeof(float))
        if s.cohort != NULL:
            memcpy(s.cohort + i * f.fan_out, f.cohort + features[i] * f.fan_out,
                   f.fan_out * sizeof(uint16_t))


cdef void save(const Features *f, const sn_format_kernels *ops,
               const uint32_t *features, int64_t n, FeatureScratch *s) noexcept nogil:
    """Put them back, and their weights into the table in its number format."""
    cdef int64_t i, plane, size = f.planes * f.stride
    cdef int64_t n_rows = (n * f.fan_out + SN_LANES - 1) // SN_LANES
    cdef int64_t stored_size = ops.activation_size
    cdef float *state
    for i in range(n):
        state = f.state + features[i] * size
        memcpy(state, s.weights + i * f.fan_out, f.fan_out * sizeof(float))
        for plane in range(1, f.planes):
            memcpy(state + plane * f.stride, s.moments[plane - 1] + i * f.fan_out,
                   f.fan_out * sizeof(float))
    if f.scale != NULL:
        for i in range(n):
            f.scale[features[i]] = ops.encode_row(
                s.weights + i * f.fan_out, f.fan_out, 0, 0, s.stored)
            memcpy(f.table + features[i] * f.row_bytes, s.stored, f.fan_out)
    elif f.table != <char*>f.state:
        ops.encode(s.weights, n_rows, 0, s.stored, NULL)
        for i in range(n):
            memcpy(f.table + features[i] * f.row_bytes,
                   <char*>s.stored + i * f.fan_out * stored_size,
                   f.fan_out * stored_size)
