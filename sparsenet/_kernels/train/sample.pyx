"""One sample through a network: its values lie side by side, not in a panel's lanes.

Its bits are those that it would have in a panel.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport (
    SN_LANES,
    SN_WINDOWS,
    sn_format_kernels,
    sn_kernels,
    sn_matrix,
)
from sparsenet._kernels.train.input cimport Input, pack
from sparsenet._kernels.train.network cimport CLayer, Net, Panel, Scratch
from sparsenet._kernels.train.sparse_first_layer cimport sum_features

cdef const sn_kernels *kernels = kernels_in_use()


cdef void multiply(const sn_format_kernels *ops, const sn_matrix *m, const char *x,
                   bint is_signed, void *lane, float *out) noexcept nogil:
    """Stored inputs of a layer -> its sums; `lane` has room for a tile of columns."""
    cdef int64_t tile, first, n
    if m.layout == SN_WINDOWS:
        ops.spmv(m, 0, x, is_signed, out)
        return
    for tile in range(m.n_tiles):
        first = tile * m.tile_columns
        n = min(m.tile_columns, m.n_columns - first)
        ops.first_lane(x + first * ops.activation_size, n, 1, is_signed, lane)
        ops.spmv(m, tile, lane, is_signed, out)


cdef void spread(float *z, int64_t n) noexcept nogil:
    """n values, side by side -> the first lane of a panel, in place."""
    cdef float value
    cdef int64_t i
    for i in range(n - 1, -1, -1):
        value = z[i]
        memset(z + i * SN_LANES, 0, SN_LANES * sizeof(float))
        z[i * SN_LANES] = value


cdef void forward_sample(const Net *net, const Input *x, int64_t row, Panel *panel,
                         Scratch *s) noexcept nogil:
    """A row of X -> logits in the first lane of s.z."""
    cdef const sn_format_kernels *ops = net.ops
    cdef CLayer *layer = &net.layers[0]
    cdef float *z = s.z
    cdef char *stored = <char*>panel.activations[0]
    cdef float scale
    cdef int l
    if net.by_feature:
        sum_features(net.features, ops, x, &row, 1, &s.features, NULL)
        memcpy(z, s.features.rows, layer.n_out * sizeof(float))
        kernels.activate_sample(layer.activation, z, layer.n_out, layer.bias, NULL, 1)
    else:
        pack(x, &row, 1, 1, z)
    for l in range(net.by_feature, net.n_layers):
        layer = &net.layers[l]
        scale = ops.encode_sample(z, layer.n_in, layer.has_signed_inputs, stored)
        multiply(ops, &layer.alone, stored, layer.has_signed_inputs, s.tile, z)
        kernels.activate_sample(
            layer.activation, z, layer.n_out, layer.bias,
            layer.row_scale if net.format.has_scales else NULL, scale)
    spread(z, layer.n_out)
