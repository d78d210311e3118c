"""When connections change while a network is trained, and how many of them."""

import math
from dataclasses import dataclass, field


@dataclass
class Rewiring:
    """A schedule of rounds, and how far it has come.

    A round comes after every `interval` steps, the last one at or before step `end`.

    Parameters
    ----------
    method : {"static", "set", "rigl", "gradual"}
        "static" has no rounds.
    interval : int
        Steps from a round to the next.
    fraction : float
        Share of each unit's connections that the first round would replace, if it came
        at once. It falls to 0 at `end` along half a cosine wave (Dettmers & Zettlemoyer
        2019, arXiv:1907.04840; Evci et al. 2020, arXiv:1911.11134, section 3).
    end : int
        The step after which connections stay as they are.
    n_steps : int
        Steps so far, in all calls of `fit` and `partial_fit`.
    rounds : list of (int, tuple of int)
        For each round its step, and how many connections each layer has gained (where
        it prunes: lost).
    initial, final : tuple of int
        "gradual": fan-in of each layer before the first round and after the last one.
    is_complete : bool
        Whether rounds would change nothing: all layers are dense, or, with "gradual",
        have no more connections than they are to end with.
    """

    method: str = "static"
    interval: int = 100
    fraction: float = 0.3
    end: int = 1
    n_steps: int = 0
    rounds: list = field(default_factory=list)
    initial: tuple = ()
    final: tuple = ()
    is_complete: bool = False

    def __post_init__(self):
        # A short training has a round, too: pruning has to come to its end.
        self.end = max(1, self.end)
        self.interval = min(self.interval, self.end)

    @property
    def last_round(self):
        """Step of the last round."""
        return self.end // self.interval * self.interval

    @property
    def is_pruning(self):
        """Whether the network has more connections than it is to end with."""
        return self.method == "gradual" and not self.is_complete

    def steps_to_round(self):
        """Steps until the next round; None if there is none."""
        next_round = (self.n_steps // self.interval + 1) * self.interval
        if self.method == "static" or self.is_complete:
            return None
        if next_round <= self.last_round:
            return next_round - self.n_steps
        # The schedule may have become shorter, between two calls, than what was done.
        return 1 if self.is_pruning else None

    def fraction_now(self):
        """Share of connections to replace in a round after `n_steps`."""
        return self.fraction / 2 * (1 + math.cos(math.pi * self.n_steps / self.end))

    def fan_ins_now(self):
        """Fan-in of each layer after a round of pruning at `n_steps`.

        The cubic schedule of Zhu & Gupta 2017, arXiv:1710.01878, equation 1.
        """
        left = (1 - min(1.0, self.n_steps / self.last_round)) ** 3
        return [
            final + round(left * (initial - final))
            for initial, final in zip(self.initial, self.final, strict=True)
        ]
