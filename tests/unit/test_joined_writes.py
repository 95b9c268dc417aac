"""Responses of a replica leave in one piece, and large ones are not held back."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import uvicorn
from pytest import MonkeyPatch

from registry_tui.serving import joined

BODY = b"x" * 100


async def answer(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    pieces = int(scope["path"].strip("/"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(pieces):
        await send({"type": "http.response.body", "body": BODY, "more_body": number + 1 < pieces})


async def asked(path: str, recorded: list[list[bytes]], monkeypatch: MonkeyPatch) -> bytes:
    """The body that a client of a real server gets; `recorded` gets the pieces as they were written."""
    flush = joined._Joining._flush

    def record(self: Any) -> None:
        if self._pieces:
            recorded.append(list(self._pieces))
        flush(self)

    monkeypatch.setattr(joined._Joining, "_flush", record)
    config = uvicorn.Config(answer, http=joined.JoinedHTTP, lifespan="off", log_config=None)
    server, listener = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    async with httpx.AsyncClient(trust_env=False) as client:
        found = await client.get(f"http://127.0.0.1:{port}/{path}", headers={"Connection": "close"})
    server.should_exit = True
    await serving
    return found.content


def test_head_and_body_leave_together(monkeypatch: MonkeyPatch) -> None:
    recorded: list[list[bytes]] = []
    assert asyncio.run(asked("1", recorded, monkeypatch)) == BODY
    assert len(recorded) == 1
    assert recorded[0][0].startswith(b"HTTP/1.1 200 OK")
    assert BODY in b"".join(recorded[0][1:])


def test_what_is_large_is_sent_while_it_is_written(monkeypatch: MonkeyPatch) -> None:
    recorded: list[list[bytes]] = []
    pieces = joined.AT_ONCE // len(BODY) * 3
    assert asyncio.run(asked(str(pieces), recorded, monkeypatch)) == BODY * pieces
    assert len(recorded) >= 3
    assert max(sum(map(len, each)) for each in recorded) <= joined.AT_ONCE + 2 * len(BODY)
