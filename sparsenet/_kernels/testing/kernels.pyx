"""The kernels one at a time, of any instruction set: for tests and benchmarks."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

from sparsenet._kernels._dispatch cimport kernels_named, tile_of
from sparsenet._kernels.kernels cimport (
    SN_BLOCK_COLUMNS,
    SN_BLOCKS,
    SN_DENSE,
    SN_LANES,
    SN_PART,
    SN_ROWS,
    SN_STRIP_PAIR,
    SN_STRIP,
    SN_WINDOWS,
    sn_feature_state,
    sn_format_kernels,
    sn_kernels,
    sn_matrix,
    sn_optimizer,
    sn_panel_loss,
    sn_steps,
)
from sparsenet._kernels.train.input cimport address
from sparsenet._kernels.train.layers cimport matrix_of
from sparsenet._kernels.train.layouts cimport windows_of
from sparsenet._kernels.train.transpose cimport find_tiles

import numpy as np

from sparsenet._kernels._dispatch import FORMATS, SOLVERS

LAYOUTS = {
    "rows": SN_ROWS,
    "blocks": SN_BLOCKS,
    "block_columns": SN_BLOCK_COLUMNS,
    "dense": SN_DENSE,
    "windows": SN_WINDOWS,
}


cdef class Kernels:
    """One instruction set's kernels for one number format.

    Arrays are passed as the kernels want them (kernels.h): C-contiguous, of the right
    dtype, with room behind weights. Nothing is checked. Methods have as many parameters
    as their kernels, which are called `repeat` times, so that benchmarks do not time
    Python.
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
    def window_rows(self):
        return self.ops.window_rows

    @property
    def tile_columns(self):
        """Of dense layers; 0: they are not cut."""
        return self.ops.tile_columns

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

    @property
    def signed_offset(self):
        return self.ops.signed_offset

    def spmm(self, layout, indptr, indices, weights, x, bint is_signed, out,
             int64_t tile_columns=0, int lanes=SN_LANES, int repeat=1,
             bint by_strips=False):
        """`x` [n_columns][64] as the layout reads it; stored if "dense" or by strips.

        `tile_columns` 0: the format's own of that layout, all of others. Strips of a
        dense layer have whole vectors of them, those of others have one tile.
        """
        cdef sn_matrix m = matrix_of(LAYOUTS[layout], indptr, indices, weights, len(x),
                                     self.ops)
        cdef int _i
        cdef int64_t tile
        cdef bint dense = layout == "dense"
        if dense:
            tile_columns = tile_columns or self.ops.tile_columns
        m.by_strips = by_strips
        m.lane_alone = m.lane_alone and lanes == 1 and not by_strips and (
            tile_columns == 0 or dense and self.ops.tile_columns > 0)
        make = self.first_lane if m.lane_alone else self.tile_samples
        samples = [make(x, is_signed) if by_strips or m.lane_alone else x]
        if tile_columns and not by_strips:
            m.tile_columns = tile_columns
            if dense and self.weight_tile:
                m.tile_columns = (m.tile_columns + 63) // 64 * 64
            m.n_tiles = (m.n_columns + m.tile_columns - 1) // m.tile_columns
            starts = np.empty((m.n_tiles + 1, m.n_blocks), np.int64)
            if dense:
                samples = [make(x[tile * m.tile_columns:][:m.tile_columns], is_signed)
                           for tile in range(m.n_tiles)]
            else:
                m.tile_starts = <int64_t*>address(starts)
                find_tiles(&m)
                samples *= m.n_tiles
        pointers = np.array([part.ctypes.data for part in samples], np.uintp)
        cdef const void *const *px = <const void *const *>address(pointers)
        # Strips fill the rows of the last one.
        whole = aligned((len(out) + SN_STRIP, SN_LANES), np.float32)
        cdef float *pout = <float*>address(whole)
        with nogil:
            for _i in range(repeat):
                for tile in range(m.n_tiles):
                    self.ops.spmm(&m, tile, 0, m.n_blocks, px[tile], is_signed, lanes,
                                  pout)
        out[...] = whole[:len(out)]

    def tile_samples(self, x, bint is_signed, int repeat=1):
        """Samples of some columns as a tile of a dense layer reads them."""
        if self.ops.tile_samples == NULL:
            return x
        samples = aligned((len(x) + 64, SN_LANES), np.float32)
        cdef const void *px = address(x)
        cdef void *psamples = <void*>address(samples)
        cdef int64_t n = len(x)
        for _ in range(repeat):
            self.ops.tile_samples(px, n, is_signed, psamples)
        return samples

    def first_lane(self, x, bint is_signed, int repeat=1):
        """The first sample of some columns as a product of one lane reads it.

        `x` is a panel, or that sample side by side.
        """
        lane = aligned(len(x), np.uint32)
        cdef int64_t stride = x.strides[0] // x.itemsize
        cdef const void *px = address(x)
        cdef void *plane = <void*>address(lane)
        cdef int64_t n = len(x)
        for _ in range(repeat):
            self.ops.first_lane(px, n, stride, is_signed, plane)
        return lane

    def encode_sample(self, z, bint is_signed, x, int repeat=1):
        """Both have room for whole panels' rows behind their values."""
        cdef const float *pz = <const float*>address(z)
        cdef void *px = <void*>address(x)
        cdef int64_t n = len(z)
        cdef float scale = 0
        for _ in range(repeat):
            scale = self.ops.encode_sample(pz, n, is_signed, px)
        return scale

    def cut_windows(self, layout, indptr, indices, weights, int64_t n_columns,
                    int64_t n_rows, int repeat=1):
        """The arrays of a matrix in windows; `weights` of each block [n][height]."""
        cdef sn_matrix m = matrix_of(LAYOUTS[layout], indptr, indices, weights,
                                     n_columns, self.ops)
        for _ in range(repeat):
            arrays = windows_of(self.ops, &m, n_rows)
        return arrays

    def spmv(self, layout, indptr, indices, weights, x, bint is_signed, out,
             int repeat=1):
        """`x` [n_columns] as stored; `out` has room for a group of rows behind it."""
        cdef sn_matrix m = matrix_of(LAYOUTS[layout], indptr, indices, weights, len(x),
                                     self.ops)
        cdef int64_t tile, _i
        samples = [x]
        if layout != "windows":
            ends = range(m.tile_columns, len(x), m.tile_columns)
            samples = [self.first_lane(part, is_signed) for part in np.split(x, ends)]
        pointers = np.array([part.ctypes.data for part in samples], np.uintp)
        cdef const void *const *px = <const void *const *>address(pointers)
        cdef float *pout = <float*>address(out)
        with nogil:
            for _i in range(repeat):
                for tile in range(m.n_tiles):
                    self.ops.spmv(&m, tile, px[tile], is_signed, pout)

    def sddmm(self, indptr, indices, int64_t height, deltas, panels, factor,
              correction, gradient, int repeat=1, int64_t n_samples=-1,
              bint is_signed=True):
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
                        d + b * stride, x, n_samples, is_signed, f + b * height,
                        c + b * height, NULL, g + ptr[b] * height)

    def sddmm_panel(self, indptr, indices, kept, delta_scale, x, x_scale,
                    bint is_signed, uint64_t seed, gradient, bias_gradient,
                    int repeat=1):
        """All rows, but in two calls; `kept` [n_rows][64]."""
        cdef sn_matrix m = matrix_of(SN_ROWS, indptr, indices, None, len(x), self.ops)
        cdef const void *pkept = address(kept)
        cdef const float *of_deltas = <const float*>address(delta_scale)
        cdef const void *px = address(x)
        cdef const float *of_x = <const float*>address(x_scale)
        cdef float *g = <float*>address(gradient)
        cdef float *b = <float*>address(bias_gradient)
        cdef int64_t half = m.n_blocks // 2
        for _ in range(repeat):
            self.ops.sddmm_panel(&m, 0, half, pkept, of_deltas, px, of_x, is_signed,
                                 seed, g, b)
            self.ops.sddmm_panel(&m, half, m.n_blocks, pkept, of_deltas, px, of_x,
                                 is_signed, seed, g, b)

    def turn(self, x, int repeat=1):
        """A panel as the gradient of a dense layer's weights reads it."""
        size = (len(x) + 63) // 64 * 64 * self.ops.turned_size
        turned = aligned(size, np.uint8)
        cdef const void *px = address(x)
        cdef void *pturned = <void*>address(turned)
        cdef int64_t n = len(x)
        for _ in range(repeat):
            self.ops.turn(px, n, pturned)
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

    def encode(self, z, bint is_signed, x, scale, int lanes=SN_LANES, int repeat=1):
        cdef const float *pz = <const float*>address(z)
        cdef void *px = <void*>address(x)
        cdef float *s = <float*>address(scale)
        cdef int64_t n = len(z)
        cdef bint takes_signed = False
        for _ in range(repeat):
            takes_signed = self.ops.encode(pz, n, is_signed, lanes, px, s)
        return takes_signed

    def decode(self, x, bint is_signed, scale, z, int repeat=1):
        cdef const void *px = address(x)
        cdef const float *s = <const float*>address(scale)
        cdef float *pz = <float*>address(z)
        cdef int64_t n = len(x)
        for _ in range(repeat):
            self.ops.decode(px, n, is_signed, s, pz)

    def encode_deltas(self, z, row_scale, uint64_t seed, kept, operand, scale,
                      bint packed=False, int repeat=1):
        cdef const float *pz = <const float*>address(z)
        cdef const float *of_rows = <const float*>address(row_scale)
        cdef void *pkept = <void*>address(kept)
        cdef void *poperand = <void*>address(operand)
        cdef float *s = <float*>address(scale)
        cdef int64_t n = len(z)
        for _ in range(repeat):
            self.ops.encode_deltas(pz, n, of_rows, packed, seed, pkept, poperand, s)

    def prepare(self, kept, delta_scale, x_scale, bint is_signed, uint64_t seed, deltas,
                int repeat=1):
        """One row of each panel -> (factor, correction, bias gradient)."""
        cdef float factor = 0
        cdef int32_t correction = 0
        cdef float total = 0
        rows = np.array([row.ctypes.data for row in kept], np.uintp)
        d_scales = np.array([row.ctypes.data for row in delta_scale], np.uintp)
        x_scales = np.array([row.ctypes.data for row in x_scale], np.uintp)
        cdef const void *const *r = <const void *const *>address(rows)
        cdef const float *const *ds = <const float *const *>address(d_scales)
        cdef const float *const *xs = <const float *const *>address(x_scales)
        cdef void *d = <void*>address(deltas)
        cdef int64_t n = len(kept)
        for _ in range(repeat):
            total = self.ops.prepare(r, n, ds, xs, is_signed, seed, d, &factor,
                                     &correction)
        return factor, correction, total

    def encode_weights(self, master, position, forward, transpose, row_scale,
                       int64_t block=-1, int64_t n_rows=0, bint far=False,
                       int repeat=1):
        """`block` -1: of a sparse layer; else of a dense one of n_rows rows."""
        cdef const float *m = <const float*>address(master)
        cdef const uint32_t *to = <const uint32_t*>address(position)
        cdef void *f = <void*>address(forward)
        cdef void *t = <void*>address(transpose)
        cdef float *s = <float*>address(row_scale)
        cdef int64_t n = len(master), height = master.shape[1]
        for _ in range(repeat):
            self.ops.encode_weights(m, n, height, to, far, block, n_rows, f, t, s)

    def encode_terms(self, x, int64_t n, int stochastic, uint64_t seed, terms,
                     int repeat=1):
        """-> the scale, as `encode_row`."""
        cdef const float *px = <const float*>address(x)
        cdef void *t = <void*>address(terms)
        cdef float scale = 0
        for _ in range(repeat):
            scale = self.ops.encode_terms(px, n, stochastic, seed, t)
        return scale

    def encode_row(self, values, int64_t n, int stochastic, uint64_t seed, row,
                   int repeat=1):
        cdef const float *v = <const float*>address(values)
        cdef void *r = <void*>address(row)
        cdef float scale = 0
        for _ in range(repeat):
            scale = self.ops.encode_row(v, n, stochastic, seed, r)
        return scale

    def sum_rows(self, indices, terms, table, int64_t row_bytes, int encoded,
                 int64_t n_units, out, int repeat=1):
        cdef const uint32_t *i = <const uint32_t*>address(indices)
        cdef const void *t = address(terms)
        cdef const void *rows = address(table)
        cdef float *o = <float*>address(out)
        cdef int64_t n = len(indices)
        for _ in range(repeat):
            self.ops.sum_rows(i, t, n, rows, row_bytes, encoded, n_units, o)

    def sum_sparse_rows(self, indices, terms, table, int64_t row_bytes, connections,
                        int64_t height, int64_t n_units, out, int repeat=1):
        """`connections` [n_features][fan_out] of blocks of `height` units."""
        cdef int wide = connections.dtype == np.uint32
        cdef const uint32_t *i = <const uint32_t*>address(indices)
        cdef const void *t = address(terms)
        cdef const void *rows = address(table)
        cdef const void *c = address(connections)
        cdef float *o = <float*>address(out)
        cdef int64_t n = len(indices), fan_out = connections.shape[1] * height
        for _ in range(repeat):
            self.ops.sum_sparse_rows(i, t, n, rows, row_bytes, c, wide, fan_out, height,
                                     n_units, o)

    def sum_at_connections(self, indices, terms, table, int64_t row_bytes, connections,
                           int64_t height, out, int repeat=1):
        """`connections` [fan_out] of blocks of `height` units."""
        cdef int wide = connections.dtype == np.uint32
        cdef const uint32_t *i = <const uint32_t*>address(indices)
        cdef const void *t = address(terms)
        cdef const void *rows = address(table)
        cdef const void *c = address(connections)
        cdef float *o = <float*>address(out)
        cdef int64_t n = len(indices), fan_out = len(connections) * height
        for _ in range(repeat):
            self.ops.sum_at_connections(i, t, n, rows, row_bytes, c, wide, fan_out,
                                        height, o)

    def pack(self, X, const int64_t[::1] rows, z, int repeat=1):
        """Rows of a C-contiguous float32 or float64 X -> z [n_features][64]."""
        cdef const void *px = address(X)
        cdef int double_precision = X.dtype == np.float64
        cdef const int64_t *r = &rows[0] if len(rows) else NULL
        cdef float *pz = <float*>address(z)
        cdef int64_t n_features = X.shape[1]
        cdef int n = len(rows)
        for _ in range(repeat):
            self.table.pack(px, double_precision, n_features, r, n, pz)

    def activate(self, int activation, z, bias, row_scale, lane_scale,
                 int lanes=SN_LANES, derivative=None, int repeat=1):
        cdef float *pz = <float*>address(z)
        cdef const float *b = <const float*>address(bias)
        cdef const float *of_rows = <const float*>address(row_scale)
        cdef const float *of_lanes = <const float*>address(lane_scale)
        cdef float *d = <float*>address(derivative)
        cdef int64_t n = len(z)
        for _ in range(repeat):
            self.table.activate(activation, pz, n, b, of_rows, of_lanes, lanes, d)

    def activate_sample(self, int activation, z, bias, row_scale, float scale,
                        int repeat=1):
        """`z` has room for a panel's row behind its values."""
        cdef float *pz = <float*>address(z)
        cdef const float *b = <const float*>address(bias)
        cdef const float *of_rows = <const float*>address(row_scale)
        cdef int64_t n = len(z)
        for _ in range(repeat):
            self.table.activate_sample(activation, pz, n, b, of_rows, scale)

    def chain(self, int activation, z, a, lane_scale, int repeat=1):
        cdef float *pz = <float*>address(z)
        cdef const float *pa = <const float*>address(a)
        cdef const float *of_lanes = <const float*>address(lane_scale)
        cdef int64_t n = len(z)
        for _ in range(repeat):
            self.table.chain(activation, pz, pa, n, of_lanes)

    def output(self, int loss, z, int repeat=1):
        cdef float *pz = <float*>address(z)
        cdef int64_t n = len(z)
        for _ in range(repeat):
            self.table.output(loss, pz, n)

    def loss(self, int loss, z, target, weight, parameters, int repeat=1):
        """`rate`, `loss` and `deltas`, part by part as training has it."""
        cdef float *pz = <float*>address(z)
        cdef int64_t n = len(z), row
        cdef double total = 0
        cdef sn_panel_loss p
        largest = aligned((2 + n // SN_PART, SN_LANES), np.float32)
        p.loss = loss
        p.n_outputs = n
        p.target = address(target)
        p.weight = <const float*>address(weight)
        p.parameters = <const float*>address(parameters)
        p.largest = <float*>address(largest)
        for _ in range(repeat):
            for row in range(0, n, SN_PART):
                self.table.rate(&p, pz + row * SN_LANES, row,
                                min(n - row, <int64_t>SN_PART))
            total = self.table.loss(&p)
            for row in range(0, n, SN_PART):
                self.table.deltas(&p, pz + row * SN_LANES, row,
                                  min(n - row, <int64_t>SN_PART))
        return total

    def drop(self, z, int64_t row, uint32_t threshold, uint64_t seed, int repeat=1):
        cdef float *pz = <float*>address(z)
        cdef int64_t n = len(z)
        for _ in range(repeat):
            self.table.drop(pz, n, row, threshold, seed)

    def sum_of_squares(self, x, float factor=1, int repeat=1):
        cdef const float *px = <const float*>address(x)
        cdef int64_t n = len(x)
        cdef double total = 0
        for _ in range(repeat):
            total = self.table.sum_of_squares(px, n, factor)
        return total

    def update(self, optimizer, double alpha, double inv_weight, parameter, gradient,
               first, second, cohort=None, rates=None, int repeat=1):
        """`rates` of each cohort, where there are several."""
        cdef sn_optimizer o = step_of(optimizer, alpha, inv_weight)
        rates = np.float32([optimizer.learning_rate]) if rates is None else rates
        o.n_cohorts = len(rates)
        o.learning_rate = <const float*>address(rates)
        cdef const uint16_t *c = <const uint16_t*>address(cohort)
        cdef float *w = <float*>address(parameter)
        cdef const float *g = <const float*>address(gradient)
        cdef float *m = <float*>address(first)
        cdef float *v = <float*>address(second)
        cdef int64_t n = len(parameter)
        for _ in range(repeat):
            self.table.update(&o, c, n, w, g, m, v)

    def advance(self, optimizer, double alpha, rates, inv_weight, state, fan_out,
                features, begin, end, gradient=None, cohort=None, kept=None,
                growth=None, averaged=None, int repeat=1):
        """`rates` [step][cohort], `inv_weight` [step], state [feature][plane][stride].

        `growth` [step], where it is not 1, `kept` and `averaged`. `features`,
        `begin` and `end` are uint32[n], `gradient` is as wide as `state`.
        """
        cdef sn_optimizer o = step_of(optimizer, alpha, 0)
        cdef sn_feature_state f
        o.n_cohorts = rates.shape[1] if rates.ndim == 2 else 1
        f.values = <float*>address(state)
        f.planes = state.shape[1]
        f.stride = state.shape[2]
        f.fan_out = fan_out
        f.cohort = <const uint16_t*>address(cohort)
        ones = np.ones(len(rates), np.float32)
        growth = ones if growth is None else growth
        cdef sn_steps steps = sn_steps(
            <const float*>address(rates), o.n_cohorts,
            <const float*>address(inv_weight), <const float*>address(kept),
            <const float*>address(growth), <const float*>address(averaged))
        cdef const uint32_t *named = <const uint32_t*>address(features)
        cdef const uint32_t *b = <const uint32_t*>address(begin)
        cdef const uint32_t *e = <const uint32_t*>address(end)
        cdef const float *g = <const float*>address(gradient)
        cdef int64_t n = len(features)
        for _ in range(repeat):
            self.table.advance(&o, &f, &steps, n, named, b, e, g)


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
    o.kept = 1 - optimizer.learning_rate * optimizer.weight_decay
    return o
