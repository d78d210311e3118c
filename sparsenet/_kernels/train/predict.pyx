"""Prediction: panels of 64 rows through the network, each by one thread."""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from sparsenet._kernels._dispatch cimport kernels_in_use
from sparsenet._kernels.kernels cimport (
    SN_LANES,
    SN_PART,
    sn_kernels,
    sn_thread_state,
)
from sparsenet._kernels.train.input cimport Input
from sparsenet._kernels.train.network cimport Net, Panel, Scratch
from sparsenet._kernels.train.panel cimport forward, take_targets
from sparsenet._kernels.train.sample cimport forward_sample

cdef const sn_kernels *kernels = kernels_in_use()


cdef void predict_panels(const Net *net, const Input *x, int64_t n_rows, int64_t begin,
                         int64_t end, Panel *panels, Scratch *scratch, int n_threads,
                         bint logits, float *out, const Rating *rating) noexcept nogil:
    """Outputs of some panels of the n_rows rows of x, or the logits.

    Losses are those of each panel, whoever computes it; none if `rating` is NULL. A
    thread has one panel's memory.
    """
    cdef int64_t p
    cdef int64_t n_outputs = net.layers[net.n_layers - 1].n_out
    if n_threads == 1:
        for p in range(begin, end):
            predict_panel(net, x, p, n_rows, n_outputs, panels, scratch, logits, out,
                          rating)
    else:  # prange gives up the GIL, whoever has it
        for p in prange(begin, end, schedule="dynamic", num_threads=n_threads):
            predict_panel(net, x, p, n_rows, n_outputs, &panels[threadid()],
                          &scratch[threadid()], logits, out, rating)


cdef void predict_panel(const Net *net, const Input *x, int64_t p, int64_t n_rows,
                        int64_t n_outputs, Panel *panel, Scratch *s, bint logits,
                        float *out, const Rating *rating) noexcept nogil:
    cdef int64_t[SN_LANES] rows
    cdef int n = <int>min(<int64_t>SN_LANES, n_rows - p * SN_LANES)
    cdef int lane
    cdef sn_thread_state state
    kernels.enter(&state)
    for lane in range(n):
        rows[lane] = p * SN_LANES + lane
    if n <= net.few and rating == NULL:
        for lane in range(n):
            forward_sample(net, x, rows[lane], panel, s)
            put_out(net, rows[lane], 1, s.z, n_outputs, logits, out)
    else:
        forward(net, x, rows, n, panel, s)
        if rating != NULL:
            # On a copy: what computes the loss leaves deltas.
            memcpy(s.z_next, s.z, n_outputs * SN_LANES * sizeof(float))
            take_targets(net, rating.targets, rating.weights, rows, n, s)
            kernels.rate(&s.loss, s.z_next, 0, n_outputs)
            rating.losses[p] = kernels.loss(&s.loss)
        put_out(net, rows[0], n, s.z, n_outputs, logits, out)
    kernels.leave(&state)


cdef void put_out(const Net *net, int64_t row, int n, float *z, int64_t n_outputs,
                  bint logits, float *out) noexcept nogil:
    """Logits of the first n lanes, changed in place -> n rows of `out`."""
    cdef int64_t first = 0, end, o
    cdef int lane
    out += row * n_outputs
    if not logits:
        kernels.output(net.loss, z, n_outputs)
    while first < n_outputs:  # part by part, so that the lines read stay in L1
        end = min(first + SN_PART, n_outputs)
        for lane in range(n):
            for o in range(first, end):
                out[lane * n_outputs + o] = z[o * SN_LANES + lane]
        first = end
