"""Fuzzy matching of names: letters in order, best matches first. Linear in the length of each name.

The terminal program ranks its rows by it; databases find candidates by `like_patterns`, and rank them by it.

`textual.fuzzy` tries every way in which the letters may be spread, which takes minutes for long names of few letters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

Thing = TypeVar("Thing")

#: Ranks of a match, the best first.
_SAME, _BEGINS, _WORD, _WITHIN, _SPREAD = range(5)
#: The worst rank: the letters are in order, but not together.
SPREAD = _SPREAD
#: Escapes a letter with a special meaning in `like_patterns`.
ESCAPE = "\\"


def match(typed: str, name: str) -> tuple[int, int, tuple[int, ...]] | None:
    """The rank of a match (less is better), how far its letters are spread, and their positions; None without one.

    Case does not count. Without typed text everything matches alike.
    """
    wanted, text = _folded(typed.strip()), _folded(name)
    if not wanted:
        return _BEGINS, 0, ()
    at = text.find(wanted)
    if at >= 0:
        word = _at_word(name, text, wanted)
        at = at if word is None else word
        rank = _SAME if text == wanted else _BEGINS if at == 0 else _WORD if word is not None else _WITHIN
        return rank, at, tuple(range(at, at + len(wanted)))
    places = _spread(wanted.replace(" ", ""), text)
    return None if places is None else (_SPREAD, places[-1] - places[0], places)


def best(typed: str, things: Iterable[Thing], name: Callable[[Thing], str], most: int | None = None) -> list[Thing]:
    """The things whose name matches, the best first; equally good ones keep their order."""
    found = [(key[:2], index, thing) for index, thing in enumerate(things) if (key := match(typed, name(thing)))]
    found.sort(key=lambda each: each[:2])
    return [thing for _, _, thing in found[:most]]


@dataclass(frozen=True)
class LikePatterns:
    """Patterns of SQL's LIKE without case: each group finds better matches than the next, the last one every match."""

    same: tuple[str, ...]
    begins: tuple[str, ...]
    within: tuple[str, ...]
    spread: str


def like_patterns(typed: str) -> LikePatterns:
    """The LIKE patterns with which a database finds every name that matches.

    They may match more: SQLite folds the case of ASCII letters only, so `_` stands for each other letter.
    """
    wanted = typed.strip()
    ways = sorted({wanted} if wanted.isascii() else {wanted, wanted.lower(), wanted.upper(), wanted.title()})
    escaped = [_escaped(way) for way in ways]
    letters = [_escaped(letter) if letter.isascii() else "_" for letter in wanted if letter != " "]
    return LikePatterns(
        tuple(escaped),
        tuple(f"{way}%" for way in escaped),
        tuple(f"%{way}%" for way in escaped),
        "%".join(["", *letters, ""]) or "%",
    )


def _escaped(text: str) -> str:
    return "".join(ESCAPE + letter if letter in (ESCAPE, "%", "_") else letter for letter in text)


def _folded(text: str) -> str:
    """Lowercase, of the same length, so that positions stay true."""
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _at_word(name: str, text: str, wanted: str) -> int | None:
    """Where the wanted text begins a word of the name, as `Regressor` in `WineAlcoholRegressor`."""
    at = text.find(wanted)
    while at >= 0:
        if at == 0 or not name[at - 1].isalnum() or (name[at].isupper() and not name[at - 1].isupper()):
            return at
        at = text.find(wanted, at + 1)
    return None


def _spread(wanted: str, text: str) -> tuple[int, ...] | None:
    """Positions of the wanted letters, in order: found from the left, then drawn together from the right."""
    at = -1
    for letter in wanted:
        at = text.find(letter, at + 1)
        if at < 0:
            return None
    places: list[int] = []
    at += 1
    for letter in reversed(wanted):
        at = text.rfind(letter, 0, at)
        places.append(at)
    return tuple(reversed(places))
