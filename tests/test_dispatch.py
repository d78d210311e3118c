"""The choice of an instruction set."""

import platform

import pytest
import subprocesses

from sparsenet._kernels import available_isas, current_isa

TRAIN = """
import numpy as np
from problems import PRECISIONS, random_data, random_network, train
from sparsenet._kernels import current_isa

X, y = random_data(100)
for precision in PRECISIONS:
    network = random_network(precision=precision)
    losses = [train(network, X, y) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert np.isfinite(network.predict(X, 1)).all()
print(current_isa())
"""
INT8 = """
import warnings

import numpy as np
from sparsenet import SparseMLPClassifier

warnings.simplefilter("ignore")  # three epochs do not converge
rng = np.random.default_rng(0)
X = rng.random((150, 70), np.float32)
for n_classes in 2, 3, 5, 10:
    y = np.arange(150) % n_classes
    for block_size in 1, 4:
        for density in 0.15, 0.5, 0.95:
            model = SparseMLPClassifier(
                (40, 9),
                density=[density] * 3,
                block_size=block_size,
                precision="int8",
                batch_size=70,
                max_iter=3,
                random_state=0,
            ).fit(X, y)
            print(n_classes, block_size, density, *map(float.hex, model.loss_curve_))
"""
# The title of processors' features in /proc/cpuinfo, and those of each instruction set.
FEATURES = {
    "x86_64": (
        "flags",
        {
            "avx2": {"avx2", "fma", "f16c"},
            "avx_vnni": {"avx_vnni"},
            "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
            "avx512_vnni": {"avx512_vnni"},
            "avx512_bf16": {"avx512_bf16"},
            "amx": {"amx_tile", "amx_bf16", "amx_int8"},
        },
    ),
    "aarch64": ("Features", {"neon": {"asimd"}, "neon_dot": {"asimddp"}}),
}
IMPORT = """
try:
    import sparsenet
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize("isa", available_isas())
def test_sparsenet_isa_forces_an_instruction_set(isa):
    assert subprocesses.run(TRAIN, SPARSENET_ISA=isa) == f"{isa}\n"


@pytest.mark.parametrize(
    ("isa", "other"), [("amx", "avx512_vnni"), ("neon_dot", "neon")]
)
def test_int8_does_not_depend_on_what_multiplies(isa, other):
    """Sums of integers are exact; all else is the same in both."""
    if isa not in available_isas():
        pytest.skip(f"no {isa}")
    curves = subprocesses.run(INT8, SPARSENET_ISA=isa)
    assert len(curves.splitlines()) == 24
    assert curves == subprocesses.run(INT8, SPARSENET_ISA=other)


def test_an_empty_variable_is_none():
    assert subprocesses.run(TRAIN, SPARSENET_ISA="").strip() in available_isas()


@pytest.mark.parametrize("name", ["mmx", "AVX2", "avx512 ", "portable\u00e9"])
def test_an_unknown_name_says_what_is_allowed(name):
    message = subprocesses.run(IMPORT, SPARSENET_ISA=name)
    assert message.startswith(f"SPARSENET_ISA: instruction set {name!r}")
    assert message.endswith(", ".join(available_isas()) + "\n")


def test_portable_kernels_come_first_and_the_choice_is_among_those_available():
    isas = available_isas()
    assert isas[0] == "portable" and len(set(isas)) == len(isas)
    assert current_isa() in isas


@pytest.mark.skipif(platform.machine() not in FEATURES, reason="unknown features")
def test_the_choice_is_what_the_processor_offers():
    """/proc/cpuinfo lists what both the processor and the system support."""
    title, needed = FEATURES[platform.machine()]
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line.split() for line in file if line.startswith(title)]
    except OSError:
        lines = []
    if not lines:
        pytest.skip("no features in /proc/cpuinfo")  # an emulator shows its host's
    expected, have = ["portable"], set(lines[0])
    for isa, names in needed.items():
        if names <= have:
            expected.append(isa)
        elif isa != "avx_vnni":
            break  # each of the others builds on those before
    assert available_isas() == expected
