"""Numbers with the word that fits them: `1 version`, `2 versions`, `12,345 objects`."""

from __future__ import annotations


def counted(number: float, noun: str, several: str | None = None) -> str:
    """A number with its noun; `several` for a noun whose plural is not the noun and an s."""
    words = noun if number == 1 else several or f"{noun}s"
    return f"{number:,} {words}" if isinstance(number, int) else f"{number:g} {words}"
