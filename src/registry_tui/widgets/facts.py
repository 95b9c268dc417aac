"""Names with their values, a line or more each: values are wrapped next to their names and never cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from textwrap import wrap
from typing import ClassVar

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static
from textual.widgets.option_list import Option

from registry_tui.widgets.awaited import Awaited, AwaitedList
from registry_tui.wording.text import safe, safe_lines

#: Minimum cells of a value, however narrow the terminal is.
LEAST = 12
#: Characters of a value that are shown; `y` shows all.
LONGEST = 2000


class _Fits(Static):
    """Text that is built for the width of the widget, and again when that changes."""

    _make: Callable[[int], Content] | None = None
    _room = 0

    def show(self, make: Callable[[int], Content]) -> None:
        """Shows the result of `make` for a number of cells; without a size, once it has one."""
        self._make = make
        if self._room:
            self.update(make(self._room))

    def on_resize(self) -> None:
        if self.size.width != self._room:
            self._room = self.size.width
            # Not during the layout that brought the size: it would miss the new height.
            self.call_later(self._make_again)

    def _make_again(self) -> None:
        if self._make is not None:
            self.update(self._make(self._room))


class Fitted(_Fits):
    """Such a text, empty at first."""

    def __init__(self, id: str) -> None:
        super().__init__("", id=id, markup=False)


class AwaitedFacts(_Fits, Awaited):
    """Such a text that is loaded."""


def beside(value: str, room: int, indent: int) -> str:
    """A value in lines of `room` cells, all but the first indented by `indent` cells."""
    lines = [
        part
        for line in safe_lines(value, LONGEST).splitlines()
        for part in wrap(line, max(LEAST, room), break_on_hyphens=False) or [""]
    ]
    return ("\n" + " " * indent).join(lines)


def facts(
    named: Iterable[tuple[str, str]], indent: int, room: int, styles: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Lines for each name that has a value, for `Content.assemble`; values begin `indent` cells from the left.

    A name that is too long gets a separate line.
    """
    parts: list[tuple[str, str]] = []
    for name, value in named:
        if value:
            style = (styles or {}).get(name, "")
            shown = safe(name, 200)
            before = shown + " " * (indent - cell_len(shown))
            if cell_len(shown) >= indent:
                before = shown + "\n" + " " * indent
            parts += [(before, "$foreground-muted"), (beside(value, room - indent, indent) + "\n", style)]
    return parts


class FactList(AwaitedList):
    """Names with their values, one of which is selected. Ready-made contents stay as they are."""

    INDENT: ClassVar[int] = 24

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._entries: list[tuple[str, str | Content]] = []
        self._room = 0

    def show(self, entries: list[tuple[str, str | Content]]) -> None:
        """Shows other entries, by ID or name; the selected line stays the same."""
        self._entries = entries
        self._fill()

    def _fill(self) -> None:
        at = self.highlighted
        self.clear_options()
        self.add_options([Option(self._drawn(name, value), id=name) for name, value in self._entries])
        self.highlighted = min(at or 0, self.option_count - 1) if self.option_count else None

    def _drawn(self, name: str, value: str | Content) -> Content:
        if isinstance(value, Content):
            return value
        # The scroll bar may appear with the last line.
        text = beside(value, self._room - self.INDENT - 1, self.INDENT)
        return Content.assemble((f"{name:<{self.INDENT}}", "$foreground-muted"), text)

    def on_resize(self) -> None:
        if self.size.width != self._room:
            self._room = self.size.width
            if self._entries:
                self._fill()
