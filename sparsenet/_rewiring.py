"""When connections change while a network is trained, and how many of them."""

import math
from dataclasses import dataclass, field


@dataclass
class Rewiring:
    """A schedule of rounds over one call of `fit` or `partial_fit`.

    A schedule has a position, in steps, which is 0 where it begins. A round comes
    `interval` steps after the one before, in whichever call that was, as long as the
    position has not passed `end`.

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
        The position after which connections stay as they are.
    position : int
        The position at the beginning of the call.
    start : int
        Steps of the network before the call.
    rounds : list of (int, tuple of int)
        For each round of all calls, the steps of the network before it, and how many
        connections each layer has gained (where it prunes: lost).
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
    position: int = 0
    start: int = 0
    rounds: list = field(default_factory=list)
    initial: tuple = ()
    final: tuple = ()
    is_complete: bool = False

    def __post_init__(self):
        self.end = max(1, self.end)

    @property
    def last_pruning(self):
        """Position of the last round of "gradual", which a short training has, too."""
        interval = min(self.interval, self.end)
        return self.end // interval * interval

    @property
    def is_pruning(self):
        """Whether the network has more connections than it is to end with."""
        return self.method == "gradual" and not self.is_complete

    def position_at(self, n_steps):
        """The position when the network has had so many steps."""
        return self.position + n_steps - self.start

    def steps_to_round(self, n_steps):
        """Steps until the next round; None if there is none."""
        if self.method == "static" or self.is_complete:
            return None
        last = min(self.rounds[-1][0], n_steps) if self.rounds else 0
        steps = max(1, last + self.interval - n_steps)
        position = self.position_at(n_steps)
        if self.method == "gradual":
            # Pruning has to come to its end, however calls have cut the schedule.
            return max(1, min(steps, self.last_pruning - position))
        return steps if position + steps <= self.end else None

    def fraction_at(self, n_steps):
        """Share of connections to replace in a round after so many steps."""
        done = min(1.0, self.position_at(n_steps) / self.end)
        return self.fraction / 2 * (1 + math.cos(math.pi * done))

    def fan_ins_at(self, n_steps):
        """Fan-in of each layer after a round of pruning that comes then.

        The cubic schedule of Zhu & Gupta 2017, arXiv:1710.01878, equation 1.
        """
        done = min(1.0, self.position_at(n_steps) / self.last_pruning)
        return [
            final + round((1 - done) ** 3 * (initial - final))
            for initial, final in zip(self.initial, self.final, strict=True)
        ]
