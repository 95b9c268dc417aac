"""The listener alone, in this process: a service with a real database, before parts that this process plays."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import httpx
from aiohttp import web
from sqlalchemy import select

from registry_tui.contracts.gateway_routes import Key, Routes
from registry_tui.platform.listening import Listening
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import LOOPBACK, Ports
from registry_tui.platform.secrets import Secrets
from registry_tui.schemas.people import UserTokenCreate
from registry_tui.service.access import tokens
from registry_tui.service.backends.base import Backends
from registry_tui.service.backends.supervisord import LocalReplicas
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EventRow
from registry_tui.service.http.app import create_app
from registry_tui.service.listening.listener import Listener
from registry_tui.service.loops.background import Background
from registry_tui.service.settings import Settings
from support.databases import new_database
from support.platforms import PATIENCE
from support.team import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class PlayedPart:
    """A part of the platform that responds with `handler`, and records its requests."""

    handler: Handler
    asked: list[tuple[str, str]] = field(default_factory=list)
    runner: web.AppRunner | None = None

    async def start(self, where: str | int, **options: Any) -> None:
        """Answers on a unix socket or a port of this machine."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, **options)
        await self.runner.setup()
        site: web.BaseSite
        site = web.UnixSite(self.runner, where) if isinstance(where, str) else web.TCPSite(self.runner, LOOPBACK, where)
        await site.start()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path))
        return await self.handler(request)


class PlayedAccess:
    """Accounts at MLflow's server, which are made at once."""

    def __init__(self) -> None:
        self.ensure: Callable[[str], None] = lambda name: None

    def usable_password(self, name: str) -> str:
        self.ensure(name)
        return f"password of {name}"


@dataclass
class LoneDoor:
    """A listener, and the service behind it."""

    service: Service
    port: int
    access: PlayedAccess
    parts: dict[str, PlayedPart]

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def token(self, name: str) -> str:
        """A new token of a user, who is created if missing."""
        identity.ensure_user(self.service, name)
        owner = identity.owner_principal(self.service)
        return tokens.create_token(self.service, owner, name, UserTokenCreate(name="test")).token

    def keys(self, *keys: Key) -> None:
        """Publishes API keys."""
        path = self.service.home.gateway_routes_file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Routes((), keys).to_json())

    def denials(self) -> list[EventRow]:
        """The events of denied requests, oldest first."""
        with self.service.database.reading() as session:
            return list(session.scalars(select(EventRow).where(EventRow.outcome == "denied").order_by(EventRow.id)))

    def connected(self, address: str = LOOPBACK) -> socket.socket:
        """A new connection from an address of this machine."""
        return socket.create_connection((LOOPBACK, self.port), timeout=PATIENCE, source_address=(address, 0))

    def raw(self, request: bytes, address: str = LOOPBACK) -> tuple[int, bytes]:
        """The status and the rest of the answer to bytes that are a whole request, which asks to close."""
        with self.connected(address) as connection:
            connection.sendall(request)
            answer = received(connection)
        found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
        assert found, answer
        return int(found[1]), answer


def received(connection: socket.socket) -> bytes:
    """All bytes until the other side closes."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


async def echoed(request: web.Request) -> web.StreamResponse:
    """Answers with the length of the request's body."""
    return web.json_response({"bytes": len(await request.read())})


def really(service: Service) -> Handler:
    """The service's own answers, as it gives them at its socket."""
    app = create_app(service, Background(service))

    async def answer(request: web.Request) -> web.StreamResponse:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://registry-tui") as client:
            found = await client.request(
                request.method, request.raw_path, headers=list(request.headers.items()), content=await request.read()
            )
        kept = {name: value for name, value in found.headers.items() if name != "content-length"}
        return web.Response(status=found.status_code, body=found.content, headers=kept)

    return answer


@contextmanager
def lone_door(folder: Path, *, tls: bool = False, **part_options: Any) -> Iterator[LoneDoor]:
    """A listener on a free port of this machine, gone at the end. `part_options` are for the parts' web servers."""
    database = new_database(folder)
    home = Home(folder)
    home.service_socket.parent.mkdir(parents=True, exist_ok=True)
    access = PlayedAccess()
    ports = Ports(**dict.fromkeys(Ports.__dataclass_fields__, 1))
    ports = replace(ports, mlflow=free_port(), gateway=free_port())
    nothing, local = cast(Any, None), LocalReplicas(home)
    service = Service(
        home=home,
        ports=ports,
        secrets=Secrets(),
        settings=Settings(max_request_bytes=2048),
        database=database,
        mlflow=nothing,
        stores=nothing,
        backends=Backends(local, local),
        access=cast(Any, access),
        workflows=nothing,
    )
    wheres: dict[str, str | int] = {
        "service": str(home.service_socket),
        "mlflow": ports.mlflow,
        "gateway": ports.gateway,
    }
    parts = {name: PlayedPart(echoed) for name in wheres}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE)

    port = free_port()
    listener = Listener(service, Listening(LOOPBACK, port, plain_http=not tls))
    try:
        for name, part in parts.items():
            run(part.start(wheres[name], **part_options))
        listener.start()
        door = LoneDoor(service, port, access, parts)
        door.keys()
        yield door
    finally:
        listener.stop()
        for part in parts.values():
            if part.runner is not None:
                run(part.runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        database.close()
