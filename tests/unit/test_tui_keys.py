"""The table of keys: each has one meaning over all pages and boxes, and each page has its Actions menu."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import Label

from registry_tui.screens.base.dialogs import Confirm
from registry_tui.terminal.action import key_shown
from registry_tui.terminal.actions import ALL, EVERYWHERE, MOVES, OPEN_FORMS, SECTIONS
from registry_tui.terminal.keys import BOXES, VERBS, meanings
from registry_tui.terminal.presets import LISTS, PRESETS, Preset, with_preset
from registry_tui.widgets.chart import LineChart
from registry_tui.widgets.virtual_table import VirtualTable
from support.pilots import press

ROOT = Path(__file__).parents[2]
PAGES = {page: actions for page, actions in ALL.items() if page != "everywhere"}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_key_has_one_meaning_and_each_meaning_its_keys(preset: str) -> None:
    verbs: dict[str, set[str]] = defaultdict(set)
    keys: dict[str, set[frozenset[str]]] = defaultdict(set)
    for page, actions in {**ALL, **BOXES}.items():
        for action in with_preset(actions, PRESETS[preset]):
            for key in action.key.split(","):
                verbs[key].add(action.verb)
            if page in PAGES:
                keys[action.verb].add(frozenset(action.key.split(",")))
    assert {key: found for key, found in verbs.items() if len(found) > 1} == {}
    assert {verb: found for verb, found in keys.items() if len(found) > 1} == {}
    assert {verb for found in verbs.values() for verb in found} == set(VERBS)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("page", PAGES)
def test_no_key_is_given_twice_on_a_page(page: str, preset: str) -> None:
    actions = with_preset((*PAGES[page], *EVERYWHERE), PRESETS[preset])
    here = [key for action in actions for key in action.key.split(",")]
    here += [number for number, _, _ in SECTIONS]
    assert len(here) == len(set(here)), sorted(here)


@pytest.mark.parametrize("page", PAGES)
def test_each_page_has_actions_and_goes_through_its_tabs_in_both_directions(page: str) -> None:
    found = {action.id: action.key for action in PAGES[page]}
    assert found["menu"] == "a"
    assert ("tab_next" in found) == ("tab_previous" in found)
    assert found.get("tab_next", "tab") == "tab" and found.get("tab_previous", "shift+tab") == "shift+tab"


@pytest.mark.parametrize("preset", PRESETS)
def test_no_action_takes_a_key_that_moves_in_lists(preset: str) -> None:
    chosen = PRESETS[preset]
    bindings = [cast(Binding, each) for each in VirtualTable.BINDINGS]
    assert set(chosen.lists) <= {each.id for each in bindings} >= set(LISTS) >= set(chosen.lists)
    moving = {key for each in bindings for key in chosen.lists.get(each.id or "", each.key).split(",")}
    # Left and right mean the same for lists and charts; the focused one moves.
    aside = {key for verb in ("chart_left", "chart_right", "pan_left", "pan_right") for key in _keys_of(verb, chosen)}
    taken = {key for actions in ALL.values() for each in with_preset(actions, chosen) for key in each.key.split(",")}
    assert moving & taken - aside == set()


def _keys_of(verb: str, preset: Preset) -> set[str]:
    return {
        key
        for actions in ALL.values()
        for each in with_preset(actions, preset)
        if each.verb == verb
        for key in each.key.split(",")
    }


def test_a_chart_has_the_keys_of_its_actions() -> None:
    own = {key for binding in LineChart.BINDINGS for key in cast(Binding, binding).key.split(",")}
    assert own == {action.key for action in ALL["compare"] if action.id in _CHART}


_CHART = {"chart_left", "chart_right", "zoom_in", "zoom_out", "pan_left", "pan_right", "whole", "log", "smooth"}


def test_sets_of_actions_name_actions_that_exist() -> None:
    known = {action.id for actions in PAGES.values() for action in actions}
    assert known >= MOVES
    assert known >= OPEN_FORMS


def test_keys_are_named_as_the_settings_name_them() -> None:
    """A key that is named otherwise would not be seen to clash with one that somebody chooses."""
    for actions in ALL.values():
        for action in actions:
            for key in action.key.split(","):
                assert len(key) > 1 or key.isalnum(), f"{action.id}: {key}"
                assert len(key_shown(key)) == 1 or not key_shown(key).endswith("_sign"), key


def test_the_page_of_keys_is_current() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "registry_tui.terminal.keys"], capture_output=True, text=True, timeout=300, check=True
    )
    assert made.stdout == (ROOT / "docs/keys.md").read_text(), (
        "run `python -m registry_tui.terminal.keys > docs/keys.md`"
    )
    assert set(meanings()) == {*ALL, *BOXES}


# -- questions ------------------------------------------------------------------------------------------------


def _questions() -> Iterator[tuple[str, ast.Call]]:
    """Every place in the source that asks with `Confirm`."""
    for path in sorted((ROOT / "src/registry_tui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Confirm":
                yield f"{path.name}:{node.lineno}", node


def test_every_question_that_ends_or_removes_something_is_marked_as_dangerous() -> None:
    found = list(_questions())
    assert len(found) >= 8
    for where, call in found:
        danger = {each.arg: each.value for each in call.keywords}["danger"]
        if where.startswith("registry.py"):  # storage access: granting is harmless, revoking is not
            assert isinstance(danger, ast.Name) and danger.id == "granted"
        else:
            assert isinstance(danger, ast.Constant) and danger.value is True, where


class _Asking(App[None]):
    """Asks a question over an empty page."""

    def __init__(self, confirm: Confirm) -> None:
        super().__init__()
        self.confirm = confirm
        self.answer: list[bool | None] = []

    def compose(self) -> ComposeResult:
        yield Label("page")

    def on_mount(self) -> None:
        self.push_screen(self.confirm, self.answer.append)


@pytest.mark.parametrize(
    ("danger", "keys", "answer"),
    [
        (False, ["enter"], [True]),
        (True, ["enter"], [False]),
        (True, ["right", "enter"], [True]),
        (True, ["tab", "enter"], [True]),
        (True, ["right", "left", "enter"], [False]),
        (True, ["escape"], [None]),
    ],
)
async def test_a_dangerous_question_starts_on_cancel(danger: bool, keys: list[str], answer: list[bool | None]) -> None:
    app = _Asking(Confirm("Delete", ("It goes.",), "Delete", danger=danger))
    async with app.run_test() as pilot:
        await press(pilot, *keys)
        await pilot.pause()
        assert app.answer == answer


async def test_a_name_that_has_to_be_typed_comes_before_both_buttons() -> None:
    app = _Asking(Confirm("Delete", ("It goes.",), "Delete", "it", danger=True))
    async with app.run_test() as pilot:
        await press(pilot, "enter")
        assert app.answer == []
        await press(pilot, "i", "t", "enter")
        await pilot.pause()
        assert app.answer == [True]
