"""The view of a table: columns, styles, the lines in view. `VirtualTable` adds fetching, moving and marking."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.strip import Strip

from registry_tui.terminal.textual_private import own_scroll_bar
from registry_tui.widgets.awaited import LOADING, Awaiting
from registry_tui.widgets.line_filters import filtered
from registry_tui.widgets.scroll_bar import TableScrollBar
from registry_tui.widgets.table_drawing import Pen, Sort, header_line, row_line, sort_sign, text_line, waiting_line
from registry_tui.widgets.table_layout import INDENT, Column, Layout, lay_out, measure
from registry_tui.widgets.table_messages import Empty
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.widgets.page_cache import PageCache
    from registry_tui.widgets.tree_cache import TreeCache

Row = TypeVar("Row")
#: Cells of a wrapped line, however narrow the table is.
LEAST_WRAPPED = 20
#: Styles of a line's parts: the tones of `words.Cell`, and marks.
TONES = ("good", "busy", "warn", "bad", "dim", "accent", "mark")
#: Lines kept as drawn.
KEPT_LINES = 1000


class TableView(Awaiting, ScrollView, Generic[Row]):
    """The table as it is drawn."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--sorted",
        "table--cursor",
        "table--cursor-blurred",
        *(f"table--{tone}" for tone in TONES),
    }
    DEFAULT_CSS = """
    TableView {
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

    def __init__(
        self, columns: Sequence[Column[Row]] = (), *, id: str | None = None, empty: Empty | None = None
    ) -> None:
        super().__init__(id=id)
        self._columns: list[Column[Row]] = list(columns)
        self._source: PageCache[Row] | TreeCache[Row] | None = None
        self._cursor = 0
        self._offset = 0
        #: Widths of the columns by key, as wide as the rows seen so far.
        self._natural: dict[str, int] = {}
        self._layout = Layout()
        self._lines: dict[tuple[Any, ...], Strip] = {}
        self._pens: dict[str, Pen] = {}
        #: Marked rows by key.
        self.marked: dict[str, Row] = {}
        self._sorted_by: tuple[Sort, ...] = ()
        self.empty = empty or Empty("Nothing here")
        #: Shown in place of rows until the first of them, or an empty response, has arrived.
        self.waiting = LOADING
        self.message: Empty | None = None

    @property
    def source(self) -> PageCache[Row] | TreeCache[Row] | None:
        """The displayed list."""
        return self._source

    @property
    def as_tree(self) -> TreeCache[Row] | None:
        """The displayed list, when its rows can be opened."""
        source = self._source
        return source if source is not None and source.is_tree is True else None

    @property
    def columns(self) -> list[Column[Row]]:
        return self._columns

    @property
    def sorted_by(self) -> tuple[Sort, ...]:
        """The sorted columns, the most significant first: (key, descending)."""
        return self._sorted_by

    @sorted_by.setter
    def sorted_by(self, columns: tuple[Sort, ...]) -> None:
        if columns != self._sorted_by:
            self._sorted_by = columns
            self._lay_out()

    def set_columns(self, columns: Sequence[Column[Row]]) -> None:
        """Shows other columns of the same rows."""
        self._columns = list(columns)
        self._offset = 0
        self._measure(self._source.loaded_rows()[:400] if self._source is not None else [])
        self._redraw()

    def cells_came(self) -> None:
        """Redraws, because the content of some cells arrived after their rows."""
        self._measure(self._source.loaded_rows()[:400] if self._source is not None else [])
        self._redraw()

    def say(self, message: Empty | None) -> None:
        """Shows a message in place of rows, e.g. why it is empty."""
        self.message = message
        self._redraw()

    @property
    def waits(self) -> bool:
        if self.message is not None or self.waiting != LOADING:
            return False
        return self._source is None or not self._source.started

    def wait(self, words: str) -> None:
        if words != self.waiting:
            self.waiting = words
            if self._source is None or not self._source.started:
                self.refresh()

    # -- layout -------------------------------------------------------------------------------------

    def _measure(self, rows: Sequence[Row]) -> None:
        """Widens columns to rows that arrived."""
        measure(self._columns, rows, self._natural)
        self._lay_out()

    def _lay_out(self) -> None:
        indent = 0 if self.as_tree is None else self.as_tree.levels * INDENT
        signs = {key: len(sort_sign(self.sorted_by, number)) for number, (key, _) in enumerate(self.sorted_by)}
        available = max(10, self.size.width - 3)
        layout = lay_out(self._columns, self._natural, available, self._offset, indent, signs)
        if layout != self._layout:
            self._layout = layout
            self._lines.clear()

    def _update_height(self) -> None:
        height = self._source.height if self._source is not None else 0
        self.virtual_size = Size(self.size.width, height + 1)

    def _redraw(self) -> None:
        self._lines.clear()
        self.refresh()

    def _refresh_row(self, index: int) -> None:
        self.refresh(Region(0, index - self.scroll_offset.y + 1, self.size.width, 1))

    # -- styles -------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._lines.clear()
        self._pens.clear()

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"table--{name}", partial=False)

    def _pen(self, at_cursor: bool) -> Pen:
        name = "" if not at_cursor else "cursor" if self.has_focus else "cursor-blurred"
        pen = self._pens.get(name)
        if pen is None:
            background = Style(bgcolor=self._style(name).bgcolor) if name else Style.null()
            tones = {tone: self._style(tone) for tone in TONES}
            pen = self._pens[name] = Pen(self.rich_style, tones, background)
        return pen

    # -- drawing ------------------------------------------------------------------------------------

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        thickness = self.scrollbar_size_vertical
        bar = own_scroll_bar(self, lambda: TableScrollBar(name="vertical", thickness=thickness))
        return super().vertical_scrollbar if bar is None else bar

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines unchanged: without border, padding and tint, Textual's steps would only copy them."""
        if self.styles.gutter != (0, 0, 0, 0) or self.opacity != 1 or self.styles.tint.a:
            return super().render_lines(crop)
        filters, background = self.get_line_filters(), self.background_colors[1]
        lines = (filtered(self.render_line(y), filters, background) for y in crop.line_range)
        return [line.crop(*crop.column_span) for line in lines]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return header_line(self._layout, self.sorted_by, self._style("header"), self._style("sorted"), width)
        source = self._source
        if self.message is not None:
            return self._notice(self.message, y, width)
        if source is None or not source.started:
            return text_line(f"   {self.waiting}" if y == 2 else "", self._style("dim"), width)
        if source.total == 0:
            return self._notice(self.empty, y, width)
        index = y - 1 + self.scroll_offset.y
        if index >= source.height:
            return Strip.blank(width, self.rich_style)
        return self._row_line(source, index, width)

    def _row_line(self, source: PageCache[Row] | TreeCache[Row], index: int, width: int) -> Strip:
        at_cursor = index == self._cursor
        pen = self._pen(at_cursor)
        row = source.row(index)
        if row is None:
            return waiting_line(pen, width)
        key = source.key(row)
        marked = key in self.marked
        branch = source.branch(index) if source.is_tree is True else None
        drawn_as = (key, at_cursor and pen, marked, branch, width)
        line = self._lines.get(drawn_as)
        if line is None:
            if len(self._lines) >= KEPT_LINES:
                self._lines.clear()
            line = row_line(row, self._layout, pen, width, at_cursor=at_cursor, marked=marked, branch=branch)
            self._lines[drawn_as] = line
        return line

    def _notice(self, notice: Empty, y: int, width: int) -> Strip:
        if y == 2:
            return text_line("   " + safe(notice.title), self._style("header"), width)
        lines = [part for line in notice.lines for part in wrap(safe(line), max(width - 4, LEAST_WRAPPED))]
        if 4 <= y < 4 + len(lines):
            return text_line("   " + lines[y - 4], self._style("dim"), width)
        return Strip.blank(width, self.rich_style)
