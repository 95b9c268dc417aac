"""The listener's socket: connections are counted from the moment they arrive, also those that never send anything."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from registry_tui.contracts.callers import source_of
from registry_tui.gateway.connections import Door

logger = logging.getLogger(__name__)

#: Seconds for a TLS handshake, and for the other side's part of ending TLS.
HANDSHAKE_SECONDS, SHUTDOWN_SECONDS = 10.0, 2.0
#: Seconds until the next try when accepting fails, for example without free file descriptors.
PAUSE_SECONDS = 0.5


class Entrance:
    """Accepts connections and passes them on once their handshake is done. Used within a running event loop."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext | None,
        handshakes: Door,
        protocol: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        """`handshakes` limits those under way; connections are then for `protocol` to count."""
        self._socket, self._context, self._handshakes, self._protocol = listening, context, handshakes, protocol
        self._under_way: set[asyncio.Task[None]] = set()

    async def accept(self) -> None:
        """Accepts until it is cancelled; handshakes under way then end, and the socket is closed."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, peer = await loop.sock_accept(self._socket)
                except OSError as error:
                    if error.errno != errno.ECONNABORTED:  # the caller left while waiting
                        logger.error("no connection can be accepted now: %s", error.strerror)
                        await asyncio.sleep(PAUSE_SECONDS)
                    continue
                source = source_of(str(peer[0]))
                if self._context is not None and self._handshakes.enter(source):
                    connection.close()
                    continue
                task = loop.create_task(self._admit(connection, source))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
        finally:
            self._socket.close()
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _admit(self, connection: socket.socket, source: str) -> None:
        seconds = (HANDSHAKE_SECONDS, SHUTDOWN_SECONDS) if self._context is not None else (None, None)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=seconds[0],
                ssl_shutdown_timeout=seconds[1],
            )
        except OSError as error:
            # Its certificate was not accepted, it speaks no TLS, or it sent nothing.
            logger.debug("a handshake failed: %s", type(error).__name__)
        finally:
            if self._context is not None:
                self._handshakes.leave(source)
