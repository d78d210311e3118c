from sparsenet._kernels.train.memory cimport Arena
from sparsenet._kernels.train.network cimport Run
from sparsenet._kernels.train.sparse_first_layer cimport Features

cdef int start_features(Arena arena, Run *run, const Features *features, X, work,
                        double entries, double most_steps, int n_threads) except -1
