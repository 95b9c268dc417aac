"""The command box by keys: it opens at once, lists while one types, and finds everything by its letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from textual import events
from textual.widgets import Input

from registry_tui.app.app import RegistryApp
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.places import EnvironmentCreate, Project
from registry_tui.screens.base.command_box import CommandBox, CommandField, OfferList
from registry_tui.terminal.memory import Memory
from registry_tui.terminal.preferences import Preferences, Terminal
from support.platforms import Platform, unique
from support.program import Driver, Open
from support.registered import mlflow_client

SMALL = (80, 24)


class Held(httpx.AsyncBaseTransport):
    """The real service, whose answers to searches can be held back."""

    def __init__(self, platform: Platform) -> None:
        self._real = httpx.AsyncHTTPTransport(uds=str(platform.home.service_socket))
        #: The searched texts, in order.
        self.asked: list[str] = []
        #: Whether answers are held back until they are let, and whether searches are refused.
        self.holds = self.breaks = False
        self._let: dict[str, asyncio.Event] = {}

    def let(self, text: str) -> None:
        """Lets the answer to a search come."""
        self._let.setdefault(text, asyncio.Event()).set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/search"):
            text = request.url.params["q"]
            self.asked.append(text)
            if self.holds:
                await self._let.setdefault(text, asyncio.Event()).wait()
            if self.breaks:
                problem = {"type": "/problems/x", "title": "x", "status": 500, "detail": "it broke", "code": "x"}
                return httpx.Response(
                    500, json={**problem, "request_id": "r"}, headers={"Content-Type": "application/problem+json"}
                )
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        await self._real.aclose()


@asynccontextmanager
async def held_program(platform: Platform, size: tuple[int, int] = SMALL) -> AsyncIterator[tuple[Driver, Held]]:
    held = Held(platform)
    app = RegistryApp(lambda: RegistryClient(transport=held), start_platform=False)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        await driver.rows("registries")
        yield driver, held


@pytest.fixture(scope="module")
def project(platform: Platform) -> Iterator[Project]:
    """A project with an experiment, a run and a model of one word."""
    made = platform.new_project(prefix=unique("boxed"))
    with mlflow_client(platform.ask(lambda client: client.credentials(made.id))) as http:
        body = {"name": f"{made.name}-experiment"}
        id_ = http.post("/api/2.0/mlflow/experiments/create", json=body).raise_for_status().json()["experiment_id"]
        body = {"experiment_id": id_, "run_name": f"{made.name}-run"}
        http.post("/api/2.0/mlflow/runs/create", json=body).raise_for_status()
        body = {"name": f"{made.name}-model", "description": "for the box"}
        http.post("/api/2.0/mlflow/registered-models/create", json=body).raise_for_status()
    yield made


def field(driver: Driver) -> CommandField:
    return driver.app.screen.query_one(CommandField)


async def opened(driver: Driver, key: str = "colon") -> CommandBox:
    await driver.press(key)
    await driver.until(lambda: isinstance(driver.app.screen, CommandBox) and field(driver).has_focus, "the box")
    box = driver.app.screen
    assert isinstance(box, CommandBox)
    return box


def first(driver: Driver) -> str:
    """The kind and name of the line that enter takes."""
    box = driver.app.screen
    assert isinstance(box, CommandBox) and box.chosen is not None
    return f"{box.chosen.kind} {box.chosen.name}"


async def typed(driver: Driver, text: str) -> None:
    """Waits until the box's line is this."""
    await driver.until(lambda: field(driver).value == text, f"{text!r} in the box")


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_both_keys_open_one_box_before_the_service_answers_anything(platform: Platform, key: str) -> None:
    async with held_program(platform) as (driver, held):
        held.holds = True
        box = await opened(driver, key)
        await driver.shows("action", "Create a Model Registry", "page", "registries", "esc close")
        assert held.asked == [] and box.chosen is None
        await driver.press("enter")
        await driver.shows("Type a command")
        await driver.type("act")
        await driver.until(lambda: first(driver) == "page activity")
        await driver.shows("searching …")
        await driver.press("enter")
        await driver.at("activity")


async def test_the_box_opens_from_a_text_field_and_gives_the_keys_back(open_program: Open) -> None:
    async with open_program(size=SMALL) as driver:
        await driver.rows("registries")
        await driver.press("slash")
        await driver.until(lambda: isinstance(driver.app.focused, Input), "the filter")
        await driver.type("loc")
        await opened(driver, "ctrl+p")
        await driver.press("escape")
        await driver.at("registries")
        assert isinstance(driver.app.focused, Input) and driver.app.focused.value == "loc"
        assert not driver.app.ENABLE_COMMAND_PALETTE


async def test_what_is_typed_right_behind_the_key_belongs_to_the_box(open_program: Open) -> None:
    async with open_program(size=SMALL) as driver:
        await driver.rows("registries")
        for key, character in [("colon", ":"), *((letter, letter) for letter in "anc")]:
            driver.app.post_message(events.Key(key, character))
        await driver.until(lambda: field(driver).value == "anc", "the letters in order")


@pytest.mark.parametrize(
    ("kind", "suffix", "place"),
    [
        ("project", "", "project"),
        ("experiment", "-experiment", "experiment"),
        ("run", "-run", "run"),
        ("model", "-model", "model"),
    ],
)
async def test_things_are_found_by_letters_of_their_names_and_opened(
    open_program: Open, project: Project, kind: str, suffix: str, place: str
) -> None:
    async with open_program(size=SMALL) as driver:
        await driver.rows("registries")
        await opened(driver)
        # Not every letter is needed.
        await driver.type(f"{project.name}{suffix}".replace("-", ""))
        await driver.until(lambda: first(driver) == f"{kind} {project.name}{suffix}", "the best match")
        await driver.press("enter")
        await driver.at(place)
        await driver.until(lambda: driver.app.frame.was_found, "what it shows")
        assert driver.app.frame.crumbs()[-1][0] == f"{project.name}{suffix}"


async def test_registries_and_environments_are_found_too(open_program: Open, platform: Platform) -> None:
    # One of the first in the list: the cursor goes to a row of its first page.
    environment = unique("aa-boxed")
    platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=environment)))
    async with open_program(size=SMALL) as driver:
        await driver.rows("registries")
        await opened(driver)
        await driver.type("registry-local")
        await driver.until(lambda: first(driver) == "registry registry-local")
        await driver.press("enter")
        await driver.at("registry")
        await opened(driver)
        await driver.type(environment)
        await driver.until(lambda: first(driver) == f"environment {environment}")
        await driver.press("enter")
        await driver.rows("environments")
        await driver.until(lambda: driver.screen.table.current.name == environment, "the cursor")


@pytest.mark.parametrize("colorless", [False, True], ids=["colours", "monochrome"])
async def test_letters_that_match_are_underlined(open_program: Open, project: Project, colorless: bool) -> None:
    preferences = Preferences(terminal=Terminal(remember=False), colorless=colorless)
    async with open_program(size=SMALL, preferences=preferences) as driver:
        await driver.rows("registries")
        await opened(driver)
        await driver.type(f"{project.name}mdl")
        await driver.until(lambda: first(driver) == f"model {project.name}-model")

        def marked() -> str:
            segments = [segment for strip in driver.app.screen._compositor.render_strips() for segment in strip]
            return "".join(each.text for each in segments if each.style is not None and each.style.underline)

        await driver.until(lambda: f"{project.name}mdl" in marked().replace(" ", ""), "the letters underlined")


async def test_a_late_answer_never_replaces_a_newer_one(platform: Platform, project: Project) -> None:
    older, newer = f"{project.name}-run", f"{project.name}-model"
    async with held_program(platform) as (driver, held):
        held.holds = True
        await opened(driver)
        await driver.type(older)
        await driver.until(lambda: held.asked[-1:] == [older], "the first question")
        await driver.press("ctrl+u")
        await driver.type(newer)
        await driver.until(lambda: held.asked[-1:] == [newer], "the second question")
        held.let(newer)
        await driver.until(lambda: first(driver) == f"model {newer}")
        held.let(older)
        await driver.settled()
        assert first(driver) == f"model {newer}" and older not in driver.text


async def test_with_a_slow_service_the_box_takes_commands_waits_for_names_and_is_left(
    platform: Platform, project: Project
) -> None:
    name, waits = f"{project.name}-model", "searching …; enter takes the best"
    async with held_program(platform) as (driver, held):
        held.holds = True
        await opened(driver)
        await driver.type(name)
        await driver.press("enter")
        await driver.shows(waits)
        # Another key takes enter back.
        await driver.press("backspace")
        await driver.until(lambda: waits not in driver.text)
        await driver.type("l")
        await driver.press("enter")
        await driver.until(lambda: waits in driver.text and held.asked[-1:] == [name])
        held.let(name)
        await driver.at("model")
        await opened(driver)
        await driver.type("zzz")
        await driver.press("enter")
        await driver.shows(waits)
        await driver.press("escape")
        await driver.at("model")
        await opened(driver)
        await driver.type(f"project {project.name}")
        await driver.press("enter")
        await driver.at("project")


async def test_an_error_keeps_what_was_typed(platform: Platform) -> None:
    async with held_program(platform) as (driver, held):
        await opened(driver)
        for typed, words in [
            ("modles", "did you mean models"),
            ("theme nothing", "There is no theme nothing"),
            ("qwertz", "There is no command"),
        ]:
            await driver.type(typed)
            await driver.until(lambda: driver.screen._is_answered, "the answer")
            await driver.press("enter")
            await driver.shows(words)
            assert field(driver).value == typed
            await driver.press("ctrl+u")
        held.breaks = True
        await driver.type("activitx")
        await driver.shows("it broke")
        await driver.press("backspace")
        await driver.until(lambda: first(driver) == "page activity")
        await driver.press("enter")
        await driver.at("activity")


async def test_tab_completes_and_arrows_go_through_list_and_typed_commands(
    open_program: Open, project: Project
) -> None:
    async with open_program(size=SMALL) as driver:
        await driver.rows("registries")
        await opened(driver)
        await driver.type("proje")
        await driver.press("down")
        await driver.until(lambda: first(driver) == "command project")
        await driver.press("tab")
        await typed(driver, "project ")
        await driver.type(project.name[:-1])
        await driver.until(lambda: first(driver) == f"project {project.name}")
        await driver.press("tab")
        await typed(driver, f"project {project.name}")
        await driver.press("enter")
        await driver.at("project")
        await opened(driver)
        await driver.type("deployments")
        await driver.press("enter")
        await driver.at("deployments")
        await opened(driver)
        await driver.press("up")
        await typed(driver, "deployments")
        await driver.press("up")
        await typed(driver, f"project {project.name}")
        await driver.press("down")
        await typed(driver, "deployments")
        await driver.press("down")
        await typed(driver, "")


async def test_actions_of_the_page_are_done_by_their_words(open_program: Open) -> None:
    async with open_program(size=SMALL) as driver:
        await driver.press("2")
        await driver.rows("projects")
        await opened(driver)
        await driver.type("creat")
        await driver.until(lambda: first(driver) == "action Create")
        await driver.press("enter")
        await driver.shows("Create project")
        assert driver.app.commands_given == []


async def test_visited_places_come_first_also_after_a_restart_until_they_are_gone(
    open_program: Open, platform: Platform, tmp_path: Path
) -> None:
    project = platform.new_project(prefix="visited")
    memory = Memory(tmp_path / "terminal.json")
    async with open_program(size=SMALL, preferences=Preferences(), memory=memory) as driver:
        await driver.rows("registries")
        driver.go("project", project=project.id)
        await driver.rows("project")
        await driver.press("1")
        await driver.rows("registries")
        box = await opened(driver)
        await driver.until(lambda: (box.offered[0].kind, box.offered[0].name) == ("project", project.name), "the visit")
        await driver.press("escape")
        await driver.at("registries")
        await driver.quit()
    async with open_program(size=SMALL, preferences=Preferences(), memory=Memory(tmp_path / "terminal.json")) as driver:
        await driver.rows("registries")
        await opened(driver)
        await driver.press("down", "enter")
        await driver.at("project")
        await driver.shows(project.name)
        await driver.press("1")
        await driver.rows("registries")
        await driver.app.client.delete_project(project.id, force=True)
        await opened(driver)
        await driver.press("down", "enter")
        await driver.rows("projects")
        box = await opened(driver)
        assert project.name not in [offer.name for offer in box.offered]


async def test_a_click_takes_a_line(open_program: Open) -> None:
    async with open_program(size=SMALL) as driver:
        await driver.rows("registries")
        await opened(driver)
        await driver.type("activ")
        await driver.until(lambda: first(driver) == "page activity")
        await driver.pilot.click(OfferList, offset=(2, 0))
        await driver.at("activity")


async def test_hostile_names_are_shown_harmlessly(open_program: Open, platform: Platform) -> None:
    project, word = platform.new_project(), unique("hostile")
    name = f"{word} [red]\u202e\x1b[31m{'x' * 150}"
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        http.post("/api/2.0/mlflow/experiments/create", json={"name": name}).raise_for_status()
    async with open_program(size=SMALL) as driver:
        await driver.rows("registries")
        await opened(driver)
        await driver.type(word)
        await driver.until(lambda: first(driver) == f"experiment {name}")
        assert "\x1b" not in driver.text and "\u202e" not in driver.text
        assert all(len(line) <= SMALL[0] for line in driver.text.splitlines())
        await driver.press("enter")
        await driver.at("experiment")
