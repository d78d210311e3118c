from libc.stdint cimport uint32_t

from sparsenet._kernels.kernels cimport sn_format_kernels, sn_kernels

cdef const sn_kernels *kernels_in_use() noexcept nogil
cdef const sn_kernels *kernels_named(str name) except NULL
cdef uint32_t denormals_off() noexcept nogil
cdef void denormals_restore(uint32_t state) noexcept nogil
cdef tile_of(const sn_format_kernels *ops)
