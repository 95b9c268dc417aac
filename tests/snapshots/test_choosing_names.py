"""Fields for names list the existing ones; keys pressed before the service responded take effect when it has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.base import Problem
from registry_tui.screens.base.form import Form
from registry_tui.screens.base.name_field import NameField, NameList
from registry_tui.terminal.preferences import Preferences, Terminal
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay
from support.scenes import MODEL, REGISTRY

SIZE = (80, 24)
#: Seconds of the service are so much shorter here.
FASTER = 20.0
VERSIONS = f"GET /api/v1/registries/{REGISTRY}/models/{MODEL}/versions?order_by=-version"
MODELS = ["WineAlcoholRegressor", "WineCultivarClassifier"]


class Slow(Replay):
    """Responds after a while, once `seconds` is set; it has the recorded models only."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.seconds = 0.0
        self._let = asyncio.Event()
        self._let.set()
        self.given_up: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        if request.method == "GET" and "/stream" not in target:
            try:
                await asyncio.sleep(self.seconds / FASTER)
                await self._let.wait()
            except asyncio.CancelledError:
                self.given_up.append(target)
                raise
        if request.method == "GET" and "/models/" in target and self.find(f"GET {target}") is None:
            if "/versions?page_size=" in target:
                return self._answers[VERSIONS].response()
            if model := self._listed(target):
                return httpx.Response(200, json=model)
            problem = Problem(
                type="/problems/not-found",
                title="",
                status=404,
                detail="There is none",
                code="not-found",
                request_id="r",
            )
            return httpx.Response(404, json=problem.model_dump(mode="json"))
        return await super().handle_async_request(request)

    def _listed(self, target: str) -> dict[str, Any] | None:
        """The model at an address, as the list of its registry has it: asked for alone it was not recorded."""
        registry, _, name = target.partition("/models/")
        answer = self.find(f"GET {registry}/models?page_size=500")
        models = json.loads(answer.content)["items"] if answer else []
        return next((model for model in models if model["name"] == name), None)

    def hold(self) -> None:
        """Answers nothing from here on, until it is let."""
        self._let.clear()

    def let(self) -> None:
        self._let.set()


@asynccontextmanager
async def registering(
    answers: Mapping[str, Answer], seconds: float = 0, held: bool = False
) -> AsyncIterator[tuple[Driver, Slow]]:
    """The Register Model form, just opened, on a service that is slow, or held, from then on."""
    slow = Slow(answers)
    app = RegistryApp(lambda: RegistryClient(transport=slow), start_platform=False)
    async with app.run_test(size=SIZE) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.artifacts(see)
        await see.until(lambda: see.screen.reason("register") is None, "the scene")
        slow.seconds = seconds
        if held:
            slow.hold()
        await see.press("R")
        await see.shows("Register Model", "Version notes")
        await see.until(lambda: isinstance(see.app.focused, NameField), "the field")
        yield see, slow


def listed(see: Driver) -> list[str]:
    """The content of the list, if one is shown."""
    found = [each for each in see.screen.query(NameList) if each.display]
    return [str(option.prompt) for each in found for option in each.options]


def typed(see: Driver) -> str:
    return str(see.screen.query_one("#name", Input).value)


@pytest.mark.parametrize("seconds", [0, 2, 20])
async def test_wine_down_enter_takes_the_model_that_exists(seconds: float, answers: Mapping[str, Answer]) -> None:
    async with registering(answers, seconds) as (see, slow):
        await see.type("Wine")
        await see.press("down", "enter")
        await see.until(lambda: typed(see) == MODELS[0], "the model's name")
        await see.shows(f"adds version 4 to {MODELS[0]}")
        assert isinstance(see.screen, Form) and not see.screen.busy and not slow.given_up
        assert not listed(see)


@pytest.mark.parametrize("seconds", [0, 2, 20])
async def test_nothing_typed_is_lost_and_the_list_shows_up(seconds: float, answers: Mapping[str, Answer]) -> None:
    async with registering(answers, seconds) as (see, slow):
        await see.type("Wine")
        assert typed(see) == "Wine"
        await see.until(lambda: [line.split()[0] for line in listed(see)] == MODELS, "the list")
        assert typed(see) == "Wine"
        await see.type("Cul")
        await see.until(lambda: [line.split()[0] for line in listed(see)] == MODELS[1:], "what fits")
        await see.press("down", "tab")
        assert typed(see) == MODELS[1] and not listed(see)
        await see.shows(f"adds version 2 to {MODELS[1]}")
        assert not slow.given_up


async def test_an_answer_that_comes_after_a_choice_leaves_it(answers: Mapping[str, Answer]) -> None:
    async with registering(answers) as (see, slow):
        await see.type("W")
        await see.until(lambda: len(listed(see)) == 2, "the list")
        await see.shows("a new model, version 1")
        slow.hold()
        await see.type("ine")
        await see.press("down", "down")
        field = see.screen.query_one("#name", NameField)
        assert field.chosen is not None and field.chosen.name == MODELS[1]
        slow.let()
        await see.shows("a new model, version 1")
        assert field.chosen is not None and field.chosen.name == MODELS[1]
        await see.press("enter")
        assert typed(see) == MODELS[1] and isinstance(see.screen, Form) and not see.screen.busy


async def test_down_waits_visibly_for_names_that_are_asked_for(answers: Mapping[str, Answer]) -> None:
    async with registering(answers, held=True) as (see, _):
        await see.type("W")
        await see.press("down")
        await see.until(lambda: listed(see) == ["names: loading …"], "that names are asked for")
        await see.press("escape")
        assert not listed(see) and isinstance(see.screen, Form) and typed(see) == "W"


async def test_escape_closes_the_list_and_then_the_form(answers: Mapping[str, Answer]) -> None:
    async with registering(answers) as (see, _):
        await see.type("wine")
        await see.until(lambda: len(listed(see)) == 2, "the list")
        await see.press("escape")
        assert not listed(see) and isinstance(see.screen, Form) and typed(see) == "wine"
        await see.press("escape")
        await see.until(lambda: see.screen is see.app.frame, "the page")


async def test_an_answer_that_comes_after_escape_leaves_the_list_closed(answers: Mapping[str, Answer]) -> None:
    async with registering(answers) as (see, slow):
        await see.type("W")
        await see.until(lambda: len(listed(see)) == 2, "the list")
        await see.shows("a new model, version 1")
        slow.hold()
        await see.type("ine")
        await see.shows("checking the name")
        await see.press("escape")
        assert not listed(see)
        slow.let()
        await see.shows("a new model, version 1")
        assert not listed(see) and isinstance(see.screen, Form) and typed(see) == "Wine"
        await see.press("down")
        assert len(listed(see)) == 2


async def test_a_new_name_is_taken_as_it_is_typed(answers: Mapping[str, Answer]) -> None:
    async with registering(answers) as (see, _):
        await see.type("Wine")
        await see.until(lambda: len(listed(see)) == 2, "the list")
        await see.shows("a new model, version 1")
        # Without a choice from the list, tab moves on and keeps the typed text.
        await see.press("tab")
        assert typed(see) == "Wine" and not listed(see)
        assert see.app.focused is not None and see.app.focused.id == "description"


async def test_a_name_that_is_not_allowed_is_said_before_ok(answers: Mapping[str, Answer]) -> None:
    async with registering(answers) as (see, _):
        await see.type("a/b")
        await see.shows("the name holds '/'")
        assert see.screen.query_one("#ok").disabled


async def test_the_buttons_stay_in_view_beside_the_list(answers: Mapping[str, Answer]) -> None:
    async with registering(answers) as (see, _):
        await see.type("Wine")
        await see.until(lambda: len(listed(see)) == 2, "the list")
        await see.until(lambda: "Cancel" in see.text and MODELS[1] in see.text, "the list and the buttons")


async def test_an_alias_is_chosen_from_those_of_the_model(answers: Mapping[str, Answer]) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Slow(answers)), start_platform=False)
    async with app.run_test(size=SIZE) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.alias(see)
        await see.press("down")
        await see.until(lambda: listed(see), "the aliases")
        first = listed(see)[0].split()[0]
        await see.press("enter")
        await see.until(lambda: see.screen.query_one("#alias", Input).value == first, "the alias")


async def test_a_model_to_deploy_and_its_version_are_chosen(answers: Mapping[str, Answer]) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Slow(answers)), start_platform=False)
    async with app.run_test(size=SIZE) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.deploy_from_project(see)
        await see.until(lambda: isinstance(see.app.focused, NameField), "the field")
        await see.type("wreg")
        await see.until(lambda: [line.split()[0] for line in listed(see)] == [MODEL], "the list")
        # A name that has to exist is chosen by itself once the service answered.
        await see.until(lambda: see.screen.query_one("#model", NameField).chosen, "the choice")
        await see.press("enter")
        await see.until(lambda: see.screen.query_one("#model", Input).value == MODEL, "the model")
        await see.press("tab", "down")
        await see.until(lambda: "1" in [line.split()[0] for line in listed(see)], "the versions")
        await see.press("enter")
        await see.until(lambda: see.screen.query_one("#version", Input).value, "the version")


@pytest.mark.parametrize("look", ["colour", "monochrome"])
def test_the_list_below_a_name_looks_as_before(
    look: str, answers: Mapping[str, Answer], snap_compare: Callable[..., bool]
) -> None:
    preferences = Preferences(terminal=Terminal(remember=False), colorless=look == "monochrome")
    transport = Slow(answers)
    app = RegistryApp(lambda: RegistryClient(transport=transport), start_platform=False, preferences=preferences)

    async def begin(pilot: Pilot[Any]) -> None:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.artifacts(see)
        await see.until(lambda: see.screen.reason("register") is None, "the scene")
        await see.press("R")
        await see.until(lambda: isinstance(see.app.focused, NameField), "the field")
        await see.type("Wine")
        await see.until(lambda: len(listed(see)) == 2, "the list")
        await see.shows("a new model, version 1")
        await see.press("down")
        await see.settled()
        assert see.screen.query_one("#name", NameField).chosen is not None

    assert snap_compare(app, terminal_size=SIZE, run_before=begin)
