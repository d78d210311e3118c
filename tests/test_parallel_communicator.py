"""What the members of a group exchange, against plain NumPy."""

import numpy as np
import pytest
from reference_parallel import Sums, group_of_threads, in_threads, parts

from sparsenet._parallel.communicator import (
    ThreadCommunicator,
    WorkerLost,
    parts_of,
)
from sparsenet._parallel.compression import CODECS, Residuals

SIZES, LENGTHS = (1, 2, 3, 5), (0, 1, 63, 64, 65, 1000)
each_size = pytest.mark.parametrize("size", SIZES)
each_codec = pytest.mark.parametrize("compression", CODECS)


def random_arrays(size, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((size, n)).astype(np.float32)


@each_size
def test_all_gather_has_the_messages_in_the_order_of_the_ranks(size):
    messages = [b"x" * rank for rank in range(size)]
    gathered = in_threads(
        ThreadCommunicator.all_gather, group_of_threads(size), messages
    )
    assert gathered == [messages] * size


@each_size
def test_broadcast_gives_all_the_message_of_the_first(size):
    received = in_threads(
        lambda member: member.broadcast(b"of %d" % member.rank), group_of_threads(size)
    )
    assert received == [b"of 0"] * size


@each_size
def test_exchange_delivers_to_each_member_its_message(size):
    received = in_threads(
        lambda member: member.exchange(
            [b"%d to %d" % (member.rank, other) for other in range(size)]
        ),
        group_of_threads(size),
    )
    for rank, messages in enumerate(received):
        expected = [b"%d to %d" % (other, rank) for other in range(size)]
        expected[rank] = None
        assert messages == expected


def test_messages_are_those_of_the_call_though_the_arrays_change_afterwards():
    def gather(member):
        array = np.full(5, member.rank, np.uint8)
        received = member.all_gather(array)
        others = [bytes(m) for r, m in enumerate(received) if r != member.rank]
        array[:] = 99
        return others

    first, second = in_threads(gather, group_of_threads(2))
    assert first == [b"\1" * 5]
    assert second == [b"\0" * 5]


@each_size
@pytest.mark.parametrize("n", LENGTHS)
def test_parts_are_those_of_the_twin(size, n):
    assert [(part.start, part.stop) for part in parts_of(n, size)] == parts(n, size)


@each_size
@pytest.mark.parametrize("n", LENGTHS)
@each_codec
@pytest.mark.parametrize("feedback", [False, True])
def test_all_reduce_has_the_bits_of_the_twin(size, n, compression, feedback):
    calls = [random_arrays(size, n, seed) for seed in range(3)]
    twin = Sums(size, n, compression, feedback)
    expected = [twin.of(arrays) for arrays in calls]

    def sums(member):
        residuals = Residuals() if feedback else None
        codec = CODECS[compression]
        return [
            member.all_reduce(arrays[member.rank], codec, residuals) for arrays in calls
        ]

    for actual in in_threads(sums, group_of_threads(size)):
        np.testing.assert_array_equal(actual, expected)
        assert actual[0].dtype == np.float32


def test_all_reduce_leaves_the_values_alone():
    values = random_arrays(2, 100)
    before = values.copy()
    in_threads(
        lambda member: member.all_reduce(
            values[member.rank], CODECS["int8"], Residuals()
        ),
        group_of_threads(2),
    )
    np.testing.assert_array_equal(values, before)


@each_size
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_sum_of_keeps_the_shape_and_float64(size, shape):
    numbers = np.random.default_rng(0).standard_normal((size, *shape))
    expected = numbers[0].copy()
    for other in numbers[1:]:
        expected = expected + other
    for actual in in_threads(
        lambda member: member.sum_of(numbers[member.rank]), group_of_threads(size)
    ):
        assert actual.shape == shape
        assert actual.dtype == np.float64
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_all_learn_of_an_interrupt_in_the_same_exchange(size):
    def exchanges(member):
        seen = []
        for number in range(4):
            if number == 2 and member.rank == size - 1:
                member.interrupt = True
            member.all_gather(b"")
            seen.append(member.interrupted)
        return seen

    seen = in_threads(exchanges, group_of_threads(size))
    assert seen == [[False, False, True, True]] * size


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_member_that_closes_is_lost_for_all_others(size):
    def call(member):
        member.all_gather(b"")
        if member.rank == 1:
            member.all_gather(b"")
            member.close()
            return None
        member.all_gather(b"")
        return member.all_gather(b"")

    ended = in_threads(call, group_of_threads(size))
    assert ended.pop(1) is None
    assert all(isinstance(error, WorkerLost) for error in ended)


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize(
    ("compression", "per_value"), [(None, 4), ("bfloat16", 2), ("int8", 1.0625)]
)
def test_bytes_sent_are_twice_those_of_what_is_not_a_members_own(
    size, compression, per_value
):
    n = 6400 * size
    members = group_of_threads(size)
    arrays = random_arrays(size, n)
    in_threads(
        lambda member: member.all_reduce(arrays[member.rank], CODECS[compression]),
        members,
    )
    expected = 2 * (size - 1) * 6400 * per_value
    assert [member.n_bytes_sent for member in members] == [expected] * size


def test_one_member_sends_nothing():
    (member,) = group_of_threads(1)
    member.all_reduce(np.ones(1000, np.float32))
    member.broadcast(b"x")
    assert member.n_bytes_sent == 0
