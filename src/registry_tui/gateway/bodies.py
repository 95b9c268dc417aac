"""Reading a request's body: bounded in bytes and time, with its content encoding undone."""

from __future__ import annotations

import asyncio
import sys
import zlib
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from registry_tui.contracts.counts import counted
from registry_tui.gateway.access import Refusal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: The largest window of zstd that is unpacked: 2 to this power bytes.
WINDOW_LOG = 23
#: Seconds in which a body must have arrived, and that may pass without a byte of it.
WHOLE_SECONDS, GAP_SECONDS = 60.0, 10.0
#: Compressed bytes that are unpacked at once, so that a small body never becomes a large one unseen.
_PIECE = 64 << 10


class _TooLarge(Exception):
    """The body has more bytes than it may have."""


class _Decoder(Protocol):
    def feed(self, chunk: bytes) -> None: ...
    def finish(self) -> bytes: ...


#: The remedy for a body that is too large, before the deployment is known.
FEWER = "Send fewer rows at once"


async def read(request: web.Request, limit: int, larger: str = FEWER) -> bytes:
    """The body, unpacked. Raises Refusal: 400, 408, 413 as soon as it is too large, 415.

    `larger`: how to allow larger requests.
    """
    try:
        return await _read(request, limit)
    except _TooLarge as error:
        raise too_large(limit, larger) from error


async def _read(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise _TooLarge
    body = _decoder(request.headers.getall("Content-Encoding", []), limit)
    try:
        async with asyncio.timeout(WHOLE_SECONDS) as whole:
            while chunk := await _next(request):
                body.feed(chunk)
    except TimeoutError as error:
        gap = f"{counted(GAP_SECONDS, 'second')} without a byte"
        what = counted(WHOLE_SECONDS, "second") if whole.expired() else gap
        raise Refusal(
            408,
            "body-timeout",
            f"The body of the request did not arrive within {what}",
            "Send the whole body, as long as Content-Length says",
        ) from error
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise Refusal(
            400,
            "body-malformed",
            "The body of the request is not valid HTTP: its chunks or its length are wrong",
            "Send the body with a right Content-Length, or as whole chunks",
        ) from error
    return body.finish()


async def _next(request: web.Request) -> bytes:
    async with asyncio.timeout(GAP_SECONDS):
        return await request.content.readany()


def too_large(limit: int, larger: str) -> Refusal:
    """More bytes than a request may have; `larger` lets it have more."""
    return Refusal(413, "body-too-large", f"A request may have {counted(limit, 'byte')} at most", larger)


def _decoder(headers: list[str], limit: int) -> _Decoder:
    names = [name.strip().lower() for header in headers for name in header.split(",")]
    encodings = [name for name in names if name not in ("", "identity")]
    if not encodings:
        return _Plain(limit)
    if encodings in (["gzip"], ["x-gzip"], ["deflate"]):
        return _Unpacked(encodings[0], limit)
    if encodings == ["zstd"]:
        return _Zstandard(limit)
    raise Refusal(
        415,
        "encoding-unsupported",
        f"The content encoding {', '.join(encodings)[:100]!r} is not supported",
        "Send the body plain, or with Content-Encoding gzip, deflate or zstd",
    )


class _Plain:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            raise _TooLarge
        self._chunks.append(chunk)

    def finish(self) -> bytes:
        return b"".join(self._chunks)


class _Unpacked(_Plain):
    """gzip (RFC 1952, also several members) or deflate: with zlib's frame (RFC 1950), or bare, as some send it."""

    def __init__(self, encoding: str, limit: int) -> None:
        super().__init__(limit)
        self._encoding = encoding
        self._bits = zlib.MAX_WBITS + 16 if "gzip" in encoding else zlib.MAX_WBITS
        self._unpacking = zlib.decompressobj(self._bits)
        self._begun = False

    def feed(self, chunk: bytes) -> None:
        if not chunk:
            return
        if not self._begun and self._encoding == "deflate" and chunk[0] & 0x0F != zlib.DEFLATED:
            self._unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        self._begun = True
        left = chunk
        try:
            while True:
                piece = self._unpacking.decompress(left, _PIECE)
                super().feed(piece)
                left = self._unpacking.unused_data if self._unpacking.eof else self._unpacking.unconsumed_tail
                if self._unpacking.eof and left:
                    if "gzip" not in self._encoding:
                        raise self._broken()
                    self._unpacking = zlib.decompressobj(self._bits)
                elif not left and len(piece) < _PIECE:
                    break
        except zlib.error as error:
            raise self._broken() from error

    def finish(self) -> bytes:
        if self._begun and not self._unpacking.eof:
            raise self._broken()
        return super().finish()

    def _broken(self) -> Refusal:
        return _broken(self._encoding)


class _Zstandard(_Plain):
    """zstd (RFC 8878), also several frames, with windows of up to 8 MiB (RFC 9659)."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._unpacking = _zstandard()
        self._begun = False

    def feed(self, chunk: bytes) -> None:
        self._begun |= bool(chunk)
        left = chunk
        try:
            while left or not (self._unpacking.eof or self._unpacking.needs_input):
                if self._unpacking.eof:
                    self._unpacking = _zstandard()
                super().feed(self._unpacking.decompress(left, _PIECE))
                left = self._unpacking.unused_data if self._unpacking.eof else b""
        except zstd.ZstdError as error:
            raise _broken("zstd") from error

    def finish(self) -> bytes:
        if self._begun and not self._unpacking.eof:
            raise _broken("zstd")
        return super().finish()


def _zstandard() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})


def _broken(encoding: str) -> Refusal:
    return Refusal(
        400,
        "encoding-broken",
        f"The body is not valid {encoding}, as its Content-Encoding says",
        "Compress the whole body, or send it without Content-Encoding",
    )
