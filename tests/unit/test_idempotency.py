"""Requests with an `Idempotency-Key`, without any part of the platform: one effect, one answer, no secret in clear."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import Secrets
from registry_tui.schemas.base import Schema
from registry_tui.service.backends.base import Backends
from registry_tui.service.backends.supervisord import LocalReplicas
from registry_tui.service.core import idempotency
from registry_tui.service.core.context import Service
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import (
    ApiKeyRow,
    EnvironmentRoleRow,
    EnvironmentRow,
    EventRow,
    IdempotencyRow,
    UserRow,
    WorkspaceRow,
    now,
)
from registry_tui.service.errors import AlreadyThere, PartUnavailable
from registry_tui.service.http.routes.dependencies import Acting, ServiceIn
from registry_tui.service.http.routes.keyed import KeyedRoute, new_router
from support.bare import prepared_app
from support.databases import new_database

SECRET = "rtk_seldom_seen"


class Made(Schema):
    number: int
    secret: str = SECRET


class Asked(Schema):
    text: str = ""


class Work:
    """Routes that count how often they are carried out, and can be held up or made to fail."""

    def __init__(self) -> None:
        self.count = 0
        self.fail: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self.begun = threading.Event()
        self.router = new_router()

        @self.router.post("/made", status_code=201)
        def make(asked: Asked) -> Made:
            self.count += 1
            self.begun.set()
            self.go_on.wait(300)
            if self.fail is not None:
                raise self.fail
            return Made(number=self.count)

        @self.router.delete("/made", status_code=204)
        def take() -> None:
            self.count += 1

        @self.router.post("/workspaces-made", status_code=201)
        def make_workspace(service: ServiceIn, principal: Acting, asked: Asked) -> Any:
            from registry_tui.service.places import workspaces

            self.count += 1
            with service.database.session() as session:
                session.add(_workspace(asked.text))
            if self.fail is not None:
                raise self.fail
            return workspaces.get_workspace(service, principal, asked.text)


def _workspace(name: str) -> WorkspaceRow:
    return WorkspaceRow(name=name, crn="crn", environment_id="e", creator="ada")


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = new_database(tmp_path)
    with database.session() as session:
        session.add(UserRow(name="ada", crn="crn:ada"))
        environment = {"id": "e", "name": "e", "crn": "crn:e", "cloud": "local", "raz_enabled": False}
        session.add(EnvironmentRow(**environment, bucket="e-1", creator="ada", state="ready"))
        session.flush()
        session.add(EnvironmentRoleRow(environment_id="e", user="ada", role="EnvironmentAdmin"))
    return database


def _app(tmp_path: Path, database: Database, work: Work, secrets: Secrets | None = None) -> FastAPI:
    nothing = cast(Any, None)
    local = LocalReplicas(Home(tmp_path))
    service = Service(
        home=Home(tmp_path),
        ports=nothing,
        secrets=secrets or Secrets(idempotency_seed="seed"),
        settings=cast(Any, type("Settings", (), {"max_request_bytes": 1 << 20, "entitlements": ()})),
        database=database,
        mlflow=nothing,
        stores=nothing,
        backends=Backends(local, local),
        access=nothing,
        workflows=nothing,
    )
    app = prepared_app(service)
    app.include_router(work.router, prefix="/api/v1")
    return app


def _client(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://registry-tui/api/v1")


@pytest.fixture
def app(tmp_path: Path, database: Database, work: Work) -> FastAPI:
    return _app(tmp_path, database, work)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(app) as client:
        yield client


async def send(
    http: httpx.AsyncClient,
    key: str | None = "k-1",
    *,
    path: str = "/made",
    text: str = "",
    user: str = "ada",
    method: str = "POST",
) -> httpx.Response:
    headers = {"X-Registry-User": user} | ({} if key is None else {"Idempotency-Key": key})
    return await http.request(method, path, json={"text": text} if method == "POST" else None, headers=headers)


async def test_the_same_key_and_request_make_one_thing_and_get_one_answer(http: httpx.AsyncClient, work: Work) -> None:
    first, second = await send(http), await send(http)
    assert (
        (first.status_code, first.json()) == (second.status_code, second.json()) == (201, Made(number=1).model_dump())
    )
    assert work.count == 1
    assert "Idempotency-Replayed" not in first.headers and second.headers["Idempotency-Replayed"] == "true"
    assert (await send(http, "k-2")).json()["number"] == 2
    assert (await send(http, None)).json()["number"] == 3
    # Of another person, the same key is another key.
    assert (await send(http, user="bob")).json()["number"] == 4
    gone = [await send(http, "gone", method="DELETE") for _ in range(2)]
    assert [each.status_code for each in gone] == [204, 204] and work.count == 5


async def test_the_same_key_with_another_request_is_refused(http: httpx.AsyncClient, work: Work) -> None:
    await send(http)
    for other in (
        await send(http, text="other"),
        await send(http, path="/made?x=1"),
        await send(http, method="DELETE"),
    ):
        assert other.status_code == 422 and other.json()["code"] == "key-reused", other.text
    assert work.count == 1
    for wrong in ("", "a" * 256, "two words"):
        refused = await send(http, wrong)
        assert refused.status_code == 422 and refused.json()["code"] == "invalid-input", refused.text
    assert work.count == 1


async def test_a_repetition_waits_for_the_request_that_is_under_way(
    app: FastAPI, http: httpx.AsyncClient, work: Work
) -> None:
    work.go_on.clear()
    first = asyncio.create_task(send(http))
    await asyncio.to_thread(work.begun.wait, 300)
    app.state.turns.patience = 0.01
    late = await send(http)
    assert late.status_code == 409 and late.json()["code"] == "under-way" and late.headers["Retry-After"]
    assert (await send(http, text="other")).json()["code"] == "key-reused"
    app.state.turns.patience = 60
    others = [asyncio.create_task(send(http)) for _ in range(5)]
    await asyncio.sleep(0)
    work.go_on.set()
    answers = [each.json() for each in await asyncio.gather(first, *others)]
    assert work.count == 1 and all(answer == answers[0] for answer in answers)


async def test_a_refused_request_gives_its_key_back(http: httpx.AsyncClient, work: Work) -> None:
    work.fail = AlreadyThere("There is one")
    assert (await send(http)).status_code == 409
    work.fail = None
    assert (await send(http, text="another name")).json()["number"] == 2


async def test_what_a_failed_request_made_is_answered_and_not_made_again(
    http: httpx.AsyncClient, work: Work, database: Database
) -> None:
    work.fail = PartUnavailable("MLflow does not answer")
    assert (await send(http, path="/workspaces-made", text="w")).status_code == 503
    again = await send(http, path="/workspaces-made", text="w")
    assert again.status_code == 201 and again.json()["name"] == "w" and work.count == 1
    assert (await send(http, path="/workspaces-made", text="w")).json() == again.json()
    # One that made nothing runs again.
    assert (await send(http, "nothing")).status_code == 503
    work.fail = None
    assert (await send(http, "nothing")).status_code == 201
    with database.reading() as session:
        assert session.scalar(select(func.count()).where(WorkspaceRow.name == "w")) == 1


async def test_another_life_of_the_service_gives_the_same_answer(
    tmp_path: Path, database: Database, http: httpx.AsyncClient, work: Work
) -> None:
    first = await send(http)
    # As if killed between its work and its response.
    await send(http, "cut-off", path="/workspaces-made", text="w")
    with database.session() as session:
        cut = update(IdempotencyRow).where(IdempotencyRow.request.contains("workspaces-made"))
        session.execute(cut.values(status=None, answer=None))
    again = Work()
    async with _client(_app(tmp_path, database, again)) as next_life:
        assert (await send(next_life)).json() == first.json()
        resumed = await send(next_life, "cut-off", path="/workspaces-made", text="w")
        assert resumed.status_code == 201 and resumed.json()["name"] == "w", resumed.text
        assert again.count == 0
        replayed = await send(next_life, "cut-off", path="/workspaces-made", text="w")
        assert replayed.json() == resumed.json()


def _bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("service.db*"))


async def test_no_answer_is_kept_in_clear(tmp_path: Path, database: Database, http: httpx.AsyncClient) -> None:
    assert SECRET in (await send(http)).text
    with database.reading() as session:
        row = session.scalars(select(IdempotencyRow)).one()
        assert row.answer and SECRET.encode() not in row.answer and "k-1" not in repr(vars(row))
    database.close()
    assert SECRET.encode() not in _bytes_of(tmp_path)
    # The database with another installation's secrets reveals nothing either.
    async with _client(_app(tmp_path, database, Work(), Secrets(idempotency_seed="other"))) as elsewhere:
        refused = await send(elsewhere)
    assert refused.status_code == 409 and SECRET not in refused.text


async def test_answers_are_forgotten_after_a_day(http: httpx.AsyncClient, work: Work, database: Database) -> None:
    await send(http)
    with database.session() as session:
        session.execute(update(IdempotencyRow).values(created_at=now() - idempotency.KEPT - timedelta(seconds=1)))
    await send(http, "later")
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(IdempotencyRow)) == 1
    assert (await send(http)).json()["number"] == 3


async def test_an_answer_that_is_too_large_is_not_kept_and_not_made_again(
    http: httpx.AsyncClient, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "LARGEST_ANSWER", 3)
    assert (await send(http)).status_code == 201
    again = await send(http)
    assert again.status_code == 409 and "not kept" in again.json()["detail"] and work.count == 1


def test_only_what_a_request_makes_is_noted(database: Database) -> None:
    database.committing.append(idempotency.note)
    token = idempotency.current.set("request")
    try:
        with database.session() as session:
            session.add(IdempotencyRow(id="request", digest="d", person="ada", request="POST /"))
        with database.session() as session:
            session.add(_workspace("w"))
            made = session.scalars(select(WorkspaceRow)).one()
        with database.session() as session:  # changes and events are nothing that an answer could be made from
            session.get_one(EnvironmentRow, "e").state = "ready"
            event = {"actor": "ada", "actor_crn": "crn", "action": "x", "outcome": "succeeded", "request_id": "r"}
            session.add(EventRow(**event, resource_type="x", resource_id="x", resource_name="x"))
        with pytest.raises(RuntimeError), database.session() as session:
            expires = {"expires_at": now(), "created_at": now()}
            session.add(ApiKeyRow(id="k", name="k", sha256="s", user="ada", **expires))
            session.flush()
            raise RuntimeError
    finally:
        idempotency.current.reset(token)
    with database.reading() as session:
        assert session.get_one(IdempotencyRow, "request").made == f"workspace:{made.id}"


def test_every_route_that_changes_something_takes_a_key(app: FastAPI) -> None:
    described = app.openapi()["paths"]
    for path, operations in described.items():
        for method, operation in operations.items():
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            reads = method == "get" or operation.get("x-reads-only", False)
            assert ("Idempotency-Key" in names) is not reads, f"{method} {path}"
    read_only = {path for path, found in described.items() if found.get("post", {}).get("x-reads-only")}
    project = "/api/v1/projects/{project}"
    runs = {f"{project}/runs/{what}" for what in ("search", "registered", "group")}
    mappings = {f"/api/v1/environments2/getIdBrokerMappings{what}" for what in ("", "SyncStatus")}
    refused = {f"/service/public/v2/api/{what}" for what in ("servicedef", "service", "zones", "zones-v2")}
    stores = {"/api/v1/stores/check", "/api/v1/environments/{environment}/store/check"}
    lineage = "/api/v1/lineage/dependents"
    assert read_only == {*runs, *mappings, *refused, "/authz/v1/authorize", *stores, lineage}
    from registry_tui.service.http.routes import FOREIGN, routers

    for router in (*routers(), *routers(FOREIGN)):
        assert all(isinstance(route, KeyedRoute) for route in router.routes)
