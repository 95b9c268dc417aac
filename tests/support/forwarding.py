"""An address on 127.0.0.1 that leads to a unix socket, for clients that know no sockets."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def forwarded(target: Path, password: tuple[str, str] | None = None, port: int = 0) -> Iterator[str]:
    """The base URL that leads to the socket while the block runs.

    With a user and a password, connections whose first request does not name them are answered 401, and closed.
    """
    loop = asyncio.new_event_loop()
    wanted = None if password is None else base64.b64encode(":".join(password).encode())

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b""
        if wanted is not None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"authorization: basic " + wanted not in head.replace(b"Authorization", b"authorization").replace(
                b"Basic", b"basic"
            ):
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
                writer.close()
                return
            # The service behind takes tokens, and knows no passwords.
            head = b"".join(
                line for line in head.splitlines(keepends=True) if not line.lower().startswith(b"authorization:")
            )
        there, back = await asyncio.open_unix_connection(str(target))
        back.write(head)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(connect, "127.0.0.1", port)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
