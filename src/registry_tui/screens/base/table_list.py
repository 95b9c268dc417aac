"""The common part of list screens and lists in tabs: filters above a table that is sorted by its columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.screens.base.filter_bar import Filter
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Empty, Sort, VirtualTable

if TYPE_CHECKING:
    from textual.widget import Widget
else:
    # Textual takes a class's styles from the first widget among its bases, which must be the one next to this mixin.
    Widget = object


class TableList(Widget):
    """A mixin for widgets with a `VirtualTable` whose ID is `table`. It comes before the widget among the bases."""

    FILTERS: ClassVar[tuple[Filter, ...]] = ()
    EMPTY: ClassVar[Empty] = Empty("Nothing here")
    #: How many columns the source can sort by.
    SORT_COLUMNS: ClassVar[int] = 1

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        """A function that fetches pages of the list with the current filters and order."""
        raise NotImplementedError

    def restart(self) -> None:
        """Fetches the list again from its start, because filter or order changed."""
        raise NotImplementedError

    def key_of(self, row: Any) -> str:
        """The key of a row, which stays the same over refreshes."""
        return str(row.id)

    def open_row(self, row: Any) -> None:
        """Enter on a row."""

    @property
    def table(self) -> VirtualTable[Any]:
        return self.query_one("#table", VirtualTable)

    @property
    def current(self) -> Any:
        """The row under the cursor, or None."""
        return self.table.current

    @property
    def orders(self) -> list[str]:
        """`field` or `-field` of each sorted column, the most significant first."""
        fields = {column.key: column.sort for column in self.table.columns}
        return [
            f"-{field}" if down else field
            for key, down in self.table.sorted_by
            if (field := fields.get(key)) is not None
        ]

    @property
    def order(self) -> str | None:
        """`field` or `-field` of the first sorted column."""
        return next(iter(self.orders), None)

    def sort(self, key: str, down: bool | None = None, *, add: bool = False) -> None:
        """Sorts by a column, with `add` after the already sorted ones; the same column again reverses its direction."""
        now = dict(self.table.sorted_by)
        down = down if down is not None else now.get(key) is False
        if add and self.SORT_COLUMNS > 1:
            now[key] = down
            self.sort_by(list(now.items())[-self.SORT_COLUMNS :])
        else:
            self.sort_by([(key, down)])

    def sort_by(self, columns: Sequence[Sort]) -> None:
        """Sorts by several columns, the most significant first."""
        self.table.sorted_by = tuple(columns)
        self.restart()

    def focus_content(self) -> None:
        self.table.focus()
