cdef int startable_threads(int n) except -1
