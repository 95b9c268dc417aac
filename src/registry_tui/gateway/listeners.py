"""The listening sockets that all processes of the gateway share.

Connections that wait to be accepted belong to the socket, not to a process. Each process holds a copy of every
listening socket, and a new process gets the others' before it opens a port. So the queue outlives any one process: the
other one accepts the waiting connections.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from contextlib import AbstractContextManager, suppress

from registry_tui.platform.locks import only_one
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import LOOPBACK

logger = logging.getLogger(__name__)

#: Connections that may wait to be accepted.
BACKLOG = 1024
#: Seconds for one question between processes, and for waiting until another process has opened its ports.
_ANSWER_SECONDS, _LOCK_SECONDS = 1.0, 10.0
_FOUND, _UNKNOWN = b"+", b"-"


class Listeners:
    """This process's copies of the listening sockets; a thread gives copies of them to the other processes."""

    def __init__(self, home: Home, number: int) -> None:
        self._home, self._number = home, number
        self._sockets: dict[int, socket.socket] = {}
        self._guard = threading.Lock()

    def start(self, port: int) -> socket.socket:
        """Opens the first port, then serves the other processes. Returns a socket to accept from. Raises OSError."""
        with self._only_one():
            # The process that had this number before may still live: get its socket before taking over its address.
            opened = self._open(port)
            path = self._home.gateway_listeners_sockets[self._number]
            path.unlink(missing_ok=True)
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.bind(str(path))
            server.listen()
            threading.Thread(target=self._give, args=(server,), name="listeners", daemon=True).start()
        return opened

    async def open(self, port: int) -> socket.socket:
        """A socket to accept from, which the caller closes. Raises OSError."""
        return await asyncio.to_thread(self._open_alone, port)

    def release(self, port: int) -> None:
        """Closes this process's own copy of a port's socket."""
        with self._guard:
            found = self._sockets.pop(port, None)
        if found is not None:
            found.close()

    def release_all(self) -> None:
        for port in list(self._sockets):
            self.release(port)

    def _open_alone(self, port: int) -> socket.socket:
        with self._only_one():
            return self._open(port)

    def _open(self, port: int) -> socket.socket:
        found = self._sockets.get(port)
        if found is None:
            found = self._ask_others(port) or _listen(port)
            with self._guard:
                self._sockets[port] = found
        return found.dup()

    def _ask_others(self, port: int) -> socket.socket | None:
        for path in self._home.gateway_listeners_sockets:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_ANSWER_SECONDS)
                connection.connect(str(path))
                connection.sendall(b"%d\n" % port)
                _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
                if descriptors:
                    return socket.socket(fileno=descriptors[0])
        return None

    def _give(self, server: socket.socket) -> None:
        while True:
            connection, _ = server.accept()
            with suppress(OSError, ValueError), connection:
                connection.settimeout(_ANSWER_SECONDS)
                port = int(connection.recv(16))
                with self._guard:
                    found = self._sockets.get(port)
                    if found is None:
                        connection.sendall(_UNKNOWN)
                    else:
                        socket.send_fds(connection, [_FOUND], [found.fileno()])

    def _only_one(self) -> AbstractContextManager[None]:
        """Lets one process at a time open ports: two that start together then share one socket. Raises OSError."""
        lock = self._home.run / "gateway.lock"
        return only_one(lock, _LOCK_SECONDS, "another gateway process is opening its ports")


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A process that does not respond keeps its socket; this one then gets one of its own next to it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
