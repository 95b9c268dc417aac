"""The form of an outside Ranger, and the actions for one that is in use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from textual.widgets import Button, Input, Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.base import FieldProblem, Problem
from registry_tui.schemas.ranger import RangerSource
from registry_tui.screens.base.viewer import View
from registry_tui.screens.ranger.source_form import SourceForm
from support import scenes
from support.hostile import check
from support.program import Driver
from support.recorded import Answer, Replay

URL = "https://ranger.example.com:6182"
FETCHED, AWAY = datetime(2026, 11, 28, 9, 30, tzinfo=UTC), datetime(2026, 11, 29, 7, 15, tzinfo=UTC)
THEIRS = RangerSource(url=URL, service="their_s3", user="plugin", policy_version=12, fetched_at=FETCHED)
GONE = THEIRS.model_copy(
    update={
        "failing_since": AWAY,
        "problem": f"Ranger at {URL} does not answer: timed out",
        "notes": ["policy 'audit' has conditions that cannot be judged here: it allows nothing"],
    }
)
HOSTILE = "\x1b[31mred\u202e ]bold[ 模型" + "x" * 300


class Obeying(Replay):
    """The recorded service, whose environment uses the source set last; a refusal has these problems."""

    def __init__(self, answers: Mapping[str, Answer], source: RangerSource | None) -> None:
        super().__init__(answers)
        self.source = source
        self.changes: list[tuple[str, str, dict[str, Any]]] = []
        self.problems: list[FieldProblem] = []
        self._service: dict[str, Any] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method in ("PUT", "DELETE"):
            return self._carried_out(request, await request.aread())
        answer = await super().handle_async_request(request)
        await answer.aread()
        if "/service/public/v2/api/service/" not in request.url.path or request.url.path.endswith("/policy"):
            return answer
        self._service = json.loads(answer.content)
        return self._described()

    def _described(self) -> httpx.Response:
        source = None if self.source is None else self.source.model_dump(mode="json", by_alias=True)
        return httpx.Response(200, json=self._service | {"source": source})

    def _carried_out(self, request: httpx.Request, body: bytes) -> httpx.Response:
        change = json.loads(body or b"{}")
        self.changes.append((request.method, request.url.path, change))
        if self.problems:
            problem = Problem(
                type="/problems/invalid-input",
                title="",
                status=422,
                detail="The outside Ranger cannot be asked",
                code="invalid-input",
                request_id="r",
                errors=self.problems,
            )
            return httpx.Response(422, json=problem.model_dump(mode="json"))
        kept = {name: change[name] for name in ("url", "service", "user", "every")} if change else {}
        self.source = RangerSource(**kept, policy_version=1, fetched_at=FETCHED) if kept else None
        return self._described()


@asynccontextmanager
async def policies(
    answers: Mapping[str, Answer], source: RangerSource | None, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Driver, Obeying]]:
    """The Ranger page of the environment."""
    service = Obeying(answers, source)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=size, notifications=True) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.policies(see)
        await see.until(lambda: see.screen.reason("source") is None, "the service")
        yield see, service


async def opened(see: Driver) -> SourceForm:
    await see.until(lambda: isinstance(see.screen, SourceForm) and see.screen.query("#ok"), "the form")
    form: SourceForm = see.screen
    return form


def enter(form: SourceForm, **fields: str) -> None:
    for name, value in fields.items():
        form.query_one(f"#{name}", Input).value = value


async def press_ok(see: Driver, form: SourceForm) -> None:
    button = form.query_one("#ok", Button)
    # A button that was just pressed takes no other press for a moment.
    await see.until(lambda: not button.disabled and not button.has_class("-active"), "the button")
    button.focus()
    await see.until(lambda: see.app.focused is button, "the button")
    await see.press("enter")


def facts(see: Driver) -> str:
    return " ".join(str(see.screen.query_one("#facts", Static).content).split())


async def test_an_outside_ranger_is_set_by_keys_and_the_page_then_says_so(answers: Mapping[str, Answer]) -> None:
    async with policies(answers, None) as (see, service):
        environment = see.screen.service.configs["environment"]
        await see.press("a")
        await see.shows("Source")
        await see.press("Y")
        form = await opened(see)
        assert form.query_one("#service", Input).value == "cm_s3"
        await see.type(URL)
        await see.until(lambda: form.query_one("#url", Input).value == URL, "the address")
        enter(form, service="their_s3", user="plugin", password=" secret ", every="60")
        # The password is seen by nobody.
        await see.shows("plugin")
        assert "secret" not in see.text
        await press_ok(see, form)
        await see.at("policies")
        await see.until(lambda: f"read-only: service their_s3 of Ranger at {URL}" in facts(see), "the line")
        wanted = {"url": URL, "service": "their_s3", "user": "plugin", "password": " secret ", "every": 60.0}
        assert service.changes == [("PUT", f"/api/v1/environments/{environment}/ranger-source", wanted)]
        assert URL in str(see.screen.reason("create"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "type the address"),
        ({"url": URL, "service": ""}, "type the name of the service"),
        ({"url": URL, "user": "plugin"}, "type the user's password"),
        ({"url": URL, "password": "x"}, "type whose password"),
        ({"url": URL, "every": "0"}, "type 1 to 3600 seconds"),
        ({"url": URL, "every": "nan"}, "type 1 to 3600 seconds"),
    ],
)
async def test_what_is_missing_is_said_before_anything_is_sent(
    fields: dict[str, str], words: str, answers: Mapping[str, Answer]
) -> None:
    async with policies(answers, None) as (see, service):
        await see.press("Y")
        form = await opened(see)
        enter(form, **fields)
        await see.until(lambda: words in str(form.problem_of()), words)
        await see.press("enter")
        await see.shows(words)
        assert form.query_one("#ok", Button).disabled and not service.changes


async def test_the_password_is_kept_for_the_same_user_at_the_same_address_only(answers: Mapping[str, Answer]) -> None:
    async with policies(answers, THEIRS) as (see, service):
        await see.press("Y")
        await see.shows("Change it", "Bring back own policies")
        await see.press("enter")
        form = await opened(see)
        assert form.problem_of() is None
        for field, other in (("user", "somebody"), ("url", "https://other.example.com")):
            before = form.query_one(f"#{field}", Input).value
            enter(form, **{field: other})
            assert form.problem_of() == "type the user's password"
            enter(form, **{field: before})
        enter(form, every="90")
        await press_ok(see, form)
        await see.at("policies")
        assert [change["password"] for _, _, change in service.changes] == [None]
        assert service.changes[0][2]["every"] == 90.0


async def test_a_refusal_keeps_what_was_typed(answers: Mapping[str, Answer]) -> None:
    async with policies(answers, None) as (see, service):
        service.problems = [FieldProblem(field="url", message="must begin with https://")]
        await see.press("Y")
        form = await opened(see)
        enter(form, url="http://ranger.example.com", user="plugin", password="x")
        await press_ok(see, form)
        await see.shows("cannot be asked", "must begin with https://")
        assert form.query_one("#url", Input).value == "http://ranger.example.com"
        assert form.query_one("#password", Input).value == "x" and service.source is None


async def test_how_it_stands_can_be_read_whole(answers: Mapping[str, Answer]) -> None:
    async with policies(answers, GONE, (110, 30)) as (see, _):
        await see.press("Y", "down", "enter")
        await see.until(lambda: isinstance(see.screen, View), "the text")
        text = " ".join(see.screen.text.split())
        for words in ("its policies are read-only here", "as plugin", "It gives nothing since", "timed out"):
            assert words in text
        assert "Version 12 still counts" in text and GONE.notes[0] in text


async def test_own_policies_are_brought_back_after_a_question(answers: Mapping[str, Answer]) -> None:
    async with policies(answers, THEIRS) as (see, service):
        environment = see.screen.service.configs["environment"]
        await see.press("Y", "end", "enter")
        await see.shows("Bring back", "obeys its own policies again")
        await see.press("enter")  # on Cancel, where a question starts
        await see.until(lambda: see.app.screen is see.app.frame, "the list")
        assert not service.changes
        await see.press("Y", "end", "enter")
        await see.shows("obeys its own policies again")
        await see.press("right", "enter")
        await see.until(lambda: "read-only" not in facts(see), "own policies")
        assert service.changes == [("DELETE", f"/api/v1/environments/{environment}/ranger-source", {})]
        await see.until(lambda: see.screen.reason("create") is None, "changes to be possible")


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=str)
async def test_hostile_words_of_an_outside_ranger_stay_in_their_boxes(
    answers: Mapping[str, Answer], size: tuple[int, int]
) -> None:
    words = {"url": f"https://x/{HOSTILE}", "service": HOSTILE, "user": HOSTILE, "problem": HOSTILE}
    hostile = GONE.model_copy(update=words | {"notes": [HOSTILE] * 30})
    async with policies(answers, hostile, size) as (see, _):
        await see.settled()
        check(see)
        for keys in (("enter",), ("down", "enter"), ("end", "enter")):
            await see.press("Y")
            await see.settled()
            check(see)
            await see.press(*keys)
            await see.until(lambda: see.app.screen is not see.app.frame, "the box")
            await see.settled()
            check(see)
            await see.press("escape")
            await see.at("policies")


async def test_a_form_whose_widgets_are_gone_before_it_is_measured_ends_quietly(answers: Mapping[str, Answer]) -> None:
    async with policies(answers, None) as (see, _):
        await see.press("Y")
        form = await opened(see)
        await form.query(".box").remove()
        form.fit()
        measured = asyncio.Event()
        form.call_after_refresh(measured.set)
        await see.until(measured.is_set, "the form to be measured")
        form.dismiss(None)
        await see.until(lambda: see.screen is not form, "the page")
