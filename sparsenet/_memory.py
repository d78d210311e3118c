"""How much memory training takes, and how much there is."""

import os
from pathlib import Path, PurePosixPath

from sparsenet._formats import STORED_DTYPE
from sparsenet._kernels._dispatch import LANES

# Training with Adam: the weight and its two moments in float32, in each of two orders
# a compute copy and an index of up to four bytes, and when the weight came into being.
BYTES_PER_CONNECTION = 30
# Biases, their moments and scales, and pointers to the connections of a unit.
BYTES_PER_UNIT = 64
# Rows of two float32 panels that a thread computes in.
BYTES_PER_LANE = 8


def training_memory(n_connections, layer_sizes, batch_size, precision, n_threads):
    """Bytes that training takes, about; X and y are not counted.

    A mini-batch is cut into panels, which keep the inputs and the deltas of all layers.
    """
    stored = STORED_DTYPE[precision].itemsize
    delta = stored if precision in ("float16", "bfloat16") else 4
    n_panels = -(-batch_size // LANES)
    in_panels = stored * sum(layer_sizes[:-1]) + delta * sum(layer_sizes[1:])
    return (
        BYTES_PER_CONNECTION * n_connections
        + BYTES_PER_UNIT * sum(layer_sizes[1:])
        + LANES * n_panels * in_panels
        + LANES * BYTES_PER_LANE * n_threads * max(layer_sizes)
    )


def available_memory():
    """Bytes of the machine, or of the container that this process runs in."""
    return min(_physical_memory(), *_container_limits(), 2**63)


def _physical_memory():
    """Where the system does not tell, what 48 bits can address."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**48


def _container_limits(root=Path("/")):
    """Limits of the control groups of this process, as Linux shows them."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":  # version 2
            directory, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            directory = root / "sys/fs/cgroup/memory"
            name = "memory.limit_in_bytes"
        else:
            continue
        # Those above it limit it, too. A container may see its own as the root.
        group = PurePosixPath(group).relative_to("/")
        for member in (group, *group.parents):
            try:
                limit = (directory / member / name).read_text().strip()
            except OSError:
                continue
            if limit.isdigit():  # or "max"
                yield int(limit)
