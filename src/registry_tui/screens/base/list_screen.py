"""The base of every list: an optional filter bar and the virtual table; its position outlives refresh and return."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.widget import Widget

from registry_tui.screens.base.filter_bar import FilterBar
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.base.table_list import TableList
from registry_tui.widgets.page_cache import PageCache
from registry_tui.widgets.virtual_table import Column, Empty, Sort, VirtualTable
from registry_tui.wording.words import Cell

if TYPE_CHECKING:
    from registry_tui.widgets.tree_cache import TreeCache


class ListScreen(TableList, FrameScreen):
    """Subclasses provide `COLUMNS`, `EMPTY`, `fetch_for` and `open_row`."""

    COLUMNS: ClassVar[tuple[Column[Any], ...]] = ()
    #: Initial column and direction (True: descending), when the source can sort.
    SORT: ClassVar[Sort | None] = None

    def compose_content(self) -> Iterable[Widget]:
        if self.FILTERS:
            yield FilterBar(self.FILTERS, self.place.state.get("filters"))
        yield VirtualTable(self.columns, id="table", empty=self.EMPTY)

    # -- for subclasses -----------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """The columns of the table: `COLUMNS`, where a screen has no own."""
        return self.COLUMNS

    @property
    def reversible(self) -> bool:
        """Whether the list can be requested in reverse order."""
        return False

    def copied(self, row: Any) -> str:
        """The text that `c` copies of a row."""
        return str(row.crn)

    def row_why_not(self, action: str, row: Any) -> str | None:
        """Why an action is not possible for this row."""
        return None

    # -- the table ----------------------------------------------------------------------------------

    @property
    def exported(self) -> VirtualTable[Any]:
        """The table that is exported: the one in view, where there are several."""
        return self.table

    @property
    def filters(self) -> dict[str, str]:
        return dict(self.query_one(FilterBar).values) if self.FILTERS else {}

    def on_mount(self) -> None:
        table = self.table
        table.sorted_by = tuple(self.place.state.get("sort", (self.SORT,) if self.SORT else ()))
        table.markable = any(action.id == "mark" for action in self.ACTIONS)
        table.marked = dict(self.place.state.get("marked", {}))
        table.focus()
        self.program.show_early()

    async def start(self) -> None:
        await self.prepare()
        self.show_crumbs()
        if self.table.source is None:
            place = self.place.state.get("cursor", (0, None))
            self.table.set_source(self.place.state.get("source") or self.new_source(), place)
            if "source" in self.place.state:
                self.table.reload()
        else:
            self.table.reload()

    async def prepare(self) -> None:
        """Fetches the data that the list's own request needs."""

    def new_source(self) -> PageCache[Any] | TreeCache[Any]:
        """The list with the current filters and order."""
        return PageCache(self.fetch_for(self.filters, self.order), self.key_of, reversible=self.reversible)

    def restart(self) -> None:
        """Fetches the list again from its start, unless `start` has yet to fetch it."""
        if self.program.answering and self.table.source is not None:
            self.table.set_source(self.new_source())

    @property
    def nothing(self) -> Empty:
        """The text of the list when it is empty without a filter."""
        return self.EMPTY

    def leave(self) -> None:
        state = self.place.state
        state["cursor"], state["sort"], state["filters"] = self.table.place, self.table.sorted_by, self.filters
        state["marked"] = self.table.marked
        if self.table.source is not None:
            self.table.source.trim()
            state["source"] = self.table.source

    def why_not(self, action: str) -> str | None:
        needs = next((known for known in self.ACTIONS if known.id == action), None)
        if needs is None or action in ("create", "order", "columns", "filter", "registry"):
            return self.row_why_not(action, None) if action in ("order", "create", "registry") else None
        if action == "export":
            return None if self.exported.source is not None else "the list is not here yet"
        row = self.current
        if row is None and action != "sort_started":
            return "nothing is selected"
        return self.row_why_not(action, row)

    # -- messages -----------------------------------------------------------------------------------

    @on(VirtualTable.Highlighted, "#table")
    def _highlighted(self, event: VirtualTable.Highlighted) -> None:
        self.show_actions()
        self.row_changed(event.row)

    def row_changed(self, row: Any) -> None:
        """The cursor is on another row."""

    @on(VirtualTable.Opened, "#table")
    def _opened(self, event: VirtualTable.Opened) -> None:
        self.open_row(event.row)

    @on(VirtualTable.SortAsked, "#table")
    def _sort_asked(self, event: VirtualTable.SortAsked) -> None:
        self.sort(event.column.key, add=event.add)

    @on(VirtualTable.Marked, "#table")
    def _marked(self) -> None:
        self.show_count()
        self.show_actions()

    @on(VirtualTable.Loaded, "#table")
    def _loaded(self) -> None:
        self.show_count()

    @on(VirtualTable.Failed, "#table")
    def _failed(self, event: VirtualTable.Failed) -> None:
        self.list_failed(event.error)

    def list_failed(self, error: Exception) -> None:
        """A page could not be fetched."""
        self.failed(error)

    @on(FilterBar.Changed)
    def _filtered(self) -> None:
        self.restart()

    @on(FilterBar.Left)
    def _filters_left(self) -> None:
        self.table.focus()

    def show_count(self) -> None:
        """How many rows there are, as far as known."""
        source = self.table.source
        if source is None:
            return
        if not self.FILTERS:
            self._show_nothing(self.told(self.nothing))
            return
        if source.seeking:
            text = f"reading to the end: {source.seen:,}…"
        elif source.total is not None:
            text = f"{source.total:,}"
        elif source.from_end:
            text = f"last {source.seen:,}"
        else:
            text = f"more than {source.seen:,}"
        if self.table.marked:
            text = f"{len(self.table.marked):,} marked · {text}"
        bar = self.query_one(FilterBar)
        bar.show_count(text.replace(",", " "))
        empty = (
            Empty("Nothing matches", ("/ changes the filter, esc leaves it.",))
            if bar.narrowed
            else self.told(self.nothing)
        )
        self._show_nothing(empty)

    def _show_nothing(self, empty: Empty) -> None:
        if empty != self.table.empty:
            self.table.empty = empty
            self.table.refresh()

    # -- actions ------------------------------------------------------------------------------------

    def do_open(self) -> None:
        if self.current is not None:
            self.open_row(self.current)

    def do_filter(self) -> None:
        if self.FILTERS:
            self.query_one(FilterBar).focus_first()

    @property
    def can_filter(self) -> bool:
        return bool(self.FILTERS)

    @property
    def menu_of(self) -> str:
        return "" if self.current is None else self.named(self.current)

    def named(self, row: Any) -> str:
        """The name of a row for people."""
        return str(getattr(row, "name", self.key_of(row)))

    def do_copy(self) -> None:
        self.program.copy_text(self.copied(self.current))

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        self.app.push_screen(View(self.named(self.current), self.current.model_dump_json(indent=2)))

    def do_export(self) -> None:
        from registry_tui.screens.base.save import Export

        table = self.exported
        fetch = None if table is not self.table else self.fetch_for(self.filters, self.order)
        self.app.push_screen(Export(table, self.place.kind, self.flash, fetch))

    def do_mark(self) -> None:
        self.table.toggle_mark()

    def do_order(self) -> None:
        several = self.SORT_COLUMNS > 1
        order_menu(self, self.table, self.sort, (lambda key, down: self.sort(key, down, add=True)) if several else None)


#: A function that sorts by a column, descending or not.
Sorter = Callable[[str, bool], None]


def order_menu(screen: FrameScreen, table: VirtualTable[Any], sort: Sorter, sort_within: Sorter | None = None) -> None:
    """Offers the sortable columns, in both directions; `sort_within` sorts rows that are equal so far."""
    from registry_tui.screens.base.dialogs import Menu, MenuItem

    marks = {False: "▲", True: "▼"}
    titles = {column.key: column.title for column in table.columns if column.sort is not None}
    items = [
        MenuItem(f"{key}\t{int(down)}", f"{title} {mark}")
        for key, title in titles.items()
        for down, mark in marks.items()
    ]
    now = ", ".join(f"{titles.get(key, key)} {marks[down]}" for key, down in table.sorted_by)
    chosen = next((f"{key}\t{int(down)}" for key, down in table.sorted_by), None)

    def ordered(by: Sorter, choice: str | None) -> None:
        if choice == "within" and sort_within is not None:
            sorted_keys = {key for key, _ in table.sorted_by}
            others = [item for item in items if item.id.split("\t")[0] not in sorted_keys]
            screen.app.push_screen(Menu(f"By {now}, then by", others), partial(ordered, sort_within))
        elif choice is not None:
            key, down = choice.split("\t")
            by(key, down == "1")

    within = [MenuItem("within", f"by {now}, then by …")] if sort_within is not None and now else []
    screen.app.push_screen(Menu("Order by", [*within, *items], chosen), partial(ordered, sort))


def turned(order: str, backwards: bool) -> str:
    """`field` or `-field`, in the other direction with `backwards`."""
    if not backwards:
        return order
    return order[1:] if order.startswith("-") else f"-{order}"


def dim(text: str) -> Cell:
    """Text of lesser weight."""
    return Cell(text, "dim")
