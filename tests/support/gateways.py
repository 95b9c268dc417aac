"""The gateway's processes alone: real ones in a home of their own, before replicas that this process plays."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from registry_tui.contracts.api_keys import new_key
from registry_tui.contracts.gateway_routes import Key, Replica, Route, Routes
from registry_tui.gateway import counts
from registry_tui.platform.children import isolated
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, GATEWAYS, Home
from registry_tui.platform.ports import LOOPBACK, Ports, choose_ports
from support.platforms import PATIENCE, PLAIN, clean_environment, wait_for

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class PlayedReplica:
    """Responds on a unix socket, in a thread of its own, and records its requests."""

    socket: Path
    handler: Handler
    asked: list[str] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        runner = asyncio.run_coroutine_threadsafe(self._start(), loop).result()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _start(self) -> web.AppRunner:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path}", self._answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(self.socket)).start()
        return runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        try:
            return await self.handler(request)
        except asyncio.CancelledError:
            self.hung_up.set()
            raise


async def echo(request: web.Request) -> web.StreamResponse:
    """Answers with the request's own body."""
    return web.json_response({"predictions": (await request.read()).decode(errors="replace")})


class Gateways:
    """Both processes of the gateway of a home that has nothing else."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.ports: Ports = choose_ports(home)
        self.key = new_key()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def log(self) -> str:
        return (self.home.logs / "gateway.log").read_text(encoding="utf-8", errors="replace")

    @property
    def endpoint(self) -> str:
        return f"{self.ports.gateway_url}/endpoints/access-key/invocations"

    def route(
        self,
        *replicas: Path,
        origins: tuple[str, ...] = (),
        limits: Mapping[str, float] | None = None,
        **changes: Any,
    ) -> None:
        """Publishes one deployment, `d`, with these replicas, which pages of `origins` may call, and one key with
        limits.
        """
        route = Route(
            **{
                "id": "d",
                "name": "adder",
                "project": "p",
                "access_key": "access-key",
                "authentication": False,
                "members": ("somebody",),
                "replicas": tuple(Replica(path.stem, str(path)) for path in replicas),
                **changes,
            }
        )
        id_, _, sha256 = self.key
        key = replace(Key(id_, sha256, "somebody", 4e9), **(limits or {}))  # type: ignore[arg-type]
        routes = Routes((route,), (key,), (), origins=origins)
        temporary = self.home.gateway_routes_file.with_suffix(".new")
        temporary.write_text(routes.to_json())
        temporary.replace(self.home.gateway_routes_file)

    def start(self, name: str) -> None:
        """Starts one process and waits until it answers."""
        path = self.home.run / f"{name}.sock"
        path.unlink(missing_ok=True)
        with (self.home.logs / "gateway.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                isolated("registry_tui.gateway", name),
                env=clean_environment({ENVIRONMENT_VARIABLE: str(self.home.root)}),
                stdout=log,
                stderr=log,
            )
        wait_for(lambda: self.health(name), what=f"{name} to answer")

    def ask(self, name: str, method: str, path: str) -> httpx.Response:
        """One question to a process's own socket."""
        transport = httpx.HTTPTransport(uds=str(self.home.run / f"{name}.sock"), verify=PLAIN)
        with httpx.Client(transport=transport, base_url="http://gateway", timeout=PATIENCE) as client:
            return client.request(method, path)

    def health(self, name: str) -> bool:
        return self.ask(name, "GET", "/health").status_code == 200

    def kill(self, name: str) -> None:
        """Ends a process at once."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def counted(self) -> dict[str, Any]:
        """The counts that the service would read: from a process that does not respond, its file."""
        found = []
        for name, file in zip(GATEWAYS, self.home.gateway_counts_files, strict=True):
            try:
                found.append(self.ask(name, "GET", "/stats").json())
            except httpx.HTTPError:
                found.append(counts.read(file))
        counted: dict[str, Any] = counts.summed(found)["deployments"].get("d", {})
        return counted

    def raw(self, *pieces: bytes, timeout: float = PATIENCE) -> bytes:
        """Sends bytes on a connection of their own, and returns all that comes until it is closed."""
        with socket.create_connection((LOOPBACK, self.ports.gateway), timeout=timeout) as connection:
            for piece in pieces:
                try:
                    connection.sendall(piece)
                except ConnectionError:
                    break  # it was answered before everything was sent
            return received(connection)


def received(connection: socket.socket) -> bytes:
    """Everything that arrives until the connection is closed."""
    chunks = []
    try:
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    except ConnectionResetError:
        pass  # closed with unread bytes
    return b"".join(chunks)


def problem(answer: bytes) -> dict[str, Any]:
    """The problem document of a raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer[:500]
    found: dict[str, Any] = json.loads(body)
    assert int(head.split()[1]) == found["status"], answer[:500]
    return found


@contextmanager
def gateways(folder: Path) -> Iterator[Gateways]:
    """Both processes, in a new home in `folder`."""
    home = Home(folder / "h")
    home.create()
    both = Gateways(home)
    both.route()
    try:
        for name in GATEWAYS:
            both.start(name)
        yield both
    finally:
        for process in both.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
