"""Clients that stop in the middle of an upload: others go on, and those end after a while."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from anyio import CapacityLimiter
from fastapi import FastAPI
from mlflow.server import artifact_router
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from registry_tui.contracts.bodies import in_time
from registry_tui.contracts.mlflow_routes import Location
from registry_tui.mlflow_plugin import artifacts
from registry_tui.mlflow_plugin.api_errors import ApiErrors
from registry_tui.mlflow_plugin.artifacts import EnvironmentArtifactRepository
from registry_tui.mlflow_plugin.uploads import Uploads
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.platform.unfinished import Doors
from registry_tui.service.core.kept import Kept
from registry_tui.service.http import problems
from registry_tui.service.http.middleware import RequestMiddleware
from registry_tui.service.http.routes import mlflow_files
from registry_tui.service.http.routes.dependencies import principal_dependency, service_dependency
from registry_tui.service.tracking import mlflow_files as storing
from support.platforms import PATIENCE

PIECE = 1 << 20
#: Pieces before a client stops: of a small file, and of one that is stored in parts.
STOPS = (1, 9)
FILES = "/api/2.0/mlflow-artifacts/artifacts"
#: Seconds that pass in no test.
ENDLESS = 3600.0
#: No upgrade is under way in a home that is not there.
OPEN = Doors(Home(Path("/nonexistent")))


class _Client:
    """A client's body, which stops after some pieces until `go_on`."""

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self.stopped, self.go_on = asyncio.Event(), asyncio.Event()

    async def body(self) -> AsyncIterator[bytes]:
        for _ in range(self._pieces):
            yield b"x" * PIECE
        self.stopped.set()
        await self.go_on.wait()
        yield b"end"


class _Stored(dict[str, int]):
    """A store's side of boto3: sizes by key, of files that came whole."""

    def upload_fileobj(self, file: Any, bucket: str, key: str, **_: Any) -> None:
        size = 0
        while piece := file.read(8 * PIECE):
            size += len(piece)
        self[key] = size


class _Repository(EnvironmentArtifactRepository):
    def _locate_new(self, folder: str | None, name: str) -> Location:
        return Location("wine", "bucket", name, writable=True, folder="")


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Stored:
    """MLflow's routes of artifacts with our repository in a store that keeps sizes."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path))
    found = _Stored()
    monkeypatch.setattr(artifacts, "bucket_repository", lambda bucket: bucket)
    monkeypatch.setattr(artifacts, "s3_client", lambda _: found)
    repository = _Repository("mlflow-artifacts:/")
    monkeypatch.setattr(artifact_router, "_is_serving_proxied_artifacts", lambda: True)
    monkeypatch.setattr(artifact_router, "_get_workspace_scoped_path", lambda path: path)
    monkeypatch.setattr(artifact_router, "_get_artifact_repo", lambda: repository)
    return found


@asynccontextmanager
async def mlflow(
    monkeypatch: pytest.MonkeyPatch, seconds: float, uploads: Uploads | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """MLflow's server as far as uploads go, in a loop whose own threads are two."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    kept = SimpleNamespace(uploads=uploads or Uploads())
    monkeypatch.setattr(artifacts, "registry_store", lambda: kept)
    app = FastAPI()
    app.include_router(artifact_router.artifact_router)
    async with asking(ApiErrors(app, lambda *_: None, tuple, seconds)) as client:
        yield client


@asynccontextmanager
async def asking(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=None) as client:
        yield client


async def test_uploads_that_stand_still_let_others_through(stored: _Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mlflow(monkeypatch, ENDLESS) as client, asyncio.timeout(PATIENCE):
        stopped = [_Client(pieces) for pieces in STOPS * 4]
        under_way = [
            asyncio.create_task(client.put(f"{FILES}/stopped{number}", content=each.body()))
            for number, each in enumerate(stopped)
        ]
        for each in stopped:
            await each.stopped.wait()
        assert (await client.put(f"{FILES}/other", content=b"whole")).status_code == 200
        assert stored == {"other": 5}
        for each in stopped:
            each.go_on.set()
        assert [(await each).status_code for each in under_way] == [200] * len(stopped)
    assert stored == {"other": 5} | {
        f"stopped{number}": pieces * PIECE + len(b"end") for number, pieces in enumerate(STOPS * 4)
    }


@pytest.mark.parametrize("pieces", STOPS)
async def test_an_upload_that_stands_still_ends_and_gives_its_place_back(
    stored: _Stored, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    async with mlflow(monkeypatch, 0.1, Uploads(1, 1)) as client, asyncio.timeout(PATIENCE):
        refused = await client.put(f"{FILES}/stopped", content=_Client(pieces).body())
        assert (refused.status_code, refused.json()["error_code"]) == (408, "BAD_REQUEST")
        assert "came for 0.1 seconds" in refused.json()["message"]
        assert refused.headers["Connection"] == "close"
        assert (await client.put(f"{FILES}/other", content=b"x" * 9 * PIECE)).status_code == 200
    assert stored == {"other": 9 * PIECE}


async def test_one_person_cannot_take_every_place() -> None:
    uploads = Uploads(4, 1)
    second = uploads.place("ann")
    async with asyncio.timeout(PATIENCE):
        async with uploads.place("ann"):
            waiting = asyncio.create_task(second.__aenter__())
            async with uploads.place("bob"):
                for _ in range(10):
                    await asyncio.sleep(0)
                assert not waiting.done()
        await waiting
        await second.__aexit__(None, None, None)


async def test_other_requests_whose_bodies_stand_still_end_too() -> None:
    async def reading(request: Request) -> Response:
        return Response(await request.body())

    app = Starlette(routes=[Route("/api/2.0/mlflow/runs/create", reading, methods=["POST"])])
    async with asking(ApiErrors(app, lambda *_: None, tuple, 0.1)) as client, asyncio.timeout(PATIENCE):
        refused = await client.post("/api/2.0/mlflow/runs/create", content=_Client(1).body())
    assert (refused.status_code, refused.json()["error_code"]) == (408, "BAD_REQUEST")


class _Asked(BaseModel):
    name: str


@contextmanager
def service(monkeypatch: pytest.MonkeyPatch, found: _Stored, threads: int = 1) -> Iterator[FastAPI]:
    """The service as far as uploads to own stores go, with that many threads for them."""

    def store(_service: Any, _principal: Any, _project: str, path: str, body: Any, _size: int | None) -> None:
        found[path] = len(body) if isinstance(body, bytes) else sum(map(len, body))

    monkeypatch.setattr(storing, "store_file", store)
    parts = SimpleNamespace(kept=Kept())
    parts.kept.of(mlflow_files._Uploads).limiter = CapacityLimiter(threads)
    app = FastAPI()
    app.include_router(mlflow_files.router, prefix="/api/v1")
    app.dependency_overrides = {service_dependency: lambda: parts, principal_dependency: lambda: None}
    problems.install(app)

    @app.post("/api/v1/things")
    def make(asked: _Asked) -> None: ...

    yield app


@pytest.mark.parametrize("pieces", STOPS)
async def test_the_service_ends_what_stands_still_on_the_way_to_an_own_store(
    monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    found = _Stored()
    url = "/api/v1/internal/artifacts/p/content"
    with service(monkeypatch, found) as app:
        limited = RequestMiddleware(app, max_request_bytes=PIECE, doors=OPEN, piece_seconds=0.1)
        async with asking(limited) as client, asyncio.timeout(PATIENCE):
            headers = {"Content-Type": "application/octet-stream"}
            stopped = _Client(pieces).body()
            refused = await client.put(url, params={"path": "stopped"}, content=stopped, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (408, "body-timeout")
            whole = b"x" * 9 * PIECE
            stored = await client.put(url, params={"path": "other"}, content=whole, headers=headers)
            assert stored.status_code == 204
    assert found == {"other": 9 * PIECE}


async def test_the_service_ends_other_requests_whose_bodies_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b'{"name":'
        await asyncio.Event().wait()

    with service(monkeypatch, _Stored()) as app:
        limited = RequestMiddleware(app, max_request_bytes=PIECE, doors=OPEN, piece_seconds=0.1)
        async with asking(limited) as client, asyncio.timeout(PATIENCE):
            headers = {"Content-Type": "application/json"}
            refused = await client.post("/api/v1/things", content=half(), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (408, "body-timeout")


async def test_a_body_that_moves_slowly_goes_on_and_one_that_stops_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    clock, passed = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: clock() + passed)
    left = [b"x"] * 20

    async def receive() -> dict[str, Any]:
        nonlocal passed
        if not left:
            passed += 61
            await asyncio.Event().wait()
        passed += 40
        await asyncio.sleep(0)
        return {"type": "http.request", "body": left.pop(), "more_body": True}

    limited = in_time(receive, 60, RuntimeError)
    for _ in range(20):
        assert (await limited())["body"] == b"x"
    with pytest.raises(RuntimeError):
        await limited()
    assert (await limited())["type"] == "http.disconnect"


async def test_what_comes_after_a_body_is_waited_for() -> None:
    body, gone = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not body.is_set():
            body.set()
            return {"type": "http.request", "body": b"x", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    limited = in_time(receive, 0.0, RuntimeError)
    assert not (await limited())["more_body"]
    asyncio.get_running_loop().call_later(0.01, gone.set)
    assert (await limited())["type"] == "http.disconnect"


class _Reader:
    """A client's side of ASGI, which takes some bytes of an answer and then nothing."""

    def __init__(self, takes: int) -> None:
        self._takes, self._asked = takes, False
        self.largest = self.taken = 0

    async def send(self, message: Any) -> None:
        body = message.get("body", b"")
        if body and self.taken + len(body) > self._takes:
            await asyncio.Event().wait()
        self.largest, self.taken = max(self.largest, len(body)), self.taken + len(body)

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return await asyncio.Future()  # it stays


def _download(pieces: int, given: list[int], ended: asyncio.Event) -> Starlette:
    """One file, which notes its pieces as they are asked for, and that nobody asks any more."""

    def reading() -> Iterator[bytes]:
        for number in range(pieces):
            given.append(number)
            yield b"x" * 3 * PIECE

    async def file(request: Request) -> Response:
        response = StreamingResponse(reading())
        whole = response.body_iterator

        async def following() -> AsyncIterator[Any]:
            try:
                async for piece in whole:
                    yield piece
            finally:
                ended.set()

        response.body_iterator = following()
        return response

    return Starlette(routes=[Route("/api/file", file)])


def _mlflows(app: Any) -> Any:
    return ApiErrors(app, lambda *_: None, tuple, unread=0.1)


def _services(app: Any) -> Any:
    return RequestMiddleware(app, max_request_bytes=PIECE, doors=OPEN, unread_seconds=0.1)


@pytest.mark.parametrize("server", [_mlflows, _services])
async def test_a_client_that_stops_reading_holds_nothing(server: Any) -> None:
    given: list[int] = []
    ended, reader = asyncio.Event(), _Reader(4 * PIECE)
    scope = {"type": "http", "method": "GET", "path": "/api/file", "query_string": b"", "headers": []}
    async with asyncio.timeout(PATIENCE):
        await server(_download(9, given, ended))(scope, reader.receive, reader.send)
        gc.collect()
        await ended.wait()
    assert given == [0, 1]
    assert (reader.taken, reader.largest) == (4 * PIECE, PIECE)


@pytest.mark.parametrize("server", [_mlflows, _services])
async def test_a_client_that_reads_gets_all_of_it_in_pieces(server: Any) -> None:
    ended, reader = asyncio.Event(), _Reader(1 << 30)
    scope = {"type": "http", "method": "GET", "path": "/api/file", "query_string": b"", "headers": []}
    await server(_download(3, [], ended))(scope, reader.receive, reader.send)
    assert (reader.taken, reader.largest) == (9 * PIECE, PIECE)
