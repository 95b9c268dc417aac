"""Every page and tab on a service that responds when the test lets it: each paints and shows that it loads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from textual import events
from textual.screen import Screen
from textual.widgets import Input, OptionList, TabbedContent, TabPane

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.lineage import Dependents
from registry_tui.screens.base.changing_items import DeleteItems
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.deployments.deploy import DeployForm
from registry_tui.screens.models.register_model import RegisterModelForm
from registry_tui.screens.places.collaborators import Collaborators
from registry_tui.screens.registries.create_registry import CreateRegistry
from registry_tui.screens.registries.registry_actions import DeleteRegistry
from registry_tui.terminal.actions import ALL
from registry_tui.terminal.commands import SCREENS, Place
from registry_tui.widgets.awaited import LOADING
from registry_tui.widgets.virtual_table import VirtualTable
from support import scenes
from support.gate import Gated
from support.program import Driver
from support.recorded import Answer
from support.scenes import REGISTRY, arguments

pytestmark = pytest.mark.slow

SIZE = (110, 34)
RUN = "run:p/r"
#: The kinds of pages that have tabs.
TABBED = [kind for kind in SCREENS if any(action.id == "tab_next" for action in ALL[kind])]
#: The kinds of pages that are a list with its rows' details behind `y`; the answers contain no API key.
LISTS = [
    kind
    for kind in SCREENS
    if kind not in ("keys", "registry", "compare", "run", "diff", "card", "bom", "deployment", "workflow")
]


@asynccontextmanager
async def program(answers: Mapping[str, Answer]) -> AsyncIterator[tuple[Driver, Gated]]:
    gate = Gated(answers)
    app = RegistryApp(lambda: RegistryClient(transport=gate), start_platform=False)
    async with app.run_test(size=SIZE) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await see.settled()
        yield see, gate


def place_of(kind: str, answers: Mapping[str, Answer]) -> Place:
    """A place of each kind of which answers were recorded."""
    return Place(kind, dict(arguments(answers)[kind]))


async def opened(see: Driver, place: Place) -> FrameScreen:
    see.app.jump(place)
    await see.until(
        lambda: see.screen is see.app.frame and see.app.frame.place is place and see.screen.is_mounted, place.kind
    )
    frame: FrameScreen = see.screen
    return frame


def tabs_of(frame: FrameScreen) -> list[str]:
    """The tabs of a page, the one in view first; a page without any has an empty name."""
    tabs = frame.query(TabbedContent)
    if not tabs:
        return [""]
    names = [str(pane.id) for pane in tabs.first().query(TabPane)]
    at = names.index(tabs.first().active)
    return names[at:] + names[:at]


def turn(frame: FrameScreen, tab: str) -> None:
    if tab:
        frame.query_one(TabbedContent).active = tab


def cursors_of(frame: FrameScreen) -> dict[str, int | None]:
    """Where the cursor of each list of a page is."""
    tables = {str(table.id): table.cursor for table in frame.query(VirtualTable)}
    return {**tables, **{str(options.id): options.highlighted for options in frame.query(OptionList)}}


def same(text: str, other: str) -> bool:
    """Whether two screens show the same, apart from the status line, which shows the service's activity."""
    return text.splitlines()[:-1] == other.splitlines()[:-1]


def test_every_kind_of_page_is_walked(answers: Mapping[str, Answer]) -> None:
    assert set(arguments(answers)) == set(SCREENS)


@pytest.mark.parametrize("kind", SCREENS)
async def test_a_page_without_its_answers_paints_and_says_that_it_loads(
    kind: str, answers: Mapping[str, Answer]
) -> None:
    async with program(answers) as (see, gate):
        place = place_of(kind, answers)
        see.go("keys" if kind == "activity" else "activity")
        await see.settled()
        gate.shut()
        frame = await opened(see, place)
        for tab in tabs_of(frame):
            turn(frame, tab)
            await see.shows(LOADING, frame.crumbs()[0][0], "? help")
            empty = {table.empty.title for table in frame.query(VirtualTable)}
            assert not [title for title in (*empty, "No values yet") if title and title in see.text]
        assert gate.waiting
        above = [up for _, up in frame.crumbs()[:-1] if up is not None]
        frame.focus_content()
        await see.press("escape")
        if above:
            await see.until(lambda: see.screen is not frame, "the page above")
            assert see.app.frame.place.kind == above[-1].kind
            frame = await opened(see, Place(kind, dict(place.args)))
        gate.open()
        for tab in tabs_of(frame):
            turn(frame, tab)
            await see.until(lambda: LOADING not in see.text, f"what {kind} shows {tab}")


@pytest.mark.parametrize("kind", TABBED)
async def test_a_tab_whose_own_answer_has_not_come_says_so(kind: str, answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, gate):
        frame = await opened(see, place_of(kind, answers))
        await see.until(lambda: LOADING not in see.text, "the page")
        await see.settled()
        first, *others = tabs_of(frame)
        gate.shut()
        for tab in others:
            asked = {url.path for url in gate.asked}
            turn(frame, tab)
            await see.pilot.pause()
            if {url.path for url in gate.waiting} - asked:
                await see.shows(LOADING)
        gate.open()
        for tab in (*others, first):
            turn(frame, tab)
            await see.until(lambda: LOADING not in see.text, f"what {kind} shows {tab}")


@pytest.mark.parametrize("kind", LISTS)
async def test_keys_pressed_before_the_rows_are_there_act_on_them(kind: str, answers: Mapping[str, Answer]) -> None:
    """Down and up again, then a look at the row, as if it had been there."""
    async with program(answers) as (see, gate):
        see.go("keys" if kind == "activity" else "activity")
        await see.settled()
        gate.shut()
        frame: Any = await opened(see, place_of(kind, answers))
        await see.press("down", "down", "up", "y")
        await see.shows("kept until it is loaded: down down up y")
        assert see.screen is frame
        gate.open()
        await see.until(lambda: see.screen is not frame, "the box")
        rows = frame.table.source.loaded_rows()
        assert frame.table.cursor == max(0, min(2, len(rows) - 1) - 1)
        await see.shows(frame.named(rows[frame.table.cursor])[:20])
        assert "kept until" not in see.text


@pytest.mark.parametrize("kind", ["registry", "run", "workflow", "deployment"])
async def test_a_key_pressed_before_its_page_is_known_acts_then(kind: str, answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, gate):
        gate.shut()
        frame = await opened(see, place_of(kind, answers))
        await see.press("y")
        await see.shows("kept until it is loaded: y")
        gate.open()
        await see.until(lambda: see.screen is not frame, "the box")
        await see.shows(frame.crumbs()[-1][0][:20])


async def test_kept_keys_are_pressed_in_the_order_in_which_they_were_typed(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, gate):
        see.go("activity")
        await see.settled()
        gate.shut()
        frame = await opened(see, place_of("projects", answers))
        # The first comes later: it went to the page before, and came back.
        first, second = events.Key("down", None), events.Key("y", "y")
        first.time, second.time = second.time, second.time + 1
        see.app.post_message(second)
        see.app.post_message(first)
        await see.shows("kept until it is loaded: down y")
        gate.open()
        await see.until(lambda: see.screen is not frame, "the box")


async def test_what_is_typed_behind_a_kept_key_belongs_to_what_it_opens(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, gate):
        gate.shut()
        frame = await opened(see, place_of("model", answers))
        await see.press("down", "A", "q", "1")
        await see.shows("kept until it is loaded: down A q 1")
        gate.open()
        await see.until(lambda: see.screen is not frame and see.screen.query_one("#alias", Input).value == "q1", "form")
        assert see.screen.version.version == 2


async def test_kept_keys_act_on_each_place_that_they_open(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, gate):
        see.go("activity")
        await see.settled()
        gate.shut()
        await opened(see, place_of("registries", answers))
        await see.press("enter", "tab", "tab")
        gate.open()
        await see.at("registry")
        await see.until(lambda: see.screen.tab == "models", "the third tab")
        assert see.screen.registry.name == REGISTRY


@pytest.mark.parametrize(("kind", "key"), [("models", "ctrl+d"), ("deployments", "S"), ("activity", "r")])
async def test_what_changes_or_ends_something_is_not_kept(kind: str, key: str, answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, gate):
        see.go("keys")
        await see.settled()
        gate.shut()
        frame: Any = await opened(see, place_of(kind, answers))
        await see.press("down", key)
        await see.shows("not now, it is still loading")
        gate.open()
        await see.until(lambda: frame.table.current is not None, "the rows")
        await see.settled()
        assert see.screen is frame and frame.table.cursor == 0


async def _version(see: Driver) -> tuple[Any, Any]:
    see.go("model", registry=REGISTRY, model=scenes.MODEL)
    await see.rows("model")
    await see.until(lambda: see.screen.model is not None, "the model")
    return see.screen.model, see.screen.current


async def _project(see: Driver) -> Any:
    return await see.app.client.project(scenes.PROJECT)


async def deploy(see: Driver) -> Screen[Any]:
    project, (model, version) = await _project(see), await _version(see)
    return DeployForm(project, model, version.version)


async def deploy_from_project(see: Driver) -> Screen[Any]:
    return DeployForm(await _project(see))


async def register_model(see: Driver) -> Screen[Any]:
    project = await _project(see)
    await scenes.run(see)
    return RegisterModelForm(project, see.screen.run, "model")


async def delete_registry(see: Driver) -> Screen[Any]:
    return DeleteRegistry(await see.app.client.registry(REGISTRY))


async def delete_runs(see: Driver) -> Screen[Any]:
    return DeleteItems("run", [("r", "quiet-otter")], (), [RUN])


async def collaborators(see: Driver) -> Screen[Any]:
    return Collaborators(await _project(see))


async def create_registry(see: Driver) -> Screen[Any]:
    return CreateRegistry()


def counts(answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """The answers with a registry's content and a run's dependents, for the boxes that delete them."""
    found = {}
    for key, answer in answers.items():
        if key.endswith("/storage?max_age=600.0"):
            found[key.replace("600.0", "60")] = answer
    found[f"GET /api/v1/lineage/dependents?node={quote(RUN, safe='')}"] = Answer(
        200,
        "application/json",
        Dependents(lines=["1 version was registered from it and stays"]).model_dump_json().encode(),
    )
    return found


#: The boxes that ask the service when they open.
BOXES = [deploy, deploy_from_project, register_model, delete_registry, delete_runs, collaborators, create_registry]


@pytest.mark.parametrize("made", BOXES, ids=lambda made: made.__name__)
async def test_a_box_says_that_it_loads_and_when_what_it_asked_for_did_not_come(
    made: Callable[[Driver], Awaitable[Screen[Any]]], answers: Mapping[str, Answer]
) -> None:
    async with program({**answers, **counts(answers)}) as (see, gate):
        for fails in (False, True):
            box = await made(see)
            await see.settled()
            gate.shut()
            see.app.push_screen(box)
            await see.shows(LOADING)
            await see.until(lambda: gate.waiting, "the question")
            if fails:
                gate.fail()
            else:
                gate.open()
            await see.until(lambda: not gate.waiting and LOADING not in see.text, "the answer, or that there is none")
            box.dismiss(None)
            await see.until(lambda: isinstance(see.screen, FrameScreen), "the box to close")
        assert not gate.unknown


async def test_escape_drops_kept_keys_and_leaves(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, gate):
        see.go("models", registry=REGISTRY)
        await see.rows("models")
        gate.shut()
        await see.press("enter")
        await see.at("model")
        await see.press("down", "e")
        await see.shows("kept until it is loaded: down e")
        await see.press("escape")
        await see.at("models")
        gate.open()
        await see.settled()
        assert see.app.screen is see.app.frame and see.app.frame.place.kind == "models"
        assert see.screen.table.cursor == 0 and "kept until" not in see.text


async def test_a_form_that_opens_behind_a_question_gets_what_was_typed_meanwhile(
    answers: Mapping[str, Answer],
) -> None:
    """The question takes longer than keys are held for a form that opens at once."""
    async with program(answers) as (see, gate):
        await scenes.deployments(see)
        frame = see.screen
        gate.shut()
        await see.press("e", "9")
        await see.shows("asking the service for what the form needs")
        assert see.app.holds_keys
        see.app._give_up()  # as its timer does
        assert see.app.holds_keys
        gate.open()
        await see.until(lambda: see.screen is not frame, "the form")
        await see.until(lambda: "9" in str(see.screen.focused.value), "what was typed")


@pytest.mark.parametrize("kind", SCREENS)
async def test_going_back_shows_what_was_there_at_once(kind: str, answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, gate):
        place = place_of(kind, answers)
        if see.app.frame.place != place:
            await opened(see, place)
        await see.until(lambda: LOADING not in see.text, "the page")
        await see.settled()
        if kind != "environments":  # the workspaces of the second were not recorded
            await see.press("down", "down", "up")
        await see.settled()
        before, cursors = see.text, cursors_of(see.screen)
        other = "keys" if kind != "keys" else "activity"
        await opened(see, Place(other))
        await see.settled()
        gate.shut()
        await see.press("left_square_bracket")
        await see.until(
            lambda: see.app.frame.place.kind == kind and same(see.text, before), f"what was there:\n{before}"
        )
        assert gate.waiting and cursors_of(see.screen) == cursors
        gate.open()
        await see.until(lambda: not gate.waiting, "the answers")
        await see.settled()
        assert same(see.text, before) and cursors_of(see.screen) == cursors
