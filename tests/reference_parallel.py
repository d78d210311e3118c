"""The plain NumPy twin of the exchanges of a group, and members run as threads."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from reference import from_bits, to_bits

from sparsenet._parallel.communicator import ThreadCommunicator

BLOCK = 64


def unchanged(values):
    return values


def through_bfloat16(values):
    """Values as they arrive, by way of numbers of 16 bits."""
    return from_bits(to_bits(values, "bfloat16"), "bfloat16")


def through_int8(values):
    """Values as they arrive, each block in steps of a 127th of its largest number."""
    arrived = np.zeros_like(values)
    for begin in range(0, len(values), BLOCK):
        block = values[begin : begin + BLOCK]
        step = np.abs(block).max() / np.float32(127)
        if step >= np.finfo(np.float32).tiny:
            arrived[begin : begin + BLOCK] = np.rint(block / step) * step
    return arrived


ARRIVED = {None: unchanged, "bfloat16": through_bfloat16, "int8": through_int8}


def parts(n, size):
    """(begin, end) of each member's part: whole blocks, as even as they can be."""
    n_blocks = -(-n // BLOCK)
    bounds = [min(n, n_blocks * rank // size * BLOCK) for rank in range(size + 1)]
    return list(pairwise(bounds))


class Sums:
    """Sums of members' arrays, call after call, with or without error feedback."""

    def __init__(self, size, n, compression, feedback):
        self.arrived, self.parts = ARRIVED[compression], parts(n, size)
        self.feedback, self.of_sums = feedback, np.zeros(n, np.float32)
        self.of_values = np.zeros((size, n), np.float32)

    def of(self, arrays):
        sums = np.empty_like(self.of_sums)
        for begin, end in self.parts:
            part = slice(begin, end)
            total = np.zeros(end - begin, np.float32)
            for array, left in zip(arrays, self.of_values, strict=True):
                total += self._sent(array[part], left[part])
            sums[part] = self._sent(total, self.of_sums[part])
        return sums

    def _sent(self, values, left):
        """What arrives; `left` becomes what does not."""
        if self.feedback:
            values = values + left
        arrived = self.arrived(values)
        if self.feedback:
            left[...] = values - arrived
        return arrived


def in_threads(function, members, *more):
    """What a function returns or raises for each member, called at the same time."""
    with ThreadPoolExecutor(len(members)) as pool:
        calls = zip(members, *more, strict=True)
        futures = [pool.submit(function, *arguments) for arguments in calls]
    return [future.exception() or future.result() for future in futures]


def group_of_threads(size):
    """Members that do not wait forever for one that has failed."""
    members = ThreadCommunicator.group(size)
    members[0]._barrier._timeout = 20
    return members
