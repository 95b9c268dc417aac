"""uvicorn's HTTP, with the head and the body of a response in one piece.

uvicorn writes them one after the other. Each write is a call of the system, and wakes the gateway.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

#: Bytes that are sent at once, so that a slow reader still slows the writer.
AT_ONCE = 64 << 10


class JoinedHTTP(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Whichever protocol uvicorn chooses, on a transport that joins writes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(_Joining(transport))


class _Joining:
    """A transport that sends all data written in one turn of the event loop in one piece."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not data:
            return
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)
        self._size += len(data)
        if self._size > AT_ONCE:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        pieces, self._pieces, self._size = self._pieces, [], 0
        if pieces:
            self._transport.writelines(pieces)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
