"""A service that answers late: a socket in a home of its own that leads to a real service's socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry_tui.platform.paths import Home

METHODS = (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE")


class Delaying:
    """Passes each request on at once, and each answer once `delay` seconds have gone by since its request.

    The home that `open` takes must be one where nobody starts a platform.
    """

    def __init__(self, service: Path, home: Home) -> None:
        self.home, self._service = home, service
        self._delay = 0.0
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        #: The first line of each request and its idempotency key, in the order in which they came.
        self.requests: list[tuple[str, str]] = []

    @property
    def delay(self) -> float:
        """Seconds that an answer takes; another value also counts for answers that wait now."""
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._delay = seconds
        self._loop.call_soon_threadsafe(self._wake)

    def sent(self, line: str) -> list[str]:
        """The idempotency keys of the requests whose first line begins so."""
        return [key for first, key in list(self.requests) if first.startswith(line)]

    @contextmanager
    def open(self) -> Iterator[None]:
        """Listens while the block runs."""
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        self.home.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        listening = asyncio.start_unix_server(self._connected, str(self.home.service_socket))
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(30)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(server.close)
            self._loop.call_soon_threadsafe(self._end)
            thread.join(30)
            self._loop.close()

    def _end(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        # Behind the tasks' last steps.
        self._loop.call_later(0.1, self._loop.stop)

    def _wake(self) -> None:
        self._changed.set()
        self._changed.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(str(self._service))
        asked = [time.monotonic()]

        async def ask() -> None:
            while data := await reader.read(1 << 16):
                asked[0] = time.monotonic()
                self._note(data)
                back.write(data)
                await back.drain()
            back.close()

        async def answer() -> None:
            while data := await there.read(1 << 16):
                await self._until(asked)
                writer.write(data)
                await writer.drain()
            writer.close()

        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(ask(), answer())

    async def _until(self, asked: list[float]) -> None:
        """Waits until the answer is late enough, by the delay of that moment."""
        while (left := asked[0] + self._delay - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    def _note(self, data: bytes) -> None:
        if data.split(b" ", 1)[0] not in METHODS:
            return  # a body, or its rest
        first, *fields = data.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
        key = next((field.partition(":")[2].strip() for field in fields if field.lower().startswith("idemp")), "")
        self.requests.append((first, key))
