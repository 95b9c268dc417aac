"""Events about refusals of the listener's parts: one for each, whichever part writes it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from registry_tui.contracts.api_keys import new_key
from registry_tui.contracts.gateway_routes import Key
from registry_tui.service.core import events, identity
from registry_tui.service.database.tables import (
    CollaboratorRow,
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    WorkflowRow,
    WorkspaceRow,
)
from registry_tui.service.listening.failures import MOST_BY_ADDRESS
from support.lone_doors import LoneDoor, lone_door, really
from support.platforms import PATIENCE, wait_for

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[LoneDoor]:
    with lone_door(tmp_path) as running:
        yield running


def refusing(status: int, *, recorded: bool = False) -> web.StreamResponse:
    return web.json_response({}, status=status, headers={events.RECORDED: "true"} if recorded else {})


def http(door: LoneDoor, name: str = "ada") -> httpx.Client:
    headers = {"Authorization": f"Bearer {door.token(name)}"}
    return httpx.Client(base_url=door.url, headers=headers, trust_env=False, timeout=PATIENCE)


@pytest.mark.parametrize("status", [401, 403, 413])
def test_a_refusal_of_the_service_without_an_event_becomes_one(door: LoneDoor, status: int) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return refusing(status)

    door.parts["service"].handler = refuse
    with http(door) as client:
        for method in METHODS:
            assert client.request(method, "/api/v1/deployments").status_code == status
    found = door.denials()
    assert [each.actor for each in found] == ["ada"] * len(METHODS)
    for method, each in zip(METHODS, found, strict=True):
        assert (each.action, each.resource_name) == ("access.refuse", "127.0.0.1")
        assert f"{status} refused at {method} /api/v1/deployments" in each.detail


def test_a_refusal_of_which_the_service_wrote_an_event_gets_no_second_one(door: LoneDoor) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return refusing(403, recorded=True)

    door.parts["service"].handler = refuse
    with http(door) as client:
        for method in METHODS:
            answer = client.request(method, "/api/v1/registries")
            assert answer.status_code == 403
            assert events.RECORDED not in answer.headers
    assert door.denials() == []


def test_another_part_cannot_say_that_an_event_was_written(door: LoneDoor) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return refusing(403, recorded=True)

    door.parts["mlflow"].handler = refuse
    with http(door) as client:
        answer = client.post("/mlflow/api/2.0/mlflow/experiments/create")
    assert answer.status_code == 403 and events.RECORDED not in answer.headers
    assert [each.action for each in door.denials()] == ["access.refuse"]


def test_a_refusal_is_written_down_before_its_answer_is_passed_on(door: LoneDoor) -> None:
    """So that no caller avoids it by hanging up."""
    go_on = threading.Event()

    async def refuse(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=403)
        await answer.prepare(request)
        await asyncio.to_thread(go_on.wait, 60)
        return answer

    door.parts["service"].handler = refuse
    head = f"POST /api/v1/deployments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.token('ada')}\r\n\r\n"
    try:
        with door.connected() as connection:
            connection.sendall(head.encode())
            wait_for(door.denials, what="the event")
    finally:
        go_on.set()


@pytest.mark.parametrize("headers", [{}, {"Origin": "null"}], ids=["no token", "another page"])
def test_requests_that_guess_nothing_lock_nobody_out_and_become_few_events(
    door: LoneDoor, headers: dict[str, str]
) -> None:
    """A health probe behind the proxy that everybody comes through."""
    token = door.token("ada")
    with httpx.Client(base_url=door.url, trust_env=False, timeout=PATIENCE) as client:
        answers = [client.get("/api/v1/health", headers=headers) for _ in range(2 * MOST_BY_ADDRESS)]
        assert {answer.status_code for answer in answers} == {403 if headers else 401}
        assert client.get("/api/v1/x", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert client.get("/api/v1/x", headers={"Authorization": "Bearer rt_0_wrong"}).status_code == 401
    found = door.denials()
    assert [each.actor for each in found] == ["(not signed in)"] * (MOST_BY_ADDRESS + 2)
    assert "token-unknown" in found[-1].detail


def key_of(door: LoneDoor, user: str) -> str:
    """A published API key of a user."""
    identity.ensure_user(door.service, user)
    id_, key, sha256 = new_key()
    door.keys(Key(id_, sha256, user, 4e9))
    return key


@pytest.mark.parametrize("path", ["/model", "/endpoints/x/invocations"])
@pytest.mark.parametrize("kind", ["key", "token"])
def test_the_caller_of_a_deployment_is_named(
    door: LoneDoor, caplog: pytest.LogCaptureFixture, path: str, kind: str
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return refusing(403)

    door.parts["gateway"].handler = refuse
    secret = key_of(door, "bob") if kind == "key" else door.token("bob")
    with caplog.at_level(logging.INFO), httpx.Client(base_url=door.url, trust_env=False, timeout=PATIENCE) as client:
        assert client.post(path, headers={"Authorization": f"Bearer {secret}"}, json={}).status_code == 403
        assert client.post(path, json={}).status_code == 401
    known, unknown = door.denials()
    assert (known.actor, known.actor_crn) == ("bob", identity.ensure_user(door.service, "bob").crn)
    assert (unknown.actor, unknown.actor_crn) == ("(not signed in)", "")
    assert [line for line in caplog.messages if path in line and line.endswith(" as bob")]


@pytest.mark.parametrize(("part", "path"), [("gateway", "/model"), ("mlflow", "/mlflow/api/2.0/x")])
@pytest.mark.parametrize("status", [413, 429])
def test_a_part_with_too_much_to_do_refuses_nobody_access(door: LoneDoor, part: str, path: str, status: int) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return refusing(status)

    door.parts[part].handler = refuse
    with http(door) as client:
        assert client.post(path, json={}).status_code == status
    assert door.denials() == []


@pytest.fixture
def project(door: LoneDoor) -> None:
    """The project p of somebody else, in which ada may only look."""
    identity.ensure_user(door.service, "ada")
    of = {"id": "e", "name": "e", "crn": "crn:e", "cloud": "local", "raz_enabled": False}
    rows = (
        EnvironmentRow(**of, bucket="e-1", creator="eve", state="ready"),
        WorkspaceRow(id="w", name="w", crn="crn:w", environment_id="e", creator="eve"),
        ProjectRow(id="p", name="p", workspace_id="w", mlflow_workspace="w-p", creator="eve", state="ready"),
        CollaboratorRow(project_id="p", user="ada", role="viewer"),
        RegistryRow(
            id="r",
            name="r",
            crn="crn:r",
            status="installation:finished",
            environment_id="e",
            location="control plane",
            owner="eve",
            creator="eve",
            mlflow_workspace="mr-e",
            version="1",
        ),
        WorkflowRow(
            id="f",
            kind="provision",
            status="running",
            resource_type="registry",
            resource_id="r",
            resource_name="r",
            actor="eve",
            actor_crn="crn:eve",
            actor_administrator=False,
            request_id="q",
            arguments={},
            state={},
            steps=[],
            progress={},
        ),
    )
    for row in rows:
        with door.service.database.session() as session:
            session.add(row)


#: Requests of somebody with read access, and whether the listener has to write the event.
REFUSED = {
    "a user": ("PUT", "/api/v1/users/eve", {}, False),
    "a deployment": ("POST", "/api/v1/deployments", {"name": "d", "project": "p", "model": "m", "version": 1}, True),
    "tokens": ("GET", "/api/v1/users/eve/tokens", None, True),
    "a registry": ("POST", "/api/v1/registries", {"environment": "e"}, False),
    "a registry's end": ("POST", "/api/v1/registries/r/delete", {}, False),
    "a policy": ("DELETE", "/service/public/v2/api/policy/1", None, False),
    "mappings": ("POST", "/api/v1/environments2/deleteIdBrokerMappings", {"environmentCrn": "crn:e"}, False),
    "a workflow": ("POST", "/api/v1/workflows/f/cancel", None, False),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_of_the_real_service_is_one_event(door: LoneDoor, project: None, name: str) -> None:
    method, path, body, by_the_listener = REFUSED[name]
    door.parts["service"].handler = really(door.service)
    with http(door) as client:
        answer = client.request(method, path, json=body)
    assert answer.status_code == 403, answer.text
    assert events.RECORDED not in answer.headers
    [event] = door.denials()
    assert (event.actor, event.action == "access.refuse") == ("ada", by_the_listener)
    assert event.request_id == answer.headers["X-Request-ID"]
