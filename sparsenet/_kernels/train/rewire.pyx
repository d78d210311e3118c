"""Rewiring: sparse layers drop connections and grow others in their place.

Every row (the inputs of a unit or of a block of units, or the units that a feature
reaches) keeps its number of connections: the smallest weights go, where rows are blocks
the columns with the smallest sums of magnitudes, and as many new ones come, at random
(SET: Mocanu et al. 2018, doi:10.1038/s41467-018-04316-3) or where the gradient of the
last mini-batch is largest (RigL: Evci et al. 2020, arXiv:1911.11134; with a constant
fan-in as in SRigL: Lasby et al. 2024, arXiv:2305.02299). A row's result depends on its
own weights and on (seed, row), not on threads.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport fabsf
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport (
    SN_BLOCK_HEIGHT,
    sn_kernels,
    sn_solvers,
    sn_thread_state,
)
from sparsenet._kernels.train.memory cimport Arena
from sparsenet._kernels.train.network cimport CLayer, Run
from sparsenet._kernels.train.random cimport repair_seed, row_seed
from sparsenet._kernels.train.sparse_first_layer cimport (
    FeatureRange,
    Features,
    PlannedBatch,
    gradient,
    prefetch,
    write_table,
)
from sparsenet._kernels.train.transpose cimport (
    find_tiles,
    column_at,
    set_column,
    transpose_rows,
)
from sparsenet._kernels.train.update cimport (
    block_gradient,
    encode_blocks,
    point_to_panels,
)

cdef const sn_kernels *kernels = kernels_in_use()

# Rows whose compute copies are written in one task.
cdef int64_t AT_ONCE = 32
# Features whose parameters are fetched so many early.
cdef int64_t AHEAD = 8
# What `taken` says of columns with the largest gradients: new, or dropped before.
cdef enum:
    CHOSEN = 1
    RETURNS = 2
# Rows that are asked to connect to a column without connections.
cdef int64_t ATTEMPTS = 64


# Selection -------------------------------------------------------------------------

cdef inline float magnitude(const float *values, int64_t height) noexcept nogil:
    """Of a column: the sum over the rows of a block."""
    cdef float total = fabsf(values[0])
    cdef int64_t h
    for h in range(1, height):
        total += fabsf(values[h])
    return total


cdef inline uint64_t key_of(float magnitude, uint32_t place) noexcept nogil:
    """Orders by magnitude, then by place. Bits of positive floats ascend as they do."""
    cdef uint32_t bits
    memcpy(&bits, &magnitude, sizeof(bits))
    return (<uint64_t>bits << 32) | place


cdef inline float magnitude_of(uint64_t key) noexcept nogil:
    cdef uint32_t bits = <uint32_t>(key >> 32)
    cdef float size
    memcpy(&size, &bits, sizeof(size))
    return size


cdef void select_smallest(uint64_t *keys, int64_t n, int64_t k) noexcept nogil:
    """Move the k smallest of n different keys to the front: quickselect.

    Partitions move every key without a branch (Lomuto's scheme): whether one is below
    the pivot cannot be predicted.
    """
    cdef int64_t low = 0, high = n - 1, i, place
    cdef uint64_t pivot, key
    while low < high:
        i = low + (high - low) // 2
        pivot = keys[i]
        keys[i] = keys[high]
        place = low
        for i in range(low, high):
            key = keys[i]
            keys[i] = keys[place]
            keys[place] = key
            place += key < pivot
        keys[high] = keys[place]
        keys[place] = pivot
        if place > k:
            high = place - 1
        elif place < k:
            low = place + 1
        else:
            return


cdef void sort_columns(uint32_t *columns, int64_t n) noexcept nogil:
    """Shell's sort: n is a fraction of a fan-in, a few dozen."""
    cdef int64_t gap = n // 2, i, j
    cdef uint32_t column
    while gap > 0:
        for i in range(gap, n):
            column = columns[i]
            j = i
            while j >= gap and columns[j - gap] > column:
                columns[j] = columns[j - gap]
                j -= gap
            columns[j] = column
        gap //= 2


# Drop and grow ---------------------------------------------------------------------

cdef void drop_smallest(const Rows *rows, int64_t row, int64_t n,
                        RowScratch *s) noexcept nogil:
    """Mark the n smallest weights of a row in s.dropped; s.places names them."""
    cdef const float *weights = rows.planes[0] + row * rows.stride
    cdef int64_t i
    for i in range(rows.length):
        s.keys[i] = key_of(magnitude(weights + i * rows.height, rows.height),
                           <uint32_t>i)
        s.dropped[i] = 0
    select_smallest(s.keys, rows.length, n)
    for i in range(n):
        s.places[i] = <uint32_t>s.keys[i]
        s.dropped[s.places[i]] = 1


cdef int64_t grow_at_random(const Rows *rows, int64_t row, int64_t n, uint64_t seed,
                            RowScratch *s) noexcept nogil:
    """Draw n different columns that the row has not had: s.grown."""
    cdef int64_t first = row * rows.length, n_grown = 0, i
    cdef uint64_t draw = 0
    cdef uint32_t column
    for i in range(rows.length):
        s.taken[column_at(rows.columns, rows.wide, first + i)] = 1
    while n_grown < n:
        column = <uint32_t>(
            ((row_seed(seed, draw) >> 32) * <uint64_t>rows.n_columns) >> 32)
        draw += 1
        if not s.taken[column]:
            s.taken[column] = 1
            s.grown[n_grown] = column
            n_grown += 1
    for i in range(rows.length):
        s.taken[column_at(rows.columns, rows.wide, first + i)] = 0
    for i in range(n):
        s.taken[s.grown[i]] = 0
    return n_grown


cdef int64_t grow_by_gradient(const Rows *rows, int64_t row, int64_t n,
                              const float *gradients, int64_t stride,
                              RowScratch *s) noexcept nogil:
    """At most n columns with the largest gradients that are not zero: s.grown.

    Columns that were dropped may be among them: those stay as they are. Where fewer
    than n have a gradient, the largest of the dropped stay, too.
    """
    cdef int64_t first = row * rows.length, n_chosen, n_grown = 0, left = 0, i
    cdef uint32_t column
    for i in range(rows.length):
        if not s.dropped[i]:
            s.taken[column_at(rows.columns, rows.wide, first + i)] = 1
    n_chosen = largest_gradients(rows, n, gradients, stride, s)
    for i in range(rows.length):
        s.taken[column_at(rows.columns, rows.wide, first + i)] = 0
    for i in range(n_chosen):
        s.taken[s.grown[i]] = CHOSEN
    for i in range(n):
        column = column_at(rows.columns, rows.wide, first + s.places[i])
        if s.taken[column]:
            s.taken[column] = RETURNS
            s.dropped[s.places[i]] = 0
        else:
            s.keys[left] = ~key_of(
                magnitude(rows.planes[0] + row * rows.stride
                          + s.places[i] * rows.height, rows.height), s.places[i])
            left += 1
    select_smallest(s.keys, left, n - n_chosen)
    for i in range(n - n_chosen):
        s.dropped[<uint32_t>~s.keys[i]] = 0
    for i in range(n_chosen):
        column = s.grown[i]
        if s.taken[column] == CHOSEN:
            s.grown[n_grown] = column
            n_grown += 1
        s.taken[column] = 0
    return n_grown


cdef int64_t largest_gradients(const Rows *rows, int64_t n, const float *gradients,
                               int64_t stride, RowScratch *s) noexcept nogil:
    """The at most n columns not taken with the largest gradients but 0: s.grown.

    A running top-k: of some candidates, the n largest are kept.
    """
    cdef int64_t column, n_keys = 0, room = 2 * n + 16, i
    cdef uint64_t inverted
    cdef float least = 0, size
    cdef const uint8_t *taken = s.taken
    for column in range(rows.n_columns):
        size = magnitude(gradients + column * stride, rows.height)
        # Of equal gradients the first ones count: later ones are not larger.
        if not size > least or taken[column]:
            continue
        # The largest gradients are the smallest of these keys.
        s.keys[n_keys] = ~key_of(size, ~<uint32_t>column)
        n_keys += 1
        if n_keys == room:
            select_smallest(s.keys, n_keys, n)
            n_keys = n
            inverted = s.keys[0]
            for i in range(1, n):
                inverted = max(inverted, s.keys[i])
            least = magnitude_of(~inverted)
    if n_keys > n:
        select_smallest(s.keys, n_keys, n)
        n_keys = n
    for i in range(n_keys):
        s.grown[i] = <uint32_t>s.keys[i]
    return n_keys


cdef int64_t rewire_row(const Rows *rows, int64_t row, const Growth *growth,
                        const float *gradients, int64_t stride,
                        RowScratch *s) noexcept nogil:
    """Drop and grow connections of one row; returns how many are new."""
    cdef uint64_t seed = row_seed(growth.seed, row)
    # Rounded at random, so that a small fraction of a few connections is not nothing.
    cdef int64_t n = <int64_t>(
        growth.fraction * rows.length + (seed >> 40) * (1.0 / (1 << 24)))
    n = min(n, rows.length)
    if not growth.by_gradient:
        n = min(n, rows.n_columns - rows.length)
    if n == 0:
        return 0
    drop_smallest(rows, row, n, s)
    if growth.by_gradient:
        n = grow_by_gradient(rows, row, n, gradients, stride, s)
    else:
        n = grow_at_random(rows, row, n, seed, s)
    sort_columns(s.grown, n)
    merge(rows, row, growth.cohort, n, s)
    return n


cdef void merge(const Rows *rows, int64_t row, uint16_t cohort, int64_t n_grown,
                RowScratch *s) noexcept nogil:
    """Write a row anew: what stays and, with zero weights and moments, what is new."""
    cdef int64_t height = rows.height, first = row * rows.length
    cdef uint64_t length = rows.length, i
    cdef int64_t h, place = 0, g = 0
    cdef int plane
    cdef float *values
    cdef uint16_t *cohorts
    cdef uint32_t column
    # Where each place of the new row comes from; `length`: it is new.
    cdef uint64_t *source = s.keys
    for i in range(length):
        if s.dropped[i]:
            continue
        column = column_at(rows.columns, rows.wide, first + i)
        while g < n_grown and s.grown[g] < column:
            s.columns[place] = s.grown[g]
            source[place] = length
            place += 1
            g += 1
        s.columns[place] = column
        source[place] = i
        place += 1
    while g < n_grown:
        s.columns[place] = s.grown[g]
        source[place] = length
        place += 1
        g += 1
    for i in range(length):
        set_column(rows.columns, rows.wide, first + i, s.columns[i])
    for plane in range(rows.n_planes):
        values = rows.planes[plane] + row * rows.stride
        for i in range(length):
            for h in range(height):
                s.values[i * height + h] = (
                    0 if source[i] == length else values[source[i] * height + h])
        memcpy(values, s.values, length * height * sizeof(float))
    if rows.cohort != NULL:
        cohorts = rows.cohort + first * height
        for i in range(length):
            for h in range(height):
                s.cohorts[i * height + h] = (
                    cohort if source[i] == length else cohorts[source[i] * height])
        memcpy(cohorts, s.cohorts, length * height * sizeof(uint16_t))


cdef void keep_columns_alive(const Rows *rows, const Growth *growth,
                             int64_t *n_repaired, RowScratch *s) noexcept nogil:
    """Give columns that lost their last connection a new one.

    A row drawn for it gives up its smallest weight of those in columns with others.
    `s` is the first thread's; the rows are named in s.repaired. Where connections are
    few, some columns stay without.
    """
    cdef int64_t k, column, attempt, row, i, n_spare = 0, n = 0
    cdef uint64_t key, least
    cdef int64_t *counts = s.counts
    cdef int64_t n_dead = rows.n_columns
    memset(counts, 0, rows.n_columns * sizeof(int64_t))
    for k in range(rows.n_rows * rows.length):
        column = column_at(rows.columns, rows.wide, k)
        n_dead -= counts[column] == 0
        if n_dead == 0:  # mostly after a few rows
            return
        counts[column] += 1
    for column in range(rows.n_columns):
        n_spare += max(counts[column] - 1, <int64_t>0)
    for column in range(rows.n_columns):
        if counts[column] > 0:
            continue
        if n_spare == 0:
            break
        for attempt in range(min(rows.n_rows, ATTEMPTS)):
            row = <int64_t>((repair_seed(growth.seed, column) + attempt)
                            % <uint64_t>rows.n_rows)
            least = ~<uint64_t>0
            for i in range(rows.length):
                s.dropped[i] = 0
                k = row * rows.length + i
                if counts[column_at(rows.columns, rows.wide, k)] > 1:
                    key = key_of(
                        magnitude(rows.planes[0] + row * rows.stride + i * rows.height,
                                  rows.height), <uint32_t>i)
                    least = min(least, key)
            if least == ~<uint64_t>0:
                continue
            i = <uint32_t>least
            s.dropped[i] = 1
            counts[column_at(rows.columns, rows.wide, row * rows.length + i)] -= 1
            counts[column] = 1
            n_spare -= 1
            s.grown[0] = <uint32_t>column
            merge(rows, row, growth.cohort, 1, s)
            s.repaired[n] = <uint32_t>row
            n += 1
            break
    n_repaired[0] = n


# Layers ----------------------------------------------------------------------------

cdef Rows rows_of_layer(const Run *run, int l) noexcept nogil:
    cdef CLayer *layer = &run.net.layers[l]
    cdef Rows rows
    rows.n_rows = layer.forward.n_blocks
    rows.n_columns = layer.n_in
    rows.height = layer.forward.height
    rows.length = layer.forward.indptr[1]
    rows.columns = <void*>layer.forward.indices
    rows.wide = layer.forward.wide
    rows.planes[0] = layer.weights
    rows.planes[1] = layer.moments[0]
    rows.planes[2] = layer.moments[1]
    rows.stride = rows.length * rows.height
    rows.n_planes = 1 + sn_solvers[run.step.solver].n_moments
    if layer.averages[0] != NULL:
        rows.planes[rows.n_planes] = layer.averages[0]
        rows.n_planes += 1
    rows.cohort = <uint16_t*>layer.cohort
    return rows


cdef Rows rows_of_features(const Features *f) noexcept nogil:
    cdef Rows rows
    cdef int64_t plane
    rows.n_rows = f.n_features
    rows.n_columns = f.n_units // f.height
    rows.height = f.height
    rows.length = f.state.fan_out // f.height
    rows.columns = <void*>f.connections
    rows.wide = f.wide
    for plane in range(f.state.planes):
        rows.planes[plane] = f.state.values + plane * f.state.stride
    rows.n_planes = <int>f.state.planes
    rows.stride = f.state.planes * f.state.stride
    rows.cohort = <uint16_t*>f.state.cohort
    return rows


cdef int64_t rewire_layer(Run *run, int l, const Growth *growth,
                          RowScratch *scratch) noexcept nogil:
    """Rewire a sparse layer and its transpose; returns how many connections are new.

    By gradient, `run_panels` has gone before.
    """
    cdef CLayer *layer = &run.net.layers[l]
    cdef Rows rows = rows_of_layer(run, l)
    cdef int64_t block, n_new = 0, n_repaired = 0
    for block in prange((layer.n_out + SN_BLOCK_HEIGHT - 1) // SN_BLOCK_HEIGHT,
                        schedule="static", num_threads=run.row_threads):
        n_new += rewire_block(run, l, &rows, block * SN_BLOCK_HEIGHT, growth,
                              &scratch[threadid()])
    if layer.transpose.weights != NULL:
        keep_columns_alive(&rows, growth, &n_repaired, scratch)
        transpose_rows(
            layer.forward.indptr, rows.columns, rows.wide, rows.n_rows, rows.n_columns,
            <int64_t*>layer.transpose.indptr, <void*>layer.transpose.indices,
            layer.transpose.wide, <uint32_t*>layer.transpose_position, run.row_threads)
        if layer.transpose.tile_starts != NULL:
            find_tiles(&layer.transpose)
    for block in prange((rows.n_rows + AT_ONCE - 1) // AT_ONCE, schedule="static",
                        num_threads=run.row_threads):
        encode_blocks(run.net, l, block * AT_ONCE,
                      min(rows.n_rows, (block + 1) * AT_ONCE))
    for block in range(n_repaired):
        n_new += min(rows.height,
                     layer.n_out - scratch.repaired[block] * rows.height)
    return n_new


cdef int64_t rewire_block(Run *run, int l, const Rows *rows, int64_t first,
                          const Growth *growth, RowScratch *s) noexcept nogil:
    cdef float[SN_BLOCK_HEIGHT] bias_gradient
    cdef int64_t last = min(first + SN_BLOCK_HEIGHT, run.net.layers[l].n_out)
    cdef int64_t row, n_new = 0
    cdef sn_thread_state state
    kernels.enter(&state)
    if growth.by_gradient:
        # All columns of a few rows: never the whole gradient.
        point_to_panels(run.net, l, run.memory.panels, run.data.batch_size, s.step)
        block_gradient(run.net, l, first, SN_BLOCK_HEIGHT, NULL, rows.n_columns,
                       run.memory.panels, run.data.batch_size,
                       row_seed(growth.seed, first), s.step,
                       NULL, s.gradient, bias_gradient)
    if rows.height > 1:
        # Rows that only complete a block have no connections to count.
        n_new = (last - first) * rewire_row(rows, first // rows.height, growth,
                                            s.gradient, SN_BLOCK_HEIGHT, s)
    else:
        for row in range(first, last):
            n_new += rewire_row(rows, row, growth, s.gradient + (row - first),
                                SN_BLOCK_HEIGHT, s)
    kernels.leave(&state)
    return n_new


cdef int64_t rewire_features(Run *run, const Growth *growth,
                             RowScratch *scratch) noexcept nogil:
    """Rewire a sparse first layer that is stored by feature.

    Only features that were seen since the last round: weights of others have learned
    nothing that could choose among them. By gradient, which is zero for other features,
    only those of the batch that was planned and has run through `run_panels`.
    """
    cdef Rows rows = rows_of_features(run.features.features)
    cdef int64_t r, n_new = 0, n_repaired = 0, i
    for r in prange(run.features.n_ranges, schedule="static",
                    num_threads=run.row_threads):
        n_new += rewire_range(run, &rows, &run.features.ranges[r], growth,
                              &scratch[threadid()])
    memset(run.features.features.seen, 0, rows.n_rows)
    keep_columns_alive(&rows, growth, &n_repaired, scratch)
    for i in range(n_repaired):
        encode_feature(run, scratch.repaired[i], scratch)
    return (n_new + n_repaired) * rows.height


cdef int64_t rewire_range(Run *run, const Rows *rows, const FeatureRange *part,
                          const Growth *growth, RowScratch *s) noexcept nogil:
    """Rewire those features of a range that have their turn: see `rewire_features`."""
    cdef const Features *f = run.features.features
    cdef const PlannedBatch *batch = part.batches
    cdef uint32_t *features = batch.touched
    cdef int64_t n = batch.n_touched, feature, i, n_new = 0
    cdef sn_thread_state state
    if not growth.by_gradient:
        features = s.step.features.touched
        n = 0
        for feature in range(part.begin, part.end):
            features[n] = <uint32_t>feature
            n += f.seen[feature] != 0
    kernels.enter(&state)
    for i in range(n):
        if i + AHEAD < n:
            prefetch(f, features[i + AHEAD])
        if growth.by_gradient:
            gradient(&run.features, run.net.ops, batch, i, 1, growth.seed,
                     &s.step.features, s.gradient)
        n_new += rewire_row(rows, features[i], growth, s.gradient, rows.height, s)
        encode_feature(run, features[i], s)
    kernels.leave(&state)
    return n_new


cdef void encode_feature(Run *run, uint32_t feature, RowScratch *s) noexcept nogil:
    """Write a feature's row of the table anew."""
    write_table(run.features.features, run.net.ops, &feature, 1, &s.step.features)


cdef RowScratch *row_scratches(Arena arena, Run *run, int n_threads,
                               int64_t n) except NULL:
    """What each thread needs to rewire rows and columns of at most n connections."""
    cdef RowScratch *s = <RowScratch*>arena.take(n_threads * sizeof(RowScratch))
    cdef int t
    for t in range(n_threads):
        s[t].step = &run.memory.scratch[t]
        s[t].keys = <uint64_t*>arena.take((2 * n + 16) * 8)
        s[t].taken = <uint8_t*>arena.take(n)
        s[t].dropped = <uint8_t*>arena.take(n)
        s[t].places = <uint32_t*>arena.take(n * 4)
        s[t].grown = <uint32_t*>arena.take(n * 4)
        s[t].columns = <uint32_t*>arena.take(n * 4)
        s[t].values = <float*>arena.take(SN_BLOCK_HEIGHT * n * 4)
        s[t].cohorts = <uint16_t*>arena.take(SN_BLOCK_HEIGHT * n * 2)
        s[t].gradient = <float*>arena.take((n * SN_BLOCK_HEIGHT + 128) * 4)
    s.counts = <int64_t*>arena.take(n * 8)
    s.repaired = <uint32_t*>arena.take(n * 4)
    return s
