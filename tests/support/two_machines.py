"""Two machines: network namespaces with addresses of their own where this account may make them, else one machine.

Without namespaces, both are this machine, with a relay between them that can be cut.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from support import namespaces
from support.namespaces import ip
from support.team import free_port


@dataclass(frozen=True)
class Link:
    """The connection between both machines."""

    #: Put before commands of the service's machine, and of the person's.
    there: tuple[str, ...]
    here: tuple[str, ...]
    #: Where the service listens, and at which address the person reaches it.
    listen: str
    reached: str
    cut: Callable[[], object]
    mend: Callable[[], object]
    #: Bytes that came from the person's machine so far.
    passed: Callable[[], int]


@contextmanager
def two_machines() -> Iterator[Link]:
    """Both machines with the link between them, gone at the end."""
    with ExitStack() as stack:
        try:
            link = stack.enter_context(_namespaces())
        except (OSError, subprocess.CalledProcessError):
            link = stack.enter_context(_one_machine())
        yield link


@contextmanager
def _namespaces() -> Iterator[Link]:
    mark = uuid.uuid4().hex[:6]
    there, here = f"rt-s-{mark}", f"rt-p-{mark}"
    ends = f"s{mark}", f"p{mark}"
    #: A network of two addresses, from those for tests between networks (RFC 2544).
    network = f"198.18.{os.getpid() % 256}"
    address, own = f"{network}.1", f"{network}.2"
    with ExitStack() as stack:
        for name in (there, here):
            namespaces.add(stack, name)
        ip("link", "add", ends[0], "netns", there, "type", "veth", "peer", "name", ends[1], "netns", here)
        for name, end, each in ((there, ends[0], address), (here, ends[1], own)):
            ip("-n", name, "address", "add", f"{each}/30", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
        port = free_port()
        yield Link(
            namespaces.inside(there),
            namespaces.inside(here),
            f"{address}:{port}",
            f"{address}:{port}",
            lambda: ip("-n", here, "link", "set", ends[1], "down"),
            lambda: ip("-n", here, "link", "set", ends[1], "up"),
            lambda: _received(there, ends[0]),
        )


def _received(machine: str, end: str) -> int:
    """Bytes that one end of the link received."""
    shown = ip("-n", machine, "-json", "-statistics", "link", "show", "dev", end)
    received: int = json.loads(shown)[0]["stats64"]["rx"]["bytes"]
    return received


@contextmanager
def _one_machine() -> Iterator[Link]:
    port = free_port()
    with _Relay(port) as relay:
        yield Link((), (), f"127.0.0.1:{port}", f"127.0.0.1:{relay.port}", relay.cut, relay.mend, lambda: relay.passed)


class _Relay:
    """Copies bytes to a port of this machine, unless it is cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._cut = False
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        #: Bytes that went to the port so far.
        self.passed = 0

    def __enter__(self) -> _Relay:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._connect, "127.0.0.1", 0), self._loop)
        self._server = server.result(30)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def cut(self) -> None:
        """Ends every connection, and takes none that lasts."""

        async def cut() -> None:
            self._cut = True
            for each in list(self._open):
                each.close()

        asyncio.run_coroutine_threadsafe(cut(), self._loop).result(30)

    def mend(self) -> None:
        """Takes connections again."""
        self._cut = False

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, back}
        await asyncio.gather(self._copy(reader, back, counted=True), self._copy(there, writer))
        self._open -= {writer, back}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: bool = False) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                self.passed += len(data) if counted else 0
                writer.write(data)
                await writer.drain()
        writer.close()
