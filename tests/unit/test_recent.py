"""Visited places: the last one first, each once, kept over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_tui.terminal.commands import Place
from registry_tui.terminal.memory import Memory
from registry_tui.terminal.recent import KEPT, Visit, remember_visits, remembered_visits, with_visit, without_place


def visit(name: str) -> Visit:
    return Visit(Place("project", {"project": name}), name, "Projects")


def test_the_last_visit_is_first_and_each_place_is_there_once() -> None:
    visits: list[Visit] = []
    for name in ("a", "b", "a", "c"):
        visits = with_visit(visits, visit(name))
    assert [each.name for each in visits] == ["c", "a", "b"]
    assert [each.name for each in without_place(visits, Place("project", {"project": "a"}))] == ["c", "b"]
    for number in range(2 * KEPT):
        visits = with_visit(visits, visit(str(number)))
    assert len(visits) == KEPT and visits[0].name == str(2 * KEPT - 1)


def test_visits_are_there_after_a_restart(tmp_path: Path) -> None:
    visits = [visit("a"), visit("b")]
    remember_visits(Memory(tmp_path / "terminal.json"), visits)
    assert remembered_visits(Memory(tmp_path / "terminal.json")) == visits


def _kept(kind: object, args: object, name: object) -> list[object]:
    return [{"kind": kind, "args": args, "name": name, "where": ""}]


@pytest.mark.parametrize(
    "kept",
    [
        None,
        7,
        "x",
        {"a": 1},
        [None, 7, [], {}],
        _kept("project", 7, "a"),
        _kept("nowhere", {}, "a"),
        _kept("project", {}, ""),
    ],
)
def test_what_is_not_understood_is_forgotten(kept: object) -> None:
    memory = Memory()
    memory.set("visited", kept)
    assert remembered_visits(memory) == []
