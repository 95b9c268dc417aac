"""`C` and ctrl+o copy command lines, over recorded answers: nothing is sent."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.client.outgoing import Outgoing
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay
from support.scenes import Scene


@asynccontextmanager
async def program(answers: Mapping[str, Answer], at: Scene) -> AsyncIterator[tuple[Driver, Replay]]:
    replay = Replay(answers)
    app = RegistryApp(lambda: RegistryClient(transport=replay), start_platform=False)
    async with app.run_test(size=(120, 40)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await at(see)
        await see.settled()
        yield see, replay


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGISTRY_TUI_HOME", "REGISTRY_TUI_USER", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


async def test_a_page_copies_what_shows_it_and_its_selection(answers: Mapping[str, Answer]) -> None:
    async with program(answers, scenes.models) as (see, _):
        await see.press("C")
        await see.shows("Copy as code", "the selected one", "this page")
        await see.press("enter")
        await see.shows("copied: registry-tui models show")
        assert shlex.split(see.app.clipboard)[:3] == ["registry-tui", "models", "show"]


async def test_a_page_with_one_command_copies_it_at_once(answers: Mapping[str, Answer]) -> None:
    async with program(answers, scenes.workflow) as (see, _):
        await see.press("C")
        await see.until(lambda: see.app.clipboard.startswith("registry-tui workflows show "), "the copy")


async def test_the_last_change_comes_first(answers: Mapping[str, Answer]) -> None:
    async with program(answers, scenes.deployments) as (see, _):
        see.app.client.last_change = Outgoing("POST", ("deployments", "wine api", "stop"))
        await see.press("C", "enter")
        await see.until(lambda: see.app.clipboard == "registry-tui deployments stop 'wine api'", "the copy")


async def test_a_form_copies_what_it_would_send_and_sends_nothing(answers: Mapping[str, Answer]) -> None:
    async with program(answers, scenes.create_project) as (see, replay):
        before = see.screen
        see.screen.query_one("#name").value = ""
        await see.press("ctrl+o")
        await see.shows("not copied: ")
        await see.type("my-project")
        select = see.screen.query_one("#workspace")
        if select.is_blank():
            select.value = select._options[1][1]
        see.screen.query_one("#description").text = "It's\nmine"
        await see.press("ctrl+o")
        await see.until(lambda: "projects create" in see.app.clipboard, "the copy")
        words = see.app.clipboard
        assert words.startswith("registry-tui projects create --workspace ")
        assert words.endswith(r" --description $'It\'s\nmine' my-project")
        assert [each.message.splitlines()[:2] for each in see.app._notifications] == [["copied:", words]]
        # The form is as it was, and the service was asked nothing that it had not been asked before.
        assert see.screen is before and see.screen.query_one("#name").value == "my-project"
        assert replay.unknown == [] and see.app.client.last_change is None
