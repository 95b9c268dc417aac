"""The listener's connections to its parts: kept for less time than the parts keep them, and no part holds up others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import uvicorn
from aiohttp import web

from registry_tui.service.listening import forward
from support.lone_doors import LoneDoor, lone_door
from support.platforms import PATIENCE, wait_for

PATHS = {"service": "/api/v1/x", "mlflow": "/mlflow/api/2.0/x", "gateway": "/model"}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[LoneDoor]:
    with lone_door(tmp_path) as running:
        yield running


def http(door: LoneDoor) -> httpx.Client:
    headers = {"Authorization": f"Bearer {door.token('ada')}"}
    return httpx.Client(base_url=door.url, headers=headers, trust_env=False, timeout=PATIENCE)


def test_connections_are_kept_for_less_time_than_any_part_keeps_them() -> None:
    async def nothing() -> None:
        pass

    assert uvicorn.Config(nothing).timeout_keep_alive > forward.KEPT_SECONDS


@pytest.mark.parametrize("part", PATHS)
def test_a_request_does_not_go_to_a_connection_that_was_idle_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """A part closes such a connection just as it is used: every changing request would then get a 503."""
    monkeypatch.setattr(forward, "KEPT_SECONDS", 0.1)
    connections: list[asyncio.BaseTransport] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        connections.append(request.transport)
        return web.json_response({})

    with lone_door(tmp_path) as door, http(door) as client:
        door.parts[part].handler = answer
        assert client.post(PATHS[part]).status_code != 503
        wait_for(lambda: connections[0].is_closing(), what="the listener to end its idle connection")


def test_an_mlflow_server_that_hangs_holds_up_no_other_door(door: LoneDoor) -> None:
    go_on, waiting = threading.Event(), threading.Semaphore(0)

    def hang(name: str) -> None:
        waiting.release()
        go_on.wait(120)

    door.access.ensure = hang
    head = f"GET /mlflow/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.token('ada')}\r\n\r\n".encode()
    try:
        with ExitStack() as stack, http(door) as client:
            for _ in range(100):
                stack.enter_context(door.connected()).sendall(head)
            assert waiting.acquire(timeout=PATIENCE)
            for path in (PATHS["service"], PATHS["gateway"]):
                assert client.get(path).status_code == 200
            assert httpx.get(f"{door.url}/api/v1/x", trust_env=False, timeout=PATIENCE).status_code == 401
    finally:
        go_on.set()
