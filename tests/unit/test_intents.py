"""Idempotency keys of the client and the command line: one an intent, the same when it is sent again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from registry_tui.cli import session
from registry_tui.cli.main import app
from registry_tui.client import Intent, RegistryClient, ServiceUnavailable, may_be_done
from registry_tui.client.errors import from_problem
from registry_tui.schemas.base import Problem
from registry_tui.schemas.deployments import ApiKeyCreate
from registry_tui.schemas.places import ProjectCreate, WorkspaceCreate
from registry_tui.schemas.tracking import RunGrouping, RunSearch

HEADER = "Idempotency-Key"


class Recorder:
    """A service without usable responses that records its requests."""

    def __init__(self) -> None:
        self.sent: list[httpx.Request] = []

    def client(self) -> RegistryClient:
        return RegistryClient(base_url="http://service", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        raise httpx.ReadTimeout("no answer", request=request)

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get(HEADER) for request in self.sent]


async def give_up(call: Any) -> None:
    with pytest.raises(ServiceUnavailable):
        await call


async def test_everything_that_changes_something_carries_a_key_and_nothing_else_does() -> None:
    recorder = Recorder()
    client = recorder.client()
    await give_up(client.create_project(ProjectCreate(name="wine", workspace="w")))
    await give_up(client.delete_project("wine"))
    await give_up(client.set_alias("r", "m", "champion", 1))
    await give_up(client.stop_deployment("d"))
    assert len({key for key in recorder.keys if key}) == 4
    recorder.sent.clear()
    await give_up(client.projects())
    await give_up(client.search_runs("p", RunSearch(experiment_ids=["1"])))
    await give_up(client.group_runs("p", RunGrouping(experiment_ids=["1"], param="x")))
    await give_up(client.registered_from("p", ["r"]))
    assert recorder.keys == [None] * 4


async def test_within_an_intent_the_same_request_has_the_same_key_and_another_has_another() -> None:
    recorder, intent = Recorder(), Intent()
    client = recorder.client()
    for name in ("wine", "wine", "beer"):
        with intent:
            await give_up(client.create_project(ProjectCreate(name=name, workspace="w")))
    with intent:
        await give_up(client.create_workspace(WorkspaceCreate(name="wine", environment="e")))
    first, again, other, elsewhere = recorder.keys
    assert first == again and len({first, other, elsewhere}) == 3
    with Intent():
        await give_up(client.create_project(ProjectCreate(name="wine", workspace="w")))
    await give_up(client.create_project(ProjectCreate(name="wine", workspace="w")))
    assert len(set(recorder.keys)) == 5


async def test_a_key_that_was_given_names_the_requests_in_their_order() -> None:
    recorder = Recorder()
    client = recorder.client()
    with Intent("mine"):
        await give_up(client.create_key(ApiKeyCreate(name="a")))
        await give_up(client.keys())
        await give_up(client.create_key(ApiKeyCreate(name="b")))
    assert recorder.keys == ["mine", None, "mine-2"]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(503, "part-unavailable", True), (500, "internal", True), (409, "under-way", True), (409, "in-use", False)],
)
def test_only_what_may_have_been_carried_out_is_sent_again_as_the_same(status: int, code: str, expected: bool) -> None:
    problem = Problem(type="/problems/x", title="x", status=status, detail="x", instance="/", code=code, request_id="r")
    assert may_be_done(from_problem(problem)) is expected
    assert may_be_done(ServiceUnavailable("no answer")) and not may_be_done(ValueError())


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> tuple[Recorder, Callable[..., int]]:
    """Commands whose service is a recorder."""
    recorder = Recorder()
    monkeypatch.setattr(session, "RegistryClient", recorder.client)

    def run(*arguments: str) -> int:
        return int(CliRunner().invoke(app, list(arguments)).exit_code)

    return recorder, run


def test_a_command_that_is_repeated_with_its_key_sends_the_same_request(
    commands: tuple[Recorder, Callable[..., int]],
) -> None:
    recorder, run = commands
    for _ in range(2):
        run("--idempotency-key", "k-1", "keys", "create", "ci", "--expires", "30")
    assert recorder.keys == ["k-1", "k-1"]
    assert len({request.content for request in recorder.sent}) == 1
    recorder.sent.clear()
    for _ in range(2):
        run("projects", "create", "wine", "--workspace", "w")
    assert len(set(recorder.keys)) == 2 and all(recorder.keys)
    assert run("--idempotency-key", "two words", "keys", "create", "ci") == 2
    assert run("keys", "create", "ci", "--expires", "4000") == 2
    assert len(recorder.sent) == 2


def test_no_other_way_leads_to_the_service() -> None:
    """Requests are sent by `Transport._send`, which gives them their key, or read."""
    from registry_tui.client import stream, transport

    assert inspect.getsource(transport).count("self._http.") == 3  # request, stream of a download, close
    assert inspect.getsource(stream).count("_http.") == 1
