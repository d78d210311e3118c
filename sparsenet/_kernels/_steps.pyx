"""The training step and the prediction, over panels of 64 samples.

One step is two parallel regions:

1. over panels: gather and pack the samples, forward products, loss, and the chain of
   input gradients. A panel stays with one thread, and there is no barrier between
   layers.
2. over blocks of rows of all layers: the weight gradient over the step's panels in
   a fixed order, then at once the optimizer and the compute copies of those weights.
   The gradient never exists as an array.

Every number is computed by one thread in an order that does not depend on how many
there are. Nothing is validated here: that is the estimators' task.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels._features cimport keep_rows, learn, plan, settle, sum_features
from sparsenet._kernels._input cimport Input, pack
from sparsenet._kernels._random cimport layer_seed, panel_seed, row_seed, step_seed
from sparsenet._kernels.kernels cimport (
    SN_ADAM,
    SN_BLOCK_COLUMNS,
    SN_BLOCK_HEIGHT,
    SN_DENSE,
    SN_IDENTITY,
    SN_LANES,
    SN_STRIP_PAIR,
    SN_STRIP,
    sn_format_kernels,
    sn_kernels,
    sn_losses,
    sn_matrix,
    sn_optimizer,
    sn_thread_state,
)

cdef const sn_kernels *kernels = kernels_in_use()


# Region 1 --------------------------------------------------------------------------

cdef inline float *scale_of(const Net *net, float *scale) noexcept nogil:
    """Of formats that have scales."""
    return scale if net.format.has_scales else NULL


cdef inline const void *operand(const Net *net, const sn_matrix *m, int64_t tile,
                                const void *stored, int offset, int lanes,
                                Scratch *s) noexcept nogil:
    """What spmm reads: stored samples, or what it wants of a tile of columns."""
    cdef int64_t first = tile * m.tile_columns
    cdef int64_t n = min(m.tile_columns, m.n_columns - first)
    cdef const char *samples = <const char*>stored
    samples += first * SN_LANES * net.ops.activation_size
    if lanes == 1 and m.lane_alone:
        net.ops.first_lane(samples, n, offset, s.tile)
    elif net.ops.tile_samples == NULL or not (m.layout == SN_DENSE or m.by_strips):
        return samples
    else:
        net.ops.tile_samples(samples, n, offset, s.tile)
    return s.tile


cdef void finish_rows(const Net *net, Panel *panel, int l, float *sums, int64_t row,
                      int64_t n_rows, const float *row_scale,
                      const float *lane_scale, int lanes) noexcept nogil:
    """Bias, activation and 16-bit storage of some rows whose sums are complete."""
    cdef CLayer *layer = &net.layers[l]
    cdef bint last = l == net.n_layers - 1
    cdef float *derivative = NULL
    if panel.derivatives != NULL and panel.derivatives[l] != NULL:
        derivative = panel.derivatives[l] + row * SN_LANES
    kernels.activate(
        SN_IDENTITY if last else layer.activation, sums, n_rows,
        layer.bias + row, NULL if row_scale == NULL else row_scale + row, lane_scale,
        lanes, derivative)
    if not last and net.format.stores_rows_at_once:
        net.ops.encode(
            sums, n_rows, 0, lanes,
            <char*>panel.activations[l + 1] + row * SN_LANES * net.ops.activation_size,
            NULL)


cdef void multiply(const Net *net, Panel *panel, int l, int lanes, float *z,
                   Scratch *s) noexcept nogil:
    """Stored inputs of a layer -> its outputs in z, but for hidden ones in 16 bits.

    Those are stored at once, and their sums never leave L1.
    """
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer = &net.layers[l]
    cdef int64_t n_tiles = layer.forward.n_tiles
    cdef int64_t step = ROWS // layer.forward.height
    cdef bint kept = (n_tiles > 1 or l == net.n_layers - 1
                      or not net.format.stores_rows_at_once)
    cdef int64_t tile, part, block, end, row, rows
    cdef const void *x
    cdef float *sums
    for tile in range(n_tiles):
        x = operand(net, &layer.forward, tile, panel.activations[l],
                    layer.input_offset, lanes, s)
        for part in range((layer.forward.n_blocks + step - 1) // step):
            block = part * step
            end = min(block + step, layer.forward.n_blocks)
            row = block * layer.forward.height
            rows = min(end * layer.forward.height, layer.n_out) - row
            sums = z + row * SN_LANES if kept else z
            ops.spmm(&layer.forward, tile, block, end, x, layer.input_offset, lanes,
                     sums)
            if tile == n_tiles - 1:
                finish_rows(net, panel, l, sums, row, rows,
                            scale_of(net, layer.row_scale),
                            scale_of(net, panel.input_scale + l * SN_LANES), lanes)


cdef void forward(const Net *net, const Input *x, const int64_t *rows, int n,
                  Panel *panel, Scratch *s) noexcept nogil:
    """Rows of X -> logits in s.z; inputs of all layers but sparse rows are kept."""
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer
    cdef int l
    cdef float *z
    if net.features == NULL and net.format.is_own_storage:
        pack(x, rows, n, <float*>panel.activations[0])
    elif net.features == NULL:
        pack(x, rows, n, s.z)
        ops.encode(s.z, net.layers[0].n_in, net.layers[0].input_offset, n,
                   panel.activations[0], panel.input_scale)
    for l in range(net.n_layers):
        layer = &net.layers[l]
        if panel.turned != NULL and panel.turned[l] != NULL:
            ops.turn(panel.activations[l], layer.n_in, panel.turned[l])
        z = s.z
        if net.format.is_own_storage and l < net.n_layers - 1:
            z = <float*>panel.activations[l + 1]
        if l == 0 and net.features != NULL:
            sum_features(net.features, ops, x, rows, n, &s.features, z)
            finish_rows(net, panel, 0, z, 0, layer.n_out, NULL, NULL, n)
        else:
            multiply(net, panel, l, n, z, s)
        if net.format.has_scales and l < net.n_layers - 1:
            ops.encode(z, layer.n_out, net.layers[l + 1].input_offset, n,
                       panel.activations[l + 1],
                       panel.input_scale + (l + 1) * SN_LANES)


cdef float *backward(const Net *net, Panel *panel, int lanes, Scratch *s,
                     uint64_t seed) noexcept nogil:
    """Deltas of the logits in s.z -> deltas of all layers kept.

    Returns the first layer's before they were rounded, where rows are sparse. Formats
    that scale deltas have to see all rows of a layer before they round the first.
    """
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer
    cdef int l
    cdef int64_t tile, n_tiles, part, block, end, row, rows, step
    cdef float *z = s.z
    cdef float *z_next
    cdef float *sums
    cdef float *scale
    cdef bint at_once = net.format.stores_deltas_at_once, kept
    cdef const char *inputs
    cdef const float *decoded
    cdef const void *x
    cdef bint quantized = net.format.has_scales
    cdef int offset = 128 if quantized else 0
    for l in range(net.n_layers - 1, -1, -1):
        layer = &net.layers[l]
        scale = panel.delta_scale + l * SN_LANES
        if not at_once or l == net.n_layers - 1:
            ops.encode_deltas(z, layer.n_out, layer.row_scale,
                              layer.transpose.layout == SN_BLOCK_COLUMNS,
                              row_seed(seed, l),
                              panel.deltas[l], s.operand if l > 0 else NULL, scale)
        if l == 0:
            break
        # Deltas that are kept in fp32 are written in place.
        z_next = s.z_next if z == s.z else s.z
        if ops.delta_size == sizeof(float):
            z_next = <float*>panel.deltas[l - 1]
        n_tiles = layer.transpose.n_tiles
        kept = not at_once or n_tiles > 1 or (l == 1 and net.features != NULL)
        step = ROWS // layer.transpose.height
        for tile in range(n_tiles):
            x = operand(net, &layer.transpose, tile,
                        <void*>s.operand if quantized else panel.deltas[l],
                        offset, lanes, s)
            for part in range((layer.transpose.n_blocks + step - 1) // step):
                block = part * step
                end = min(block + step, layer.transpose.n_blocks)
                row = block * layer.transpose.height
                rows = min(end * layer.transpose.height, layer.n_in) - row
                sums = z_next + row * SN_LANES if kept else z_next
                ops.spmm(
                    &layer.transpose, tile, block, end, x, offset, lanes, sums)
                if tile < n_tiles - 1:
                    continue
                inputs = <const char*>panel.activations[l]
                inputs += row * SN_LANES * ops.activation_size
                if panel.derivatives[l - 1] != NULL:
                    decoded = panel.derivatives[l - 1] + row * SN_LANES
                elif net.format.is_own_storage:
                    decoded = <const float*>inputs
                else:
                    ops.decode(inputs, rows, layer.input_offset,
                               panel.input_scale + l * SN_LANES, s.decoded)
                    decoded = s.decoded
                kernels.chain(net.layers[l - 1].activation, sums, decoded, rows, scale)
                if at_once:
                    ops.encode_deltas(
                        sums, rows, NULL, False, 0,
                        <char*>panel.deltas[l - 1] + row * SN_LANES * ops.delta_size,
                        NULL, scale - SN_LANES)
        z = z_next
    return z


# Region 2 --------------------------------------------------------------------------

cdef void point_to_panels(const Net *net, int l, Panel *panels, int64_t batch,
                          Scratch *s) noexcept nogil:
    """Where each panel of a batch has the inputs of a layer and its scales."""
    cdef int64_t p, n_panels = panels_of(batch)
    for p in range(n_panels):
        s.pointers[p] = panels[p].turned[l]
        if s.pointers[p] == NULL:
            s.pointers[p] = panels[p].activations[l]
        s.pointers[2 * n_panels + p] = panels[p].input_scale + l * SN_LANES
        s.pointers[3 * n_panels + p] = panels[p].delta_scale + l * SN_LANES


cdef void prepare_rows(const Net *net, int l, int64_t first_row, int64_t n_rows,
                       Panel *panels, int64_t n_panels, uint64_t seed, Scratch *s,
                       float *factor, int32_t *correction,
                       float *bias_gradient) noexcept nogil:
    """Deltas of neighbouring rows as their weight gradient wants them.

    Rows behind the last one complete a block or strip: their gradient is zero.
    """
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer = &net.layers[l]
    cdef const void **kept = s.pointers + n_panels
    cdef int64_t operand_row = n_panels * SN_LANES * ops.operand_size
    cdef int64_t p, h, row
    for h in range(n_rows):
        row = first_row + h
        factor[h] = 0
        correction[h] = 0
        if row >= layer.n_out:
            memset(<char*>s.prepared + h * operand_row, 0, operand_row)
            continue
        for p in range(n_panels):
            kept[p] = <char*>panels[p].deltas[l] + row * SN_LANES * ops.delta_size
        bias_gradient[h] = ops.prepare(
            kept, n_panels, <const float**>(s.pointers + 3 * n_panels),
            <const float**>(s.pointers + 2 * n_panels), layer.input_offset,
            row_seed(seed, row), <char*>s.prepared + h * operand_row, &factor[h],
            &correction[h])


cdef void block_gradient(const Net *net, int l, int64_t first_row, int64_t height,
                         const void *columns, int64_t n, Panel *panels,
                         int64_t batch, uint64_t seed, Scratch *s,
                         const float *const *ahead, float *gradient,
                         float *bias_gradient) noexcept nogil:
    """Gradient [n][height] of neighbouring rows at n columns; `point_to_panels` first.

    `columns` NULL: all n, of panels that were turned.
    """
    cdef float[SN_BLOCK_HEIGHT] factor
    cdef int32_t[SN_BLOCK_HEIGHT] correction
    prepare_rows(net, l, first_row, height, panels, panels_of(batch), seed, s, factor,
                 correction, bias_gradient)
    net.ops.sddmm(columns, net.layers[l].forward.wide, n, height, s.prepared,
                  s.pointers, batch, factor, correction, ahead, gradient)


cdef void task_gradient(const Net *net, const Task *task, Panel *panels, int64_t batch,
                        uint64_t seed, Scratch *s) noexcept nogil:
    """Gradients of all weights and biases of a task."""
    cdef CLayer *layer = &net.layers[task.layer]
    cdef const sn_matrix *m = &layer.forward
    cdef int64_t index_size = 4 if m.wide else 2
    cdef int64_t first = m.indptr[task.begin], block, row, rows, k
    cdef float[SN_STRIP_PAIR] factor
    cdef int32_t[SN_STRIP_PAIR] correction
    cdef const float *ahead[3]
    cdef const void *columns
    cdef float *gradient
    cdef float *bias_gradient
    point_to_panels(net, task.layer, panels, batch, s)
    block = task.begin
    while block < task.end:
        k = m.indptr[block]
        row = block * m.height
        gradient = s.gradient + (k - first) * m.height
        bias_gradient = s.bias_gradient + row - task.begin * m.height
        if not layer.in_strips:
            columns = NULL
            if m.layout != SN_DENSE:
                columns = <const char*>m.indices + k * index_size
            ahead[0] = layer.weights + k * m.height
            ahead[1] = layer.moments[0] + k * m.height
            ahead[2] = layer.moments[1] + k * m.height
            block_gradient(
                net, task.layer, row, m.height, columns,
                m.indptr[block + 1] - k, panels, batch, seed, s, ahead, gradient,
                bias_gradient)
            block += 1
            continue
        # Two strips, or one if no more rows are left.
        rows = (layer.n_out - row + SN_STRIP - 1) // SN_STRIP * SN_STRIP
        prepare_rows(net, task.layer, row, min(rows, SN_STRIP_PAIR), panels,
                     panels_of(batch), seed, s, factor, correction, bias_gradient)
        net.ops.sddmm_strips(m, block, s.prepared, s.pointers, batch, factor,
                             correction, gradient)
        block += SN_STRIP_PAIR // m.height


cdef void update_rows(const Net *net, const Task *task, Panel *panels,
                      int64_t batch, const sn_optimizer *optimizer,
                      uint64_t seed, Scratch *s) noexcept nogil:
    """Gradients of some rows of one layer, optimizer step, compute copies."""
    cdef CLayer *layer = &net.layers[task.layer]
    cdef const sn_matrix *m = &layer.forward
    cdef int64_t height = m.height
    cdef int64_t first = m.indptr[task.begin]
    cdef int64_t row0 = task.begin * height
    cdef int64_t rows = min(task.end * height, layer.n_out) - row0
    cdef int64_t n
    cdef sn_optimizer for_bias
    task_gradient(net, task, panels, batch, seed, s)
    n = m.indptr[task.end] - first
    kernels.update(
        optimizer, NULL if layer.cohort == NULL else layer.cohort + first * height,
        n * height, layer.weights + first * height, s.gradient,
        layer.moments[0] + first * height, layer.moments[1] + first * height)
    for_bias = optimizer[0]
    for_bias.alpha = 0
    kernels.update(&for_bias, NULL, rows, layer.bias + row0, s.bias_gradient,
                   layer.moments[2] + row0, layer.moments[3] + row0)
    encode_blocks(net, task.layer, task.begin, task.end)


cdef void encode_blocks(const Net *net, int l, int64_t begin,
                        int64_t end) noexcept nogil:
    """Compute copies of the weights of some blocks of rows."""
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer = &net.layers[l]
    cdef const sn_matrix *m = &layer.forward
    cdef int64_t height = m.height, block, last, k
    cdef const uint32_t *position
    cdef char *forward
    cdef bint dense = m.layout == SN_DENSE
    # Rows are told apart by their scales, or where columns are grouped.
    cdef bint together = not dense and not net.format.has_scales and (
        height == 1 or ops.weight_group == 1)
    block = begin
    while block < end:
        last = end if together else block + 1
        k = m.indptr[block]
        position = layer.transpose_position
        forward = <char*>m.weights
        if not dense:
            forward += k * height * ops.weight_size
        ops.encode_weights(
            layer.weights + k * height, m.indptr[last] - k, height,
            NULL if position == NULL else position + k, layer.far,
            block if dense else -1, layer.n_out, forward, layer.transpose.weights,
            layer.row_scale + block * height)
        block = last


# Passes over the data --------------------------------------------------------------

cdef void run_steps(Run *run, int64_t n_steps) noexcept nogil:
    """At most n_steps optimizer steps: two parallel regions each.

    Where rows are sparse, there are two more: a later batch is planned, and features
    learn from this one.
    """
    cdef int64_t batch, known, end, p, t, r, _step
    cdef bint sparse = run.net.features != NULL
    cdef uint64_t seed
    for _step in range(n_steps):
        # Features that no planned batch holds go to the end, if it was in sight.
        end = run.n_weighed if run.weighed == run.n_rows else run.steps_here + 1
        while run.n_weighed < run.steps_here + run.features.window:
            if not weigh_batch(run):
                break
            if sparse:
                known = run.n_weighed - 1
                plan_batch(run, run.first_row[known], known)
        if run.features.out_of_memory:
            return
        if run.n_weighed == run.steps_here:
            run.start = run.n_rows
            return
        known = run.steps_here if sparse else 0
        run.start = run.first_row[known]
        run.step.inv_weight = run.inv_weight[known]
        run.step.learning_rate = run.rates + known * run.step.n_cohorts
        run.n_steps += 1
        seed = step_seed(run.seed, run.n_steps)
        batch = batch_at(run, run.start)
        run_panels(run, batch, seed)
        if sparse:
            for r in prange(run.features.n_ranges, schedule="static",
                            num_threads=run.row_threads):
                update_range(run, end, r, &run.scratch[threadid()], seed)
        # Neighbouring rows to one thread: in the transpose their weights share
        # cache lines.
        for t in prange(run.n_tasks, schedule="static", num_threads=run.row_threads):
            update_task(run, &run.tasks[t], batch, &run.scratch[threadid()], seed)
        for p in range(panels_of(batch)):
            run.loss += run.panels[p].loss
        run.steps_here += 1
        run.start += batch


cdef inline int64_t batch_at(const Run *run, int64_t row) noexcept nogil:
    """Rows of the batch that begins there."""
    return min(run.batch_size, run.n_rows - row)


cdef bint weigh_batch(Run *run) noexcept nogil:
    """What the next step has to know of its batch; 0: there is no further step.

    A batch without weight teaches nothing, and is none.
    """
    cdef int64_t first, known, row
    cdef double weight
    while run.weighed < run.n_rows:
        first = run.weighed
        run.weighed += batch_at(run, first)
        weight = run.weighed - first
        if run.weights != NULL:
            weight = 0
            for row in range(first, run.weighed):
                weight += run.weights[run.order[row]]
        if weight > 0:
            known = run.n_weighed if run.net.features != NULL else 0
            run.first_row[known] = first
            run.inv_weight[known] = 1.0 / weight
            run.total_weight += weight
            set_rates(run, run.rates + known * run.step.n_cohorts)
            run.n_weighed += 1
            return True
    return False


cdef void set_rates(Run *run, float *rates) noexcept nogil:
    """The learning rates of a step, with the bias corrections of each cohort's age.

    Those of new connections are larger at first.
    """
    cdef int64_t cohort
    cdef double rate
    cdef double *decay_1 = run.decays
    cdef double *decay_2 = run.decays + run.step.n_cohorts
    for cohort in range(run.step.n_cohorts):
        decay_1[cohort] *= run.beta_1
        decay_2[cohort] *= run.beta_2
        rate = run.learning_rate
        if run.step.solver == SN_ADAM:
            rate *= sqrt(1 - decay_2[cohort]) / (1 - decay_1[cohort])
        if cohort > 0:
            rate *= 1 + (run.young_rate - 1) * decay_2[cohort]
        rates[cohort] = rate


cdef void plan_batch(Run *run, int64_t first_row, int64_t step) noexcept nogil:
    """Make the features of a step, whose batch begins at that row, ready for it."""
    cdef int64_t r
    for r in prange(run.features.n_ranges, schedule="static",
                    num_threads=run.row_threads):
        plan_range(run, first_row, step, r, &run.scratch[threadid()])


cdef void run_panels(Run *run, int64_t batch, uint64_t seed) noexcept nogil:
    """Region 1: activations and deltas of all layers for the batch at run.start."""
    cdef int64_t p
    for p in prange(panels_of(batch), schedule="static", chunksize=1,
                    num_threads=run.panel_threads):
        train_panel(run, batch, p, &run.scratch[threadid()], seed)


cdef void train_panel(Run *run, int64_t batch, int64_t p, Scratch *s,
                      uint64_t seed) noexcept nogil:
    cdef const Net *net = run.net
    cdef Panel *panel = &run.panels[p]
    cdef const int64_t *rows = run.order + run.start + p * SN_LANES
    cdef int n = <int>min(<int64_t>SN_LANES, batch - p * SN_LANES)
    cdef int64_t n_outputs = net.layers[net.n_layers - 1].n_out
    cdef const float *targets = <const float*>run.targets
    cdef float *target = <float*>s.target
    cdef float *deltas
    cdef int lane
    cdef int64_t o
    cdef sn_thread_state state
    kernels.enter(&state)
    memset(s.weight, 0, SN_LANES * sizeof(float))  # idle lanes weigh nothing
    for lane in range(n):
        s.weight[lane] = 1 if run.weights == NULL else run.weights[rows[lane]]
    if sn_losses[net.loss].is_of_codes:
        memset(s.target, 0, SN_LANES * sizeof(int32_t))
        for lane in range(n):
            (<int32_t*>s.target)[lane] = (<const int32_t*>run.targets)[rows[lane]]
    else:
        memset(s.target, 0, n_outputs * SN_LANES * sizeof(float))
        for lane in range(n):
            for o in range(n_outputs):
                target[o * SN_LANES + lane] = targets[rows[lane] * n_outputs + o]
    forward(net, &run.x, rows, n, panel, s)
    panel.loss = kernels.loss(net.loss, s.z, n_outputs, s.target, s.weight)
    deltas = backward(net, panel, n, s, panel_seed(seed, p))
    if net.features != NULL:
        keep_rows(&run.features, net.ops, deltas, p * SN_LANES, n,
                  row_seed(panel_seed(seed, p), net.n_layers), &s.features)
    kernels.leave(&state)


cdef void update_task(Run *run, const Task *task, int64_t batch, Scratch *s,
                      uint64_t seed) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    update_rows(run.net, task, run.panels, batch, &run.step,
                layer_seed(seed, task.layer), s)
    kernels.leave(&state)


cdef void plan_range(Run *run, int64_t first_row, int64_t step, int64_t r,
                     Scratch *s) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    plan(&run.features, run.net.ops, &run.step, &run.x, run.order + first_row,
         batch_at(run, first_row), step, run.steps_here, r, &s.features)
    kernels.leave(&state)


cdef void update_range(Run *run, int64_t end, int64_t r, Scratch *s,
                       uint64_t seed) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    # As of a layer behind the last one: region 2 has the others.
    learn(&run.features, run.net.ops, &run.step, run.steps_here, end, r,
          layer_seed(seed, run.net.n_layers), &s.features)
    kernels.leave(&state)


cdef void settle_features(Run *run) noexcept nogil:
    """At the end of a pass: the steps that absent features still lack."""
    cdef int64_t r
    for r in prange(run.features.n_ranges, schedule="static",
                    num_threads=run.row_threads):
        settle_range(run, r, &run.scratch[threadid()])


cdef void settle_range(Run *run, int64_t r, Scratch *s) noexcept nogil:
    cdef sn_thread_state state
    kernels.enter(&state)
    settle(&run.features, run.net.ops, &run.step, run.steps_here, r, &s.features)
    kernels.leave(&state)


cdef void predict_panels(const Net *net, const Input *x, int64_t n_rows, Panel *panels,
                         Scratch *scratch, int n_threads, float *out) noexcept nogil:
    """Output activations of all rows of x; a thread has one panel's memory."""
    cdef int64_t p
    cdef int64_t n_outputs = net.layers[net.n_layers - 1].n_out
    for p in prange(panels_of(n_rows), schedule="dynamic",
                    num_threads=n_threads):
        predict_panel(net, x, p, n_rows, n_outputs, &panels[threadid()],
                      &scratch[threadid()], out)


cdef void predict_panel(const Net *net, const Input *x, int64_t p, int64_t n_rows,
                        int64_t n_outputs, Panel *panel, Scratch *s,
                        float *out) noexcept nogil:
    cdef int64_t[SN_LANES] rows
    cdef int n = <int>min(<int64_t>SN_LANES, n_rows - p * SN_LANES)
    cdef int lane
    cdef int64_t o
    cdef sn_thread_state state
    kernels.enter(&state)
    for lane in range(n):
        rows[lane] = p * SN_LANES + lane
    forward(net, x, rows, n, panel, s)
    kernels.output(net.loss, s.z, n_outputs)
    for lane in range(n):
        for o in range(n_outputs):
            out[rows[lane] * n_outputs + o] = s.z[o * SN_LANES + lane]
    kernels.leave(&state)
