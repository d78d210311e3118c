"""Build of the compiled kernels; everything else is in pyproject.toml.

The kernels in C are compiled once for each instruction set and number format that
sparsenet/_kernels/registry.h lists, all of them in parallel, and linked into the module
`_dispatch`. Headers of sparsenet/_kernels/isa set the target by pragmas, so that all
units are compiled with the same flags and the processor's is chosen at run time: there
is no -march and no -ffast-math.
"""

import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

KERNELS = Path("sparsenet", "_kernels")
REGISTRY = KERNELS / "registry.h"
#: Headers that Cython's modules include.
HEADERS = "registry.h", "kernels.h", "prefetch.h", "threads.h"
INTERFACE = [str(KERNELS / name) for name in HEADERS]
# errno of sqrtf would keep the portable kernels from vectorising it; Python's own flags
# ask for debugging symbols, three quarters of the wheel.
FLAGS = ["-O3", "-std=gnu11", "-fno-math-errno", "-g0"]
#: SPARSENET_BUILD=<name>: flags that come behind those above.
BUILDS = {
    "release": [],
    "debug": ["-O0", "-g"],
    # -g1: line numbers are enough, and with -g it takes half as long again.
    "address": [
        "-O1",
        "-g1",
        "-fsanitize=address,undefined",
        "-fno-omit-frame-pointer",
    ],
    "thread": ["-O1", "-g1", "-fsanitize=thread"],
    # Threads count at the same time; with -O0, accumulators would leave the registers.
    "coverage": ["-O1", "--coverage", "-fprofile-update=atomic"],
}
FLAGS += BUILDS[os.environ.get("SPARSENET_BUILD", "release")]
#: SPARSENET_ANNOTATE=1: Cython's HTML beside each .pyx, which shows what calls Python.
ANNOTATE = bool(os.environ.get("SPARSENET_ANNOTATE"))


def units():
    """(source, macros) of each unit of the kernels in C."""
    text = REGISTRY.read_text()
    isas = re.findall(
        r"\bX\((\w+)\)", "".join(re.findall(r"#define SN_.*X\(\w+\)", text))
    )
    formats = re.findall(
        r"X\(\w+, (\w+)", text.partition("SN_FORMATS(X)")[2].partition("\n\n")[0]
    )
    yield KERNELS / "isa" / "dispatch.c", []
    for isa in dict.fromkeys(isas):
        yield KERNELS / "units" / "common.c", [("SN_ISA", isa)]
        for name in formats:
            yield KERNELS / "units" / "format.c", [("SN_ISA", isa), ("SN_FORMAT", name)]


class BuildKernels(build_ext):
    """Adds the units in C, and OpenMP where the compiler has it.

    Without OpenMP the kernels run serially.
    """

    def build_extensions(self):
        flags = self._openmp_flags()
        if flags is None:
            print("sparsenet: no OpenMP found, building single-threaded kernels")
        compile_flags, link_flags = flags or ([], [])
        link_flags = link_flags + [
            flag for flag in FLAGS if flag.startswith(("-fsanitize", "--coverage"))
        ]
        with ThreadPoolExecutor(self.parallel or os.cpu_count()) as pool:
            objects = list(pool.map(self._compile_unit, units()))
            for extension in self.extensions:
                extension.extra_compile_args += compile_flags
                extension.extra_link_args += link_flags
                if extension.name.endswith("._dispatch"):
                    extension.extra_objects = objects
                    extension.depends = extension.depends + objects
            list(pool.map(self.build_extension, self.extensions))

    def _compile_unit(self, unit):
        """Compile a unit, unless neither it nor what it includes has changed."""
        source, macros = unit
        name = "-".join([source.stem, *(value for _, value in macros)])
        folder = Path(self.build_temp, "units", name)
        target, includes = folder / f"{name}.o", folder / "includes.d"
        if target.exists() and includes.exists() and not self.force:
            files = includes.read_text().replace("\\\n", " ").split()[1:]
            built = target.stat().st_mtime
            if all(os.path.exists(f) and os.stat(f).st_mtime < built for f in files):
                return str(target)
        folder.mkdir(parents=True, exist_ok=True)
        (built,) = self.compiler.compile(
            [str(source)],
            output_dir=str(folder),
            macros=macros,
            include_dirs=[str(KERNELS)],
            extra_postargs=[*FLAGS, "-MMD", "-MF", str(includes)],
        )
        os.replace(built, target)
        return str(target)

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


def extension(source):
    return Extension(
        ".".join(source.with_suffix("").parts),
        sources=[str(source)],
        depends=INTERFACE,
        include_dirs=[str(KERNELS)],
        libraries=["m"] if os.name == "posix" else [],
        extra_compile_args=[*FLAGS],
    )


setup(
    ext_modules=cythonize(
        [extension(source) for source in sorted(KERNELS.glob("**/*.pyx"))],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
        },
        annotate=ANNOTATE,
        force=ANNOTATE or None,  # it is written with the C file
    ),
    cmdclass={"build_ext": BuildKernels},
)
