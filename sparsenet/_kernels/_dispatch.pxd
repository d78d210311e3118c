from sparsenet._kernels.kernels cimport sn_format_kernels, sn_kernels

cdef const sn_kernels *kernels_in_use() noexcept nogil
cdef const sn_kernels *kernels_named(str name) except NULL
cdef tile_of(const sn_format_kernels *ops)
