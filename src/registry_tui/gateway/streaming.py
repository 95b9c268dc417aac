"""Passes on streamed responses (server-sent events) piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web

from registry_tui.contracts import event_stream
from registry_tui.contracts.counts import counted
from registry_tui.contracts.gateway_routes import Route
from registry_tui.gateway import heads
from registry_tui.gateway.access import Refusal
from registry_tui.gateway.problems import document, reason_for
from registry_tui.gateway.upstream import Pieces, ReplicasDied, TookTooLong

#: Proxies in front must not wait for the whole response either (nginx reads this one).
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def pass_on(
    request: web.Request, route: Route, status: int, headers: Mapping[str, str], pieces: Pieces
) -> tuple[web.StreamResponse, int]:
    """Passes a response on, piece by piece; returns it with the status under which it is counted.

    Errors in the middle are sent as events: the caller has the status already. Raises the error when the caller leaves.
    """
    response = web.StreamResponse(status=status, headers={**headers, **HEADERS})
    request_id = response.headers["X-Request-ID"] = heads.request_id(request)
    end = b""
    try:
        await response.prepare(request)
        refusal = None
        try:
            async for piece in pieces.each():
                await response.write(piece)
                end = (end + piece)[-event_stream.ENDING :]
        except ReplicasDied:
            refusal = Refusal(
                502,
                "replica-died",
                f"The replica of {route.name} ended before its answer was whole",
                "See its log: `registry-tui deployments logs`; the request itself may be the cause",
            )
        except TookTooLong:
            detail = f"The replica sent no further piece within {counted(route.seconds, 'second')}"
            refusal = Refusal(504, "replica-timeout", detail, "Ask for less at once")
        if refusal is not None:
            await response.write(event_stream.error(_data(refusal, request_id, request.path)))
            status = refusal.status
        elif event_stream.ends_with_error(end):
            status = 500
        await response.write_eof()
        return response, status
    except asyncio.CancelledError:
        # Either the caller has left, or this process ends and its caller is still there.
        with suppress(ConnectionError, RuntimeError):
            if request.transport is not None and not request.transport.is_closing():
                ending = Refusal(503, "gateway-ending", "The gateway ends before the answer was whole", "Call again")
                await response.write(event_stream.error(_data(ending, request_id, request.path)))
        raise
    finally:
        pieces.close()


def _data(refusal: Refusal, request_id: str, path: str) -> Mapping[str, Any]:
    """An error in the format of the clients that read such responses."""
    return {**document(refusal, request_id), "error": refusal.detail, **reason_for(path, refusal)}
