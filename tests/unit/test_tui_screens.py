"""A screen is its file, its style and its line in `SCREENS`: everything else follows from them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from registry_tui.schemas.operations import WorkflowKind, WorkflowStatus
from registry_tui.screens.activity.activity import KINDS, STATUSES
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.terminal import actions
from registry_tui.terminal.commands import SCREENS


def screen_of(kind: str) -> Any:
    module, name = SCREENS[kind].split(":")
    return getattr(importlib.import_module(module), name)


def frames() -> set[type[FrameScreen]]:
    """Every class of a place from which no other derives."""
    for path in (Path(actions.__file__).parents[1] / "screens").rglob("*.py"):
        importlib.import_module("registry_tui." + ".".join(path.with_suffix("").parts[path.parts.index("screens") :]))
    found: set[type[FrameScreen]] = set()
    waiting = [FrameScreen]
    while waiting:
        below = waiting.pop().__subclasses__()
        found.update(each for each in below if each.__module__.startswith("registry_tui."))
        waiting += below
    return {each for each in found if ".base." not in each.__module__ and not each.__subclasses__()}


def test_every_place_has_its_line() -> None:
    assert {screen_of(kind) for kind in SCREENS} == frames()


@pytest.mark.parametrize("kind", SCREENS)
def test_a_place_has_the_actions_of_its_kind_a_method_for_each_and_a_style(kind: str) -> None:
    screen = screen_of(kind)
    assert screen.ACTIONS is actions.ALL[kind]
    assert [action.id for action in screen.ACTIONS if not hasattr(screen, f"do_{action.id}")] == []
    if "CSS_PATH" in vars(screen):
        assert (Path(importlib.import_module(screen.__module__).__file__ or "").parent / screen.CSS_PATH).is_file()


def test_activity_filters_by_every_kind_and_status_of_workflows() -> None:
    assert sorted(kind for kind, _ in KINDS) == sorted(WorkflowKind)
    assert {status for status, _ in STATUSES} == {"active", *WorkflowStatus}
