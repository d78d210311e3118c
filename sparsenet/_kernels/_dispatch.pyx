"""What runs kernels here: the instruction set, chosen at import or forced by
SPARSENET_ISA, and OpenMP's threads.
"""

from sparsenet._kernels.kernels cimport (
    SN_BLOCK_HEIGHT,
    SN_LANES,
    SN_N_ACTIVATIONS,
    SN_N_FORMATS,
    SN_N_LOSSES,
    SN_N_SOLVERS,
    SN_STRIP,
    SN_TILE_BYTES,
    sn_activations,
    sn_format_kernels,
    sn_formats,
    sn_isa_name,
    sn_kernels,
    sn_kernels_best,
    sn_kernels_by_name,
    sn_losses,
    sn_solvers,
)

import os

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define SN_OPENMP 1
    #else
    #define SN_OPENMP 0
    static int omp_get_max_threads(void) { return 1; }
    #endif
    """
    const int SN_OPENMP
    int omp_get_max_threads() nogil

HAS_OPENMP = bool(SN_OPENMP)
BLOCK_HEIGHT = SN_BLOCK_HEIGHT
LANES = SN_LANES
# registry.h: the code of each name,
FORMATS = {sn_formats[i].name.decode(): i for i in range(SN_N_FORMATS)}
ACTIVATIONS = {sn_activations[i].name.decode(): i for i in range(SN_N_ACTIVATIONS)}
LOSSES = {sn_losses[i].name.decode(): i for i in range(SN_N_LOSSES)}
SOLVERS = {sn_solvers[i].name.decode(): i for i in range(SN_N_SOLVERS)}
# and what Python has to know of each.
LARGEST = {name: sn_formats[i].largest for name, i in FORMATS.items()}
OUT_ACTIVATIONS = {
    name: sn_losses[i].out_activation.decode() for name, i in LOSSES.items()
}
# The estimators' parameter `loss` that chooses each loss,
LOSS_CHOICES = {
    name: name if sn_losses[i].classifier == NULL else sn_losses[i].classifier.decode()
    for name, i in LOSSES.items()
}
REGRESSOR_LOSSES = [
    name for name, i in LOSSES.items() if sn_losses[i].classifier == NULL
]
# and the classifier's by that and by the activation of its outputs.
CLASSIFIER_LOSSES = {
    (LOSS_CHOICES[name], OUT_ACTIVATIONS[name]): name
    for name in LOSSES
    if name not in REGRESSOR_LOSSES
}
CODE_LOSSES = [name for name, i in LOSSES.items() if sn_losses[i].is_of_codes]
KEEP_DERIVATIVE = [
    name for name, i in ACTIVATIONS.items() if sn_activations[i].keeps_derivative
]
LOSS_PARAMETERS = {
    name: sn_losses[i].parameter.decode()
    for name, i in LOSSES.items()
    if sn_losses[i].parameter != NULL
}
N_MOMENTS = {name: sn_solvers[i].n_moments for name, i in SOLVERS.items()}
ADAM_SOLVERS = [name for name, i in SOLVERS.items() if sn_solvers[i].is_adam]

cdef const sn_kernels *table = NULL


cdef const sn_kernels *kernels_in_use() noexcept nogil:
    return table


cdef const sn_kernels *kernels_named(str name) except NULL:
    cdef const sn_kernels *found = sn_kernels_by_name(name.encode())
    if found == NULL:
        raise ValueError(
            f"instruction set {name!r}; allowed on this machine: "
            + ", ".join(available_isas())
        )
    return found


cdef tile_of(const sn_format_kernels *ops):
    if ops.sddmm_strips == NULL:
        return None
    return SN_STRIP, SN_TILE_BYTES // ops.weight_size


def available_isas():
    """Instruction sets compiled in that this machine has, worst first."""
    names, i = [], 0
    while sn_isa_name(i) != NULL:
        if sn_kernels_by_name(sn_isa_name(i)) != NULL:
            names.append(sn_isa_name(i).decode())
        i += 1
    return names


def current_isa():
    """Name of the instruction set in use."""
    return table.name.decode()


def _choose():
    global table
    wanted = os.environ.get("SPARSENET_ISA", "")
    try:
        table = kernels_named(wanted) if wanted else sn_kernels_best()
    except ValueError as error:
        raise ImportError(f"SPARSENET_ISA: {error}") from None


_choose()


def max_threads():
    """Threads that OpenMP would start: OMP_NUM_THREADS, threadpoolctl, or the cores."""
    return omp_get_max_threads()
