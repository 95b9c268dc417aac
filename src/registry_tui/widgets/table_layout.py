"""The table's columns: which of them are shown, and how wide, in the available space. Plain functions; no widget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.cells import cell_len

from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell

Row = TypeVar("Row")

#: Cells before the first column: the cursor's bar and the mark.
LEAD = 2
#: Indentation of a tree level in cells; the glyph that opens a row takes as many.
INDENT = 2
#: Cells of the header kept for the sign that there are more columns, on the left or on the right.
MORE = 5
#: Cells between columns: at least, and at most where every column is shown.
GAP = 2
WIDEST_GAP = 4
#: Cells that the first column, and any other with text, keep before a column is dropped.
FIRST_FLOOR = 20
FLOOR = 16
#: Cells that a column keeps when even the columns of priority 0 do not fit.
SMALLEST = 4


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column. Priority 0 is always shown; the highest numbers are dropped first when it gets narrow."""

    key: str
    title: str
    cell: Callable[[Row], str | Cell]
    priority: int = 1
    right: bool = False
    min_width: int = 4
    max_width: int = 40
    #: The source's name of it in `order_by`; None when it cannot be sorted.
    sort: str | None = None
    #: Whether a text that is too long keeps its end: names often differ only there.
    keeps_end: bool = False
    #: Cells that it keeps before a column is dropped; None: the rule for numbers and texts.
    floor: int | None = None


@dataclass(frozen=True)
class Layout:
    """The columns that are shown, with their widths in cells."""

    columns: tuple[tuple[Column[Any], int], ...] = ()
    gap: int = GAP
    #: Columns that were scrolled out on the left, and that do not fit on the right.
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
    """Widens `widths`, by column key, to these rows; widths never shrink, so that a list does not jump about."""
    for column in columns:
        least = cell_len(column.title)
        width = max(widths.get(column.key, column.min_width), least)
        for row in rows:
            if width >= column.max_width:
                break
            width = max(width, cell_len(cell_of(column, row).text))
        widths[column.key] = max(least, min(width, column.max_width))


def lay_out(
    columns: Sequence[Column[Row]],
    natural: Mapping[str, int],
    available: int,
    offset: int = 0,
    indent: int = 0,
    signs: Mapping[str, int] | None = None,
) -> Layout:
    """The columns that fit in `available` cells, the first `offset` scrollable ones scrolled out.

    The first column gets `indent` more, for a tree; `signs` are the cells that a sort order's sign takes, by column.
    Long texts are shortened before a column is dropped. Columns are dropped by priority, except those that still fit
    next to the remaining ones; when scrolled, the rightmost ones are dropped.
    """
    fixed = [column for column in columns if column.priority == 0][:1] if offset else []
    wanted = fixed + [column for column in columns if column not in fixed][offset:]
    signs = signs or {}
    sizes: dict[str, tuple[int, int]] = {}
    for number, column in enumerate(wanted):
        title = cell_len(column.title) + signs.get(column.key, 0)
        width = max(natural.get(column.key) or column.min_width, title)
        if column.floor is not None:
            floor = min(width, column.floor)
        elif column.right:
            floor = width
        else:
            floor = min(width, max(title, FIRST_FLOOR if number == 0 else FLOOR))
        more = indent if number == 0 else 0
        sizes[column.key] = (width + more, floor + more)
    chosen = _chosen(wanted, sizes, available, scrolled=bool(offset))
    if offset or len(chosen) < len(wanted):
        available -= MORE
        chosen = _chosen(wanted, sizes, available, scrolled=bool(offset))
    widths = {column.key: sizes[column.key][0] for column in chosen}
    floors = {column.key: sizes[column.key][1] for column in chosen}
    excess = sum(widths.values()) + GAP * (len(chosen) - 1) - available
    excess = _shorten(widths, floors, excess)
    excess = _shorten(widths, dict.fromkeys(widths, SMALLEST), excess)
    hidden, gap = len(wanted) - len(chosen), GAP
    if len(chosen) > 1 and excess < 0 and not hidden:
        gap = min(WIDEST_GAP, GAP + -excess // (len(chosen) - 1))
    return Layout(tuple((column, widths[column.key]) for column in chosen), gap, offset, hidden)


def _chosen(
    wanted: Sequence[Column[Row]], sizes: Mapping[str, tuple[int, int]], available: int, *, scrolled: bool
) -> list[Column[Row]]:
    """The columns that fit when each is as short as it may be."""
    room = available + GAP - sum(sizes[column.key][1] + GAP for column in wanted)
    if scrolled:
        chosen = list(wanted)
        while len(chosen) > 1 and room < 0:
            room += sizes[chosen.pop().key][1] + GAP
        return chosen
    leaving = sorted(range(1, len(wanted)), key=lambda at: (wanted[at].priority, at), reverse=True)
    gone: list[int] = []
    for at in leaving:
        if room >= 0 or wanted[at].priority == 0:
            break
        gone.append(at)
        room += sizes[wanted[at].key][1] + GAP
    # A narrow one may fit where a wide one was dropped.
    for at in sorted(gone, key=lambda at: (wanted[at].priority, at)):
        needed = sizes[wanted[at].key][1] + GAP
        if needed <= room:
            gone.remove(at)
            room -= needed
    left = set(gone)
    return [column for at, column in enumerate(wanted) if at not in left]


def _shorten(widths: dict[str, int], floors: Mapping[str, int], excess: int) -> int:
    """Shortens the widest columns, cell by cell, down to their floors; returns the number of excess cells left."""
    while excess > 0:
        longer = [key for key, width in widths.items() if width > floors[key]]
        if not longer:
            break
        widest = max(longer, key=lambda key: widths[key])
        widths[widest] -= 1
        excess -= 1
    return excess
