"""Uploads that are stored while they arrive, in constant memory and without a file in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import IO, Any

from boto3.s3.transfer import TransferConfig

#: Bytes of a part, and the parts in progress at the same time: together, the memory of an upload.
_PART_BYTES, _PARTS_AT_ONCE = 8 << 20, 4
_MAX_PARTS = 10_000
#: Bytes of a piece of a file that is read.
CHUNK = 1 << 20


class ArrivingFile:
    """Pieces that arrive in an event loop as a file to read forward, from any other thread."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._pieces = pieces
        self._loop = loop
        self._left = bytearray()
        self._ended = False
        #: The error of the pieces: libraries wrap it.
        self.failure: BaseException | None = None

    async def begin(self) -> None:
        """Takes the first part in the event loop: a small file needs no thread while it arrives."""
        while not self._ended and len(self._left) < _PART_BYTES:
            self._take(await self._next())

    def read(self, size: int = -1) -> bytes:
        """As many bytes as requested, fewer only at the end."""
        while not self._ended and (size < 0 or len(self._left) < size):
            try:
                piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            except BaseException as error:
                self.failure = error
                raise
            self._take(piece)
        taken = bytes(self._left) if size < 0 else bytes(self._left[:size])
        del self._left[: len(taken)]
        return taken

    def _take(self, piece: bytes | None) -> None:
        if piece is None:
            self._ended = True
        else:
            self._left += piece

    async def _next(self) -> bytes | None:
        return await anext(self._pieces, None)


def send(client: Any, bucket: str, key: str, file: ArrivingFile, size: int | None, extra: dict[str, str]) -> None:
    """Stores a file in an S3 bucket; a truncated one is not stored. Raises the errors of its pieces, and boto3's.

    `size` is in bytes, where it is known.
    """
    part = max(_PART_BYTES, -(-(size or 0) // _MAX_PARTS))
    transfer = TransferConfig(multipart_threshold=part, multipart_chunksize=part, max_concurrency=_PARTS_AT_ONCE)
    transfer.max_in_memory_upload_chunks = _PARTS_AT_ONCE
    try:
        client.upload_fileobj(file, bucket, key, ExtraArgs=extra, Config=transfer)
    except Exception as error:
        if file.failure is not None and error is not file.failure:
            raise file.failure from None
        raise


async def drained(pieces: AsyncIterable[bytes]) -> None:
    """Reads the rest of a refused body: a client that is still sending would not see the response."""
    async for _ in pieces:
        pass


def pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of an open file."""
    while piece := file.read(CHUNK):
        yield piece
