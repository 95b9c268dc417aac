"""Visited places, the last one first, so that the command box offers them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry_tui.terminal.commands import SCREENS, Place
from registry_tui.terminal.memory import Memory

#: Places that are kept.
KEPT = 30
_KEY = "visited"


@dataclass(frozen=True)
class Visit:
    """A place that shows one object, with that object's name and its parents."""

    place: Place
    name: str
    where: str = ""


def with_visit(visits: Sequence[Visit], visit: Visit) -> list[Visit]:
    """The visits with one more, the last one first; a place that was visited before moves to the front."""
    return [visit, *(other for other in visits if other.place != visit.place)][:KEPT]


def without_place(visits: Sequence[Visit], place: Place) -> list[Visit]:
    """The visits without those of a place, which no longer exists."""
    return [visit for visit in visits if visit.place != place]


def remember_visits(memory: Memory, visits: Sequence[Visit]) -> None:
    """Stores visits for the next start."""
    memory.set(
        _KEY,
        [
            {"kind": visit.place.kind, "args": visit.place.args, "name": visit.name, "where": visit.where}
            for visit in visits
        ],
    )


def remembered_visits(memory: Memory) -> list[Visit]:
    """The stored visits; invalid entries are left out."""
    found = memory.get(_KEY, [])
    visits = []
    for each in found if isinstance(found, list) else []:
        try:
            args = {str(name): str(value) for name, value in each["args"].items()}
            place = Place(str(each["kind"]), args)
            visit = Visit(place, str(each["name"]), str(each["where"]))
        except (AttributeError, KeyError, TypeError):
            continue
        if place.kind in SCREENS and visit.name:
            visits.append(visit)
    return visits[:KEPT]
