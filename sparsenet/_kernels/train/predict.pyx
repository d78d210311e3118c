"""Prediction: panels of 64 rows through the network, each by one thread."""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport SN_LANES, sn_kernels, sn_thread_state
from sparsenet._kernels.train.input cimport Input
from sparsenet._kernels.train.network cimport Net, Panel, Scratch, panels_of
from sparsenet._kernels.train.panel cimport forward, take_targets

cdef const sn_kernels *kernels = kernels_in_use()


cdef double predict_panels(const Net *net, const Input *x, int64_t n_rows,
                           Panel *panels, Scratch *scratch, int n_threads,
                           bint logits, float *out,
                           const Rating *rating) noexcept nogil:
    """Outputs of all rows of x, or the logits; returns their loss.

    It is added up panel by panel, whoever computes them; 0 if `rating` is NULL. A
    thread has one panel's memory.
    """
    cdef double loss = 0
    cdef int64_t p
    cdef int64_t n_outputs = net.layers[net.n_layers - 1].n_out
    for p in prange(panels_of(n_rows), schedule="dynamic",
                    num_threads=n_threads):
        predict_panel(net, x, p, n_rows, n_outputs, &panels[threadid()],
                      &scratch[threadid()], logits, out, rating)
    if rating != NULL:
        for p in range(panels_of(n_rows)):
            loss += rating.losses[p]
    return loss


cdef void predict_panel(const Net *net, const Input *x, int64_t p, int64_t n_rows,
                        int64_t n_outputs, Panel *panel, Scratch *s, bint logits,
                        float *out, const Rating *rating) noexcept nogil:
    cdef int64_t[SN_LANES] rows
    cdef int n = <int>min(<int64_t>SN_LANES, n_rows - p * SN_LANES)
    cdef int lane
    cdef int64_t o
    cdef sn_thread_state state
    kernels.enter(&state)
    for lane in range(n):
        rows[lane] = p * SN_LANES + lane
    forward(net, x, rows, n, panel, s)
    if rating != NULL:
        # On a copy: what computes the loss leaves deltas.
        memcpy(s.z_next, s.z, n_outputs * SN_LANES * sizeof(float))
        take_targets(net, rating.targets, rating.weights, rows, n, s)
        rating.losses[p] = kernels.loss(net.loss, s.z_next, n_outputs, s.target,
                                        s.weight, net.loss_parameters)
    if not logits:
        kernels.output(net.loss, s.z, n_outputs)
    for lane in range(n):
        for o in range(n_outputs):
            out[rows[lane] * n_outputs + o] = s.z[o * SN_LANES + lane]
    kernels.leave(&state)
