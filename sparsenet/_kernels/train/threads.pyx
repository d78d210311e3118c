"""Threads of OpenMP: how many a call gets, and that they do not outlive a fork."""

import warnings

cdef extern from "threads.h" nogil:
    int sn_startable_threads(int n)
    void sn_prepare_forks()

sn_prepare_forks()


cdef int startable_threads(int n) except -1:
    """At most n threads, and no more than the system lets start; warns if it does not.
    """
    cdef int started = sn_startable_threads(n)
    if started < n:
        warnings.warn(
            f"{n} threads could not be started: this call takes {started}. Memory, or "
            "the system's limit of processes, may be exhausted",
            stacklevel=2)
    return started
