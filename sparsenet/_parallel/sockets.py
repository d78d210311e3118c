"""A communicator over TCP: each member has a connection with each other.

Measured against what is there already, in benchmarks/all_reduce.py; the connections of
Dask's workers are for objects, those of MPI and Gloo for processes that they start.
"""

import hmac
import selectors
import socket
import struct
import time
from contextlib import suppress

from sparsenet._parallel.communicator import Communicator, WorkerLost

# Bytes of the message that follows, and whether its sender was asked to end.
HEADER = struct.Struct("<Q?")
RANK = struct.Struct("<I")
BUFFER_SIZE = 1 << 20
HELLO = 2.0  # seconds for which a stranger may keep others waiting


class Listener:
    """A port at which a member waits for those of higher rank.

    Parameters
    ----------
    host : str
        Address of the interface to listen on.
    token : bytes
        Secret of the group: whoever connects without it is turned away.
    ports : (int, int) or None, default=None
        First and last of the ports to choose from. None: the system chooses.

    Attributes
    ----------
    address : (str, int)
        Host and port.

    Raises
    ------
    OSError
        No port is free.
    """

    def __init__(self, host, token, ports=None):
        self.token = token
        family = socket.getaddrinfo(host, None)[0][0]
        for port in range(ports[0], ports[1] + 1) if ports else (0,):
            try:
                self._socket = socket.create_server((host, port), family=family)
                break
            except OSError as error:
                reason = error
        else:
            of_ports = f", of ports={ports}" if ports else ""
            raise OSError(
                f"no port to listen on at {host}{of_ports}: {reason}"
            ) from reason
        self.address = host, self._socket.getsockname()[1]

    def close(self):
        self._socket.close()

    def abort(self):
        """Make `connect` that another thread is in fail soon."""
        with suppress(OSError):  # closed, or of a system that does not know it
            self._socket.shutdown(socket.SHUT_RDWR)

    def connect(self, rank, addresses, timeout):
        """Connect all members, whose addresses are in the order of their ranks.

        Returns a `SocketCommunicator`; closes the listener.

        Raises
        ------
        WorkerLost
            A member did not come within `timeout` seconds.
        """
        end = time.monotonic() + timeout
        sockets = {}
        try:
            for other in range(rank):
                sockets[other] = self._call(rank, addresses[other], end)
            while len(sockets) < len(addresses) - 1:
                self._accept(sockets, rank, addresses, end)
            return SocketCommunicator(rank, sockets, addresses, timeout)
        except BaseException:
            for connection in sockets.values():
                connection.close()
            raise
        finally:
            self.close()

    def _call(self, rank, address, end):
        """A connection with a member of lower rank, which listens already."""
        try:
            connection = socket.create_connection(address, _left(end))
        except OSError as error:
            raise WorkerLost(
                f"no connection with the worker at {address}: {error}"
            ) from error
        try:
            connection.sendall(self.token + RANK.pack(rank))
        except OSError as error:
            connection.close()
            raise WorkerLost(f"lost the worker at {address}: {error}") from error
        return connection

    def _accept(self, sockets, rank, addresses, end):
        """Wait for the next member of higher rank."""
        try:
            self._socket.settimeout(_left(end))
            connection, _ = self._socket.accept()
        except OSError as error:
            missing = [
                addresses[r]
                for r in range(rank + 1, len(addresses))
                if r not in sockets
            ]
            raise WorkerLost(
                f"the workers at {missing} did not come: {error}"
            ) from error
        try:
            n = len(self.token) + RANK.size
            hello = _receive_exactly(connection, n, min(end, time.monotonic() + HELLO))
        except OSError:
            hello = b""
        (other,) = RANK.unpack(hello[len(self.token) :] or b"\0\0\0\0")
        is_ours = hmac.compare_digest(hello[: len(self.token)], self.token)
        if is_ours and rank < other < len(addresses) and other not in sockets:
            sockets[other] = connection
        else:
            connection.close()


def _left(end):
    """Seconds that are left, never 0, which would mean not to wait at all."""
    return max(0.01, end - time.monotonic())


def _receive_exactly(connection, n, end):
    """n bytes; OSError without them."""
    received = b""
    while len(received) < n:
        connection.settimeout(_left(end))
        more = connection.recv(n - len(received))
        if not more:
            raise OSError("closed")
        received += more
    return received


class SocketCommunicator(Communicator):
    """A member's sockets with all others.

    Parameters
    ----------
    rank : int
    sockets : dict of int to socket
        By the rank of the other member.
    addresses : sequence of (str, int)
        Of all members; they are named by messages.
    timeout : float
        Seconds without any progress after which a member counts as lost.
    """

    def __init__(self, rank, sockets, addresses, timeout):
        super().__init__(rank, len(addresses))
        self._sockets, self._addresses, self._timeout = sockets, addresses, timeout
        self._selector = selectors.DefaultSelector()
        for connection in sockets.values():
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                connection.setsockopt(socket.SOL_SOCKET, option, BUFFER_SIZE)

    def exchange(self, messages):
        interrupt = self.interrupt
        transfers = {
            other: _Transfer(connection, messages[other], interrupt)
            for other, connection in self._sockets.items()
        }
        self.n_bytes_sent += sum(transfer.n_to_send for transfer in transfers.values())
        try:
            self._run(transfers)
        finally:
            for other, transfer in transfers.items():
                if transfer.watched:
                    self._selector.unregister(self._sockets[other])
        others = any(transfer.interrupt for transfer in transfers.values())
        self.interrupted |= interrupt or others
        return [
            transfers[r].received if r in transfers else None for r in range(self.size)
        ]

    def _run(self, transfers):
        """Send and receive until all is done."""
        for other, transfer in transfers.items():
            self._advance(other, transfer)
        while any(transfer.watched for transfer in transfers.values()):
            ready = self._selector.select(self._timeout)
            if not ready:
                silent = [
                    self._addresses[r]
                    for r, transfer in transfers.items()
                    if transfer.watched
                ]
                raise WorkerLost(
                    f"the workers at {silent} have not answered for {self._timeout} s"
                )
            for key, _ in ready:
                self._advance(key.data, transfers[key.data])

    def _advance(self, other, transfer):
        """Do what can be done without waiting, and watch for what comes next."""
        try:
            wanted = transfer.advance()
        except OSError as error:
            raise WorkerLost(
                f"lost the worker at {self._addresses[other]} (rank {other}): {error}"
            ) from error
        if wanted == transfer.watched:
            return
        connection = self._sockets[other]
        if not transfer.watched:
            self._selector.register(connection, wanted, other)
        elif wanted:
            self._selector.modify(connection, wanted, other)
        else:
            self._selector.unregister(connection)
        transfer.watched = wanted

    def abort(self):
        # Not closed: the other thread would wait for what it watches no more.
        for connection in self._sockets.values():
            with suppress(OSError):  # closed by the other member
                connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.abort()
        for connection in self._sockets.values():
            connection.close()
        self._selector.close()


class _Transfer:
    """What is still to be sent to, and received from, one member in an exchange."""

    def __init__(self, connection, message, interrupt):
        self.connection, self.watched = connection, 0
        message = memoryview(message).cast("B")
        header = HEADER.pack(len(message), interrupt)
        self.to_send = [memoryview(header), message]
        self.n_to_send = HEADER.size + len(message)
        self.received, self.n_received = bytearray(HEADER.size), 0
        self.in_header = True

    def advance(self):
        """Go on as far as possible; returns the events to wait for."""
        self._send()
        return (selectors.EVENT_WRITE if self.to_send else 0) | (
            0 if self._receive() else selectors.EVENT_READ
        )

    def _send(self):
        while self.to_send:
            if len(self.to_send[0]) == 0:
                del self.to_send[0]
                continue
            try:
                n = self.connection.send(self.to_send[0])
            except BlockingIOError:
                return
            self.to_send[0] = self.to_send[0][n:]

    def _receive(self):
        """Whether all is there."""
        while True:
            while self.n_received < len(self.received):
                rest = memoryview(self.received)[self.n_received :]
                try:
                    n = self.connection.recv_into(rest)
                except BlockingIOError:
                    return False
                if n == 0:
                    raise OSError("it has closed the connection")
                self.n_received += n
            if not self.in_header:
                return True
            self.in_header = False
            n, self.interrupt = HEADER.unpack(self.received)
            self.received, self.n_received = bytearray(n), 0
