"""How the processes of a group exchange arrays.

A group needs one primitive, an exchange in which each member has a message for each;
what training asks for is made of it. Sums are taken in the order of the ranks, whoever
takes them: all members get the same bits, and a simulation the same as a cluster.
"""

import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from itertools import pairwise

import numpy as np

from sparsenet._parallel.compression import BLOCK, Float32


class WorkerLost(ConnectionError):
    """A member of the group has gone, or has not answered in time."""


class Communicator(ABC):
    """A member's connection with its group.

    Attributes
    ----------
    rank : int
        The member's number, from 0.
    size : int
        Number of members.
    n_bytes_sent : int
        What this member has sent to others.
    interrupt : bool
        Set by anyone, at any time, to ask all members to end.
    interrupted : bool
        Whether one of them was asked, before its part of the exchanges so far. All
        members learn it in the same exchange.
    """

    def __init__(self, rank, size):
        self.rank, self.size, self.n_bytes_sent = rank, size, 0
        self.interrupt = self.interrupted = False

    @abstractmethod
    def exchange(self, messages):
        """Send ``messages[r]`` to each member r; returns what each has sent here.

        Messages are bytes-like; the member's own entry is ignored, and None in the
        result. All members have to call it.

        Raises
        ------
        WorkerLost
            A member is gone.
        """

    @abstractmethod
    def close(self):
        """End the connections; others that wait for this member find it gone."""

    @abstractmethod
    def abort(self):
        """Make an exchange that another thread is in fail soon."""

    def all_gather(self, message):
        """The message of each member, bytes-like, in the order of the ranks."""
        received = self.exchange([message] * self.size)
        received[self.rank] = message
        return received

    def broadcast(self, message):
        """The first member's message, bytes-like; what others pass is ignored."""
        is_first = self.rank == 0
        received = self.exchange([message if is_first else b""] * self.size)
        return message if is_first else received[0]

    def all_reduce(self, values, codec=None, residuals=None):
        """The sum of all members' arrays.

        Each member adds up its part of the arrays, and hands the sum to all: a member
        sends 2 (size - 1) / size times the bytes of its encoded array.

        Parameters
        ----------
        values : float32 array of shape (n,)
        codec : object, default=None
            How numbers travel; one of `compression`. None: as they are.
        residuals : Residuals, default=None
            What rounding has left out in the calls before; it is made up for in this
            one. None: it is lost.

        Returns
        -------
        sums : float32 array of shape (n,)
        """
        codec = Float32 if codec is None else codec
        parts = parts_of(len(values), self.size)
        if residuals is not None:
            values = residuals.of_values.add_to(values)
        codes = [codec.encode(values[part]) for part in parts]
        if residuals is not None:
            decoded = [
                codec.decode(code, part.stop - part.start)
                for code, part in zip(codes, parts, strict=True)
            ]
            residuals.of_values.keep(values, np.concatenate(decoded))
        received = self.exchange(codes)
        received[self.rank] = codes[self.rank]
        part = parts[self.rank]
        total = np.zeros(part.stop - part.start, np.float32)
        for code in received:
            total += codec.decode(code, len(total))
        if residuals is not None:
            total = residuals.of_sums.add_to(total)
        code = codec.encode(total)
        if residuals is not None:
            residuals.of_sums.keep(total, codec.decode(code, len(total)))
        sums = np.empty(len(values), np.float32)
        for part, encoded in zip(parts, self.all_gather(code), strict=True):
            sums[part] = codec.decode(encoded, part.stop - part.start)
        return sums

    def sum_of(self, numbers):
        """The sums of an array of float64 numbers over all members, in its shape."""
        own = np.array(numbers, "<f8")
        gathered = self.all_gather(own.tobytes())
        total = sum(np.frombuffer(numbers, "<f8") for numbers in gathered)
        return total.reshape(own.shape)


def parts_of(n, size):
    """Slices of n values, one for each member: whole blocks, but for the end."""
    n_blocks = -(-n // BLOCK)
    bounds = [min(n, n_blocks * r // size * BLOCK) for r in range(size + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


class ThreadCommunicator(Communicator):
    """Of members that are threads of one process: for simulations."""

    def __init__(self, rank, messages, barrier):
        super().__init__(rank, len(messages))
        self._messages, self._barrier = messages, barrier

    @classmethod
    def group(cls, size):
        """The members of a new group."""
        messages, barrier = [None] * size, threading.Barrier(size)
        return [cls(rank, messages, barrier) for rank in range(size)]

    def exchange(self, messages):
        # Copies: a member's arrays may change before others have read them.
        messages = [
            None if rank == self.rank else bytes(message)
            for rank, message in enumerate(messages)
        ]
        self.n_bytes_sent += sum(len(message) for message in messages if message)
        self._messages[self.rank] = self.interrupt, messages
        try:
            self._barrier.wait()
            received = [messages[self.rank] for _, messages in self._messages]
            self.interrupted |= any(interrupt for interrupt, _ in self._messages)
        except threading.BrokenBarrierError:
            raise WorkerLost("a thread of the group has ended") from None
        # Until all have read; one that has may end at once.
        with suppress(threading.BrokenBarrierError):
            self._barrier.wait()
        return received

    def close(self):
        self._barrier.abort()

    abort = close
