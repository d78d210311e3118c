"""Owns the memory of training and prediction, and enters the compiled passes."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels._input cimport Input, address, input_of
from sparsenet._kernels._steps cimport (
    ROWS,
    SN_TILE_COLUMNS,
    CLayer,
    Net,
    Panel,
    Run,
    Scratch,
    Task,
    predict_panels,
    run_steps,
)
from sparsenet._kernels.kernels cimport (
    SN_ADAM,
    SN_BLOCK_HEIGHT,
    SN_IDENTITY,
    SN_INT8,
    SN_LANES,
    SN_LOGISTIC,
    SN_LOSS_LOGISTIC,
    SN_LOSS_POISSON,
    SN_LOSS_SOFTMAX,
    SN_LOSS_SQUARED_ERROR,
    SN_RELU,
    SN_SGD,
    SN_TANH,
    sn_format_kernels,
    sn_matrix,
)

import time

import numpy as np

from sparsenet._kernels._dispatch import FORMATS
from sparsenet._kernels.governor import ThreadGovernor

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
TILE_COLUMNS = SN_TILE_COLUMNS
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

# Connections of one task of region 2: the gradients of a task stay in L1.
cdef int64_t TASK_CONNECTIONS = 4096
# A parallel region costs a few microseconds; below so many multiply-adds (about
# 50 microseconds of one core in fp32) a step runs on one thread.
cdef double SERIAL_WORK = 2e6
# Multiply-adds between two looks at Python's signals: 20 to 200 ms of one core.
cdef double SIGNAL_WORK = 2e9


def max_threads():
    """Threads that OpenMP would start: OMP_NUM_THREADS, threadpoolctl, or the cores."""
    return omp_get_max_threads()


cdef inline int64_t padded(int64_t rows) noexcept nogil:
    return (rows + ROWS - 1) // ROWS * ROWS


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
        m.n_tiles = (n_columns + SN_TILE_COLUMNS - 1) // SN_TILE_COLUMNS
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
    cdef public int64_t n_steps  # of the optimizer
    cdef object governor
    cdef int64_t n_tasks
    cdef Task *tasks
    cdef int64_t connections
    cdef int64_t task_connections  # of the largest task
    cdef int64_t task_rows

    def __init__(self, layers, precision, activation, loss):
        cdef CLayer *c
        cdef int l, i
        # Values that may be negative are stored with an offset, which makes them
        # unsigned bytes; relu's and the logistic function's are not negative.
        signed = activation in ("identity", "tanh")
        self.arena = Arena()
        self.arrays = []
        self.net.precision = FORMATS[precision]
        self.net.ops = &kernels_in_use().format[self.net.precision]
        self.net.loss = LOSSES[loss]
        self.net.n_layers = len(layers)
        self.net.layers = <CLayer*>self.arena.take(len(layers) * sizeof(CLayer))
        for l, layer in enumerate(layers):
            c = &self.net.layers[l]
            c.n_in = layer.n_in
            c.n_out = layer.n_out
            c.forward = matrix_of(layer.indptr, layer.indices, layer.forward,
                                  layer.height, layer.n_in, self.net.ops.tiled)
            c.wide = layer.indices.dtype == np.uint32
            if layer.transpose is not None:
                c.transpose = matrix_of(
                    layer.transpose_indptr, layer.transpose_indices, layer.transpose,
                    layer.transpose_height, layer.n_out, self.net.ops.tiled)
                c.transpose_wide = layer.transpose_indices.dtype == np.uint32
                c.transpose_position = <const uint32_t*>address(
                    layer.transpose_position)
            c.activation = ACTIVATIONS[activation]
            c.input_offset = 128 if l == 0 or signed else 0
            c.weights = <float*>address(layer.weights)
            c.bias = <float*>address(layer.bias)
            c.row_scale = <float*>address(layer.row_scale)
            if layer.moments is not None:
                for i in range(4):
                    c.moments[i] = <float*>address(layer.moments[i])
            self.arrays.append(dict(vars(layer)))
        self.cut_into_tasks()
        self.governor = ThreadGovernor()

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

    cdef Scratch *scratches(self, Arena arena, int n_threads,
                            int64_t n_panels) except NULL:
        """Memory of each thread; n_panels of a step, or 0 for a prediction."""
        cdef Scratch *s = <Scratch*>arena.take(n_threads * sizeof(Scratch))
        cdef int64_t widest = self.widest()
        cdef bint training = n_panels > 0
        cdef int t
        for t in range(n_threads):
            s[t].z = <float*>arena.take(widest * SN_LANES * 4)
            s[t].tile = <float*>arena.take(SN_TILE_COLUMNS * SN_LANES * 4)
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
            s[t].gradient = <float*>arena.take((self.task_connections + PADDING) * 4)
            s[t].bias_gradient = <float*>arena.take((self.task_rows + PADDING) * 4)
            s[t].pointers = <const void**>arena.take(4 * n_panels * sizeof(void*))
        return s

    cdef int cut_into_tasks(self) except -1:
        """Cut all layers into rows of about TASK_CONNECTIONS connections."""
        cdef int64_t n, t
        tasks = []
        for l, arrays in enumerate(self.arrays):
            indptr, height = arrays["indptr"], arrays["height"]
            begin, n_blocks = 0, len(indptr) - 1
            while begin < n_blocks:
                limit = indptr[begin] + TASK_CONNECTIONS // height
                end = int(np.searchsorted(indptr, limit, side="right")) - 1
                end = min(max(end, begin + 1), n_blocks)
                n = (indptr[end] - indptr[begin]) * height
                tasks.append((l, begin, end))
                self.connections += n
                self.task_connections = max(self.task_connections, n)
                self.task_rows = max(self.task_rows, (end - begin) * height)
                begin = end
        self.n_tasks = len(tasks)
        self.tasks = <Task*>self.arena.take(self.n_tasks * sizeof(Task))
        for t, (l, begin, end) in enumerate(tasks):
            self.tasks[t] = Task(l, begin, end)
        return 0

    def train(self, X, y, sample_weight, const int64_t[::1] order,
              int64_t batch_size, optimizer, double alpha, uint64_t seed,
              int n_threads):
        """One pass over the rows `order`, in mini-batches of `batch_size`.

        Returns the sum of weight * loss and the sum of the weights, and counts
        `n_steps` on. Signals are handled between steps, every 0.2 seconds or so.
        """
        cdef Arena arena = Arena()
        cdef Run run
        cdef int64_t n_panels, steps_per_call, steps, done
        cdef double work
        if order.shape[0] == 0:
            return 0.0, 0.0
        run.net = &self.net
        run.x = input_of(X)
        run.targets = address(y)
        run.weights = NULL
        if sample_weight is not None:
            run.weights = <const float*>address(sample_weight)
        run.order = &order[0]
        run.n_rows = order.shape[0]
        run.batch_size = min(batch_size, run.n_rows)
        run.n_steps = self.n_steps
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

        run.n_tasks = self.n_tasks
        run.tasks = self.tasks
        n_panels = (run.batch_size + SN_LANES - 1) // SN_LANES
        work = 3.0 * self.connections * n_panels * SN_LANES
        steps_per_call = max(1, <int64_t>(SIGNAL_WORK / work))
        if work < SERIAL_WORK:
            n_threads = 1
        run.panels = self.panels(arena, n_panels, True)
        run.scratch = self.scratches(arena, n_threads, n_panels)
        while run.start < run.n_rows:
            done = run.n_steps
            begin = time.perf_counter()
            run.row_threads = self.governor.choose(n_threads)
            run.panel_threads = min(run.row_threads, n_panels)
            steps = self.governor.limit(steps_per_call)
            with nogil:
                run_steps(&run, steps)
            self.n_steps = run.n_steps
            PyErr_CheckSignals()
            if run.n_steps > done:
                self.governor.observe(
                    (time.perf_counter() - begin) / (run.n_steps - done) / work)
        return run.loss, run.total_weight

    def predict(self, X, float[:, ::1] out, int n_threads):
        """Output activations of all rows of X into `out`."""
        cdef Arena arena = Arena()
        cdef Input x = input_of(X)
        cdef int64_t n_rows = out.shape[0]
        cdef Panel *panels
        cdef Scratch *scratch
        if n_rows == 0:
            return
        n_threads = max(1, min(n_threads, (n_rows + SN_LANES - 1) // SN_LANES))
        panels = self.panels(arena, n_threads, False)
        scratch = self.scratches(arena, n_threads, 0)
        with nogil:
            predict_panels(&self.net, &x, n_rows, panels, scratch, n_threads,
                           &out[0, 0])
