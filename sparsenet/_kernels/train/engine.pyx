"""Owns the memory of training and prediction, and enters the compiled passes."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport (
    SN_BLOCK_HEIGHT,
    SN_DENSE,
    SN_LANES,
    SN_PART,
    SN_ROWS,
    SN_STRIP_PAIR,
    SN_WINDOWS,
    sn_activations,
    sn_format_kernels,
    sn_formats,
    sn_losses,
    sn_matrix,
)
from sparsenet._kernels.train.feature_ranges cimport start_features
from sparsenet._kernels.train.full_gradient cimport add_gradients
from sparsenet._kernels.train.input cimport Input, address, checked, input_of
from sparsenet._kernels.train.layers cimport (
    cut_columns,
    has_panel_gradient,
    matrix_of,
    point_to_features,
    point_to_layer,
)
from sparsenet._kernels.train.memory cimport Arena
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
from sparsenet._kernels.train.optimizer cimport take_births, take_optimizer
from sparsenet._kernels.train.predict cimport Rating, predict_panels
from sparsenet._kernels.train.random cimport layer_seed
from sparsenet._kernels.train.rewire cimport (
    Growth,
    RowScratch,
    rewire_features,
    rewire_layer,
    row_scratches,
)
from sparsenet._kernels.train.sparse_first_layer cimport (
    Features,
    release,
    take_scratch,
)
from sparsenet._kernels.train.step cimport (
    plan_batch,
    run_panels,
    run_steps,
    settle_features,
)
from sparsenet._kernels.train.threads cimport startable_threads
from sparsenet._kernels.train.update cimport size_of

import time

import numpy as np

from sparsenet._kernels._dispatch import ACTIVATIONS, FORMATS, LOSSES, SOLVERS
from sparsenet._kernels.train.adaptive_threads import AdaptiveThreads
from sparsenet._kernels.train.feature_ranges import UPDATE_COST, work_of_features

# Connections of one task of region 2: gradients stay in L1, but those of strips.
cdef int64_t TASK_CONNECTIONS = 4096
# A parallel region costs a few microseconds; below so many multiply-adds (about
# 50 microseconds of one core in fp32) a step, or a prediction, runs on one thread.
cdef double SERIAL_WORK = 2e6
# Multiply-adds between two looks at Python's signals: 10 to 100 ms of one core.
cdef double SIGNAL_WORK = 1e9
# Multiply-adds of a prediction, some 20 microseconds of a core, from which on it gives
# up the GIL. Where another thread takes it, it is back after up to 5 milliseconds.
cdef double SHORT_WORK = 5e4
# So many times as fast is one row where its layers are cut into windows.
cdef double WINDOW_SPEED = 8


cdef inline int64_t padded(int64_t rows) noexcept nogil:
    return (rows + SN_PART - 1) // SN_PART * SN_PART


cdef const float *weights_of(data) except? NULL:
    if data.sample_weight is None:
        return NULL
    return <const float*>checked(data.sample_weight, "sample_weight", ("<f4",))


cdef class Engine:
    """Runs a list of layers; keeps pointers to their arrays, and so the arrays.

    Parameters
    ----------
    layers : list of sparsenet._layer.Layer
        The first may be a `FeatureLayer`. Their arrays may change in place only.
    precision, loss : str
    activations : sequence of str
        Of each layer.
    loss_parameters : float32 array of shape (n_outputs,)
        Zeros for a loss that has none.
    feature_work : float64 array of shape (n_features,), default=None
        The attribute of an engine before this one, of the same network.
    """
    cdef Net net
    cdef Features features
    cdef readonly object feature_work  # cumulative, of each feature in a step
    cdef Arena arena
    cdef list arrays
    cdef object loss_parameters
    cdef readonly int64_t n_batches  # of the last pass
    cdef object threads
    cdef int64_t n_tasks
    cdef Task *tasks
    cdef int64_t connections
    cdef int64_t task_connections  # of the largest task
    cdef int64_t task_rows
    cdef int64_t task_room    # for the parameters of all tasks

    def __init__(self, layers, precision, activations, loss, loss_parameters,
                 feature_work=None):
        cdef CLayer *c
        cdef int l
        self.arena = Arena()
        self.arrays = []
        self.loss_parameters = loss_parameters
        self.feature_work = feature_work
        self.net.format = &sn_formats[<int>FORMATS[precision]]
        self.net.ops = kernels_in_use().format[<int>FORMATS[precision]]
        self.net.loss = LOSSES[loss]
        self.net.loss_parameters = <const float*>checked(
            loss_parameters, "loss_parameters", ("<f4",))
        self.net.n_layers = len(layers)
        self.net.layers = <CLayer*>self.arena.take(len(layers) * sizeof(CLayer))
        for l, layer in enumerate(layers):
            c = &self.net.layers[l]
            arrays = dict(vars(layer))
            self.arrays.append(arrays)
            if layer.by_feature:
                self.take_features(layer, c, arrays)
            else:
                point_to_layer(c, layer, self.net.ops)
                if not layer.first:
                    cut_columns(&c.transpose, self.net.ops, self.arena)
            c.activation = ACTIVATIONS[activations[l]]
            c.density = layer.density
            c.has_signed_inputs = (
                l == 0
                or sn_activations[self.net.layers[l - 1].activation].is_signed)
        takes_samples = all([
            self.net.layers[l].alone.lane_alone
            for l in range(self.net.by_feature, self.net.n_layers)])
        # A row of a 784-1024-1024-10 network of density 0.1 takes 9 us in int8, 45 to
        # 60 in other formats, a panel 90 and more; of 20-100-1, a row 0.5, a panel 2.
        self.net.few = (4 if self.net.format.has_scales else 2) if takes_samples else 0
        self.cut_into_tasks()
        self.threads = AdaptiveThreads()

    cdef int take_features(self, layer, CLayer *c, dict arrays) except -1:
        """Take a first layer that is stored by feature.

        The tasks of region 2 see a layer that has biases only.
        """
        cdef int i
        indptr = np.zeros(layer.n_out + 1, np.int64)
        arrays |= {"indptr": indptr, "height": 1}
        c.n_in = layer.n_in
        c.n_out = layer.n_out
        c.forward = matrix_of(SN_ROWS, indptr, indptr, indptr, 0, self.net.ops)
        c.blocks_at_once = 1
        c.bias = <float*>address(layer.bias)
        c.row_scale = <float*>self.arena.take(padded(layer.n_out) * 4)
        if layer.moments is not None:
            for i in range(2):
                c.moments[2 + i] = <float*>address(layer.moments[i])
        c.averages[1] = <float*>address(layer.average_bias)
        point_to_features(&self.features, layer)
        self.net.by_feature = True
        self.net.features = &self.features
        return 0

    cdef int64_t widest(self):
        """Rows of the largest panel; rows of sparse X make none."""
        cdef int64_t n = 0
        cdef int l
        if not self.net.by_feature:
            n = padded(self.net.layers[0].n_in)
        for l in range(self.net.n_layers):
            n = max(n, padded(self.net.layers[l].n_out))
        return n

    cdef int64_t tile_bytes(self):
        """Of the samples that `tile_samples` makes, or of one sample's values."""
        cdef const sn_format_kernels *ops = self.net.ops
        cdef int64_t size = max(ops.tile_columns * SN_LANES, self.widest()) * 4
        cdef int l
        for l in range(self.net.n_layers):
            if self.net.layers[l].forward.by_strips or (
                    self.net.layers[l].transpose.by_strips):
                size = max(size, (self.widest() + PADDING) * SN_LANES
                           * ops.activation_size)
        return size

    cdef bint turns(self, int l, bint by_gradient):
        """Whether the gradient at all columns of a layer is asked for, by vectors."""
        cdef CLayer *layer = &self.net.layers[l]
        if l == 0 and self.net.by_feature:
            return False
        return by_gradient or layer.forward.layout == SN_DENSE and not layer.in_strips

    cdef Panel *panels(self, Arena arena, int64_t n, bint training,
                       bint by_gradient=False) except NULL:
        """Memory of n panels; a prediction reads nothing that it has not written."""
        cdef Panel *panels = <Panel*>arena.take(n * sizeof(Panel))
        cdef const sn_format_kernels *ops = self.net.ops
        cdef int n_layers = self.net.n_layers
        cdef const sn_matrix *last = &self.net.layers[n_layers - 1].forward
        cdef bint by_panel = (
            training and not by_gradient and has_panel_gradient(&self.net))
        cdef int64_t p, rows
        cdef int l
        for p in range(n):
            panels[p].activations = <void**>arena.take(n_layers * sizeof(void*))
            panels[p].deltas = <void**>arena.take(n_layers * sizeof(void*))
            if training:
                panels[p].turned = <void**>arena.take(n_layers * sizeof(void*))
                panels[p].derivatives = <float**>arena.take(n_layers * sizeof(void*))
            panels[p].input_scale = <float*>arena.take(n_layers * SN_LANES * 4)
            panels[p].delta_scale = <float*>arena.take(n_layers * SN_LANES * 4)
            for l in range(n_layers):
                if not training and l >= 2:
                    # A prediction needs a layer's inputs and outputs, no others.
                    panels[p].activations[l] = panels[p].activations[l - 2]
                    continue
                rows = padded(self.net.layers[l].n_in) if training else self.widest()
                if l == 0 and training and self.net.by_feature:
                    rows = 0
                panels[p].activations[l] = arena.take(
                    rows * SN_LANES * ops.activation_size, training)
                if training:
                    rows = padded(self.net.layers[l].n_out)
                    if not by_panel or l < n_layers - 1:
                        panels[p].deltas[l] = arena.take(
                            rows * SN_LANES * ops.delta_size)
                    if (sn_activations[self.net.layers[l].activation]
                            .keeps_derivative):
                        panels[p].derivatives[l] = <float*>arena.take(
                            rows * SN_LANES * sizeof(float))
                    if self.turns(l, by_gradient):
                        rows = (self.net.layers[l].n_in + 63) // 64 * 64
                        panels[p].turned[l] = arena.take(rows * ops.turned_size)
            if by_panel:
                panels[p].gradients[0] = <float*>arena.take(
                    last.indptr[last.n_blocks] * 4)
                panels[p].gradients[1] = <float*>arena.take(last.n_blocks * 4)
        return panels

    cdef Scratch *scratches(self, Arena arena, int n_threads, int64_t n_panels,
                            bint rating=False) except NULL:
        """Memory of each thread; n_panels of a step, or 0 for a prediction."""
        cdef Scratch *s = <Scratch*>arena.take(n_threads * sizeof(Scratch))
        cdef int64_t widest = self.widest()
        cdef int64_t n_outputs = self.net.layers[self.net.n_layers - 1].n_out
        cdef bint codes = sn_losses[self.net.loss].is_of_codes
        cdef bint training = n_panels > 0
        cdef int64_t prepared_rows = SN_BLOCK_HEIGHT
        cdef int t
        if self.net.ops.sddmm_strips != NULL:
            prepared_rows = 2 * SN_STRIP_PAIR  # twice: deltas are rearranged
        for t in range(n_threads):
            s[t].z = <float*>arena.take(widest * SN_LANES * 4, training)
            s[t].tile = arena.take(self.tile_bytes())
            if training or rating:
                s[t].z_next = <float*>arena.take(
                    (widest if training else n_outputs) * SN_LANES * 4)
                s[t].target = arena.take((1 if codes else n_outputs) * SN_LANES * 4)
                s[t].weight = <float*>arena.take(SN_LANES * 4)
                s[t].loss.largest = <float*>arena.take(
                    (1 + padded(n_outputs) // SN_PART) * SN_LANES * 4)
            if not training:
                continue
            s[t].decoded = <float*>arena.take(SN_PART * SN_LANES * 4)
            if self.net.format.has_scales:
                s[t].operand = <uint8_t*>arena.take(widest * SN_LANES)
            s[t].kept = s[t].z  # free while fp32 deltas are in use
            if self.net.ops.delta_size < 4 and has_panel_gradient(&self.net):
                s[t].kept = arena.take(n_outputs * SN_LANES * self.net.ops.delta_size)
            s[t].prepared = arena.take(
                prepared_rows * n_panels * SN_LANES * self.net.ops.operand_size)
            s[t].gradient = <float*>arena.take(
                (self.task_connections + self.task_rows + 2 * PADDING) * 4)
            s[t].pointers = <const void**>arena.take(4 * n_panels * sizeof(void*))
        return s

    cdef int cut_into_tasks(self) except -1:
        """Cut all layers into rows of about TASK_CONNECTIONS connections."""
        cdef int64_t n, t, unit, n_rows
        tasks = []
        for l, arrays in enumerate(self.arrays):
            indptr, height = arrays["indptr"], arrays["height"]
            begin, n_blocks = 0, len(indptr) - 1
            fan_in = int(indptr[1])  # of all blocks; 0 where only biases are left
            unit = self.net.layers[l].blocks_at_once
            at_once = n_blocks
            if fan_in > 0:
                at_once = TASK_CONNECTIONS // height // fan_in // unit * unit
            while begin < n_blocks:
                end = min(begin + max(at_once, unit), n_blocks)
                n = (end - begin) * fan_in * height
                tasks.append((l, begin, end))
                self.connections += n
                self.task_connections = max(self.task_connections, n)
                self.task_rows = max(self.task_rows, (end - begin) * height)
                begin = end
        self.n_tasks = len(tasks)
        self.tasks = <Task*>self.arena.take(self.n_tasks * sizeof(Task))
        for t, (l, begin, end) in enumerate(tasks):
            self.tasks[t] = Task(l, begin, end, self.task_room)
            n = size_of(&self.net, &self.tasks[t], &n_rows)
            self.task_room += n + n_rows + 2 * PADDING
        return 0

    cdef int keep_gradients(self, Arena arena, Run *run) except -1:
        """Memory for the gradients of a step, which are to be clipped."""
        run.memory.gradients = <float*>arena.take(self.task_room * 4)
        run.memory.squares = <double*>arena.take(self.n_tasks * 8)
        return 0

    def train(self, data, const int64_t[::1] order, int64_t batch_size, optimizer,
              uint64_t seed, const int64_t[::1] births, int64_t[::1] steps,
              int n_threads, rounds, int64_t n_rounds):
        """One pass over the rows `order`, in mini-batches of `batch_size`.

        `births` has the number of steps before each cohort of weights. `steps` has one
        number, that of the network's steps, which is counted on: no exception comes
        between a step and its count. `rounds` yields how many batches come before the
        next round of rewiring and the births by then; when that is reached, the round
        takes place between two items. The pass ends with the last item, at most
        `n_rounds` of them rounds. Returns the sum of weight * loss and the sum of the
        weights; counts `n_batches` from 0. Signals are handled between steps, every
        0.1 seconds or so.
        """
        cdef Arena arena = Arena(True)
        cdef Run run
        cdef int64_t steps_per_call, n_steps
        self.n_batches = 0
        memset(&run, 0, sizeof(Run))
        run.n_steps = steps[0]
        if optimizer.max_grad_norm:
            self.keep_gradients(arena, &run)
        n_threads = self.start(arena, &run, data, order, batch_size, seed, n_threads)
        n_steps = (run.data.n_rows + run.data.batch_size - 1) // run.data.batch_size
        run.steps_known = n_steps if self.net.by_feature else 1
        take_optimizer(arena, &run, &self.net, optimizer, births, n_rounds, n_steps)
        steps_per_call = max(1, <int64_t>(SIGNAL_WORK / run.work))
        try:
            self.run_rounds(&run, steps, n_threads, steps_per_call, rounds, n_rounds)
        except BaseException:  # Ctrl-C
            if self.net.by_feature:
                # Some features are as far as the last planned step: so are all, then.
                # No signal is handled before.
                run.data.n_rows = run.weighed
                with nogil:
                    run_steps(&run, run.n_weighed - run.steps_here + 1)
                self.count(&run, steps)
            raise
        finally:
            if self.net.by_feature:
                with nogil:
                    settle_features(&run, True)
            self.finish(&run)
        if run.features.out_of_memory:
            raise MemoryError("the non-zeros of a batch")
        return run.loss, run.total_weight

    def add_gradients(self, data, const int64_t[::1] rows, sums, int n_threads):
        """Add the gradient of the sum of weight * loss over some rows, one batch.

        `sums` has a pair of float64 arrays for each layer, of the shapes of its weights
        and biases. Returns the sum of weight * loss. float32 only.
        """
        cdef Arena arena = Arena(True)
        cdef Run run
        cdef double **weights
        cdef double **biases
        cdef int64_t p
        cdef int l
        memset(&run, 0, sizeof(Run))
        n_threads = self.start(arena, &run, data, rows, len(rows), 0, n_threads)
        run.row_threads = n_threads
        run.panel_threads = <int>min(<int64_t>n_threads, panels_of(run.data.batch_size))
        weights = <double**>arena.take(self.net.n_layers * sizeof(void*))
        biases = <double**>arena.take(self.net.n_layers * sizeof(void*))
        for l in range(self.net.n_layers):
            weights[l] = <double*>checked(sums[l][0], "sums", ("<f8",))
            biases[l] = <double*>checked(sums[l][1], "sums", ("<f8",))
        with nogil:
            if self.net.by_feature:
                plan_batch(&run, 0, 0)
            if not run.features.out_of_memory:
                run_panels(&run, run.data.batch_size, 0)
                add_gradients(&run, weights, biases)
        self.finish(&run)
        if run.features.out_of_memory:
            raise MemoryError("the non-zeros of a batch")
        for p in range(panels_of(run.data.batch_size)):
            run.loss += run.memory.panels[p].loss
        return run.loss

    def rewire(self, data, const int64_t[::1] batch, optimizer, uint64_t seed,
               double fraction, bint by_gradient, uint16_t cohort, int n_threads):
        """Replace a fraction of the connections of all sparse layers.

        New ones are of that cohort. They grow at random, or where the gradient of a
        mini-batch of training rows is largest. No signal is handled before all is
        consistent again. Returns how many are new in each layer.
        """
        cdef Arena arena = Arena(True)
        cdef Run run
        cdef Growth growth
        cdef RowScratch *scratch
        cdef int l
        memset(&run, 0, sizeof(Run))
        run.step.solver = SOLVERS[optimizer.solver]
        n_threads = self.start(arena, &run, data, batch, len(batch), seed, n_threads,
                               by_gradient)
        run.row_threads = self.threads.choose(n_threads)
        run.panel_threads = <int>min(<int64_t>run.row_threads,
                                     panels_of(run.data.batch_size))
        longest = max([max(a["n_in"], a["n_out"]) for a in self.arrays])
        scratch = row_scratches(arena, &run, n_threads, longest)
        growth.fraction = fraction
        growth.by_gradient = by_gradient
        growth.cohort = cohort
        counts = np.zeros(self.net.n_layers, np.int64)
        cdef int64_t[::1] n_new = counts
        with nogil:
            if by_gradient:
                if self.net.by_feature:
                    plan_batch(&run, 0, 0)
                if not run.features.out_of_memory:
                    run_panels(&run, run.data.batch_size, seed)
            for l in range(self.net.n_layers):
                growth.seed = layer_seed(seed, l)
                if run.features.out_of_memory:
                    break
                if l == 0 and self.net.by_feature:
                    if self.features.connections != NULL:
                        n_new[l] = rewire_features(&run, &growth, scratch)
                elif self.net.layers[l].forward.layout != SN_DENSE:
                    n_new[l] = rewire_layer(&run, l, &growth, scratch)
        self.finish(&run)
        if run.features.out_of_memory:
            raise MemoryError("the non-zeros of a batch")
        return counts

    cdef Input rows_of(self, X):
        cdef Input x = input_of(X)
        if self.net.by_feature and x.indptr == NULL:
            raise TypeError("X is dense; allowed: CSR, for a network of sparse rows")
        return x

    cdef const void *targets_of(self, data) except? NULL:
        return checked(
            data.y, "y", ("<i4" if sn_losses[self.net.loss].is_of_codes else "<f4",))

    cdef int start(self, Arena arena, Run *run, data, const int64_t[::1] order,
                   int64_t batch_size, uint64_t seed, int n_threads,
                   bint by_gradient=False) except -1:
        """Take the rows and the memory of a run; returns the threads worth using."""
        cdef int64_t n_panels
        cdef double entries = 0
        X = data.X
        run.net = &self.net
        run.data.x = self.rows_of(X)
        run.data.targets = self.targets_of(data)
        run.data.weights = weights_of(data)
        run.data.order = &order[0]
        run.data.n_rows = order.shape[0]
        run.data.batch_size = min(batch_size, run.data.n_rows)
        run.features.window = 1
        run.seed = seed
        run.memory.n_tasks = self.n_tasks
        run.memory.tasks = self.tasks
        run.panel_threads = run.row_threads = 1  # until they are chosen
        n_panels = panels_of(run.data.batch_size)
        run.work = 3.0 * self.connections * n_panels * SN_LANES
        if self.net.by_feature:
            entries = run.data.batch_size * (X.nnz / X.shape[0])
            run.work += (3 + UPDATE_COST) * self.features.state.fan_out * entries
            run.work = max(run.work, 1.0)  # a linear model of rows without non-zeros
        if run.work < SERIAL_WORK:
            n_threads = 1
        n_threads = startable_threads(n_threads)
        run.memory.panels = self.panels(arena, n_panels, True, by_gradient)
        run.memory.scratch = self.scratches(arena, n_threads, n_panels)
        if self.net.by_feature:
            if self.feature_work is None:
                self.feature_work = work_of_features(
                    X, self.features.n_features, run.data.batch_size)
            # Ctrl-C waits for the steps that are planned.
            start_features(arena, run, &self.features, X, self.feature_work, entries,
                           SIGNAL_WORK / run.work, n_threads)
        return n_threads

    cdef int finish(self, Run *run) except -1:
        """Free what the ranges of features allocated for themselves."""
        cdef int64_t r, b
        for r in range(run.features.n_ranges):
            for b in range(run.features.window):
                release(&run.features.ranges[r].batches[b])
        return 0

    cdef void count(self, const Run *run, int64_t[::1] steps) noexcept:
        """Tell how far a pass has come."""
        steps[0] = run.n_steps
        self.n_batches = (run.start + run.data.batch_size - 1) // run.data.batch_size

    cdef int run_rounds(self, Run *run, int64_t[::1] steps, int n_threads,
                        int64_t steps_per_call, rounds, int64_t n_rounds) except -1:
        """Run steps from one round of rewiring to the next, as `train` says.

        The last round, which may make layers anew, finds all features up to date.
        """
        cdef int64_t n_rows = run.data.n_rows, n_batches
        for n_batches, births in rounds:
            take_births(run, births)
            run.data.n_rows = min(n_rows, n_batches * run.data.batch_size)
            self.run_pass(run, steps, n_threads, steps_per_call)
            if run.features.out_of_memory or self.n_batches < n_batches:
                break
            n_rounds -= 1
            if self.net.by_feature:
                with nogil:
                    settle_features(run, n_rounds == 0)
        return 0

    cdef int run_pass(self, Run *run, int64_t[::1] steps, int n_threads,
                      int64_t steps_per_call) except -1:
        """Run steps until the rows are done, in calls short enough for signals."""
        cdef int64_t done, n_steps
        while run.start < run.data.n_rows:
            done = run.n_steps
            begin = time.perf_counter()
            run.row_threads = self.threads.choose(n_threads)
            run.panel_threads = <int>min(
                run.row_threads, panels_of(run.data.batch_size))
            n_steps = self.threads.limit(steps_per_call)
            with nogil:
                run_steps(run, n_steps)
            self.count(run, steps)
            PyErr_CheckSignals()
            if run.n_steps > done:
                self.threads.observe(
                    (time.perf_counter() - begin) / (run.n_steps - done) / run.work)
            if run.features.out_of_memory:
                break
        return 0

    def predict(self, X, out, int n_threads, bint logits=False, rated=None):
        """Output activations of all rows of X, or the logits, into float32 `out`.

        `rated` has targets, and weights or None: the sum of weight * loss is returned
        then, 0 without it. Signals are handled every 0.1 seconds or so.
        """
        cdef Arena arena = Arena(True)
        cdef Input x = self.rows_of(X)
        cdef int64_t n_rows = len(out), n_panels = panels_of(n_rows), first = 0, n, p
        cdef float *outputs = <float*>checked(out, "out", ("<f4",))
        cdef Panel *panels
        cdef Scratch *scratch
        cdef Rating rating
        cdef Rating *wanted = NULL
        cdef double loss = 0, work = 1.0 + self.connections  # of a row
        if n_rows == 0:
            return 0.0
        if self.net.by_feature:
            work += <double>self.features.state.fan_out * X.nnz / n_rows
        if n_rows == 1 and (self.net.layers[self.net.n_layers - 1].alone.layout
                            == SN_WINDOWS):
            work /= WINDOW_SPEED
        if n_rows * work < SERIAL_WORK:
            n_threads = 1
        n_threads = startable_threads(max(1, min(n_threads, n_panels)))
        panels = self.panels(arena, n_threads, False)
        scratch = self.scratches(arena, n_threads, 0, rated is not None)
        if rated is not None:
            rating.targets = self.targets_of(rated)
            rating.weights = weights_of(rated)
            rating.losses = <double*>arena.take(n_panels * sizeof(double))
            wanted = &rating
        if self.net.by_feature:
            longest = int(np.diff(X.indptr).max())
            for t in range(n_threads):
                take_scratch(arena, &self.features, &scratch[t].features, longest, 0, 0)
        if not self.net.by_feature and n_rows * work < SHORT_WORK:
            predict_panels(&self.net, &x, n_rows, 0, n_panels, panels, scratch,
                           n_threads, logits, outputs, wanted)
            first = n_panels
        while first < n_panels:
            n = <int64_t>(SIGNAL_WORK / (work * SN_LANES)) // n_threads * n_threads
            n = min(max(n, n_threads), n_panels - first)
            with nogil:
                predict_panels(&self.net, &x, n_rows, first, first + n, panels, scratch,
                               n_threads, logits, outputs, wanted)
            first += n
            PyErr_CheckSignals()
        if wanted != NULL:
            for p in range(n_panels):
                loss += rating.losses[p]
        return loss
