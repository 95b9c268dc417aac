"""Marked rows of a table: kept by key, so that they stay over refresh, sorting and filtering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeAlias, TypeVar

from registry_tui.widgets import table_messages as messages
from registry_tui.widgets.table_layout import Column
from registry_tui.widgets.table_messages import Empty
from registry_tui.widgets.table_view import TableView

Row = TypeVar("Row")


class MarkingView(TableView[Row], Generic[Row]):
    """A table of which rows can be marked; `Marked` is posted when marks change."""

    Marked: TypeAlias = messages.Marked

    def __init__(
        self, columns: Iterable[Column[Row]] = (), *, id: str | None = None, empty: Empty | None = None
    ) -> None:
        super().__init__(list(columns), id=id, empty=empty)
        #: Whether rows can be marked with shift and by mouse.
        self.markable = False
        #: Where marking with shift began.
        self._anchor: int | None = None

    def clear_marks(self) -> None:
        """Removes all marks."""
        self.marked.clear()
        self._anchor = None
        self.refresh()
        self.post_message(self.Marked(self))

    def unmark(self, which: Callable[[Row], bool]) -> None:
        """Unmarks rows."""
        for key in [key for key, row in self.marked.items() if which(row)]:
            del self.marked[key]
        self.refresh()
        self.post_message(self.Marked(self))

    def _turn_mark(self, index: int) -> None:
        """Toggles the mark of the row at an index."""
        row = self._source.row(index) if self._source is not None else None
        if row is not None and self._source is not None:
            self._mark({index: self._source.key(row) not in self.marked})

    def _mark(self, marks: Mapping[int, bool]) -> None:
        """Marks or unmarks rows by index; rows that are not loaded are left out."""
        source = self._source
        for index, mark in marks.items():
            row = source.row(index) if source is not None else None
            if row is None or source is None:
                continue
            if mark:
                self.marked[source.key(row)] = row
            else:
                self.marked.pop(source.key(row), None)
            self._refresh_row(index)
        self.post_message(self.Marked(self))
