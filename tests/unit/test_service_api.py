"""The app without any part of the platform: errors, request IDs, limits, the API's description."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from registry_tui.schemas.base import Problem
from registry_tui.service.errors import PartUnavailable
from registry_tui.service.settings import Settings
from support.bare import bare_service, prepared_app


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    with bare_service(tmp_path, settings=Settings(max_request_bytes=2048)) as service:
        yield prepared_app(service)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry-tui/api/v1") as client:
        yield client


def problem(response: httpx.Response, status: int, code: str) -> Problem:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    found = Problem.model_validate_json(response.content)
    assert (found.status, found.code, found.type) == (status, code, f"/problems/{code}")
    assert found.request_id == response.headers["X-Request-ID"]
    return found


async def test_health_asks_no_other_part(http: httpx.AsyncClient) -> None:
    health = (await http.get("/health")).json()
    assert health["status"] == "ok" and health["ready"] is False and health["waiting_for"]


async def test_a_number_in_an_address_is_finite_and_counts_no_further_than_it_can(
    app: FastAPI, http: httpx.AsyncClient
) -> None:
    paths = app.openapi()["paths"]
    asked = [
        (re.sub(r"\{\w+\}", "none", path.removeprefix("/api/v1")), parameter["name"])
        for path, operations in paths.items()
        for parameter in operations.get("get", {}).get("parameters", ())
        if '"number"' in json.dumps(parameter["schema"])
    ]
    assert len(asked) >= 4, asked
    for path, name in asked:
        for value in ("inf", "nan"):
            refused = problem(await http.get(path, params={name: value}), 422, "invalid-input")
            assert name in {each.field for each in refused.errors}, (path, value)
    refused = problem(await http.get("/registries/none/storage-access?max_age=1e300"), 422, "invalid-input")
    assert [each.field for each in refused.errors] == ["max_age"]


async def test_every_error_is_a_problem(http: httpx.AsyncClient) -> None:
    problem(await http.get("/nothing"), 404, "no-such-page")
    assert "PATCH" in problem(await http.patch("/user"), 405, "method-not-allowed").detail
    found = problem(await http.post("/environments", json={"name": "Ä", "colour": 1}), 422, "invalid-input")
    assert {error.field for error in found.errors} == {"name", "colour"}
    found = problem(await http.post("/environments", content=b"{"), 422, "invalid-input")
    assert found.errors[0].field == "body"
    problem(await http.get("/environments/none"), 404, "not-found")
    problem(await http.get("/events?page_token=abc"), 422, "invalid-input")
    problem(await http.get("/events?page_size=0"), 422, "invalid-input")
    problem(await http.get("/events/99999999999999999999/logs"), 422, "invalid-input")
    problem(await http.get("/workflows?status=odd"), 422, "invalid-input")


async def test_a_name_may_hold_a_slash(http: httpx.AsyncClient) -> None:
    found = problem(await http.get("/projects/team%2Fwine"), 404, "not-found")
    assert "'team/wine'" in found.detail


async def test_a_large_body_is_refused_announced_or_not(http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    problem(await http.post("/environments", content=b" " * 3000), 413, "too-large")
    problem(await http.post("/environments", content=pieces()), 413, "too-large")


async def test_request_ids_are_kept_when_they_are_harmless(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health", headers={"X-Request-ID": "abc-1"})).headers["X-Request-ID"] == "abc-1"
    for odd in ("", "a b", "x" * 200, "a\u00e4"):
        answer = await http.get("/health", headers={b"X-Request-ID": odd.encode("latin-1")})
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Request-ID"])


async def test_what_nobody_foresaw_shows_no_stack_trace(app: FastAPI, http: httpx.AsyncClient) -> None:
    full = sqlite3.OperationalError("in another language")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    @app.get("/api/v1/broken")
    def broken(request: Request) -> None:
        raise {
            "bug": KeyError("a secret"),
            "full": full,
            "part": PartUnavailable("MLflow does not answer", action="Wait"),
        }[request.query_params["how"]]

    assert "secret" not in problem(await http.get("/broken?how=bug"), 500, "internal").model_dump_json()
    assert "disk is full" in problem(await http.get("/broken?how=full"), 503, "database-unavailable").detail
    assert problem(await http.get("/broken?how=part"), 503, "part-unavailable").action == "Wait"


async def test_the_principal_is_the_owner_or_a_known_user(http: httpx.AsyncClient) -> None:
    me = (await http.get("/user")).json()
    assert me["crn"].endswith(me["crn"].rsplit(":", 1)[-1]) and me["entitlements"] == ["ML_MODEL_REGISTRY"]
    problem(await http.get("/user", headers={"X-Registry-User": "ann"}), 403, "not-permitted")
    problem(await http.get("/user", headers={"X-Registry-User": "../x"}), 422, "invalid-input")
    assert (await http.put("/users/ann")).status_code == 200
    ann = {"X-Registry-User": "ann"}
    assert (await http.get("/user", headers=ann)).json()["name"] == "ann"
    problem(await http.put("/users/bob", headers=ann), 403, "not-permitted")
    names = [user["name"] for user in (await http.get("/users")).json()["items"]]
    assert "ann" in names and "bob" not in names
    events = (await http.get("/events?action=user")).json()["items"]
    assert [(event["actor"], event["outcome"]) for event in events] == [("ann", "denied"), (me["name"], "succeeded")]
    own = (await http.get("/events", headers=ann)).json()["items"]
    assert {event["actor"] for event in own} == {"ann"}


async def test_the_description_names_every_operation_and_answer(http: httpx.AsyncClient) -> None:
    description = (await http.get("/openapi.json")).json()
    operations = [operation for path in description["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) > 40
    for operation in operations:
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert operation.get("description"), operation["operationId"]
    assert "HTTPValidationError" not in description["components"]["schemas"]


async def test_the_api_page_needs_no_network(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text and not re.search(r"(src|href)='?\"?https?:", page.text)
    assert "/api/v1/projects/{project}/credentials" in page.text
