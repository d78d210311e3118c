"""The choice between a team of threads and one."""

from sparsenet._kernels.governor import ThreadGovernor


def run(governor, seconds_of, n_calls, n_threads=2):
    """Threads chosen in each of n_calls calls that take seconds_of[threads]."""
    chosen = []
    for _ in range(n_calls):
        chosen.append(governor.choose(n_threads))
        governor.observe(seconds_of[chosen[-1]])
    return chosen


def test_a_fast_team_works_after_one_serial_trial():
    assert run(ThreadGovernor(), {1: 1.0, 2: 0.6}, 5) == [1, 2, 2, 2, 2]


def test_a_slow_team_is_suspended_and_tried_again_ever_more_rarely():
    first = ThreadGovernor.FIRST_SUSPENSION
    chosen = run(ThreadGovernor(), {1: 1.0, 2: 9.0}, 4 + 3 * first)
    assert chosen == [1, 2] + [1] * first + [2] + [1] * 2 * first + [2]


def test_a_team_that_recovers_stays():
    governor = ThreadGovernor()
    run(governor, {1: 1.0, 2: 9.0}, 2)
    later = run(governor, {1: 1.0, 2: 0.5}, 3 + ThreadGovernor.FIRST_SUSPENSION)
    assert later[-3:] == [2, 2, 2]
    assert governor.next_suspension == ThreadGovernor.FIRST_SUSPENSION


def test_one_thread_is_never_exceeded():
    assert run(ThreadGovernor(), {1: 1.0}, 3, n_threads=1) == [1, 1, 1]


def test_trials_are_short_and_other_calls_are_not():
    governor = ThreadGovernor()
    assert governor.choose(2) == 1
    assert governor.limit(100) == ThreadGovernor.TRIAL_STEPS
    governor.observe(1.0)
    assert governor.choose(2) == 2
    assert governor.limit(100) == ThreadGovernor.TRIAL_STEPS
    governor.observe(0.5)
    assert governor.choose(2) == 2
    assert governor.limit(100) == 100
