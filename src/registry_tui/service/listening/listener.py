"""The listener for the network, in a thread with an event loop of its own, within the service's process."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading

from aiohttp import web

from registry_tui.gateway.connections import Door, Runner, allowed
from registry_tui.platform import listening
from registry_tui.platform.listening import CannotListen, Listening
from registry_tui.platform.server_certificate import certificate_of
from registry_tui.service.core.context import Service
from registry_tui.service.listening.entrance import Entrance
from registry_tui.service.listening.front import Front
from registry_tui.service.settings import Settings

logger = logging.getLogger(__name__)

#: Seconds for requests under way at the end.
GRACE = 5.0
#: Connections at the same time, of all and of one caller.
MOST, MOST_EACH = 1000, 250
#: TLS handshakes at the same time, of all and of one caller.
HANDSHAKES, HANDSHAKES_EACH = 500, 100


def chosen(service: Service) -> Listening | None:
    """Where to listen: by `--listen`, else by the settings; None for nowhere. Raises CannotListen, Damaged."""
    return listening.load(service.home) or of_settings(service.settings)


def of_settings(settings: Settings) -> Listening | None:
    """Where to listen by the settings; None for nowhere. Raises CannotListen."""
    if not settings.listen:
        return None
    return listening.parse(
        settings.listen,
        certificate=settings.listen_certificate,
        key=settings.listen_key,
        plain_http=settings.listen_plain_http,
        names=settings.listen_names,
    )


class Listener:
    """Listens from `start` to `stop`."""

    def __init__(self, service: Service, where: Listening) -> None:
        """Opens the socket and reads the certificate. Raises CannotListen, OSError."""
        if where.plain_http and not listening.is_loopback(where.host):
            raise CannotListen(f"HTTP without TLS is refused on {where.host}", action="Listen with a certificate")
        self._service = service
        self._where = where
        self._context: ssl.SSLContext | None = None
        if not where.plain_http:
            self._context = listening.server_context(*certificate_of(service.home, where))
        self._socket: socket.socket = listening.open_socket(where)
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Starts serving."""
        self._thread.start()

    def stop(self) -> None:
        """Takes no more requests; those under way get a moment."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(2 * GRACE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        front = Front(self._service, tls=self._context is not None)
        room = allowed()
        handshakes = min(HANDSHAKES, room // 2)
        most = min(MOST, room - handshakes // 2)
        door = Door(most, MOST_EACH, part="service")
        runner: web.AppRunner = Runner(front.application(), door, shutdown_timeout=GRACE)
        await runner.setup()
        assert runner.server is not None
        entrance = Entrance(self._socket, self._context, Door(handshakes, HANDSHAKES_EACH), runner.server)
        accepting = self._loop.create_task(entrance.accept())
        logger.info("listening on %s://%s", self._where.scheme, self._where.address)
        await self._stopping.wait()
        accepting.cancel()
        await asyncio.wait([accepting])
        await runner.cleanup()
        await front.close()
