"""The choice between a team of threads and one."""

from sparsenet._kernels.train.adaptive_threads import AdaptiveThreads


def run(adaptive, seconds_of, n_calls, n_threads=2):
    """Threads chosen in each of n_calls calls that take seconds_of[threads]."""
    chosen = []
    for _ in range(n_calls):
        chosen.append(adaptive.choose(n_threads))
        adaptive.observe(seconds_of[chosen[-1]])
    return chosen


def test_a_fast_team_works_after_one_serial_trial():
    assert run(AdaptiveThreads(), {1: 1.0, 2: 0.6}, 5) == [1, 2, 2, 2, 2]


def test_a_slow_team_is_suspended_and_tried_again_ever_more_rarely():
    first = AdaptiveThreads.FIRST_SUSPENSION
    chosen = run(AdaptiveThreads(), {1: 1.0, 2: 9.0}, 4 + 3 * first)
    assert chosen == [1, 2] + [1] * first + [2] + [1] * 2 * first + [2]


def test_a_team_that_recovers_stays():
    adaptive = AdaptiveThreads()
    run(adaptive, {1: 1.0, 2: 9.0}, 2)
    later = run(adaptive, {1: 1.0, 2: 0.5}, 3 + AdaptiveThreads.FIRST_SUSPENSION)
    assert later[-3:] == [2, 2, 2]
    assert adaptive.next_suspension == AdaptiveThreads.FIRST_SUSPENSION


def test_one_thread_is_never_exceeded():
    assert run(AdaptiveThreads(), {1: 1.0}, 3, n_threads=1) == [1, 1, 1]


def test_trials_are_short_and_other_calls_are_not():
    adaptive = AdaptiveThreads()
    assert adaptive.choose(2) == 1
    assert adaptive.limit(100) == AdaptiveThreads.TRIAL_STEPS
    adaptive.observe(1.0)
    assert adaptive.choose(2) == 2
    assert adaptive.limit(100) == AdaptiveThreads.TRIAL_STEPS
    adaptive.observe(0.5)
    assert adaptive.choose(2) == 2
    assert adaptive.limit(100) == 100
