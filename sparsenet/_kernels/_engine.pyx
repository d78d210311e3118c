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

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport (
    int32_t,
    int64_t,
    uint8_t,
    uint32_t,
    uint64_t,
)
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from sparsenet._kernels._dispatch cimport (
    denormals_off,
    denormals_restore,
    kernels_in_use,
)
from sparsenet._kernels._input cimport Input, address, input_of, pack
from sparsenet._kernels.kernels cimport *

import numpy as np

from sparsenet._kernels._dispatch import FORMATS

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define SN_OPENMP 1
    #else
    #define SN_OPENMP 0
    static int omp_get_max_threads(void) { return 1; }
    #endif
    """
    const int SN_OPENMP
    int omp_get_max_threads() nogil

#: Elements that must follow each weight array: kernels read whole vectors.
PADDING = 64
HAS_OPENMP = bool(SN_OPENMP)

ACTIVATIONS = {
    "identity": SN_IDENTITY,
    "logistic": SN_LOGISTIC,
    "tanh": SN_TANH,
    "relu": SN_RELU,
}
LOSSES = {
    "softmax": SN_LOSS_SOFTMAX,
    "logistic": SN_LOSS_LOGISTIC,
    "squared_error": SN_LOSS_SQUARED_ERROR,
    "poisson": SN_LOSS_POISSON,
}
SOLVERS = {"adam": SN_ADAM, "sgd": SN_SGD}

# Rows that are multiplied before their epilogue runs over them: 8 KB of fp32, which
# stay in L1.
cdef enum:
    ROWS = 32
# Columns of a tile of a dense layer: 32 KB of fp32 samples, which L1 holds.
cdef enum:
    TILE_COLUMNS = 128
# Connections of one task of region 2: the gradients of a task stay in L1.
cdef int64_t TASK_CONNECTIONS = 4096
# A parallel region costs a few microseconds; below so many multiply-adds (about
# 50 microseconds of one core in fp32) a step runs on one thread.
cdef double SERIAL_WORK = 2e6
# Multiply-adds between two looks at Python's signals: 20 to 200 ms of one core.
cdef double SIGNAL_WORK = 2e9


cdef const sn_kernels *kernels = kernels_in_use()


def max_threads():
    """Threads that OpenMP would start: OMP_NUM_THREADS, threadpoolctl, or the cores."""
    return omp_get_max_threads()


# What the regions share ------------------------------------------------------------

cdef struct CLayer:
    int64_t n_in
    int64_t n_out
    sn_matrix forward
    sn_matrix transpose
    int wide            # forward indices are uint32
    int transpose_wide  # the transpose's are
    int activation      # of its outputs (hidden layers)
    int input_offset    # int8: what is added to its stored inputs
    float *weights
    float *bias
    float *row_scale
    float *moments[4]
    const uint32_t *transpose_position

cdef struct Panel:
    void **activations       # inputs of each layer, [n_in][64] stored
    void **deltas            # of each layer's outputs, [n_out][64] kept
    float *input_scale       # [layer][64]
    float *delta_scale       # [layer][64]
    double loss

cdef struct Scratch:         # of one thread
    float *z
    float *z_next
    float *decoded           # ROWS rows
    uint8_t *operand
    void *target             # [n_outputs][64] or int32 codes
    float *weight            # [64]
    float *tile              # fp32 samples of a tile of columns
    void *prepared           # deltas of one block
    float *gradient
    float *bias_gradient
    const void **pointers    # 4 arrays of n_panels

cdef struct Net:
    const sn_format_kernels *ops
    int precision
    int loss
    int n_layers
    CLayer *layers

cdef struct Task:
    int layer
    int64_t begin
    int64_t end

cdef struct Run:             # a pass over the training rows
    const Net *net
    Input x
    const void *targets
    const float *weights     # NULL: ones
    const int64_t *order
    int64_t n_rows
    int64_t batch_size
    int64_t start            # rows done
    int64_t n_steps
    uint64_t seed
    double learning_rate
    double beta_1
    double beta_2
    sn_optimizer step
    int64_t n_tasks
    Task *tasks
    Panel *panels
    Scratch *scratch
    int panel_threads
    int row_threads
    double loss
    double total_weight

cdef inline int64_t padded(int64_t rows) noexcept nogil:
    return (rows + ROWS - 1) // ROWS * ROWS

cdef inline uint64_t mix(uint64_t x, uint64_t y) noexcept nogil:
    """SplitMix64's output function (Steele et al. 2014) over a combined counter."""
    cdef uint64_t z = x * <uint64_t>0x9E3779B97F4A7C15 + y + 1
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)

# Region 1 --------------------------------------------------------------------------

cdef inline float *scale_of(const Net *net, float *scale) noexcept nogil:
    """Scales exist for int8 only."""
    return scale if net.precision == SN_INT8 else NULL


cdef inline const void *operand(const Net *net, const sn_matrix *m, int64_t tile,
                                const void *stored, Scratch *s) noexcept nogil:
    """What spmm reads: stored samples, or fp32 ones of a tile of columns."""
    cdef int64_t first = tile * m.tile_columns
    cdef int64_t n = min(m.tile_columns, m.n_columns - first)
    if not net.ops.tiled or m.height == 1 or net.precision == SN_FLOAT32:
        return stored
    net.ops.decode(<const char*>stored + first * SN_LANES * net.ops.activation_size, n,
                   0, NULL, s.tile)
    return s.tile - first * SN_LANES


cdef void forward(const Net *net, Panel *panel, int lanes,
                  Scratch *s) noexcept nogil:
    """Packed inputs in s.z -> logits in s.z; inputs of all layers kept."""
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer
    cdef int l
    cdef int64_t tile, n_tiles, part, block, end, row, rows, step
    cdef float *z = s.z
    cdef char *kept
    cdef float *row_scale
    cdef const void *x
    cdef bint last
    ops.encode(s.z, net.layers[0].n_in, net.layers[0].input_offset,
               panel.activations[0], panel.input_scale)
    for l in range(net.n_layers):
        layer = &net.layers[l]
        last = l == net.n_layers - 1
        kept = NULL if last else <char*>panel.activations[l + 1]
        row_scale = scale_of(net, layer.row_scale)
        # fp32 results are their own storage.
        z = <float*>kept if net.precision == SN_FLOAT32 and not last else s.z
        n_tiles = layer.forward.n_tiles
        step = ROWS // layer.forward.height
        for tile in range(n_tiles):
            x = operand(net, &layer.forward, tile, panel.activations[l], s)
            for part in range((layer.forward.n_blocks + step - 1) // step):
                block = part * step
                end = min(block + step, layer.forward.n_blocks)
                row = block * layer.forward.height
                rows = min(end * layer.forward.height, layer.n_out) - row
                ops.spmm[layer.wide](&layer.forward, tile, block, end, x,
                                     layer.input_offset, lanes, z + row * SN_LANES)
                if tile < n_tiles - 1:
                    continue
                kernels.activate(
                    SN_IDENTITY if last else layer.activation, z + row * SN_LANES, rows,
                    layer.bias + row, NULL if row_scale == NULL else row_scale + row,
                    scale_of(net, panel.input_scale + l * SN_LANES))
                # int8 needs the whole panel first, for its scales.
                if not last and (net.precision == SN_FLOAT16
                                 or net.precision == SN_BFLOAT16):
                    ops.encode(z + row * SN_LANES, rows, 0,
                               kept + row * SN_LANES * ops.activation_size, NULL)
        if not last and net.precision == SN_INT8:
            ops.encode(z, layer.n_out, net.layers[l + 1].input_offset, kept,
                       panel.input_scale + (l + 1) * SN_LANES)


cdef void backward(const Net *net, Panel *panel, int lanes, Scratch *s,
                   uint64_t seed) noexcept nogil:
    """Deltas of the logits in s.z -> deltas of all layers kept."""
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer
    cdef int l
    cdef int64_t tile, n_tiles, part, block, end, row, rows, step
    cdef float *z = s.z
    cdef float *z_next
    cdef float *scale
    cdef const char *inputs
    cdef const float *decoded
    cdef const void *x
    cdef bint quantized = net.precision == SN_INT8
    for l in range(net.n_layers - 1, -1, -1):
        layer = &net.layers[l]
        scale = panel.delta_scale + l * SN_LANES
        ops.encode_deltas(z, layer.n_out, layer.row_scale, mix(seed, l),
                          panel.deltas[l], s.operand if l > 0 else NULL, scale)
        if l == 0:
            return
        # Deltas that are kept in fp32 are written in place.
        z_next = s.z_next if z == s.z else s.z
        if ops.delta_size == sizeof(float):
            z_next = <float*>panel.deltas[l - 1]
        n_tiles = layer.transpose.n_tiles
        step = ROWS // layer.transpose.height
        for tile in range(n_tiles):
            x = operand(net, &layer.transpose, tile,
                        <void*>s.operand if quantized else panel.deltas[l], s)
            for part in range((layer.transpose.n_blocks + step - 1) // step):
                block = part * step
                end = min(block + step, layer.transpose.n_blocks)
                row = block * layer.transpose.height
                rows = min(end * layer.transpose.height, layer.n_in) - row
                ops.spmm[layer.transpose_wide](
                    &layer.transpose, tile, block, end, x, 128 if quantized else 0,
                    lanes, z_next + row * SN_LANES)
                if tile < n_tiles - 1:
                    continue
                inputs = <const char*>panel.activations[l]
                inputs += row * SN_LANES * ops.activation_size
                if net.precision == SN_FLOAT32:
                    decoded = <const float*>inputs
                else:
                    ops.decode(inputs, rows, layer.input_offset,
                               panel.input_scale + l * SN_LANES, s.decoded)
                    decoded = s.decoded
                kernels.chain(net.layers[l - 1].activation, z_next + row * SN_LANES,
                              decoded, rows, scale)
        z = z_next


# Region 2 --------------------------------------------------------------------------

cdef void update_rows(const Net *net, const Task *task, Panel *panels,
                      int64_t n_panels, const sn_optimizer *optimizer,
                      uint64_t seed, Scratch *s) noexcept nogil:
    """Gradients of some rows of one layer, optimizer step, compute copies."""
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer = &net.layers[task.layer]
    cdef const sn_matrix *m = &layer.forward
    cdef int64_t height = m.height
    cdef int64_t first = m.indptr[task.begin]
    cdef int64_t row0 = task.begin * height
    cdef int64_t rows = min(task.end * height, layer.n_out) - row0
    cdef const void **x = s.pointers
    cdef const void **kept = s.pointers + n_panels
    cdef const float **x_scale = <const float**>(s.pointers + 2 * n_panels)
    cdef const float **delta_scale = <const float**>(s.pointers + 3 * n_panels)
    cdef float[SN_BLOCK_HEIGHT] factor
    cdef int32_t[SN_BLOCK_HEIGHT] correction
    cdef int64_t p, block, h, row, n, k
    cdef int64_t index_size = 4 if layer.wide else 2
    cdef int64_t operand_row = n_panels * SN_LANES * ops.operand_size
    cdef sn_optimizer for_bias
    for p in range(n_panels):
        x[p] = panels[p].activations[task.layer]
        x_scale[p] = panels[p].input_scale + task.layer * SN_LANES
        delta_scale[p] = panels[p].delta_scale + task.layer * SN_LANES
    for block in range(task.begin, task.end):
        k = m.indptr[block]
        n = m.indptr[block + 1] - k
        for h in range(height):
            row = block * height + h
            factor[h] = 0
            correction[h] = 0
            if row >= layer.n_out:  # completes the block: no deltas, weights stay 0
                memset(<char*>s.prepared + h * operand_row, 0, operand_row)
                continue
            for p in range(n_panels):
                kept[p] = (<char*>panels[p].deltas[task.layer]
                           + row * SN_LANES * ops.delta_size)
            s.bias_gradient[row - row0] = ops.prepare(
                kept, n_panels, delta_scale, x_scale, layer.input_offset,
                mix(seed, row), <char*>s.prepared + h * operand_row, &factor[h],
                &correction[h])
        ops.sddmm[layer.wide](
            <const char*>m.indices + k * index_size, n, height, s.prepared, x,
            n_panels, factor, correction, s.gradient + (k - first) * height)
    n = m.indptr[task.end] - first
    kernels.update(optimizer, n * height, layer.weights + first * height, s.gradient,
                   layer.moments[0] + first * height,
                   layer.moments[1] + first * height)
    for_bias = optimizer[0]
    for_bias.alpha = 0
    kernels.update(&for_bias, rows, layer.bias + row0, s.bias_gradient,
                   layer.moments[2] + row0, layer.moments[3] + row0)
    if height == 1 and net.precision != SN_INT8:  # rows need not be told apart
        ops.encode_weights(
            layer.weights + first, n, 1, layer.transpose_position + first,
            <char*>m.weights + first * ops.weight_size, layer.transpose.weights, NULL)
        return
    for block in range(task.begin, task.end):
        k = m.indptr[block]
        ops.encode_weights(
            layer.weights + k * height, m.indptr[block + 1] - k, height,
            layer.transpose_position + k * height,
            <char*>m.weights + k * height * ops.weight_size, layer.transpose.weights,
            layer.row_scale + block * height)


# Memory ----------------------------------------------------------------------------

cdef class Arena:
    """Zeroed memory in 64-byte aligned pieces, freed with the object."""
    cdef void **pieces
    cdef int n_pieces
    cdef int capacity

    def __dealloc__(self):
        cdef int i
        for i in range(self.n_pieces):
            free(self.pieces[i])
        free(self.pieces)

    cdef void *take(self, size_t size) except NULL:
        cdef void *more
        if self.n_pieces == self.capacity:
            more = realloc(self.pieces, (2 * self.capacity + 16) * sizeof(void*))
            if more == NULL:
                raise MemoryError
            self.pieces = <void**>more
            self.capacity = 2 * self.capacity + 16
        cdef void *piece = calloc(size + 64, 1)
        if piece == NULL:
            raise MemoryError(f"{size} bytes for training or prediction")
        self.pieces[self.n_pieces] = piece
        self.n_pieces += 1
        return <void*>((<size_t>piece + 63) // 64 * 64)


cdef sn_matrix matrix_of(indptr, indices, weights, int64_t height, int64_t n_columns,
                         bint tiled):
    cdef sn_matrix m
    m.n_columns = n_columns
    m.n_tiles = 1
    if tiled and height > 1:
        m.n_tiles = (n_columns + TILE_COLUMNS - 1) // TILE_COLUMNS
    m.tile_columns = (n_columns + m.n_tiles - 1) // m.n_tiles
    m.n_blocks = len(indptr) - 1
    m.height = height
    m.indptr = <const int64_t*>address(indptr)
    m.indices = address(indices)
    m.weights = <void*>address(weights)
    return m


cdef class Engine:
    """Runs a list of layers; keeps pointers to their arrays, and so the arrays.

    Parameters
    ----------
    layers : list of sparsenet._layer.Layer
        Their arrays may change in place only.
    precision, activation, loss : str
    """
    cdef Net net
    cdef Arena arena
    cdef list arrays

    def __init__(self, layers, precision, activation, loss):
        cdef CLayer *c
        cdef int l, i
        # Values that may be negative are stored with an offset, which makes them
        # unsigned bytes; relu's and the logistic function's are not negative.
        signed = activation in ("identity", "tanh")
        self.arena = Arena()
        self.arrays = []
        self.net.precision = FORMATS[precision]
        self.net.ops = &kernels.format[self.net.precision]
        self.net.loss = LOSSES[loss]
        self.net.n_layers = len(layers)
        self.net.layers = <CLayer*>self.arena.take(len(layers) * sizeof(CLayer))
        for l, layer in enumerate(layers):
            c = &self.net.layers[l]
            c.n_in = layer.n_in
            c.n_out = layer.n_out
            c.forward = matrix_of(layer.indptr, layer.indices, layer.forward,
                                  layer.height, layer.n_in, self.net.ops.tiled)
            c.transpose = matrix_of(layer.transpose_indptr, layer.transpose_indices,
                                    layer.transpose, layer.transpose_height,
                                    layer.n_out, self.net.ops.tiled)
            c.wide = layer.indices.dtype == np.uint32
            c.transpose_wide = layer.transpose_indices.dtype == np.uint32
            c.activation = ACTIVATIONS[activation]
            c.input_offset = 128 if l == 0 or signed else 0
            c.weights = <float*>address(layer.weights)
            c.bias = <float*>address(layer.bias)
            c.row_scale = <float*>address(layer.row_scale)
            c.transpose_position = <const uint32_t*>address(layer.transpose_position)
            if layer.moments is not None:
                for i in range(4):
                    c.moments[i] = <float*>address(layer.moments[i])
            self.arrays.append(dict(vars(layer)))

    cdef int64_t widest(self):
        cdef int64_t n = padded(self.net.layers[0].n_in)
        cdef int l
        for l in range(self.net.n_layers):
            n = max(n, padded(self.net.layers[l].n_out))
        return n

    cdef Panel *panels(self, Arena arena, int64_t n, bint training) except NULL:
        cdef Panel *panels = <Panel*>arena.take(n * sizeof(Panel))
        cdef const sn_format_kernels *ops = self.net.ops
        cdef int n_layers = self.net.n_layers
        cdef int64_t p, rows
        cdef int l
        for p in range(n):
            panels[p].activations = <void**>arena.take(n_layers * sizeof(void*))
            panels[p].deltas = <void**>arena.take(n_layers * sizeof(void*))
            panels[p].input_scale = <float*>arena.take(n_layers * SN_LANES * 4)
            panels[p].delta_scale = <float*>arena.take(n_layers * SN_LANES * 4)
            for l in range(n_layers):
                if not training and l >= 2:
                    # A prediction needs a layer's inputs and outputs, no others.
                    panels[p].activations[l] = panels[p].activations[l - 2]
                    continue
                rows = padded(self.net.layers[l].n_in) if training else self.widest()
                panels[p].activations[l] = arena.take(
                    rows * SN_LANES * ops.activation_size)
                if training:
                    panels[p].deltas[l] = arena.take(
                        padded(self.net.layers[l].n_out) * SN_LANES * ops.delta_size)
        return panels

    cdef Scratch *scratches(self, Arena arena, int n_threads, int64_t n_panels,
                            int64_t task_connections, int64_t task_rows) except NULL:
        cdef Scratch *s = <Scratch*>arena.take(n_threads * sizeof(Scratch))
        cdef int64_t widest = self.widest()
        cdef bint training = n_panels > 0
        cdef int t
        for t in range(n_threads):
            s[t].z = <float*>arena.take(widest * SN_LANES * 4)
            s[t].tile = <float*>arena.take(TILE_COLUMNS * SN_LANES * 4)
            if not training:
                continue
            s[t].z_next = <float*>arena.take(widest * SN_LANES * 4)
            s[t].decoded = <float*>arena.take(ROWS * SN_LANES * 4)
            if self.net.precision == SN_INT8:
                s[t].operand = <uint8_t*>arena.take(widest * SN_LANES)
            s[t].target = arena.take(
                self.net.layers[self.net.n_layers - 1].n_out * SN_LANES * 4)
            s[t].weight = <float*>arena.take(SN_LANES * 4)
            s[t].prepared = arena.take(
                SN_BLOCK_HEIGHT * n_panels * SN_LANES * self.net.ops.operand_size)
            s[t].gradient = <float*>arena.take((task_connections + PADDING) * 4)
            s[t].bias_gradient = <float*>arena.take((task_rows + PADDING) * 4)
            s[t].pointers = <const void**>arena.take(4 * n_panels * sizeof(void*))
        return s

    cdef list tasks(self):
        """Cut all layers into blocks of about TASK_CONNECTIONS connections."""
        tasks = []
        for l in range(self.net.n_layers):
            indptr = self.arrays[l]["indptr"]
            height = self.net.layers[l].forward.height
            begin, n_blocks = 0, len(indptr) - 1
            while begin < n_blocks:
                limit = indptr[begin] + TASK_CONNECTIONS // height
                end = int(np.searchsorted(indptr, limit, side="right")) - 1
                end = min(max(end, begin + 1), n_blocks)
                tasks.append((l, begin, end))
                begin = end
        return tasks

    def train(self, X, y, sample_weight, const int64_t[::1] order,
              int64_t batch_size, optimizer, double alpha, int64_t n_steps,
              uint64_t seed, int n_threads):
        """One pass over the rows `order`, in mini-batches of `batch_size`.

        Returns the sum of weight * loss, the sum of the weights, and the number of
        steps taken. Signals are handled between steps, every 0.2 seconds or so.
        """
        cdef Arena arena = Arena()
        cdef Run run
        cdef int64_t t, steps_per_call
        cdef double work
        if order.shape[0] == 0:
            return 0.0, 0.0, 0
        run.net = &self.net
        run.x = input_of(X)
        run.targets = address(y)
        run.weights = NULL
        if sample_weight is not None:
            run.weights = <const float*>address(sample_weight)
        run.order = &order[0]
        run.n_rows = order.shape[0]
        run.batch_size = min(batch_size, run.n_rows)
        run.n_steps = n_steps
        run.start = 0
        run.seed = seed
        run.loss = run.total_weight = 0
        run.learning_rate = optimizer.learning_rate
        run.beta_1 = optimizer.beta_1
        run.beta_2 = optimizer.beta_2
        run.step.solver = SOLVERS[optimizer.solver]
        run.step.nesterov = optimizer.nesterovs_momentum
        run.step.momentum = optimizer.momentum
        run.step.beta_1 = optimizer.beta_1
        run.step.beta_2 = optimizer.beta_2
        run.step.epsilon = optimizer.epsilon
        run.step.alpha = alpha

        tasks = self.tasks()
        run.n_tasks = len(tasks)
        run.tasks = <Task*>arena.take(run.n_tasks * sizeof(Task))
        most_connections, most_rows, connections = 1, 1, 0
        for t, (l, first, last) in enumerate(tasks):
            run.tasks[t] = Task(l, first, last)
            indptr = self.arrays[l]["indptr"]
            height = self.net.layers[l].forward.height
            n = int(indptr[last] - indptr[first]) * height
            connections += n
            most_connections = max(most_connections, n)
            most_rows = max(most_rows, (last - first) * height)
        work = 3.0 * connections * run.batch_size
        steps_per_call = max(1, <int64_t>(SIGNAL_WORK / work))
        n_panels = (run.batch_size + SN_LANES - 1) // SN_LANES
        run.row_threads = 1 if work < SERIAL_WORK else n_threads
        run.panel_threads = min(run.row_threads, n_panels)
        run.panels = self.panels(arena, n_panels, True)
        run.scratch = self.scratches(arena, run.row_threads, n_panels,
                                     most_connections, most_rows)
        while run.start < run.n_rows:
            with nogil:
                run_steps(&run, steps_per_call)
            PyErr_CheckSignals()
        return run.loss, run.total_weight, run.n_steps - n_steps

    def predict(self, X, float[:, ::1] out, int n_threads):
        """Output activations of all rows of X into `out`."""
        cdef Net *net = &self.net
        cdef Input x = input_of(X)
        cdef int64_t n_rows = out.shape[0], n_outputs = out.shape[1]
        cdef int64_t n_panels = (n_rows + SN_LANES - 1) // SN_LANES
        cdef Arena arena = Arena()
        cdef Panel *panels
        cdef Scratch *scratch
        cdef int64_t p
        if n_rows == 0:
            return
        n_threads = max(1, min(n_threads, n_panels))
        panels = self.panels(arena, n_threads, False)
        scratch = self.scratches(arena, n_threads, 0, 0, 0)
        with nogil:
            for p in prange(n_panels, schedule="dynamic", num_threads=n_threads):
                predict_panel(net, &x, p, n_rows, n_outputs, &panels[threadid()],
                              &scratch[threadid()], &out[0, 0])


# Passes over the data --------------------------------------------------------------

cdef void run_steps(Run *run, int64_t n_steps) noexcept nogil:
    """At most n_steps optimizer steps: two parallel regions each."""
    cdef int64_t batch, n_panels, p, t, _step
    cdef double batch_weight
    cdef uint64_t seed
    for _step in range(n_steps):
        if run.start >= run.n_rows:
            return
        batch = min(run.batch_size, run.n_rows - run.start)
        batch_weight = batch
        if run.weights != NULL:
            batch_weight = 0
            for p in range(run.start, run.start + batch):
                batch_weight += run.weights[run.order[p]]
        if batch_weight > 0:  # a batch without weight teaches nothing
            n_panels = (batch + SN_LANES - 1) // SN_LANES
            run.n_steps += 1
            run.step.inv_weight = 1.0 / batch_weight
            run.step.learning_rate = run.learning_rate
            if run.step.solver == SN_ADAM:
                run.step.learning_rate = (
                    run.learning_rate * sqrt(1 - run.beta_2 ** run.n_steps)
                    / (1 - run.beta_1 ** run.n_steps))
            seed = mix(run.seed, run.n_steps)
            for p in prange(n_panels, schedule="static", chunksize=1,
                            num_threads=run.panel_threads):
                train_panel(run, batch, p, &run.scratch[threadid()], seed)
            # Neighbouring rows to one thread: in the transpose their weights share
            # cache lines.
            for t in prange(run.n_tasks, schedule="static",
                            num_threads=run.row_threads):
                update_task(run, &run.tasks[t], n_panels,
                            &run.scratch[threadid()], seed)
            for p in range(n_panels):
                run.loss += run.panels[p].loss
            run.total_weight += batch_weight
        run.start += batch


cdef void train_panel(Run *run, int64_t batch, int64_t p, Scratch *s,
                      uint64_t seed) noexcept nogil:
    cdef const Net *net = run.net
    cdef Panel *panel = &run.panels[p]
    cdef const int64_t *rows = run.order + run.start + p * SN_LANES
    cdef int n = <int>min(<int64_t>SN_LANES, batch - p * SN_LANES)
    cdef int64_t n_outputs = net.layers[net.n_layers - 1].n_out
    cdef const float *targets = <const float*>run.targets
    cdef float *target = <float*>s.target
    cdef int lane
    cdef int64_t o
    cdef uint32_t state = denormals_off()
    memset(s.weight, 0, SN_LANES * sizeof(float))  # idle lanes weigh nothing
    for lane in range(n):
        s.weight[lane] = 1 if run.weights == NULL else run.weights[rows[lane]]
    if net.loss == SN_LOSS_SOFTMAX:
        memset(s.target, 0, SN_LANES * sizeof(int32_t))
        for lane in range(n):
            (<int32_t*>s.target)[lane] = (<const int32_t*>run.targets)[rows[lane]]
    else:
        memset(s.target, 0, n_outputs * SN_LANES * sizeof(float))
        for lane in range(n):
            for o in range(n_outputs):
                target[o * SN_LANES + lane] = targets[rows[lane] * n_outputs + o]
    pack(&run.x, rows, n, s.z)
    forward(net, panel, n, s)
    panel.loss = kernels.loss(net.loss, s.z, n_outputs, s.target, s.weight)
    backward(net, panel, n, s, mix(seed, p))
    denormals_restore(state)


cdef void update_task(Run *run, const Task *task, int64_t n_panels, Scratch *s,
                      uint64_t seed) noexcept nogil:
    cdef uint32_t state = denormals_off()
    # Complemented: region 1 counts panels where this counts layers.
    update_rows(run.net, task, run.panels, n_panels, &run.step,
                mix(seed, ~<uint64_t>task.layer), s)
    denormals_restore(state)


cdef void predict_panel(const Net *net, const Input *x, int64_t p, int64_t n_rows,
                        int64_t n_outputs, Panel *panel, Scratch *s,
                        float *out) noexcept nogil:
    cdef int64_t[SN_LANES] rows
    cdef int n = <int>min(<int64_t>SN_LANES, n_rows - p * SN_LANES)
    cdef int lane
    cdef int64_t o
    cdef uint32_t state = denormals_off()
    for lane in range(n):
        rows[lane] = p * SN_LANES + lane
    pack(x, rows, n, s.z)
    forward(net, panel, n, s)
    kernels.output(net.loss, s.z, n_outputs)
    for lane in range(n):
        for o in range(n_outputs):
            out[rows[lane] * n_outputs + o] = s.z[o * SN_LANES + lane]
    denormals_restore(state)
