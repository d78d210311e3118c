"""Members that are connected over TCP."""

import os
import socket
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from reference_parallel import group_of_threads, in_threads

from sparsenet._parallel import sockets
from sparsenet._parallel.communicator import WorkerLost
from sparsenet._parallel.compression import CODECS, Residuals
from sparsenet._parallel.sockets import RANK, Listener

HOST, TOKEN = "127.0.0.1", b"secret of a group"
each_size = pytest.mark.parametrize("size", [2, 3, 4])
each_codec = pytest.mark.parametrize("compression", CODECS)
DESCRIPTORS = Path("/proc/self/fd")


def open_descriptors():
    """How many there are of each name; Linux gives that of a socket only once."""
    names = Counter()
    for descriptor in DESCRIPTORS.iterdir():
        with suppress(FileNotFoundError):  # the folder's own, closed by now
            names[os.readlink(descriptor)] += 1
    return names


@pytest.fixture(autouse=True)
def nothing_stays_open():
    if not DESCRIPTORS.exists():
        yield
        return
    before = open_descriptors()
    yield
    # Fewer are fine: garbage of other tests may be collected meanwhile.
    assert not open_descriptors() - before


def listeners(size, host=HOST):
    return [Listener(host, TOKEN) for _ in range(size)]


def connected(members, timeout=10.0):
    """Communicators of listeners, or the errors of connecting them."""
    addresses = [member.address for member in members]
    return in_threads(
        lambda member, rank: member.connect(rank, addresses, timeout),
        members,
        range(len(members)),
    )


@contextmanager
def group(size, timeout=10.0, host=HOST):
    members = connected(listeners(size, host))
    with ExitStack() as stack:
        for member in members:
            member._timeout = timeout  # once all are there, however slow the machine
            stack.enter_context(closing(member))
        yield members


def address(port):
    return rf"\('127.0.0.1', {port}\)"


@each_size
@each_codec
def test_sums_have_the_bits_of_those_of_threads(size, compression):
    rounds = np.random.default_rng(0).standard_normal((3, size, 1000))
    rounds = rounds.astype(np.float32)

    def sums(member):
        residuals = Residuals()
        return [
            member.all_reduce(arrays[member.rank], CODECS[compression], residuals)
            for arrays in rounds
        ]

    with group(size) as members:
        actual = in_threads(sums, members)
    np.testing.assert_array_equal(actual, in_threads(sums, group_of_threads(size)))


@each_size
def test_exchange_delivers_to_each_member_its_message(size):
    def exchange(member):
        messages = [b"%d to %d" % (member.rank, other) for other in range(size)]
        return list(map(bytes, filter(None, member.exchange(messages))))

    with group(size) as members:
        received = in_threads(exchange, members)
    for rank, messages in enumerate(received):
        others = [other for other in range(size) if other != rank]
        assert messages == [b"%d to %d" % (other, rank) for other in others]


def test_a_group_of_one_needs_nobody():
    with group(1) as (member,):
        values = np.float32([1, 2, 3])
        np.testing.assert_array_equal(member.all_reduce(values), values)
        assert member.n_bytes_sent == 0


@each_size
def test_all_learn_of_an_interrupt_in_the_same_exchange(size):
    def exchanges(member):
        seen = []
        for number in range(4):
            member.interrupt = number >= 2 and member.rank == size - 1
            member.all_gather(b"")
            seen.append(member.interrupted)
        return seen

    with group(size) as members:
        assert in_threads(exchanges, members) == [[False, False, True, True]] * size


@pytest.mark.parametrize("size", [2, 3])
def test_messages_larger_than_all_buffers_pass_each_other(size):
    def exchange(member):
        messages = [
            np.full(1 << 23, 10 * member.rank + other, np.uint8)
            for other in range(size)
        ]
        received = filter(None, member.exchange(messages))
        return [np.unique(np.frombuffer(m, np.uint8)).tolist() for m in received]

    with group(size) as members:
        received = in_threads(exchange, members)
    for rank, messages in enumerate(received):
        others = [other for other in range(size) if other != rank]
        assert messages == [[10 * other + rank] for other in others]


def test_one_member_may_have_much_to_say_and_others_nothing():
    with group(3) as members:
        received = in_threads(
            lambda member: member.broadcast(b"x" * (1 << 23)), members
        )
    assert [len(message) for message in received] == [1 << 23] * 3


def test_bytes_sent_are_those_of_the_messages_and_short_headers():
    n = 100_000
    with group(2) as members:
        in_threads(lambda member: member.all_reduce(np.ones(n, np.float32)), members)
        for member in members:
            assert 4 * n <= member.n_bytes_sent <= 4.1 * n
            member.n_bytes_sent = 0
        in_threads(
            lambda member: member.all_reduce(np.ones(n, np.float32), CODECS["int8"]),
            members,
        )
        for member in members:
            assert n < member.n_bytes_sent <= 1.1 * n


# --- strangers ---------------------------------------------------------------------


def connected_despite(greeting, rank=0, size=3):
    """What a stranger is told, and whether the group works."""
    members = listeners(size)
    with socket.create_connection(members[rank].address, 10) as stranger:
        stranger.sendall(greeting)
        group = connected(members)
        try:
            gathered = in_threads(
                lambda member: list(map(bytes, member.all_gather(b"%d" % member.rank))),
                group,
            )
            try:
                told = stranger.recv(100)
            except ConnectionResetError:
                told = b""
        finally:
            for member in group:
                member.close()
    return told, gathered == [[b"%d" % r for r in range(size)]] * size


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    "greeting",
    [
        b"x" * len(TOKEN) + RANK.pack(2),
        b"GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n",
        TOKEN[:-1] + b"x" + RANK.pack(2),
        TOKEN + RANK.pack(0),
        TOKEN + RANK.pack(3),
        TOKEN + RANK.pack(2**32 - 1),
    ],
    ids=["token", "http", "nearly", "lower", "size", "largest"],
)
def test_a_stranger_is_turned_away(greeting, rank):
    told, works = connected_despite(greeting, rank)
    assert told == b""
    assert works


def test_a_stranger_that_says_nothing_is_turned_away(monkeypatch):
    monkeypatch.setattr(sockets, "HELLO", 0.2)
    told, works = connected_despite(b"")
    assert told == b""
    assert works


def test_a_stranger_that_leaves_at_once_does_no_harm():
    members = listeners(2)
    socket.create_connection(members[0].address, 10).close()
    for member in connected(members):
        assert member.size == 2
        member.close()


# --- members that are lost ---------------------------------------------------------


def test_a_member_that_never_comes_is_named():
    first, second, third = listeners(3)
    addresses = [member.address for member in (first, second, third)]
    with closing(second), closing(third):
        names = f"{address(second.address[1])}, {address(third.address[1])}"
        with pytest.raises(WorkerLost, match=rf"\[{names}\] did not come"):
            first.connect(0, addresses, 0.3)


def test_a_member_that_comes_late_is_named_by_those_that_wait_for_it():
    members = listeners(3)
    addresses = [member.address for member in members]
    message = rf"\[{address(addresses[1][1])}\] did not come"
    with closing(members[1]):
        # The third calls both, whose system answers.
        with closing(members[2].connect(2, addresses, 10)):
            with pytest.raises(WorkerLost, match=message):
                members[0].connect(0, addresses, 0.3)


def test_a_member_that_listens_no_more_is_named():
    first, second = listeners(2)
    first.close()
    with pytest.raises(WorkerLost, match=address(first.address[1])):
        second.connect(1, [first.address, second.address], 0.3)


@each_size
def test_a_member_that_closes_is_named(size):
    with group(size) as members:
        port = members[1]._addresses[1][1]
        members[1].close()
        others = [member for member in members if member.rank != 1]
        for error in in_threads(lambda member: member.all_gather(b"x"), others):
            assert isinstance(error, WorkerLost)
            assert error.args[0].startswith("lost the worker at")
            if size == 2:
                assert f"('127.0.0.1', {port}) (rank 1)" in error.args[0]


def test_a_member_that_closes_amid_a_long_message_is_lost():
    def call(member):
        if member.rank == 1:
            time.sleep(0.1)
            return member.close()
        return member.all_gather(b"x" * (1 << 25))

    with group(2) as members:
        first, _ = in_threads(call, members)
    assert isinstance(first, WorkerLost)


@each_size
def test_a_silent_member_is_lost_after_the_timeout(size):
    with group(size, timeout=0.3) as members:
        port = members[1]._addresses[1][1]
        with pytest.raises(WorkerLost, match=rf"{address(port)}.* for 0\.3 s"):
            members[0].all_gather(b"x")


def test_a_member_that_stops_reading_is_lost_after_the_timeout():
    with group(2, timeout=0.3) as members:
        with pytest.raises(WorkerLost, match=r"not answered for 0\.3 s"):
            members[0].all_gather(b"x" * (1 << 25))


def test_a_slow_member_is_waited_for():
    def call(member):
        for _ in range(4):
            time.sleep(member.rank)
            member.all_gather(b"x")
        return "done"

    with group(2, timeout=3.5) as members:
        assert in_threads(call, members) == ["done", "done"]


def test_what_was_said_before_closing_is_heard():
    def call(member):
        received = member.all_gather(b"%d" % member.rank * (1 << 20))
        if member.rank == 0:
            member.close()
        return {len(message) for message in received}

    with group(3) as members:
        assert in_threads(call, members) == [{1 << 20}] * 3


def test_closing_twice_does_no_harm():
    with group(2) as members:
        for member in members:
            member.close()


# --- ports -------------------------------------------------------------------------


def test_a_port_of_the_range_is_chosen():
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        last = min(port + 50, 65535)
        with closing(Listener(HOST, TOKEN, (port, last))) as listener:
            assert listener.address[0] == HOST
            assert port < listener.address[1] <= last


def test_a_full_range_of_ports_is_an_error_that_names_it():
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"ports=\({port}, {port}\)") as raised:
            Listener(HOST, TOKEN, (port, port))
        assert raised.value.__cause__ is not None


def test_an_address_of_another_machine_is_an_error():
    with pytest.raises(OSError, match=r"at 192\.0\.2\.1"):
        Listener("192.0.2.1", TOKEN)


def test_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6: {error}")
    with group(3, host="::1") as members:
        sums = in_threads(lambda member: member.sum_of([member.rank]), members)
    np.testing.assert_array_equal(sums, [[3]] * 3)
