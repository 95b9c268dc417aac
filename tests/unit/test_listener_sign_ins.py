"""Sign-ins with an ID token at the listener: slow or numerous ones do not keep others from signing in."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from registry_tui.contracts.issuers import BY_ID_TOKEN
from registry_tui.service.listening import front
from registry_tui.service.listening.failures import MOST_BY_ADDRESS
from registry_tui.service.listening.sign_in import MOST_ATTEMPTS, MOST_ATTEMPTS_EACH
from support.lone_doors import LoneDoor, lone_door, received
from support.platforms import PATIENCE, wait_for

HEAD = f"POST {BY_ID_TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[LoneDoor]:
    with lone_door(tmp_path) as running:
        yield running


def sent(door: LoneDoor, address: str) -> httpx.Response:
    """The answer to a sign-in from an address of this machine."""
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=door.url, transport=transport, timeout=PATIENCE) as client:
        return client.post(BY_ID_TOKEN, json={"id_token": "a.b.c"})


def slow(door: LoneDoor, address: str) -> socket.socket:
    """A sign-in whose body does not come whole."""
    connection = door.connected(address)
    connection.sendall(HEAD.encode() + b"{")
    return connection


def test_slow_bodies_do_not_close_the_sign_in_for_others(door: LoneDoor) -> None:
    with ExitStack() as slowly:
        for _ in range(2 * MOST_ATTEMPTS):
            slowly.enter_context(slow(door, "127.0.7.1"))
        assert sent(door, "127.0.7.2").status_code == 200
        assert sent(door, "127.0.7.1").status_code == 200, "nor for others of the same address"


def test_a_sign_in_has_to_come_whole_in_time_and_reaches_no_part_before(
    door: LoneDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "SIGN_IN_SECONDS", 0.1)
    with slow(door, "127.0.7.3") as connection:
        answer = received(connection)
    assert b" 408 " in answer.splitlines()[0] and b"body-timeout" in answer
    assert door.parts["service"].asked == []


def test_a_sign_in_of_many_pieces_is_passed_on_whole(door: LoneDoor) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(10):
            yield b"x" * 100

    with httpx.Client(base_url=door.url, trust_env=False, timeout=PATIENCE) as client:
        assert client.post(BY_ID_TOKEN, content=pieces()).json() == {"bytes": 1000}
        assert client.post(BY_ID_TOKEN, content=b"x" * 3000).status_code == 413
    assert len(door.parts["service"].asked) == 1


def test_one_caller_takes_two_places_and_is_asked_to_come_again(door: LoneDoor) -> None:
    go_on = threading.Event()

    async def waits(request: web.Request) -> web.StreamResponse:
        await asyncio.to_thread(go_on.wait, PATIENCE)
        return web.json_response({})

    asked = door.parts["service"].asked
    door.parts["service"].handler = waits
    with ThreadPoolExecutor(MOST_ATTEMPTS_EACH) as pool:
        try:
            waiting = [pool.submit(sent, door, "127.0.7.4") for _ in range(MOST_ATTEMPTS_EACH)]
            wait_for(lambda: len(asked) == MOST_ATTEMPTS_EACH, what="both to be looked at")
            refused = sent(door, "127.0.7.4")
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert refused.headers["Retry-After"] == "2" and "Try again" in refused.json()["action"]
        finally:
            go_on.set()
        assert [each.result().status_code for each in waiting] == [200] * MOST_ATTEMPTS_EACH
    assert sent(door, "127.0.7.4").status_code == 200
    assert door.denials() == [], "none of them was refused access"


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_issuer_that_is_away_counts_as_nobodys_guess(door: LoneDoor, status: int) -> None:
    async def away(request: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=status)

    door.parts["service"].handler = away
    address = "127.0.7.5"
    assert [sent(door, address).status_code for _ in range(MOST_BY_ADDRESS + 1)] == [status] * (MOST_BY_ADDRESS + 1)


def test_a_part_that_does_not_answer_counts_as_nobodys_guess_and_a_refusal_does(door: LoneDoor) -> None:
    async def breaks_off(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def refuses(request: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=403)

    address = "127.0.7.6"
    for handler, status in ((breaks_off, 503), (refuses, 403)):
        door.parts["service"].handler = handler
        assert [sent(door, address).status_code for _ in range(MOST_BY_ADDRESS)] == [status] * MOST_BY_ADDRESS
    assert sent(door, address).status_code == 429
