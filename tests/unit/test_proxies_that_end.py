"""The gateway's requests to a cluster whose proxies end, and to replicas that die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry_tui.contracts.gateway_routes import Replica
from registry_tui.gateway.load import SharedLoad
from registry_tui.gateway.upstream import ReplicasDied, Upstream
from registry_tui.platform.paths import Home

ANSWER = b"HTTP/1.1 200 OK\r\nx-replica: r-0\r\ncontent-length: 2\r\n\r\nok"
#: Serve's own answer for a replica that died.
DEAD = b"HTTP/1.1 500 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@asynccontextmanager
async def proxy(*answers: bytes) -> AsyncIterator[tuple[Replica, list[bytes]]]:
    """A proxy that gives these answers, one a connection; an empty one ends the connection."""
    left, asked = list(answers), list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(left.pop(0) if left else b"")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Replica("r", f"http://127.0.0.1:{port}/app", "secret", version=3), asked


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    home = Home(tmp_path)
    home.create()
    return Upstream(SharedLoad(home, 0))


async def test_the_end_of_a_proxy_costs_no_try(upstream: Upstream) -> None:
    async with proxy(b"") as (first, asked), proxy(DEAD) as (second, then), proxy(ANSWER) as (third, last):
        found = await upstream.send([third, first, second], "POST", "/invocations", body=b"{}", seconds=5.0)
        # A cluster's replicas name themselves, so that their version is not found by that name.
        assert (found.status, found.body, found.replica, found.version) == (200, b"ok", "r-0", 3)
        # The second one ends too, after the death behind it.
        assert (len(asked), len(then), len(last)) == (1, 2, 1)


async def test_two_replicas_die_with_a_request_at_most(upstream: Upstream) -> None:
    async with proxy(DEAD, DEAD) as (first, asked), proxy(DEAD, DEAD) as (second, then), proxy(ANSWER) as (third, last):
        with pytest.raises(ReplicasDied):
            await upstream.send([third, first, second], "POST", "/invocations", body=b"{}", seconds=5.0)
        assert len(asked) + len(then) + len(last) == 2


async def test_the_proxy_behind_which_a_replica_died_is_asked_again(upstream: Upstream) -> None:
    async with proxy(DEAD, ANSWER) as (first, asked), proxy(DEAD, ANSWER) as (second, then):
        found = await upstream.send([first, second], "POST", "/invocations", body=b"{}", seconds=5.0)
        assert found.status == 200 and sorted([len(asked), len(then)]) == [0, 2]


async def test_a_proxy_that_ends_leaves_the_other_one_to_be_asked_again(upstream: Upstream) -> None:
    async with proxy() as (gone, _):
        pass
    async with proxy(DEAD, ANSWER) as (first, asked):
        found = await upstream.send([gone, first], "POST", "/invocations", body=b"{}", seconds=5.0)
        assert (found.status, len(asked)) == (200, 2)
    async with proxy(DEAD, ANSWER) as (first, asked), proxy(b"") as (second, then):
        found = await upstream.send([first, second], "POST", "/invocations", body=b"{}", seconds=5.0)
        assert (found.status, len(asked)) == (200, 2) and len(then) <= 1
    async with proxy(DEAD) as (first, asked), proxy(ANSWER) as (second, then):
        # After the death behind it, the first one ends itself.
        found = await upstream.send([second, first], "POST", "/invocations", body=b"{}", seconds=5.0)
        assert (found.status, len(asked), len(then)) == (200, 2, 1)
