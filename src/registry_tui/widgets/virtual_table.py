"""The one table of the program: draws only the lines in view, over a `PageCache`.

Every cell's text goes through `text.safe`. The cursor is a row; its row keeps its identity over refreshes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from registry_tui.widgets.page_cache import PageCache, Step
from registry_tui.widgets.text import fit, safe
from registry_tui.widgets.words import Cell

Row = TypeVar("Row")


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
class Empty:
    """What a table without rows says: what there is not, and what to do next."""

    title: str
    lines: tuple[str, ...] = ()


@dataclass
class _Layout:
    columns: list[tuple[Column[Any], int]] = field(default_factory=list)
    gap: int = 2
    hidden: int = 0


class VirtualTable(ScrollView, Generic[Row], can_focus=True):
    """A table over a `PageCache`; give it one with `set_source`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--sorted",
        "table--cursor",
        "table--cursor-blurred",
        "table--mark",
        "table--good",
        "table--busy",
        "table--warn",
        "table--bad",
        "table--dim",
        "table--accent",
    }
    DEFAULT_CSS = """
    VirtualTable {
        height: 1fr;
        background: transparent;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .table--header { color: $text-muted; text-style: bold; }
        & > .table--sorted { color: $accent; text-style: bold; }
        & > .table--cursor { background: $accent 22%; }
        & > .table--cursor-blurred { background: $foreground 7%; }
        & > .table--mark { color: $accent; text-style: bold; }
        & > .table--good { color: $success; }
        & > .table--busy { color: $accent; }
        & > .table--warn { color: $warning; }
        & > .table--bad { color: $error; }
        & > .table--dim { color: $text-muted; }
        & > .table--accent { color: $accent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home,g", "start", "First", show=False),
        Binding("end,G", "end", "Last", show=False),
        Binding("left,h", "shift(-1)", "Columns left", show=False),
        Binding("right,l", "shift(1)", "Columns right", show=False),
    ]

    class Highlighted(Message):
        """The cursor is on another row, or its row changed."""

        def __init__(self, table: VirtualTable[Any], row: Any) -> None:
            super().__init__()
            self.table, self.row = table, row

        @property
        def control(self) -> VirtualTable[Any]:
            return self.table

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, VirtualTable.Highlighted) and message.table is self.table

    class Opened(Message):
        """A row was clicked that the cursor was on already."""

        def __init__(self, table: VirtualTable[Any], row: Any) -> None:
            super().__init__()
            self.table, self.row = table, row

        @property
        def control(self) -> VirtualTable[Any]:
            return self.table

    class SortAsked(Message):
        """A column's header was clicked."""

        def __init__(self, table: VirtualTable[Any], column: Column[Any]) -> None:
            super().__init__()
            self.table, self.column = table, column

        @property
        def control(self) -> VirtualTable[Any]:
            return self.table

    class Loaded(Message):
        """A page arrived."""

        def __init__(self, table: VirtualTable[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> VirtualTable[Any]:
            return self.table

    class Failed(Message):
        """A page could not be fetched; what is shown stays."""

        def __init__(self, table: VirtualTable[Any], error: Exception) -> None:
            super().__init__()
            self.table, self.error = table, error

        @property
        def control(self) -> VirtualTable[Any]:
            return self.table

    def __init__(
        self, columns: Sequence[Column[Row]] = (), *, id: str | None = None, empty: Empty | None = None
    ) -> None:
        super().__init__(id=id)
        self._columns: list[Column[Row]] = list(columns)
        self._source: PageCache[Row] | None = None
        self._cursor = 0
        self._cursor_key: str | None = None
        self._restore: str | None = None
        self._natural: dict[str, int] = {}
        self._layout: _Layout = _Layout()
        self._offset = 0
        self._strips: dict[tuple[Any, ...], Strip] = {}
        self._pump: asyncio.Task[None] | None = None
        #: Whether the cursor stays on the last row while pages arrive.
        self._at_end = False
        self.marked: dict[str, Row] = {}
        #: Which column is sorted, and whether downwards.
        self.sorted_by: tuple[str, bool] | None = None
        self.empty = empty or Empty("Nothing here")
        #: Said in place of rows while there is no source.
        self.waiting = "…"
        self.message: Empty | None = None

    # -- what it shows ------------------------------------------------------------------------------

    @property
    def source(self) -> PageCache[Row] | None:
        return self._source

    @property
    def columns(self) -> list[Column[Row]]:
        return self._columns

    @property
    def cursor(self) -> int:
        return self._cursor

    @property
    def current(self) -> Row | None:
        """The row under the cursor, if it is loaded."""
        return self._source.row(self._cursor) if self._source is not None else None

    @property
    def place(self) -> tuple[int, str | None]:
        """The cursor's row by number and key, to come back to."""
        return self._cursor, self._cursor_key

    def set_columns(self, columns: Sequence[Column[Row]]) -> None:
        """Shows other columns of the same rows."""
        self._columns = list(columns)
        self._offset = 0
        self._natural.clear()
        self._measure()
        self._redraw()

    def set_source(self, source: PageCache[Row], place: tuple[int, str | None] = (0, None)) -> None:
        """Shows another list, with the cursor at a place of it; answers still under way for the old one are dropped."""
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        self._source = source
        self._at_end = False
        self._cursor, self._restore = place
        self._cursor_key = None
        self.message = None
        self.marked = {}
        self._natural.clear()
        self._measure()
        self._update_height()
        self._show_cursor()
        self._redraw()
        self._demand()
        if source.started:
            self._settle(0)

    def reload(self) -> None:
        """Fetches what is in view again; rows, cursor and scroll stay until the answer is here."""
        if self._source is not None:
            self._source.refresh()
            self._strips.clear()
            self._demand()

    def say(self, message: Empty | None) -> None:
        """Shows a message in place of rows, e.g. why there are none."""
        self.message = message
        self._redraw()

    # -- fetching -----------------------------------------------------------------------------------

    def _demand(self) -> None:
        if self._source is None or not self.is_attached:
            return
        top = self.scroll_offset.y
        self._source.demand(top, top + max(1, self.size.height - 2))
        if (self._pump is None or self._pump.done()) and self._source.next_step() is not None:
            self._pump = asyncio.create_task(self._run_pump(self._source), name="pages")

    async def _run_pump(self, source: PageCache[Row]) -> None:
        while source is self._source and (step := source.next_step()) is not None:
            try:
                answer = await source.fetch(step.token, step.backwards)
            except Exception as error:
                self.post_message(self.Failed(self, error))
                return
            if source is not self._source:
                return
            self._accept(source, step, answer)

    def _accept(self, source: PageCache[Row], step: Step, answer: Any) -> None:
        shown, layout = self._in_view(), self._layout
        shift = source.accept(step, answer)
        self._strips.clear()
        self._measure()
        self._update_height()
        if shift:
            self._cursor += shift
            self.scroll_to(y=self.scroll_offset.y + shift, animate=False)
        if self._at_end:
            self._set_cursor(source.height - 1)
        self._settle(shift)
        # A page beyond the view, or one that came back as it was, costs no repaint.
        if shown != self._in_view() or layout != self._layout:
            self._redraw()
        source.demand(self.scroll_offset.y, self.scroll_offset.y + max(1, self.size.height - 2))
        self.post_message(self.Loaded(self))

    def _in_view(self) -> tuple[Any, ...]:
        """What the lines in view are drawn from."""
        source, top = self._source, self.scroll_offset.y
        if source is None or not source.started:
            return ()
        rows = [source.row(index) for index in range(top, top + self.size.height)]
        return (top, self._cursor, source.total == 0, min(source.height, top + self.size.height), *rows)

    def _settle(self, shift: int) -> None:
        """Puts the cursor back on its row after rows came or went."""
        source = self._source
        if source is None:
            return
        wanted = self._restore or self._cursor_key
        if wanted is not None:
            row = source.row(self._cursor)
            if row is None or source.key(row) != wanted:
                found = source.find(wanted, self._cursor)
                if found is not None:
                    self._cursor = found
                    self._show_cursor()
        self._cursor = max(0, min(self._cursor, source.height - 1))
        row = source.row(self._cursor)
        if row is not None:
            self._restore = None
            self._cursor_key = source.key(row)
            self.post_message(self.Highlighted(self, row))
        elif source.total == 0:
            self._cursor_key = None
            self.post_message(self.Highlighted(self, None))

    def on_unmount(self) -> None:
        if self._pump is not None:
            self._pump.cancel()

    # -- moving -------------------------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        self._stop_seeking()
        self._set_cursor(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        self._stop_seeking()
        self._set_cursor(self._cursor + pages * max(1, self.size.height - 2))

    def action_start(self) -> None:
        if self._source is not None:
            self._at_end = False
            self._source.go_to_start()
            self._measure()
            self._update_height()
            self._set_cursor(0)
            self._redraw()
            self.post_message(self.Loaded(self))

    def action_end(self) -> None:
        source = self._source
        if source is None:
            return
        source.go_to_end()
        self._at_end = True
        self._measure()
        self._update_height()
        self._set_cursor(source.height - 1)
        self._redraw()
        self._demand()
        self.post_message(self.Loaded(self))

    def action_shift(self, columns: int) -> None:
        if columns < 0 and self._offset == 0:
            return
        if columns > 0 and self._layout.hidden == 0:
            return
        self._offset = max(0, min(self._offset + columns, len(self._columns) - 2))
        self._lay_out()
        self._redraw()

    def toggle_mark(self) -> None:
        """Marks the row under the cursor, or takes its mark away, and goes one down."""
        row = self.current
        if row is None or self._source is None:
            return
        key = self._source.key(row)
        if self.marked.pop(key, None) is None:
            self.marked[key] = row
        self._strips.clear()
        self._refresh_row(self._cursor)
        self.action_move(1)

    def go_to(self, place: tuple[int, str | None]) -> None:
        """Puts the cursor on a row of this list."""
        self._cursor, self._restore = place
        self._settle(0)
        self._show_cursor()
        self._redraw()
        self._demand()

    def _stop_seeking(self) -> None:
        self._at_end = False
        if self._source is not None:
            self._source.stop_seeking()

    def _set_cursor(self, index: int) -> None:
        source = self._source
        if source is None:
            return
        old = self._cursor
        self._cursor = max(0, min(index, source.height - 1))
        if self._cursor != old:
            self._restore = None
            row = source.row(self._cursor)
            self._cursor_key = source.key(row) if row is not None else None
            self._refresh_row(old)
            self._refresh_row(self._cursor)
            self.post_message(self.Highlighted(self, row))
        self._show_cursor()
        self._demand()

    def _show_cursor(self) -> None:
        """Scrolls by half a page when the cursor leaves the view, so that most moves repaint two lines only."""
        rows = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if self._cursor < top:
            target = max(0, self._cursor - rows // 2 if top - self._cursor < rows else self._cursor)
        elif self._cursor >= top + rows:
            near = self._cursor - (top + rows) < rows
            target = self._cursor - (rows // 2 if near else rows - 1)
        else:
            return
        self.scroll_to(y=target, animate=False)

    # -- layout -------------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Widens columns to the rows in memory; they never shrink while the list stays, so nothing jumps."""
        rows = self._source.loaded_rows()[:400] if self._source is not None else []
        for column in self._columns:
            width = max(self._natural.get(column.key, column.min_width), cell_len(column.title) + 2)
            for row in rows:
                if width >= column.max_width:
                    break
                width = max(width, cell_len(_cell(column, row).text))
            self._natural[column.key] = max(cell_len(column.title) + 2, min(width, column.max_width))
        self._lay_out()

    def _lay_out(self) -> None:
        available = max(10, self.size.width - 3)
        if self._offset:
            first = [column for column in self._columns if column.priority == 0][:1]
            rest = [column for column in self._columns if column not in first]
            chosen = first + rest[self._offset :]
        else:
            chosen = list(self._columns)
        gap = 2

        def needed(columns: list[Column[Row]]) -> int:
            return sum(self._natural.get(c.key, c.min_width) + gap for c in columns) - gap

        while len(chosen) > 1 and needed(chosen) > available:
            if self._offset:
                chosen.pop()
                continue
            worst = max(column.priority for column in chosen)
            if worst == 0:
                break
            chosen.remove([column for column in chosen if column.priority == worst][-1])
        widths = {column.key: self._natural.get(column.key, column.min_width) for column in chosen}
        while needed(chosen) > available and widths:
            widest = max(widths, key=lambda key: widths[key])
            if sum(widths.values()) + gap * (len(chosen) - 1) <= available or widths[widest] <= 4:
                break
            widths[widest] -= 1
        slack = available - sum(widths.values()) - gap * (len(chosen) - 1)
        if len(chosen) > 1 and slack > 0:
            gap = min(4, gap + slack // (len(chosen) - 1))
        hidden = len(self._columns) - len(chosen) - self._offset
        self._layout = _Layout([(column, widths[column.key]) for column in chosen], gap, max(0, hidden))
        self._strips.clear()

    def _update_height(self) -> None:
        height = self._source.height if self._source is not None else 0
        self.virtual_size = Size(self.size.width, height + 1)

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()
        self._update_height()
        self._show_cursor()
        self._redraw()
        self._demand()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._demand()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def _on_focus_change(self) -> None:
        self._strips.clear()
        self._refresh_row(self._cursor)

    def on_focus(self) -> None:
        self._on_focus_change()

    def on_blur(self) -> None:
        self._on_focus_change()

    def _redraw(self) -> None:
        self._strips.clear()
        self.refresh()

    def _refresh_row(self, index: int) -> None:
        self.refresh(Region(0, index - self.scroll_offset.y + 1, self.size.width, 1))

    # -- drawing ------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._header(width)
        source = self._source
        if self.message is not None:
            return self._notice(self.message, y, width)
        if source is None or not source.started:
            return self._text(f"   {self.waiting}" if y == 2 else "", "table--dim", width)
        if source.total == 0:
            return self._notice(self.empty, y, width)
        index = y - 1 + self.scroll_offset.y
        if index >= source.height:
            return Strip.blank(width, self.rich_style)
        row = source.row(index)
        at_cursor = index == self._cursor
        key = (source.key(row) if row is not None else index, at_cursor, width)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._line(row, at_cursor, width)
        return strip

    def _text(self, text: str, component: str, width: int) -> Strip:
        style = self.get_component_rich_style(component, partial=False)
        return Strip([Segment(fit(text, width), style)], width)

    def _notice(self, notice: Empty, y: int, width: int) -> Strip:
        if y == 2:
            return self._text("   " + safe(notice.title), "table--header", width)
        if 4 <= y < 4 + len(notice.lines):
            return self._text("   " + safe(notice.lines[y - 4]), "table--dim", width)
        return Strip.blank(width, self.rich_style)

    def _header(self, width: int) -> Strip:
        plain = self.get_component_rich_style("table--header", partial=False)
        marked = self.get_component_rich_style("table--sorted", partial=False)
        segments = [Segment("  ", plain)]
        used = 2
        gap = " " * self._layout.gap
        for column, size in self._layout.columns:
            title, style = column.title, plain
            if self.sorted_by is not None and self.sorted_by[0] == column.key:
                title, style = f"{title} {'▼' if self.sorted_by[1] else '▲'}", marked
            segments.append(Segment(fit(safe(title), size, right=column.right) + gap, style))
            used += size + self._layout.gap
        more = ("‹ " if self._offset else "") + (f"+{self._layout.hidden} ›" if self._layout.hidden else "")
        if more and used + len(more) <= width:
            segments.append(Segment(" " * (width - used - len(more) - 1) + more, plain))
        return Strip(segments).adjust_cell_length(width, plain)

    def _line(self, row: Row | None, at_cursor: bool, width: int) -> Strip:
        background = Style.null()
        if at_cursor:
            name = "table--cursor" if self.has_focus else "table--cursor-blurred"
            background = Style(bgcolor=self.get_component_rich_style(name, partial=False).bgcolor)
        base = self.rich_style + background
        if row is None:
            return Strip([Segment(fit("  ·", width), self._tone("dim") + background)], width)
        marked = self._source is not None and self._source.key(row) in self.marked
        # One style for what shows nothing: each change of style costs some twenty bytes a line.
        segments = [
            Segment("▎", self._tone("accent") + background) if at_cursor else Segment(" ", base),
            Segment("●", self._tone("mark") + background) if marked else Segment(" ", base),
        ]
        gap = " " * self._layout.gap
        for column, size in self._layout.columns:
            cell = _cell(column, row)
            style = self._tone(cell.tone) + background if cell.tone else base
            segments.append(Segment(fit(cell.text, size, right=column.right) + gap, style))
        return Strip(Segment.simplify(segments)).adjust_cell_length(width, base)

    def _tone(self, tone: str) -> Style:
        return self.get_component_rich_style(f"table--{tone}", partial=False)

    # -- mouse --------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            x = 2
            for column, size in self._layout.columns:
                if x <= event.x < x + size + self._layout.gap and column.sort is not None:
                    self.post_message(self.SortAsked(self, column))
                    return
                x += size + self._layout.gap
            return
        source = self._source
        index = event.y - 1 + self.scroll_offset.y
        if source is None or index >= source.height:
            return
        if index == self._cursor and self.has_focus and event.chain > 1:
            row = source.row(index)
            if row is not None:
                self.post_message(self.Opened(self, row))
        else:
            self._stop_seeking()
            self._set_cursor(index)


def _cell(column: Column[Row], row: Row) -> Cell:
    value = column.cell(row)
    if isinstance(value, Cell):
        return Cell(safe(value.text), value.tone)
    return Cell(safe(value))
