"""Connections to replicas on unix sockets, and to clusters: one request after the other on each.

Responses are read by a compiled parser.

A general HTTP client takes longer for its own work than a small model takes to predict.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httptools

from registry_tui.contracts.carried import REPLICA_HEADER, SECRET_HEADER
from registry_tui.contracts.gateway_routes import Replica

#: Seconds for which a connection is kept that nothing is sent on: less than the replica keeps it.
KEPT_SECONDS = 60.0
#: Bytes of a response that are buffered until the caller takes them.
AHEAD = 256 << 10
#: Seconds for a connection to a node of a cluster, which may be gone without a word.
CONNECT_SECONDS = 2.0


class Refused(Exception):
    """The replica does not take connections: it has not seen the request."""


class Broken(Exception):
    """The connection ended before the response was complete."""


class Exchange(asyncio.Protocol):
    """A connection, and the response in progress on it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        #: Resolved when awaited data has arrived.
        self._news: asyncio.Future[None] | None = None
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._ahead = 0
        self._paused = self._head = self._whole = self._lost = False
        self.kept_since = 0.0
        self.status = 0

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return not self._lost and self._whole

    @property
    def headers(self) -> Mapping[str, str]:
        """The response's headers, by their names in lower case."""
        return self._headers

    # -- asking ------------------------------------------------------------------------------------

    async def send(self, head: bytes, body: bytes | None) -> None:
        """Sends a request, and waits for the head of its response. Raises Broken."""
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._chunks, self._ahead = {}, [], 0
        self._head = self._whole = False
        if self._transport is None or self._lost:
            raise Broken
        self._transport.writelines([head, body] if body else [head])
        while not self._head:
            await self._wait()

    async def whole(self) -> bytes:
        """The whole body of the response. Raises Broken."""
        pieces = [piece async for piece in self.pieces()] if not self._whole else self._chunks
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body piece by piece. Raises Broken."""
        while True:
            if self._chunks:
                chunks, self._chunks, self._ahead = self._chunks, [], 0
                if self._paused and self._transport is not None:
                    self._paused = False
                    self._transport.resume_reading()
                for chunk in chunks:
                    yield chunk
            elif self._whole:
                return
            else:
                await self._wait()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._lost:
            raise Broken
        self._news = asyncio.get_running_loop().create_future()
        try:
            await self._news
        finally:
            self._news = None

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # -- of the transport ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "writelines")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._parser is None:  # no request was sent
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._lost = True
            self.close()
            self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._tell()

    # -- of the parser ---------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._head = True
        self._tell()

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._ahead += len(body)
        if self._ahead > AHEAD and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._tell()

    def on_message_complete(self) -> None:
        self._whole = True
        if not self._parser.should_keep_alive():
            self._lost = True
            self.close()
        self._tell()


class Connections:
    """The connections to one replica that are kept."""

    def __init__(self, socket: str) -> None:
        #: A unix socket, or the address of a cluster.
        self._socket = socket
        self._kept: list[Exchange] = []

    async def take(self, *, new: bool = False) -> Exchange:
        """An idle connection. Raises Refused."""
        loop = asyncio.get_running_loop()
        while self._kept and not new:
            kept = self._kept.pop()
            if kept.usable and loop.time() - kept.kept_since < KEPT_SECONDS:
                return kept
            kept.close()
        try:
            exchange = await self._connected()
        except OSError as error:
            raise Refused from error
        return exchange

    async def _connected(self) -> Exchange:
        loop = asyncio.get_running_loop()
        if not self._socket.startswith("http://"):
            _, exchange = await loop.create_unix_connection(Exchange, self._socket)
            return exchange
        parts = urlsplit(self._socket)
        async with asyncio.timeout(CONNECT_SECONDS):
            _, exchange = await loop.create_connection(Exchange, parts.hostname or "", parts.port or 80)
        return exchange

    def give_back(self, exchange: Exchange, *, keep: bool) -> None:
        """Keeps a connection for the next request, or closes it: also when the response was not read to its end."""
        if keep and exchange.usable:
            exchange.kept_since = asyncio.get_running_loop().time()
            self._kept.append(exchange)
        else:
            exchange.close()

    def close(self) -> None:
        for exchange in self._kept:
            with suppress(OSError):
                exchange.close()
        self._kept.clear()


def head_of(method: str, path: str, headers: Mapping[str, str], length: int | None) -> bytes:
    """A request's first lines. Raises ValueError for invalid characters."""
    lines = [f"{method} {path} HTTP/1.1", "host: replica", *(f"{name}: {value}" for name, value in headers.items())]
    if length is not None:
        lines.append(f"content-length: {length}")
    text = "\r\n".join(lines)
    if text.count("\r") != len(lines) - 1 or text.count("\n") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header has an end of line")
    return text.encode("utf-8", "surrogateescape") + b"\r\n\r\n"


def head_for(replica: Replica, method: str, path: str, headers: Mapping[str, str], length: int | None = None) -> bytes:
    """The first lines of a request to a replica. Raises ValueError for invalid characters."""
    if not replica.in_cluster:
        return head_of(method, path, headers, length)
    # A caller's header of this name is not passed on: it would stand next to the gateway's own.
    kept = {name: value for name, value in headers.items() if name.lower() != SECRET_HEADER.lower()}
    prefix = urlsplit(replica.socket).path
    return head_of(method, f"{prefix}{path}", {**kept, SECRET_HEADER: replica.secret}, length)


def answered_by(replica: Replica, exchange: Exchange) -> str:
    """The name of the replica that responded. Raises Broken for a response of the cluster itself."""
    if not replica.in_cluster:
        return replica.name
    name = exchange.headers.get(REPLICA_HEADER.lower())
    if name is None:
        raise Broken
    return name
