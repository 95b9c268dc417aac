"""The one table of the program: draws only the lines in view, over a `PageCache` or a `TreeCache`.

Every cell's text goes through `text.safe`. The cursor is a row; its row keeps its identity over refreshes.
`table_layout` has the columns, `table_view` the drawing, `table_messages` the messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

from textual import events
from textual.binding import Binding, BindingType

from registry_tui.widgets import table_messages as messages
from registry_tui.widgets.awaited import LOADING, NOT_LOADED
from registry_tui.widgets.table_drawing import Sort
from registry_tui.widgets.table_layout import INDENT, LEAD, Column
from registry_tui.widgets.table_marks import MarkingView
from registry_tui.widgets.table_messages import Empty

if TYPE_CHECKING:
    from registry_tui.widgets.page_cache import PageCache, PageLike, Step
    from registry_tui.widgets.tree_cache import TreeCache

__all__ = ["Column", "Empty", "Sort", "VirtualTable"]

Row = TypeVar("Row")


class VirtualTable(MarkingView[Row], Generic[Row], can_focus=True):
    """A table over a list of pages; give it one with `set_source`.

    - **Marks**: `toggle_mark`, shift with the arrows, ctrl+click and shift+click keep rows in `marked` by key, when
      the table is `markable`; they stay over refresh, sorting and filtering, until `clear_marks`. `Marked` is posted.
    - **Sorting**: `sorted_by` is a sequence of (column key, downwards), the first counts most; the header shows
      `▲`, or `▲1 ▼2` when there are several. A click on a header posts `SortAsked`, with `add` when shift is held.
    - **Tree**: over a `TreeCache`, → and ← open and close rows (posting `Expand` and `Collapse`), ← on a row inside
      goes to the one above it, and a click on the triangle does either. Where there is nothing to open, the same keys
      scroll the columns.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home,g", "start", "First", show=False),
        Binding("end,G", "end", "Last", show=False),
        Binding("ctrl+up", "page(-0.5)", "Half a page up", id="list.half-up", show=False),
        Binding("ctrl+down", "page(0.5)", "Half a page down", id="list.half-down", show=False),
        Binding("left", "left", "Close, or columns left", id="list.left", show=False),
        Binding("right", "right", "Open, or columns right", id="list.right", show=False),
        Binding("shift+up", "extend(-1)", "Mark upwards", show=False),
        Binding("shift+down", "extend(1)", "Mark downwards", show=False),
    ]

    Highlighted: TypeAlias = messages.Highlighted
    Opened: TypeAlias = messages.Opened
    SortAsked: TypeAlias = messages.SortAsked
    Loaded: TypeAlias = messages.Loaded
    Failed: TypeAlias = messages.Failed
    Expand: TypeAlias = messages.Expand
    Collapse: TypeAlias = messages.Collapse

    def __init__(
        self, columns: Iterable[Column[Row]] = (), *, id: str | None = None, empty: Empty | None = None
    ) -> None:
        super().__init__(list(columns), id=id, empty=empty)
        self._cursor_key: str | None = None
        self._restore: str | None = None
        self._pump: asyncio.Task[None] | None = None
        #: Whether the cursor stays on the last row while pages arrive.
        self._at_end = False
        #: The initial cursor position in the first list, if not its start.
        self.comes_back_to: tuple[int, str | None] | None = None

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

    def set_source(self, source: PageCache[Row] | TreeCache[Row], place: tuple[int, str | None] = (0, None)) -> None:
        """Shows another list, with the cursor at a place of it; pending responses for the old one are dropped."""
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        if self._source is None and self.comes_back_to is not None:
            place = self.comes_back_to
        self._source = source
        self._at_end = False
        self._anchor = None
        self._cursor, self._restore = place
        self._cursor_key = None
        self.message = None
        self._natural.clear()
        self._measure(source.loaded_rows()[:400])
        self._update_height()
        self._show_cursor()
        self._redraw()
        self._demand()
        if source.started:
            self._settle()
            self.post_message(self.Loaded(self))

    def reload(self) -> None:
        """Fetches the rows in view again; rows, cursor and scroll stay until the response arrives."""
        if self._source is not None:
            self._source.refresh()
            self._lines.clear()
            self._demand()

    async def recall(self) -> None:
        """Shows the first page from its source's cache, until the pending response arrives.

        Raises the source's error when it is not cached.
        """
        source = self._source
        if source is not None and not source.started and (step := source.next_step()) is not None:
            self._accept(source, step, await step.fetch())

    async def reloaded(self) -> None:
        """Reloads, and waits until the rows in view are fetched, or could not be."""
        self.reload()
        if self._pump is not None:
            await asyncio.wait({self._pump})

    # -- fetching -----------------------------------------------------------------------------------

    def _demand(self) -> None:
        if self._source is None or not self.is_attached:
            return
        top = self.scroll_offset.y
        self._source.demand(top, top + max(1, self.size.height - 2))
        if (self._pump is None or self._pump.done()) and self._source.next_step() is not None:
            self.wait(LOADING)
            self._pump = asyncio.create_task(self._run_pump(self._source), name="pages")

    async def _run_pump(self, source: PageCache[Row] | TreeCache[Row]) -> None:
        while source is self._source and (step := source.next_step()) is not None:
            try:
                answer = await step.fetch()
            except Exception as error:
                self.wait(NOT_LOADED)
                self.post_message(self.Failed(self, error))
                return
            if source is not self._source:
                return
            self._accept(source, step, answer)

    def _accept(self, source: PageCache[Row] | TreeCache[Row], step: Step[Row], answer: PageLike[Row]) -> None:
        shown, layout = self._in_view(), self._layout
        shift = source.accept(step, answer)
        self._lines.clear()
        self._measure(answer.items)
        self._update_height()
        if shift:
            self._cursor += shift
            self._anchor = None if self._anchor is None else self._anchor + shift
            self.scroll_to(y=self.scroll_offset.y + shift, animate=False)
        if self._at_end:
            self._set_cursor(source.height - 1)
        self._settle()
        # A page beyond the view, or one that came back unchanged, costs no repaint.
        if shown != self._in_view() or layout != self._layout:
            self._redraw()
        source.demand(self.scroll_offset.y, self.scroll_offset.y + max(1, self.size.height - 2))
        self.post_message(self.Loaded(self))

    def _in_view(self) -> tuple[Any, ...]:
        """The data of the lines in view."""
        source, top = self._source, self.scroll_offset.y
        if source is None or not source.started:
            return ()
        rows = [source.row(index) for index in range(top, top + self.size.height)]
        return (top, self._cursor, source.total == 0, min(source.height, top + self.size.height), *rows)

    def _settle(self) -> None:
        """Puts the cursor back on its row after rows were added or removed."""
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
        self._move_to(self._cursor + rows)

    def action_page(self, pages: float) -> None:
        self._move_to(self._cursor + round(pages * max(2, self.size.height - 2)))

    def action_start(self) -> None:
        if self._source is not None:
            self._at_end, self._anchor = False, None
            self._source.go_to_start()
            self._resized()
            self._set_cursor(0)
            self.post_message(self.Loaded(self))

    def action_end(self) -> None:
        source = self._source
        if source is None:
            return
        source.go_to_end()
        self._at_end, self._anchor = True, None
        self._resized()
        self._set_cursor(source.height - 1)
        self._demand()
        self.post_message(self.Loaded(self))

    def go_to(self, place: tuple[int, str | None]) -> None:
        """Puts the cursor on a row of this list."""
        self._cursor, self._restore = place
        self._settle()
        self._show_cursor()
        self._redraw()
        self._demand()

    def _move_to(self, index: int) -> None:
        """Moves on the user's request, which ends walking to the end."""
        self._at_end, self._anchor = False, None
        if self._source is not None:
            self._source.stop_seeking()
        self._set_cursor(index)

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

    def _resized(self) -> None:
        """Rows were added or removed without a page having arrived."""
        self._lay_out()
        self._update_height()
        self._redraw()

    def on_resize(self, event: events.Resize) -> None:
        self._resized()
        self._show_cursor()
        self._demand()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._demand()

    def on_focus(self) -> None:
        self._refresh_row(self._cursor)

    def on_blur(self) -> None:
        self._refresh_row(self._cursor)

    # -- sideways, and the tree ---------------------------------------------------------------------

    def action_right(self) -> None:
        if not self._expand(self._cursor):
            self.action_shift(1)

    def action_left(self) -> None:
        if self._offset:
            self.action_shift(-1)
        elif not self._collapse(self._cursor) and self.as_tree is not None:
            above = self.as_tree.parent(self._cursor)
            if above is not None:
                self._move_to(above)

    def action_shift(self, columns: int) -> None:
        """Scrolls the columns; the first one stays."""
        if columns > 0 and self._layout.hidden == 0:
            return
        offset = max(0, min(self._offset + columns, len(self._columns) - 2))
        if offset != self._offset:
            self._offset = offset
            self._lay_out()
            self._redraw()

    def _expand(self, index: int) -> bool:
        return self.as_tree is not None and self._fold(index, self.as_tree.expand(index), self.Expand)

    def _collapse(self, index: int) -> bool:
        return self.as_tree is not None and self._fold(index, self.as_tree.collapse(index), self.Collapse)

    def _fold(self, index: int, rows: int | None, message: type[messages.RowMessage]) -> bool:
        """Draws after `rows` were added (or, negative, removed) below a row; False when it could not be opened or
        closed."""
        if rows is None or self._source is None:
            return False
        if self._cursor > index:
            # A cursor on one of the removed rows moves to the row above them.
            self._move_to(max(index, self._cursor + rows))
        self._anchor = None
        self._resized()
        self._demand()
        self.post_message(message(self, self._source.row(index)))
        return True

    # -- marks --------------------------------------------------------------------------------------

    def toggle_mark(self) -> None:
        """Toggles the mark of the row under the cursor, and goes one down."""
        self._turn_mark(self._cursor)
        self.action_move(1)

    def action_extend(self, rows: int) -> None:
        """Moves, marking the rows from where shift was first held; going back unmarks them."""
        if self.markable:
            self._extend_to(self._cursor + rows)
        else:
            self.action_move(rows)

    def _extend_to(self, index: int) -> None:
        anchor = self._cursor if self._anchor is None else self._anchor
        before = _between(anchor, self._cursor)
        self._move_to(index)
        self._anchor = anchor
        after = _between(anchor, self._cursor)
        self._mark({each: each in after for each in (*before, *after)})

    # -- mouse --------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            column = self._layout.column_at(event.x)
            if column is not None and column.sort is not None:
                self.post_message(self.SortAsked(self, column, event.shift))
            return
        source = self._source
        index = event.y - 1 + self.scroll_offset.y
        if source is None or index >= source.height:
            return
        if self.markable and event.shift:
            self._extend_to(index)
        elif self.markable and event.ctrl:
            self._move_to(index)
            self._turn_mark(index)
        elif self._is_triangle(event.x, index):
            if not self._expand(index):
                self._collapse(index)
        elif index == self._cursor and self.has_focus and event.chain > 1:
            row = source.row(index)
            if row is not None:
                self.post_message(self.Opened(self, row))
        else:
            self._move_to(index)

    def _is_triangle(self, x: int, index: int) -> bool:
        if self.as_tree is None:
            return False
        branch = self.as_tree.branch(index)
        if branch is None or not branch.can_open:
            return False
        left = LEAD + branch.depth * INDENT
        return left <= x < left + INDENT

    def on_mouse_scroll_left(self, event: events.MouseScrollLeft) -> None:
        event.stop()
        self.action_shift(-1)

    def on_mouse_scroll_right(self, event: events.MouseScrollRight) -> None:
        event.stop()
        self.action_shift(1)


def _between(one: int, other: int) -> range:
    return range(min(one, other), max(one, other) + 1)
