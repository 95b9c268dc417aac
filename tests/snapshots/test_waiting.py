"""Every page and tab on a service that answers when the test says so: each paints and says that it loads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from textual.widgets import TabbedContent, TabPane

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.terminal.actions import ALL
from registry_tui.terminal.commands import SCREENS, Place
from registry_tui.widgets.awaited import LOADING
from registry_tui.widgets.virtual_table import VirtualTable
from support.gate import Gated
from support.program import Driver
from support.recorded import Answer
from support.scenes import arguments

pytestmark = pytest.mark.slow

SIZE = (110, 34)
#: The kinds of pages that have tabs.
TABBED = [kind for kind in SCREENS if any(action.id == "tab_next" for action in ALL[kind])]


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
