"""The table's columns, and which of them show how wide in the space there is. Plain functions; no widget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.cells import cell_len

from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell

Row = TypeVar("Row")

#: Cells before the first column: the cursor's bar and the mark.
LEAD = 2
#: Cells a level of a tree is moved to the right; the glyph that opens a row takes as many.
INDENT = 2
#: Cells of the header kept for saying that there are more columns.
MORE = 5


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column. Priority 0 always shows; the highest numbers leave first when it gets narrow."""

    key: str
    title: str
    cell: Callable[[Row], str | Cell]
    priority: int = 1
    right: bool = False
    min_width: int = 4
    max_width: int = 40
    #: The source's name of it in `order_by`; None when it cannot be sorted.
    sort: str | None = None


@dataclass(frozen=True)
class Layout:
    """The columns that show, with their widths in cells."""

    columns: tuple[tuple[Column[Any], int], ...] = ()
    gap: int = 2
    #: Columns that were scrolled out on the left, and that have no room on the right.
    offset: int = 0
    hidden: int = 0

    def column_at(self, x: int) -> Column[Any] | None:
        """The column at a cell of the line."""
        left = LEAD
        for column, width in self.columns:
            if left <= x < left + width + self.gap:
                return column
            left += width + self.gap
        return None


def cell_of(column: Column[Row], row: Row) -> Cell:
    """A row's cell, safe to show."""
    value = column.cell(row)
    if isinstance(value, Cell):
        return Cell(safe(value.text), value.tone)
    return Cell(safe(value))


def measure(columns: Iterable[Column[Row]], rows: Sequence[Row], widths: dict[str, int]) -> None:
    """Widens `widths`, by column key, to these rows; nothing ever shrinks, so that a list does not jump about."""
    for column in columns:
        least = _least(column)
        width = max(widths.get(column.key, column.min_width), least)
        for row in rows:
            if width >= column.max_width:
                break
            width = max(width, cell_len(cell_of(column, row).text))
        widths[column.key] = max(least, min(width, column.max_width))


def _least(column: Column[Row]) -> int:
    """Cells that the title takes with the sign of a sort order."""
    return cell_len(column.title) + 2


def lay_out(
    columns: Sequence[Column[Row]], natural: dict[str, int], available: int, offset: int = 0, indent: int = 0
) -> Layout:
    """Which columns show in `available` cells, the first `offset` scrollable ones scrolled out.

    The first column gets `indent` more, for a tree. Columns leave by priority, but for those that still fit beside what
    stays; scrolled, the rightmost ones leave.
    """
    layout = _lay_out(columns, natural, available, offset, indent)
    return _lay_out(columns, natural, available - MORE, offset, indent) if layout.hidden else layout


def _lay_out(
    columns: Sequence[Column[Row]], natural: dict[str, int], available: int, offset: int, indent: int
) -> Layout:
    fixed = [column for column in columns if column.priority == 0][:1] if offset else []
    chosen = fixed + [column for column in columns if column not in fixed][offset:]
    widths = {column.key: natural.get(column.key) or max(column.min_width, _least(column)) for column in chosen}
    if chosen:
        widths[chosen[0].key] += indent
    gap = 2

    def needed() -> int:
        return sum(widths[column.key] + gap for column in chosen) - gap

    while len(chosen) > 1 and needed() > available:
        if offset:
            chosen.pop()
            continue
        worst = max(column.priority for column in chosen)
        if worst == 0:
            break
        chosen.remove([column for column in chosen if column.priority == worst][-1])
    if not offset:
        # A narrow one may fit where a wide one had to leave.
        for column in sorted((each for each in columns if each not in chosen), key=lambda each: each.priority):
            if needed() + gap + widths[column.key] <= available:
                chosen = [each for each in columns if each in chosen or each is column]
    widths = {column.key: widths[column.key] for column in chosen}
    while widths and needed() > available:
        widest = max(widths, key=lambda key: widths[key])
        if widths[widest] <= 4:
            break
        widths[widest] -= 1
    slack = available - needed()
    if len(chosen) > 1 and slack > 0:
        gap = min(4, gap + slack // (len(chosen) - 1))
    hidden = len(columns) - len(chosen) - offset
    return Layout(tuple((column, widths[column.key]) for column in chosen), gap, offset, max(0, hidden))
