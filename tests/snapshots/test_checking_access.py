"""The box that checks somebody's access: its request, the parts of the response that it shows, and for how long."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from textual.widgets import Button, Input, Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.form import Tick
from registry_tui.screens.ranger.check_form import CheckForm
from registry_tui.wording.command_lines import PROGRAM
from support import scenes
from support.gate import Gated
from support.hostile import check
from support.program import Driver
from support.recorded import Answer

AUTHORIZE = "/authz/v1/authorize"
#: The recorded environment's first policy, and a name that nobody should give one.
FIRST, HOSTILE = 4, "\x1b[31mred\u202e ]bold[ 模型" + "x" * 300


class Deciding(Gated):
    """The recorded service, whose decision point gives these verdicts: the decision and the policy's ID."""

    def __init__(self, answers: Mapping[str, Answer], verdicts: Mapping[str, tuple[str, int]]) -> None:
        super().__init__(answers, lambda request: request.url.path == AUTHORIZE)
        self.verdicts = verdicts
        self.bodies: list[dict[str, Any]] = []
        self.name_of_first: str | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == AUTHORIZE:
            self.bodies.append(json.loads(await request.aread()))
            if not self._open.is_set():
                self.waiting.append(request.url)
                await self._open.wait()
                self.waiting.remove(request.url)
            if self._fails:
                raise httpx.ReadTimeout("too slow", request=request)
            return httpx.Response(200, json=self._answer(self.bodies[-1]["access"]["permissions"]))
        answer = await super().handle_async_request(request)
        await answer.aread()
        if self.name_of_first is not None and request.url.path.endswith("/policy"):
            first, *others = json.loads(answer.content)
            return httpx.Response(200, json=[first | {"name": self.name_of_first}, *others])
        return answer

    def _answer(self, permissions: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {
            name: {"permission": name, "access": {"decision": decision, "policy": {"id": policy}}}
            for name in permissions
            for decision, policy in [self.verdicts[name]]
        }
        whole = all(each["access"]["decision"] == "ALLOW" for each in found.values())
        return {"decision": "ALLOW" if whole else "DENY", "permissions": found}


VERDICTS = {"read": ("ALLOW", FIRST), "write": ("DENY", FIRST), "delete": ("DENY", -1), "list": ("ALLOW", 4711)}


@asynccontextmanager
async def asking(
    answers: Mapping[str, Answer], size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Driver, Deciding, CheckForm]]:
    """The box with somebody and a path in it, opened by the Actions menu."""
    service = Deciding(answers, VERDICTS)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=size, notifications=True) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.policies(see)
        await see.until(lambda: see.screen.reason("check") is None, "the service")
        await see.press("a")
        await see.shows("Check access")
        await see.press("Q")
        await see.until(lambda: isinstance(see.screen, CheckForm) and see.screen.query("#ok"), "the box")
        form = see.screen
        form.query_one("#user", Input).value = "nobody-known"
        form.query_one("#path", Input).value = "models/x"
        await see.until(lambda: not form.query_one("#ok", Button).disabled, "the input")
        form.query_one("#path").focus()
        yield see, service, form


def shown(form: CheckForm) -> list[str]:
    answer = form.query_one("#answer", Static)
    return str(answer.content).splitlines() if answer.display else []


async def test_the_answer_stands_below_until_something_else_is_asked(answers: Mapping[str, Answer]) -> None:
    async with asking(answers) as (see, service, form):
        await see.press("enter")
        await see.until(lambda: len(shown(form)) == 4, "the answer")
        assert [line.split(maxsplit=2) for line in shown(form)] == [
            ["read", "allowed", "by policy all - bucket, path"],
            ["write", "denied", "by policy all - bucket, path"],
            ["list", "allowed", "by policy 4711"],
            ["delete", "denied", "no policy gives it"],
        ]
        await see.shows("denied", "no policy gives it", "Close")
        bucket = form.service.configs["bucket"]
        [asked] = service.bodies
        assert asked["user"]["name"] == "nobody-known" and asked["context"]["serviceName"] == form.service.name
        assert asked["access"] == asked["access"] | {
            "resource": {"name": f"path:{bucket}/models/x"},
            "permissions": ["read", "write", "list", "delete"],
        }

        # Another question: the answer to the one before goes at once.
        await see.press("end", "y")
        await see.until(lambda: not shown(form), "no answer")
        for number in (1, 2, 3):
            form.query_one(f"#access-{number}", Tick).value = False
        await see.press("enter")
        await see.until(lambda: len(shown(form)) == 1, "the next answer")
        assert service.bodies[1]["access"]["resource"]["name"].endswith("/models/xy")
        assert service.bodies[1]["access"]["permissions"] == ["read"]
        await see.press("escape")
        await see.at("policies")


async def test_a_machine_user_is_asked_about_by_its_whole_name(answers: Mapping[str, Answer]) -> None:
    """Also before the names are known: nobody is called by the last part of one."""
    async with asking(answers) as (see, service, form):
        registries = (await see.app.client.registries(page_size=1000)).items
        environment = form.service.configs["environment"]
        whole = next(each.machine_user_workload_name for each in registries if each.environment_name == environment)
        assert whole is not None
        form.query_one("#user", Input).value = whole.rpartition("_")[2]
        await see.press("enter")
        await see.until(lambda: len(shown(form)) == 4, "the answer")
        assert form.query_one("#user", Input).value == whole and service.bodies[0]["user"]["name"] == whole


async def test_an_answer_to_what_was_asked_before_is_not_shown(answers: Mapping[str, Answer]) -> None:
    async with asking(answers) as (see, service, form):
        service.shut()
        await see.press("enter")
        await see.until(lambda: service.waiting and shown(form) == ["asking …"], "the question")
        await see.press("end", "y")
        await see.until(lambda: form.query_one("#path", Input).value == "models/xy", "the key")
        service.open()
        await see.until(lambda: not form.busy and not form.query_one("#ok", Button).disabled, "the end")
        assert shown(form) == []


async def test_what_was_typed_stays_when_there_is_no_answer(answers: Mapping[str, Answer]) -> None:
    async with asking(answers) as (see, service, form):
        service.shut()
        await see.press("enter")
        await see.until(lambda: service.waiting, "the question")
        service.fail()
        await see.shows("did not answer in time")
        assert shown(form) == [] and form.query_one("#path", Input).value == "models/x"
        # Nothing was changed, so nothing can have been carried out.
        assert "Trying again is safe" not in see.text


async def test_the_box_can_be_left_while_it_asks(answers: Mapping[str, Answer]) -> None:
    async with asking(answers) as (see, service, _):
        service.shut()
        await see.press("enter")
        await see.until(lambda: service.waiting, "the question")
        await see.press("escape")
        await see.at("policies")
        service.open()
        await see.settled()


async def test_it_copies_the_command_line_that_asks_the_same(
    answers: Mapping[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REGISTRY_TUI_HOME", "REGISTRY_TUI_USER", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    async with asking(answers) as (see, service, form):
        form.query_one("#access-0", Tick).value = False
        await see.press("ctrl+o")
        await see.until(lambda: see.app.clipboard, "the copy")
        permissions = [word for each in ("write", "list", "delete") for word in ("--permission", each)]
        options = ["--user", "nobody-known", *permissions, "--service", form.service.name]
        assert shlex.split(see.app.clipboard) == [PROGRAM, "ranger", "policies", "check", *options, "models/x"]
        assert not service.bodies


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=str)
async def test_hostile_names_of_policies_stay_in_the_box(answers: Mapping[str, Answer], size: tuple[int, int]) -> None:
    async with asking(answers, size) as (see, service, form):
        service.name_of_first = HOSTILE
        await see.press("enter")
        await see.until(lambda: len(shown(form)) >= 4, "the answer")
        await see.settled()
        check(see)
        await see.shows("Check", "Close")
