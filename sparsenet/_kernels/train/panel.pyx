"""Samples through a network and back: what happens to one panel of 64 of them.

A panel stays with one thread, and there is no barrier between layers.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport (
    SN_BLOCK_COLUMNS,
    SN_DENSE,
    SN_LANES,
    SN_PART,
    sn_format_kernels,
    sn_kernels,
    sn_losses,
    sn_matrix,
)
from sparsenet._kernels.train.input cimport Input, pack
from sparsenet._kernels.train.network cimport CLayer, Net, Panel, Scratch
from sparsenet._kernels.train.random cimport dropout_seed, layer_seed, row_seed
from sparsenet._kernels.train.sparse_first_layer cimport sum_features

cdef const sn_kernels *kernels = kernels_in_use()


cdef void take_targets(const Net *net, const void *targets, const float *weights,
                       const int64_t *rows, int n, Scratch *s) noexcept nogil:
    """Targets and weights (NULL: ones) of some rows, as their loss reads them."""
    cdef int64_t n_outputs = net.layers[net.n_layers - 1].n_out
    cdef const float *numbers = <const float*>targets
    cdef float *target = <float*>s.target
    cdef int lane
    cdef int64_t o
    s.loss.loss = net.loss
    s.loss.n_outputs = n_outputs
    s.loss.target = s.target
    s.loss.weight = s.weight
    s.loss.parameters = net.loss_parameters
    memset(s.weight, 0, SN_LANES * sizeof(float))  # idle lanes weigh nothing
    for lane in range(n):
        s.weight[lane] = 1 if weights == NULL else weights[rows[lane]]
    if sn_losses[net.loss].is_of_codes:
        memset(s.target, 0, SN_LANES * sizeof(int32_t))
        for lane in range(n):
            (<int32_t*>s.target)[lane] = (<const int32_t*>targets)[rows[lane]]
    else:
        memset(s.target, 0, n_outputs * SN_LANES * sizeof(float))
        for lane in range(n):
            for o in range(n_outputs):
                target[o * SN_LANES + lane] = numbers[rows[lane] * n_outputs + o]


cdef inline float *scale_of(const Net *net, float *scale) noexcept nogil:
    """Of formats that have scales."""
    return scale if net.format.has_scales else NULL


cdef inline const void *operand(const Net *net, const sn_matrix *m, int64_t tile,
                                const void *stored, bint is_signed, int lanes,
                                Scratch *s) noexcept nogil:
    """What spmm reads: stored samples, or what it wants of a tile of columns."""
    cdef int64_t first = tile * m.tile_columns if m.layout == SN_DENSE else 0
    cdef int64_t n = min(m.tile_columns, m.n_columns - first)
    cdef const char *samples = <const char*>stored
    samples += first * SN_LANES * net.ops.activation_size
    if lanes == 1 and m.lane_alone:
        net.ops.first_lane(samples, n, SN_LANES, is_signed, s.tile)
    elif net.ops.tile_samples == NULL or not (m.layout == SN_DENSE or m.by_strips):
        return samples
    else:
        net.ops.tile_samples(samples, n, is_signed, s.tile)
    return s.tile


cdef void finish_rows(const Net *net, Panel *panel, int l, float *sums, int64_t row,
                      int64_t n_rows, const float *row_scale,
                      const float *lane_scale, int lanes) noexcept nogil:
    """Bias, activation, dropout and 16-bit storage of rows whose sums are complete."""
    cdef CLayer *layer = &net.layers[l]
    cdef float *derivative = NULL
    if panel.derivatives != NULL and panel.derivatives[l] != NULL:
        derivative = panel.derivatives[l] + row * SN_LANES
    kernels.activate(
        layer.activation, sums, n_rows, layer.bias + row,
        NULL if row_scale == NULL else row_scale + row, lane_scale, lanes, derivative)
    if panel.dropout != NULL and panel.dropout[l] > 0:
        kernels.drop(sums, n_rows, row, panel.dropout[l], dropout_seed(panel.seed, l))
    if l < net.n_layers - 1 and net.format.stores_rows_at_once:
        net.ops.encode(
            sums, n_rows, False, lanes,
            <char*>panel.activations[l + 1] + row * SN_LANES * net.ops.activation_size,
            NULL)
    if l == net.n_layers - 1 and panel.rated != NULL:
        kernels.rate(panel.rated, sums, row, n_rows)


cdef inline float *outputs_of(const Net *net, const Panel *panel,
                              Scratch *s) noexcept nogil:
    """Where logits become deltas: those that are kept in fp32 do so in place."""
    if panel.rated != NULL and net.ops.delta_size == sizeof(float):
        return <float*>panel.deltas[net.n_layers - 1]
    return s.z


cdef void multiply(const Net *net, Panel *panel, int l, bint is_signed, int lanes,
                   float *z, Scratch *s) noexcept nogil:
    """Stored inputs of a layer -> its outputs in z, but for hidden ones in 16 bits.

    Those are stored at once, and their sums never leave L1.
    """
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer = &net.layers[l]
    cdef int64_t n_tiles = layer.forward.n_tiles
    cdef int64_t step = SN_PART // layer.forward.height
    cdef bint kept = (n_tiles > 1 or l == net.n_layers - 1
                      or not net.format.stores_rows_at_once)
    cdef int64_t tile, part, block, end, row, rows
    cdef const void *x
    cdef float *sums
    for tile in range(n_tiles):
        x = operand(net, &layer.forward, tile, panel.activations[l], is_signed, lanes,
                    s)
        for part in range((layer.forward.n_blocks + step - 1) // step):
            block = part * step
            end = min(block + step, layer.forward.n_blocks)
            row = block * layer.forward.height
            rows = min(end * layer.forward.height, layer.n_out) - row
            sums = z + row * SN_LANES if kept else z
            ops.spmm(&layer.forward, tile, block, end, x, is_signed, lanes, sums)
            if tile == n_tiles - 1:
                finish_rows(net, panel, l, sums, row, rows,
                            scale_of(net, layer.row_scale),
                            scale_of(net, panel.input_scale + l * SN_LANES), lanes)


cdef void forward(const Net *net, const Input *x, const int64_t *rows, int n,
                  Panel *panel, Scratch *s) noexcept nogil:
    """Rows of X -> logits (outputs_of), rated in training.

    Inputs of all layers but sparse rows are kept.
    """
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer
    cdef int l
    cdef float *z
    cdef bint is_signed = net.layers[0].has_signed_inputs
    if not net.by_feature and net.format.is_own_storage:
        pack(x, rows, n, SN_LANES, <float*>panel.activations[0])
    elif not net.by_feature:
        pack(x, rows, n, SN_LANES, s.z)
        is_signed = ops.encode(s.z, net.layers[0].n_in, is_signed, n,
                               panel.activations[0], panel.input_scale)
    for l in range(net.n_layers):
        layer = &net.layers[l]
        if panel.turned != NULL and panel.turned[l] != NULL:
            ops.turn(panel.activations[l], layer.n_in, panel.turned[l])
        z = s.z
        if l == net.n_layers - 1:
            z = outputs_of(net, panel, s)
        elif net.format.is_own_storage:
            z = <float*>panel.activations[l + 1]
        if l == 0 and net.by_feature:
            sum_features(net.features, ops, x, rows, n, &s.features, z)
            finish_rows(net, panel, 0, z, 0, layer.n_out, NULL, NULL, n)
        else:
            multiply(net, panel, l, is_signed, n, z, s)
        if l == net.n_layers - 1:
            break
        is_signed = net.layers[l + 1].has_signed_inputs
        if net.format.has_scales:
            is_signed = ops.encode(z, layer.n_out, is_signed, n,
                                   panel.activations[l + 1],
                                   panel.input_scale + (l + 1) * SN_LANES)


cdef void finish_deltas(const Net *net, Panel *panel, int l, float *sums, int64_t row,
                        int64_t n_rows, Scratch *s) noexcept nogil:
    """Derivative of dropout and activation, and 16-bit storage, of some rows of a layer
    whose sums are complete.
    """
    cdef const sn_format_kernels *ops = net.ops
    cdef float *scale = panel.delta_scale + (l + 1) * SN_LANES
    cdef const char *outputs = <const char*>panel.activations[l + 1]
    cdef const float *decoded = s.decoded
    cdef float kept
    cdef int64_t i
    outputs += row * SN_LANES * ops.activation_size
    if panel.derivatives[l] != NULL:
        decoded = panel.derivatives[l] + row * SN_LANES
    elif net.format.is_own_storage:
        decoded = <const float*>outputs
    else:
        ops.decode(outputs, n_rows, net.layers[l + 1].has_signed_inputs,
                   panel.input_scale + (l + 1) * SN_LANES, s.decoded)
    if panel.dropout != NULL and panel.dropout[l] > 0:
        kernels.drop(sums, n_rows, row, panel.dropout[l], dropout_seed(panel.seed, l))
        if panel.derivatives[l] == NULL:
            # Derivatives are functions of what was activated, before it was scaled.
            kept = 1 - panel.dropout[l] / 65536.0
            for i in range(n_rows * SN_LANES):
                s.decoded[i] = decoded[i] * kept
            decoded = s.decoded
    kernels.chain(net.layers[l].activation, sums, decoded, n_rows, scale)
    if net.format.stores_deltas_at_once:
        ops.encode_deltas(
            sums, n_rows, NULL, False, 0,
            <char*>panel.deltas[l] + row * SN_LANES * ops.delta_size, NULL,
            scale - SN_LANES)


cdef void finish_outputs(const Net *net, Panel *panel, float *z, int64_t row,
                         int64_t end) noexcept nogil:
    """Deltas of some outputs, and their 16-bit storage."""
    cdef const sn_format_kernels *ops = net.ops
    cdef int l = net.n_layers - 1
    cdef int64_t n_rows
    while row < end:
        n_rows = min(end - row, <int64_t>SN_PART)
        kernels.deltas(panel.rated, z + row * SN_LANES, row, n_rows)
        if net.format.stores_deltas_at_once:
            ops.encode_deltas(
                z + row * SN_LANES, n_rows, NULL, False, 0,
                <char*>panel.deltas[l] + row * SN_LANES * ops.delta_size, NULL,
                panel.delta_scale + l * SN_LANES)
        row += n_rows


cdef float *backward(const Net *net, Panel *panel, int lanes, Scratch *s,
                     uint64_t seed) noexcept nogil:
    """Rated outputs -> deltas of all layers kept.

    Returns the first layer's before they were rounded, where rows are sparse. Formats
    that scale deltas have to see all rows of a layer before they round the first. The
    gradient of a last layer whose deltas are not kept is found while they are in L2.
    """
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer
    cdef int l
    cdef int64_t tile, n_tiles, part, block, end, row, rows, step
    cdef float *z = outputs_of(net, panel, s)
    cdef float *z_next
    cdef float *sums
    cdef float *scale
    cdef bint at_once = net.format.stores_deltas_at_once, kept
    cdef const void *x
    cdef bint quantized = net.format.has_scales, by_tile
    for l in range(net.n_layers - 1, -1, -1):
        layer = &net.layers[l]
        scale = panel.delta_scale + l * SN_LANES
        by_tile = l == net.n_layers - 1 and l > 0 and (
            at_once or net.format.is_own_storage)
        if l == net.n_layers - 1 and not by_tile:
            finish_outputs(net, panel, z, 0, layer.n_out)
        if not at_once:
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
        kept = not at_once or n_tiles > 1 or (l == 1 and net.by_feature)
        step = SN_PART // layer.transpose.height
        for tile in range(n_tiles):
            if by_tile:
                row = tile * layer.transpose.tile_columns
                finish_outputs(net, panel, z, row,
                               min(row + layer.transpose.tile_columns, layer.n_out))
            x = operand(net, &layer.transpose, tile,
                        <void*>s.operand if quantized else panel.deltas[l],
                        True, lanes, s)
            for part in range((layer.transpose.n_blocks + step - 1) // step):
                block = part * step
                end = min(block + step, layer.transpose.n_blocks)
                row = block * layer.transpose.height
                rows = min(end * layer.transpose.height, layer.n_in) - row
                sums = z_next + row * SN_LANES if kept else z_next
                ops.spmm(
                    &layer.transpose, tile, block, end, x, True, lanes, sums)
                if tile < n_tiles - 1:
                    continue
                finish_deltas(net, panel, l - 1, sums, row, rows, s)
            if l == net.n_layers - 1 and panel.gradients[0] != NULL:
                row = tile * layer.transpose.tile_columns
                ops.sddmm_panel(
                    &layer.forward, row,
                    min(row + layer.transpose.tile_columns, layer.n_out),
                    panel.deltas[l], scale, panel.activations[l],
                    panel.input_scale + l * SN_LANES, layer.has_signed_inputs,
                    layer_seed(seed, l), panel.gradients[0], panel.gradients[1])
        z = z_next
    return z
