"""Keep to one thread while other processes hold the cores that a team needs."""


class AdaptiveThreads:
    """Chooses between a team of threads and one, by the time that steps take.

    Every barrier of a team waits for its slowest thread. A thread whose core is taken
    by another process waits for the scheduler, some 4 ms, at each of a step's two
    barriers: two threads were measured to be 9 times slower than one. Results do not
    depend on the number of threads, so it may follow the load of the machine.

    Times are seconds per multiply-add, of any number of steps.
    """

    #: A team this much slower than one thread is suspended.
    TOLERANCE = 1.1
    #: Steps of a trial: of one thread at the start, of the team after a suspension.
    TRIAL_STEPS = 2
    #: Calls without the team after it was slow, doubled up to the last number.
    FIRST_SUSPENSION, LAST_SUSPENSION = 4, 64

    def __init__(self):
        self.serial_time = None
        self.threads = 1
        self.suspended = 0
        self.next_suspension = self.FIRST_SUSPENSION
        self.trial = True

    def choose(self, n_threads):
        """Number of threads for the next call."""
        self.trial = False
        if n_threads == 1:
            self.threads = 1
        elif self.serial_time is None:
            self.threads, self.trial = 1, True
        elif self.suspended:
            self.suspended -= 1
            self.threads = 1
        else:
            self.trial = self.threads == 1
            self.threads = n_threads
        return self.threads

    def limit(self, n_steps):
        """Number of steps for the next call, at most `n_steps`."""
        return min(n_steps, self.TRIAL_STEPS) if self.trial else n_steps

    def observe(self, seconds):
        """Learn how long the chosen threads took."""
        if self.threads == 1:
            known = self.serial_time or seconds
            self.serial_time = min(known, seconds)
        elif self.serial_time and seconds > self.TOLERANCE * self.serial_time:
            self.suspended = self.next_suspension
            self.next_suspension = min(2 * self.next_suspension, self.LAST_SUSPENSION)
        else:
            self.next_suspension = self.FIRST_SUSPENSION
