"""Streamed bodies: how long a server waits for a stalled client, and for how many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from registry_tui.contracts.counts import counted

#: Seconds that may pass without a byte of a body. A client that is slow but steady is not cut off.
PIECE_SECONDS = 60.0
#: Seconds in which a client takes a piece of a response, and the most bytes of such a piece. System buffers drain in
#: steps of megabytes, so a slow reader seems to stand still in between.
UNREAD_SECONDS, UNREAD_BYTES = 600.0, 1 << 20
#: Files that are uploaded at the same time, and those of one person. Each holds up to a part of a file in memory, and a
#: large one holds a thread.
UPLOADS, UPLOADS_EACH = 128, 32

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class Unread(OSError):
    """A client does not take the response."""


def in_time(receive: _Receive, seconds: float, stalled: Callable[[], Exception]) -> _Receive:
    """ASGI's `receive`, which raises the error of `stalled` when no more of the body arrives for so many seconds.

    Later calls return `http.disconnect`. Messages after the body are awaited without a timeout.
    """
    whole = gone = False

    async def next_message() -> _Message:
        nonlocal whole, gone
        if gone:
            return {"type": "http.disconnect"}
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            gone = True
            raise stalled() from None
        whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return next_message


def taken_in_time(send: _Send, seconds: float) -> _Send:
    """ASGI's `send`, which raises Unread when a client takes nothing of a response for so many seconds."""

    async def next_message(message: _Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        try:
            while len(body) > UNREAD_BYTES:
                piece, body = body[:UNREAD_BYTES], body[UNREAD_BYTES:]
                async with asyncio.timeout(seconds):
                    await send({**message, "body": piece, "more_body": True})
                message = {**message, "body": body, "more_body": more}
            async with asyncio.timeout(seconds):
                await send(message)
        except TimeoutError:
            raise Unread(f"the client took nothing of the answer for {counted(seconds, 'second')}") from None

    return next_message
