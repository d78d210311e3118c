"""Rewiring: sparse layers drop connections and grow others in their place."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from sparsenet._kernels.train.memory cimport Arena
from sparsenet._kernels.train.network cimport Run, Scratch

cdef struct Rows:            # connections of one layer, as many in each row
    int64_t n_rows
    int64_t n_columns
    int64_t length
    int64_t height           # units of a row: 1, or those of a block
    void *columns            # [n_rows][length], ascending
    int wide                 # columns are uint32
    int n_planes
    float *planes[4]         # weights, moments, averages: [n_rows][length][height]
    int64_t stride           # floats from a row of a plane to the next
    uint16_t *cohort         # [n_rows][length][height], or NULL

cdef struct Growth:          # one round
    double fraction          # share of a row's connections that are dropped
    int by_gradient
    uint16_t cohort          # of what is new
    uint64_t seed

cdef struct RowScratch:      # of one thread; n: the longest row or column
    Scratch *step
    uint64_t *keys           # [2 n + 16]
    uint8_t *taken           # [n], zero between uses
    uint8_t *dropped         # [n]
    uint32_t *places         # [n] where a row's dropped connections are
    uint32_t *grown          # [n]
    uint32_t *columns        # [n]
    float *values            # [n][SN_BLOCK_HEIGHT]
    uint16_t *cohorts        # [n][SN_BLOCK_HEIGHT]
    float *gradient          # [n][SN_BLOCK_HEIGHT], by gradient only
    int64_t *counts          # [n], of the first thread only
    uint32_t *repaired       # [n]

cdef int64_t rewire_layer(Run *run, int l, const Growth *growth,
                          RowScratch *scratch) noexcept nogil
cdef int64_t rewire_features(Run *run, const Growth *growth,
                             RowScratch *scratch) noexcept nogil
cdef RowScratch *row_scratches(Arena arena, Run *run, int n_threads,
                               int64_t n) except NULL
