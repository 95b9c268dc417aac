"""The base of the lists in the tabs of a Model Registry's page: a filter bar and a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from textual import on
from textual.containers import Vertical
from textual.widget import Widget

from registry_tui.screens.base.filter_bar import FilterBar
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.base.table_list import TableList
from registry_tui.widgets.page_cache import Fetch, PageCache
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable

if TYPE_CHECKING:
    from registry_tui.schemas.registries import ModelRegistry


class ListPane(TableList, Vertical):
    """A tab with a filter bar and a table. Subclasses provide `fetch`, `key_of` and `open_row`."""

    COLUMNS: Sequence[Column[Any]] = ()
    #: Initial column and direction, when the source can sort.
    SORT: tuple[tuple[str, bool], ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.registry: ModelRegistry | None = None

    def compose(self) -> Iterable[Widget]:
        yield FilterBar(self.FILTERS)
        yield VirtualTable(self.COLUMNS, id="table", empty=self.EMPTY)

    def on_mount(self) -> None:
        self.table.sorted_by = self.SORT

    # -- for subclasses -----------------------------------------------------------------------------

    def fetch(self, registry: ModelRegistry) -> Fetch[Any]:
        """A function that fetches pages of the list with the current filters and order."""
        raise NotImplementedError

    def copied(self, row: Any) -> str:
        """The text that `c` copies of a row."""
        return self.key_of(row)

    # -- the list -----------------------------------------------------------------------------------

    @property
    def frame(self) -> FrameScreen:
        assert isinstance(self.screen, FrameScreen)
        return self.screen

    @property
    def filters(self) -> dict[str, str]:
        return {name: value for name, value in self.query_one(FilterBar).values.items() if value}

    def show(self, registry: ModelRegistry) -> None:
        """Shows the list of a registry, or reloads it."""
        self.registry = registry
        if self.table.source is None:
            self.restart()
        else:
            self.table.say(None)
            self.table.reload()

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        """`fetch`, with the signature that exporting needs."""
        assert self.registry is not None
        return self.fetch(self.registry)

    def flash(self, text: str) -> None:
        """A short message in the status line."""
        self.frame.flash(text)

    def restart(self) -> None:
        """Fetches the list again from its start, once there is a registry."""
        if self.registry is not None:
            self.table.set_source(PageCache(self.fetch(self.registry), self.key_of))

    @on(FilterBar.Changed)
    def _filtered(self, event: FilterBar.Changed) -> None:
        event.stop()
        self.restart()

    @on(FilterBar.Left)
    def _filters_left(self, event: FilterBar.Left) -> None:
        event.stop()
        self.table.focus()

    @on(VirtualTable.Opened, "#table")
    def _opened(self, event: VirtualTable.Opened) -> None:
        self.open_row(event.row)

    @on(VirtualTable.SortAsked, "#table")
    def _sort_asked(self, event: VirtualTable.SortAsked) -> None:
        self.sort(event.column.key)

    @on(VirtualTable.Failed)
    def _failed(self, event: VirtualTable.Failed) -> None:
        self.failed(event.error)

    def failed(self, error: Exception) -> None:
        """Shows a refusal of the service in place of the rows; reports everything else as all screens do."""
        from registry_tui.client import Conflict, Refused

        if isinstance(error, (Conflict, Refused)):
            self.table.say(Empty(error.message, (error.action,) if error.action else ()))
        else:
            self.frame.failed(error)

    @on(VirtualTable.Highlighted, "#table")
    def _moved(self) -> None:
        self.frame.show_actions()

    @on(VirtualTable.Loaded, "#table")
    def _loaded(self) -> None:
        source = self.table.source
        if source is not None:
            shown = f"{source.seen:,}+" if source.total is None else f"{source.total:,}"
            self.query_one(FilterBar).show_count(shown)
