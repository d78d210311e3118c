"""Build of the compiled kernels; everything else is in pyproject.toml.

`_dispatch` holds one C file per instruction set. Those files set their own target by
pragmas, so that all are compiled with the same flags and the processor's is chosen at
run time: there is no -march and no -ffast-math.
"""

import os
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

KERNELS = Path("sparsenet", "_kernels")
# Not *.c: Cython leaves its own output there.
C_SOURCES = [KERNELS / "dispatch.c", *KERNELS.glob("isa_*.c")]


class BuildKernels(build_ext):
    """Adds OpenMP where the compiler has it; without it the kernels run serially."""

    def build_extensions(self):
        flags = self._openmp_flags()
        if flags is None:
            print("sparsenet: no OpenMP found, building single-threaded kernels")
        compile_flags, link_flags = flags or ([], [])
        for extension in self.extensions:
            extension.extra_compile_args += compile_flags
            extension.extra_link_args += link_flags
        super().build_extensions()

    def _openmp_flags(self):
        """(compile, link) flags that build a program which calls OpenMP, or None."""
        if os.environ.get("SPARSENET_NO_OPENMP"):
            return None
        # Apple's clang has OpenMP as a separate library, Homebrew's libomp.
        candidates = [
            (["-fopenmp"], ["-fopenmp"]),
            (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
        ]
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(
                "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }"
            )
            for compile_flags, link_flags in candidates:
                try:
                    objects = self.compiler.compile(
                        [str(source)], output_dir=folder, extra_postargs=compile_flags
                    )
                    self.compiler.link_executable(
                        objects, str(Path(folder, "probe")), extra_postargs=link_flags
                    )
                except (CompileError, LinkError):
                    continue
                return compile_flags, link_flags
        return None


def extension(name, *c_sources):
    return Extension(
        f"sparsenet._kernels.{name}",
        sources=[str(KERNELS / f"{name}.pyx"), *map(str, c_sources)],
        depends=[str(path) for path in KERNELS.glob("*.h")],
        include_dirs=[str(KERNELS)],
        libraries=["m"] if os.name == "posix" else [],
        # errno of sqrtf would keep the portable kernels from vectorising it; Python's
        # own flags ask for debugging symbols, three quarters of the wheel.
        extra_compile_args=["-O3", "-std=gnu11", "-fno-math-errno", "-g0"],
    )


setup(
    ext_modules=cythonize(
        [
            extension("_dispatch", *sorted(C_SOURCES)),
            extension("_input"),
            extension("_matrix"),
            extension("_memory"),
            extension("_features"),
            extension("_steps"),
            extension("_rewire"),
            extension("_engine"),
            extension("_single"),
        ],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
)
