"""The table's lines as strips: plain functions of a row, the layout and the styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from registry_tui.widgets.table_layout import INDENT, Layout, cell_of
from registry_tui.wording.text import fit, safe, shortened

if TYPE_CHECKING:
    from registry_tui.widgets.tree_cache import Branch

#: One sorted column: its key, and whether descending.
Sort = tuple[str, bool]


class Pen:
    """The styles of one kind of line: plain, under the cursor, or under it while another widget has the focus."""

    def __init__(self, base: Style, tones: dict[str, Style], background: Style) -> None:
        self.base = base + background
        self._tones = {name: style + background for name, style in tones.items()}

    def __getitem__(self, tone: str) -> Style:
        return self._tones[tone] if tone else self.base


class _Line:
    """Texts in a row; neighbours of one style become one segment: each change of style costs some twenty bytes."""

    def __init__(self, width: int) -> None:
        self.room = width
        self.segments: list[Segment] = []
        self._texts: list[str] = []
        self._style: Style | None = None

    def add(self, text: str, cells: int, style: Style) -> None:
        """Adds a text that is `cells` wide."""
        if cells > self.room:
            text, cells = fit(text, self.room), self.room
        self.room -= cells
        if style is not self._style:
            self._flush()
            self._style = style
        self._texts.append(text)

    def _flush(self) -> None:
        if self._texts:
            self.segments.append(Segment("".join(self._texts), self._style))
            self._texts = []

    def strip(self, width: int, base: Style) -> Strip:
        self.add(" " * self.room, self.room, base)
        self._flush()
        return Strip(self.segments, width)


def text_line(text: str, style: Style, width: int) -> Strip:
    """One text over the whole width."""
    return Strip([Segment(fit(text, width), style)], width)


def waiting_line(pen: Pen, width: int) -> Strip:
    """A row that is not loaded yet."""
    return text_line("  ·", pen["dim"], width)


def row_line(
    row: Any, layout: Layout, pen: Pen, width: int, *, at_cursor: bool, marked: bool, branch: Branch | None
) -> Strip:
    """A row. `branch` is its place in a tree, which indents the first column."""
    line = _Line(width)
    line.add("▎" if at_cursor else " ", 1, pen["accent"] if at_cursor else pen.base)
    line.add("●" if marked else " ", 1, pen["mark"] if marked else pen.base)
    gap, style = "", pen.base
    for number, (column, size) in enumerate(layout.columns):
        line.add(gap, len(gap), style)
        cell = cell_of(column, row)
        gap, style = " " * layout.gap, pen[cell.tone]
        if branch is not None and number == 0:
            before = min(size - 1, branch.depth * INDENT)
            glyph = ("▾ " if branch.is_open else "▸ ") if branch.can_open else "  "
            line.add(" " * before, before, style)
            text = glyph + (shortened(cell.text, size - before - 2) if column.keeps_end else cell.text)
            line.add(fit(text, size - before), size - before, style)
        else:
            text = shortened(cell.text, size) if column.keeps_end else cell.text
            line.add(fit(text, size, right=column.right), size, style)
    return line.strip(width, pen.base)


def sort_sign(sorted_by: Sequence[Sort], number: int) -> str:
    """The sign behind the title of the sorted column with this number."""
    return f" {'▼' if sorted_by[number][1] else '▲'}{number + 1 if len(sorted_by) > 1 else ''}"


def header_line(layout: Layout, sorted_by: Sequence[Sort], plain: Style, accent: Style, width: int) -> Strip:
    """The titles; sorted columns show their direction, and their number when there are several."""
    line = _Line(width)
    line.add("  ", 2, plain)
    marks = {key: sort_sign(sorted_by, number) for number, (key, _) in enumerate(sorted_by)}
    gap = ""
    for column, size in layout.columns:
        line.add(gap, len(gap), plain)
        gap = " " * layout.gap
        mark = marks.get(column.key, "")
        cut = shortened if column.keeps_end else fit
        shown = fit(cut(safe(column.title), max(1, size - len(mark))).rstrip() + mark, size, right=column.right)
        line.add(shown, size, accent if mark else plain)
    more = ("‹ " if layout.offset else "") + (f"+{layout.hidden} ›" if layout.hidden else "")
    if more and len(more) < line.room:
        line.add(" " * (line.room - len(more) - 1) + more, line.room - 1, plain)
    return line.strip(width, plain)
