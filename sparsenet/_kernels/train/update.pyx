"""The weight gradient over all panels of a batch, and at once what follows from it.

A task is some rows of one layer, with one thread: their gradient, the optimizer's step
and the compute copies of those weights. The gradient never exists as an array.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport (
    SN_BLOCK_HEIGHT,
    SN_DENSE,
    SN_LANES,
    SN_STRIP,
    SN_STRIP_PAIR,
    sn_format_kernels,
    sn_kernels,
    sn_matrix,
    sn_optimizer,
)
from sparsenet._kernels.train.network cimport (
    PADDING,
    CLayer,
    Net,
    Panel,
    Run,
    Scratch,
    Task,
    panels_of,
)
from sparsenet._kernels.train.optimizer cimport rates_at
from sparsenet._kernels.train.random cimport row_seed

cdef const sn_kernels *kernels = kernels_in_use()

cdef extern from "prefetch.h" nogil:
    void sn_prefetch(const void *p, long n_bytes)

# Deltas of so many rows later are fetched while those of a row are prepared, if a
# batch's are more bytes than L2 holds beside all else. With 27,806 outputs that made an
# int8 step 1.2 times as fast; with 100, where L1 has them, it would be 4 % slower.
cdef int64_t DELTAS_AHEAD = 4, FAR = 1 << 18


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

    Many parameters: rows of one layer, the panels of a batch, and three results.
    Rows behind the last one complete a block or strip: their gradient is zero.
    """
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer = &net.layers[l]
    cdef const void **kept = s.pointers + n_panels
    cdef int64_t operand_row = n_panels * SN_LANES * ops.operand_size
    cdef int64_t delta_row = SN_LANES * ops.delta_size
    cdef bint far = layer.n_out * n_panels * delta_row > FAR
    cdef int64_t p, h, row
    for h in range(n_rows):
        row = first_row + h
        factor[h] = 0
        correction[h] = 0
        if row >= layer.n_out:
            memset(<char*>s.prepared + h * operand_row, 0, operand_row)
            continue
        for p in range(n_panels):
            kept[p] = <char*>panels[p].deltas[l] + row * delta_row
            if far:
                sn_prefetch(<const char*>kept[p] + DELTAS_AHEAD * delta_row, delta_row)
        bias_gradient[h] = ops.prepare(
            kept, n_panels, <const float**>(s.pointers + 3 * n_panels),
            <const float**>(s.pointers + 2 * n_panels), layer.has_signed_inputs,
            row_seed(seed, row), <char*>s.prepared + h * operand_row, &factor[h],
            &correction[h])


cdef void block_gradient(const Net *net, int l, int64_t first_row, int64_t height,
                         const void *columns, int64_t n, Panel *panels,
                         int64_t batch, uint64_t seed, Scratch *s,
                         const float *const *ahead, float *gradient,
                         float *bias_gradient) noexcept nogil:
    """Gradient [n][height] of neighbouring rows at n columns; `point_to_panels` first.

    `columns` NULL: all n, of panels that were turned. Many parameters: rows and columns
    of one layer, the panels of a batch, and two results.
    """
    cdef float[SN_BLOCK_HEIGHT] factor
    cdef int32_t[SN_BLOCK_HEIGHT] correction
    prepare_rows(net, l, first_row, height, panels, panels_of(batch), seed, s, factor,
                 correction, bias_gradient)
    net.ops.sddmm(columns, net.layers[l].forward.wide, n, height, s.prepared,
                  s.pointers, batch, net.layers[l].has_signed_inputs, factor,
                  correction, ahead, gradient)


cdef int64_t size_of(const Net *net, const Task *task, int64_t *n_rows) noexcept nogil:
    """Weights of a task, and its rows."""
    cdef CLayer *layer = &net.layers[task.layer]
    cdef const sn_matrix *m = &layer.forward
    n_rows[0] = min(task.end * m.height, layer.n_out) - task.begin * m.height
    return (m.indptr[task.end] - m.indptr[task.begin]) * m.height


cdef float *bias_gradient_of(const Net *net, const Task *task,
                             float *gradient) noexcept nogil:
    """Where the gradient of a task's biases is, behind that of its weights."""
    cdef int64_t n_rows
    return gradient + size_of(net, task, &n_rows) + PADDING


cdef void add_panels(const Net *net, const Task *task, const Panel *panels,
                     int64_t n_panels, float *of_weights,
                     float *of_biases) noexcept nogil:
    """The sums of the gradients that panels have."""
    cdef int64_t first = net.layers[task.layer].forward.indptr[task.begin]
    cdef int64_t n_rows, n = size_of(net, task, &n_rows), p
    memset(of_weights, 0, n * sizeof(float))
    memset(of_biases, 0, n_rows * sizeof(float))
    for p in range(n_panels):
        add(panels[p].gradients[0] + first, n, of_weights)
        add(panels[p].gradients[1] + task.begin, n_rows, of_biases)


cdef inline void add(const float *values, int64_t n, float *sums) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        sums[i] += values[i]


cdef void task_gradient(const Net *net, const Task *task, Panel *panels, int64_t batch,
                        uint64_t seed, float *of_weights, float *of_biases,
                        Scratch *s) noexcept nogil:
    """Gradients of all weights and biases of a task."""
    cdef CLayer *layer = &net.layers[task.layer]
    cdef const sn_matrix *m = &layer.forward
    cdef int64_t index_size = 4 if m.wide else 2
    cdef int64_t first = m.indptr[task.begin], block, row, rows, k
    cdef float[SN_STRIP_PAIR] factor
    cdef int32_t[SN_STRIP_PAIR] correction
    cdef const float *ahead[3]
    cdef bint has_moments = layer.moments[0] != NULL  # of an optimizer to come
    cdef const void *columns
    cdef float *gradient
    cdef float *bias_gradient
    if task.layer == net.n_layers - 1 and panels[0].gradients[0] != NULL:
        add_panels(net, task, panels, panels_of(batch), of_weights, of_biases)
        return
    point_to_panels(net, task.layer, panels, batch, s)
    block = task.begin
    while block < task.end:
        k = m.indptr[block]
        row = block * m.height
        gradient = of_weights + (k - first) * m.height
        bias_gradient = of_biases + row - task.begin * m.height
        if not layer.in_strips:
            columns = NULL
            if m.layout != SN_DENSE:
                columns = <const char*>m.indices + k * index_size
            if has_moments:
                ahead[0] = layer.weights + k * m.height
                ahead[1] = layer.moments[0] + k * m.height
                ahead[2] = layer.moments[1] + k * m.height
            block_gradient(
                net, task.layer, row, m.height, columns,
                m.indptr[block + 1] - k, panels, batch, seed, s,
                ahead if has_moments else NULL, gradient, bias_gradient)
            block += 1
            continue
        # Two strips, or one if no more rows are left.
        rows = (layer.n_out - row + SN_STRIP - 1) // SN_STRIP * SN_STRIP
        prepare_rows(net, task.layer, row, min(rows, SN_STRIP_PAIR), panels,
                     panels_of(batch), seed, s, factor, correction, bias_gradient)
        net.ops.sddmm_strips(m, block, s.prepared, s.pointers, batch, factor,
                             correction, gradient)
        block += SN_STRIP_PAIR // m.height


cdef void update_rows(Run *run, const Task *task, int64_t batch, double clipped,
                      uint64_t seed, Scratch *s) noexcept nogil:
    """Gradients of some rows of one layer, optimizer step, compute copies.

    Where gradients are clipped they are there already, and are multiplied by `clipped`.
    """
    cdef CLayer *layer = &run.net.layers[task.layer]
    cdef const sn_matrix *m = &layer.forward
    cdef int64_t first = m.indptr[task.begin] * m.height, row = task.begin * m.height
    cdef int64_t n_rows, n = size_of(run.net, task, &n_rows)
    cdef int64_t step = run.steps_here if run.steps_known > 1 else 0
    cdef sn_optimizer for_weights = run.step
    cdef sn_optimizer for_bias = run.step
    cdef float *gradient = s.gradient
    cdef float *of_bias
    if run.memory.gradients != NULL:
        gradient = run.memory.gradients + task.first
    of_bias = bias_gradient_of(run.net, task, gradient)
    if run.memory.gradients == NULL:
        task_gradient(run.net, task, run.memory.panels, batch, seed, gradient, of_bias,
                      s)
    elif clipped < 1:
        multiply_by(clipped, gradient, n)
        multiply_by(clipped, of_bias, n_rows)
    for_weights.learning_rate = rates_at(run, task.layer, step)
    kernels.update(
        &for_weights, NULL if layer.cohort == NULL else layer.cohort + first,
        n, layer.weights + first, gradient, layer.moments[0] + first,
        layer.moments[1] + first)
    for_bias.alpha = 0
    for_bias.kept = 1
    kernels.update(&for_bias, NULL, n_rows, layer.bias + row, of_bias,
                   layer.moments[2] + row, layer.moments[3] + row)
    if run.averaged != NULL:
        average(run.averaged[run.steps_here], layer.weights + first, n,
                layer.averages[0] + first)
        average(run.averaged[run.steps_here], layer.bias + row, n_rows,
                layer.averages[1] + row)
    encode_blocks(run.net, task.layer, task.begin, task.end)


cdef inline void multiply_by(float factor, float *values, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        values[i] *= factor


cdef inline void average(float kept, const float *values, int64_t n,
                         float *averages) noexcept nogil:
    """One step of a running average, which keeps so much of what it was."""
    cdef int64_t i
    for i in range(n):
        averages[i] = values[i] + kept * (averages[i] - values[i])


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
