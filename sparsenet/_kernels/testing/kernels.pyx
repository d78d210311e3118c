"""The kernels one at a time, of any instruction set: for tests and benchmarks."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

from sparsenet._kernels._dispatch cimport kernels_named, tile_of
from sparsenet._kernels.kernels cimport (
    SN_BLOCK_COLUMNS,
    SN_BLOCKS,
    SN_DENSE,
    SN_LANES,
    SN_ROWS,
    SN_STRIP_PAIR,
    SN_STRIP,
    sn_feature_state,
    sn_format_kernels,
    sn_kernels,
    sn_matrix,
    sn_optimizer,
)
from sparsenet._kernels.train.input cimport address
from sparsenet._kernels.train.layers cimport matrix_of

import numpy as np

from sparsenet._kernels._dispatch import FORMATS, SOLVERS

LAYOUTS = {
    "rows": SN_ROWS,
    "blocks": SN_BLOCKS,
    "block_columns": SN_BLOCK_COLUMNS,
    "dense": SN_DENSE,
}


cdef class Kernels:
    """One instruction set's kernels for one number format.

    Arrays are passed as the kernels want them (kernels.h): C-contiguous, of the right
    dtype, with room behind weights. Nothing is checked. Methods have as many parameters
    as their kernels.
    """
    cdef const sn_kernels *table
    cdef const sn_format_kernels *ops

    def __init__(self, str isa, str precision):
        self.table = kernels_named(isa)
        self.ops = self.table.format[<int>FORMATS[precision]]

    @property
    def weight_group(self):
        return self.ops.weight_group

    @property
    def weight_tile(self):
        return tile_of(self.ops)

    @property
    def operand_size(self):
        return self.ops.operand_size

    @property
    def term_size(self):
        return self.ops.term_size

    @property
    def row_size(self):
        return self.ops.row_size

    def spmm(self, layout, indptr, indices, weights, x, int offset, out,
             int64_t tile_columns=0, int lanes=SN_LANES, int repeat=1,
             bint by_strips=False):
        """`x` [n_columns][64] as the layout reads it; stored if "dense" or by strips.

        `tile_columns` is for that layout, 0: the format's own. Strips have whole
        vectors of them.
        """
        cdef sn_matrix m = matrix_of(LAYOUTS[layout], indptr, indices, weights, len(x),
                                     self.ops)
        cdef int _i
        cdef int64_t tile
        cdef bint tiled = self.ops.tile_columns > 0 and layout == "dense"
        m.by_strips = by_strips
        m.lane_alone = m.lane_alone and lanes == 1 and not by_strips
        make = self.first_lane if m.lane_alone else self.tile_samples
        samples = [make(x, offset) if by_strips or m.lane_alone else x]
        if tiled:
            m.tile_columns = tile_columns or self.ops.tile_columns
            if self.weight_tile:
                m.tile_columns = (m.tile_columns + 63) // 64 * 64
            m.n_tiles = (m.n_columns + m.tile_columns - 1) // m.tile_columns
            samples = [make(x[tile * m.tile_columns:][:m.tile_columns], offset)
                       for tile in range(m.n_tiles)]
        pointers = np.array([part.ctypes.data for part in samples], np.uintp)
        cdef const void *const *px = <const void *const *>address(pointers)
        # Strips fill the rows of the last one.
        whole = aligned((len(out) + SN_STRIP, SN_LANES), np.float32)
        cdef float *pout = <float*>address(whole)
        with nogil:
            for _i in range(repeat):
                for tile in range(m.n_tiles):
                    self.ops.spmm(&m, tile, 0, m.n_blocks, px[tile], offset, lanes,
                                  pout)
        out[...] = whole[:len(out)]

    def tile_samples(self, x, int offset):
        """Samples of some columns as a tile of a dense layer reads them."""
        if self.ops.tile_samples == NULL:
            return x
        samples = aligned((len(x) + 64, SN_LANES), np.float32)
        self.ops.tile_samples(address(x), len(x), offset, <void*>address(samples))
        return samples

    def first_lane(self, x, int offset):
        """The first sample of some columns as a product of one lane reads it."""
        lane = aligned(len(x), np.uint32)
        self.ops.first_lane(address(x), len(x), offset, <void*>address(lane))
        return lane

    def sddmm(self, indptr, indices, int64_t height, deltas, panels, factor,
              correction, gradient, int repeat=1, int64_t n_samples=-1):
        """`deltas` [n_blocks][height][n_panels][64], prepared; gradient [n][height].

        `indices` None: the blocks of a dense layer. `n_samples` -1: panels are full.
        """
        if indices is None:
            panels = [self.turn(panel) for panel in panels]
        cdef int wide = indices is not None and indices.dtype == np.uint32
        cdef int64_t size = 4 if wide else 2
        cdef int64_t n_panels = len(panels), n_blocks = len(indptr) - 1, b, _i
        cdef const int64_t *ptr = <const int64_t*>address(indptr)
        cdef const char *index = <const char*>address(indices)
        cdef const char *d = <const char*>address(deltas)
        cdef int64_t stride = height * n_panels * SN_LANES * self.ops.operand_size
        cdef const float *f = <const float*>address(factor)
        cdef const int32_t *c = <const int32_t*>address(correction)
        cdef float *g = <float*>address(gradient)
        pointers = np.array([panel.ctypes.data for panel in panels], np.uintp)
        cdef const void *const *x = <const void *const *>address(pointers)
        if n_samples < 0:
            n_samples = n_panels * SN_LANES
        with nogil:
            for _i in range(repeat):
                for b in range(n_blocks):
                    self.ops.sddmm(
                        NULL if index == NULL else index + ptr[b] * size,
                        wide, ptr[b + 1] - ptr[b], height,
                        d + b * stride, x, n_samples, f + b * height, c + b * height,
                        NULL, g + ptr[b] * height)

    def turn(self, x):
        """A panel as the gradient of a dense layer's weights reads it."""
        size = (len(x) + 63) // 64 * 64 * self.ops.turned_size
        turned = aligned(size, np.uint8)
        self.ops.turn(address(x), len(x), <void*>address(turned))
        return turned

    def sddmm_strips(self, layout, indptr, indices, deltas, panels, factor, correction,
                     gradient, int repeat=1, int64_t n_samples=-1):
        """All strips of a matrix, otherwise like `sddmm`.

        Without the room that strips want: `deltas` [n_rows][n_panels][64] and the
        panels are copied.
        """
        cdef sn_matrix m = matrix_of(LAYOUTS[layout], indptr, indices, None,
                                     len(panels[0]), self.ops)
        cdef int64_t n_panels = len(panels), n_rows = factor.size, strip, block, row
        cdef int64_t n_strips = (n_rows + SN_STRIP_PAIR - 1) // SN_STRIP_PAIR
        cdef int _i
        whole = aligned((n_panels, m.n_columns + 31, SN_LANES), panels[0].dtype)
        for panel, copy in zip(panels, whole):
            copy[:m.n_columns] = panel
        rows = aligned((n_strips, 2, SN_STRIP_PAIR, n_panels * SN_LANES), deltas.dtype)
        of_strips = np.zeros((n_strips * SN_STRIP_PAIR, rows.shape[3]), deltas.dtype)
        of_strips[:n_rows] = deltas.reshape(n_rows, -1)
        rows[:, 0] = of_strips.reshape(rows[:, 0].shape)
        factors = np.zeros(n_strips * SN_STRIP_PAIR, np.float32)
        corrections = np.zeros(n_strips * SN_STRIP_PAIR, np.int32)
        factors[:n_rows], corrections[:n_rows] = factor.ravel(), correction.ravel()
        pointers = np.array([panel.ctypes.data for panel in whole], np.uintp)
        cdef const void *const *x = <const void *const *>address(pointers)
        cdef char *d = <char*>address(rows)
        cdef int64_t stride = rows.strides[0]
        cdef const float *f = <const float*>address(factors)
        cdef const int32_t *c = <const int32_t*>address(corrections)
        cdef float *g = <float*>address(gradient)
        if n_samples < 0:
            n_samples = n_panels * SN_LANES
        with nogil:
            for _i in range(repeat):
                for strip in range(n_strips):
                    row = strip * SN_STRIP_PAIR
                    block = row // m.height
                    self.ops.sddmm_strips(
                        &m, block, d + strip * stride, x, n_samples, f + row, c + row,
                        g + m.indptr[block] * m.height)

    def encode(self, z, int offset, x, scale, int lanes=SN_LANES):
        self.ops.encode(<const float*>address(z), len(z), offset, lanes,
                        <void*>address(x), <float*>address(scale))

    def decode(self, x, int offset, scale, z):
        self.ops.decode(address(x), len(x), offset, <const float*>address(scale),
                        <float*>address(z))

    def encode_deltas(self, z, row_scale, uint64_t seed, kept, operand, scale,
                      bint packed=False):
        self.ops.encode_deltas(
            <const float*>address(z), len(z), <const float*>address(row_scale), packed,
            seed,
            <void*>address(kept), <void*>address(operand), <float*>address(scale))

    def prepare(self, kept, delta_scale, x_scale, int offset, uint64_t seed, deltas):
        """One row of each panel -> (factor, correction, bias gradient)."""
        cdef float factor = 0
        cdef int32_t correction = 0
        cdef float total
        rows = np.array([row.ctypes.data for row in kept], np.uintp)
        d_scales = np.array([row.ctypes.data for row in delta_scale], np.uintp)
        x_scales = np.array([row.ctypes.data for row in x_scale], np.uintp)
        total = self.ops.prepare(
            <const void *const *>address(rows), len(kept),
            <const float *const *>address(d_scales),
            <const float *const *>address(x_scales), offset, seed,
            <void*>address(deltas), &factor, &correction)
        return factor, correction, total

    def encode_weights(self, master, position, forward, transpose, row_scale,
                       int64_t block=-1, int64_t n_rows=0, bint far=False):
        """`block` -1: of a sparse layer; else of a dense one of n_rows rows."""
        self.ops.encode_weights(
            <const float*>address(master), len(master), master.shape[1],
            <const uint32_t*>address(position), far, block, n_rows,
            <void*>address(forward),
            <void*>address(transpose), <float*>address(row_scale))

    def encode_terms(self, x, int64_t n, int stochastic, uint64_t seed, terms):
        """-> the scale, as `encode_row`."""
        return self.ops.encode_terms(<const float*>address(x), n, stochastic, seed,
                                     <void*>address(terms))

    def encode_row(self, values, int64_t n, int stochastic, uint64_t seed, row):
        return self.ops.encode_row(<const float*>address(values), n, stochastic, seed,
                                   <void*>address(row))

    def sum_rows(self, indices, terms, table, int64_t row_bytes, int encoded,
                 int64_t n_units, out):
        self.ops.sum_rows(<const uint32_t*>address(indices), address(terms),
                          len(indices), address(table), row_bytes, encoded, n_units,
                          <float*>address(out))

    def sum_sparse_rows(self, indices, terms, table, int64_t row_bytes, connections,
                        int64_t height, int64_t n_units, out):
        """`connections` [n_features][fan_out] of blocks of `height` units."""
        cdef int wide = connections.dtype == np.uint32
        self.ops.sum_sparse_rows(
            <const uint32_t*>address(indices), address(terms), len(indices),
            address(table), row_bytes, address(connections), wide,
            connections.shape[1] * height, height, n_units, <float*>address(out))

    def sum_at_connections(self, indices, terms, table, int64_t row_bytes, connections,
                           int64_t height, out):
        """`connections` [fan_out] of blocks of `height` units."""
        cdef int wide = connections.dtype == np.uint32
        self.ops.sum_at_connections(
            <const uint32_t*>address(indices), address(terms), len(indices),
            address(table), row_bytes, address(connections), wide,
            len(connections) * height, height, <float*>address(out))

    def pack(self, X, const int64_t[::1] rows, z):
        """Rows of a C-contiguous float32 or float64 X -> z [n_features][64]."""
        self.table.pack(address(X), X.dtype == np.float64, X.shape[1],
                        &rows[0] if len(rows) else NULL, len(rows),
                        <float*>address(z))

    def activate(self, int activation, z, bias, row_scale, lane_scale,
                 int lanes=SN_LANES, derivative=None):
        self.table.activate(activation, <float*>address(z), len(z),
                            <const float*>address(bias),
                            <const float*>address(row_scale),
                            <const float*>address(lane_scale), lanes,
                            <float*>address(derivative))

    def chain(self, int activation, z, a, lane_scale):
        self.table.chain(activation, <float*>address(z), <const float*>address(a),
                         len(z), <const float*>address(lane_scale))

    def output(self, int loss, z):
        self.table.output(loss, <float*>address(z), len(z))

    def loss(self, int loss, z, target, weight):
        return self.table.loss(loss, <float*>address(z), len(z), address(target),
                               <const float*>address(weight))

    def update(self, optimizer, double alpha, double inv_weight, parameter, gradient,
               first, second, cohort=None, rates=None):
        """`rates` of each cohort, where there are several."""
        cdef sn_optimizer o = step_of(optimizer, alpha, inv_weight)
        rates = np.float32([optimizer.learning_rate]) if rates is None else rates
        o.n_cohorts = len(rates)
        o.learning_rate = <const float*>address(rates)
        self.table.update(&o, <const uint16_t*>address(cohort), len(parameter),
                          <float*>address(parameter), <const float*>address(gradient),
                          <float*>address(first), <float*>address(second))

    def advance(self, optimizer, double alpha, rates, inv_weight, state, fan_out,
                features, begin, end, gradient=None, cohort=None):
        """`rates` [step][cohort], `inv_weight` [step], state [feature][plane][stride].

        `features`, `begin` and `end` are uint32[n], `gradient` is as wide as `state`.
        """
        cdef sn_optimizer o = step_of(optimizer, alpha, 0)
        cdef sn_feature_state f
        o.n_cohorts = rates.shape[1] if rates.ndim == 2 else 1
        f.values = <float*>address(state)
        f.planes = state.shape[1]
        f.stride = state.shape[2]
        f.fan_out = fan_out
        f.cohort = <const uint16_t*>address(cohort)
        self.table.advance(
            &o, &f, <const float*>address(rates), <const float*>address(inv_weight),
            len(features), <const uint32_t*>address(features),
            <const uint32_t*>address(begin), <const uint32_t*>address(end),
            <const float*>address(gradient))


def aligned(shape, dtype):
    """Zeros from the start of a cache line, as the engine's memory is."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start:start + size].view(dtype).reshape(shape)


cdef sn_optimizer step_of(optimizer, double alpha, double inv_weight):
    cdef sn_optimizer o
    o.solver = SOLVERS[optimizer.solver]
    o.nesterov = optimizer.nesterovs_momentum
    o.beta_1 = optimizer.beta_1
    o.beta_2 = optimizer.beta_2
    o.epsilon = optimizer.epsilon
    o.momentum = optimizer.momentum
    o.alpha = alpha
    o.inv_weight = inv_weight
    return o
