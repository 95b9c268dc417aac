"""Trees of paged lists, marks, sort columns and the mouse: the table over rows at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from registry_tui.terminal.actions import ALL
from registry_tui.terminal.actions.tracking import CHART
from registry_tui.widgets.page_cache import PageCache, Rows
from registry_tui.widgets.tree_cache import TreeCache
from registry_tui.widgets.virtual_table import Column, VirtualTable
from support.pilots import click, press, resize

PAGE = 20
Row = str


@dataclass
class Forest:
    """Rows named by their path, `3.0.7`; those whose last number is divisible by three have rows below them."""

    top: list[str]
    below: int = 45
    asked: list[str] = field(default_factory=list)

    def pages(self, names: list[str], of: str) -> PageCache[Row]:
        async def fetch(token: str | None, backwards: bool) -> Rows[Row]:
            start = int(token or 0)
            self.asked.append(f"{of}:{start}")
            rows = names[::-1] if backwards else names
            return Rows(rows[start : start + PAGE], str(start + PAGE) if start + PAGE < len(rows) else None)

        return PageCache(fetch, str, reversible=True, max_pages=4)

    def tree(self) -> TreeCache[Row]:
        return TreeCache(
            self.pages(self.top, "top"),
            can_open=lambda row: int(row.split(".")[-1]) % 3 == 0 and row.count(".") < 3,
            children=lambda row: self.pages([f"{row}.{number}" for number in range(self.below)], row),
        )


def settle(tree: TreeCache[Row]) -> None:
    """Fetches until nothing is wanted."""

    async def pump() -> None:
        while (step := tree.next_step()) is not None:
            tree.accept(step, await step.fetch())

    asyncio.run(pump())


def look(tree: TreeCache[Row], first: int, last: int) -> list[Row | None]:
    """The rows between two places, after they were fetched."""
    tree.demand(first, last)
    settle(tree)
    return [tree.row(index) for index in range(first, last + 1)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 120), st.booleans()), max_size=12), st.integers(1, 60))
def test_whatever_is_opened_and_closed_the_rows_are_in_order(acts: list[tuple[int, bool]], below: int) -> None:
    forest = Forest([str(number) for number in range(50)], below)
    tree = forest.tree()
    shown = list(forest.top)
    look(tree, 0, 60)
    for place, opens in acts:
        place = min(place, len(shown) - 1)
        assert look(tree, place, place) == [shown[place]]
        name = shown[place]
        inside = [index for index, row in enumerate(shown) if row.startswith(f"{name}.")]
        if opens and tree.expand(place) is not None:
            assert not inside
            shown[place + 1 : place + 1] = [f"{name}.{number}" for number in range(below)]
        elif not opens and tree.collapse(place) is not None:
            assert inside
            del shown[inside[0] : inside[-1] + 1]
        # A list is only as long as it was walked: look at every place on the way.
        for index in range(0, len(shown), 10):
            look(tree, index, index + 10)
    assert [tree.row(index) for index in range(tree.height)] == shown
    for index, name in enumerate(shown):
        branch, above = tree.branch(index), tree.parent(index)
        assert branch is not None
        assert branch.depth == name.count(".")
        assert (None if above is None else shown[above]) == (name.rpartition(".")[0] or None)
        assert tree.find(name, index) == index


def test_only_pages_in_view_are_fetched_and_closing_forgets() -> None:
    forest = Forest([str(number) for number in range(10_000)], below=10_000)
    tree = forest.tree()
    look(tree, 0, 15)
    assert tree.expand(3) == 1  # one line stands for the rows still to come
    assert look(tree, 2, 6) == ["2", "3", "3.0", "3.1", "3.2"]
    assert len(forest.asked) <= 5
    closed = tree.collapse(3)
    assert closed is not None and closed < -PAGE
    assert look(tree, 2, 6) == ["2", "3", "4", "5", "6"]
    assert not any(tree.find(f"3.{number}", 4) for number in range(3))


def test_open_rows_follow_a_refresh_and_close_when_they_are_gone() -> None:
    forest = Forest([str(number) for number in range(30)], below=2)
    tree = forest.tree()
    look(tree, 0, 20)
    tree.expand(3)
    tree.expand(0)
    forest.top.insert(0, "100")
    tree.refresh()
    assert look(tree, 0, 9) == ["100", "0", "0.0", "0.1", "1", "2", "3", "3.0", "3.1", "4"]
    forest.top.remove("3")
    tree.refresh()
    assert look(tree, 0, 7) == ["100", "0", "0.0", "0.1", "1", "2", "4", "5"]


class TableApp(App[None]):
    """A table of a forest."""

    def __init__(self, forest: Forest) -> None:
        super().__init__()
        self.forest = forest
        self.told: list[Any] = []

    def compose(self) -> ComposeResult:
        columns = [Column[Row]("name", "Name", lambda row: row, 0, sort="name")]
        columns += [
            Column(f"c{number}", f"C{number}", lambda row: row[::-1], number, sort=f"c{number}", min_width=9)
            for number in range(1, 9)
        ]
        yield VirtualTable(columns)

    @property
    def table(self) -> VirtualTable[Row]:
        return self.query_one(VirtualTable)

    def on_mount(self) -> None:
        self.table.markable = True
        self.table.set_source(self.forest.tree())

    def on_virtual_table_expand(self, event: VirtualTable.Expand) -> None:
        self.told.append(("expand", event.row))

    def on_virtual_table_collapse(self, event: VirtualTable.Collapse) -> None:
        self.told.append(("collapse", event.row))

    def on_virtual_table_sort_asked(self, event: VirtualTable.SortAsked) -> None:
        self.told.append(("sort", event.column.key, event.add))

    def on_virtual_table_marked(self, event: VirtualTable.Marked) -> None:
        self.told.append(("marked", event.count))

    def line(self, y: int) -> str:
        return self.table.render_line(y).text.rstrip()


@asynccontextmanager
async def table_of(top: int = 200, size: tuple[int, int] = (70, 20)) -> AsyncIterator[tuple[TableApp, Pilot[None]]]:
    app = TableApp(Forest([str(number) for number in range(top)]))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.table.current == "0")
        yield app, pilot


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    for _ in range(2000):
        if condition():
            return
        await pilot.pause(0.005)
    raise AssertionError(pilot.app.query_one(VirtualTable).current)


async def test_arrows_open_and_close_rows_and_keep_the_cursor() -> None:
    async with table_of() as (app, pilot):
        table = app.table
        await press(pilot, "down", "down", "down", "right")
        await until(pilot, lambda: table.source is not None and table.source.row(4) == "3.0")
        assert table.current == "3"
        assert "▾ 3" in app.line(4) and "  ▸ 3.0" in app.line(5) and "▸" not in app.line(6)
        await press(pilot, "down", "right")
        await until(pilot, lambda: table.source is not None and table.source.row(5) == "3.0.0")
        # A row above is opened by mouse: the cursor stays on its row.
        await click(pilot, VirtualTable, offset=(3, 1))
        await until(pilot, lambda: table.source is not None and table.source.row(1) == "0.0")
        assert table.current == "3.0"
        await press(pilot, "down", "down", "left")
        assert table.current == "3.0"
        await press(pilot, "left", "left")
        assert table.current == "3"
        await press(pilot, "left")
        assert table.source is not None and table.source.row(table.cursor + 1) == "4"
        assert app.told == [("expand", row) for row in ("3", "3.0", "0")] + [("collapse", "3.0"), ("collapse", "3")]


async def test_where_nothing_opens_the_arrows_scroll_columns() -> None:
    async with table_of() as (app, pilot):
        assert "C8" not in app.line(0) and "+" in app.line(0)
        await press(pilot, "down", *["right"] * 8)
        assert "C8" in app.line(0) and "‹" in app.line(0) and "Name" in app.line(0) and "C1" not in app.line(0)
        await press(pilot, *["left"] * 8)
        assert "C1" in app.line(0) and "C8" not in app.line(0)
        await resize(pilot, 30, 12)
        assert "Name" in app.line(0) and "C3" not in app.line(0)
        await resize(pilot, 160, 12)
        assert "C8" in app.line(0) and "+" not in app.line(0)


async def test_columns_keep_their_width_when_others_come_and_rows_leave() -> None:
    async with table_of(top=2000) as (app, pilot):
        table = app.table
        await press(pilot, "end")
        await until(pilot, lambda: table.current == "1999")
        columns = list(table.columns)
        table.set_columns(columns[:3])
        await press(pilot, "home")
        await until(pilot, lambda: table.current == "0")
        table.set_columns(columns)
        await press(pilot, "end")
        await until(pilot, lambda: table.current == "1999")
        assert "1999" in app.line(table.size.height - 1)


async def test_headers_show_several_sort_columns_and_ask_for_them() -> None:
    async with table_of() as (app, pilot):
        app.table.sorted_by = (("c1", True),)
        assert "C1 ▼ " in app.line(0) and "1 ▼1" not in app.line(0)
        app.table.sorted_by = (("c2", False), ("name", True))
        assert "Name ▼2" in app.line(0) and "C2 ▲1" in app.line(0)
        await click(pilot, VirtualTable, offset=(3, 0))
        await click(pilot, VirtualTable, offset=(app.line(0).index("C1"), 0), shift=True)
        assert app.told == [("sort", "name", False), ("sort", "c1", True)]


async def test_shift_marks_a_range_and_going_back_takes_it_away() -> None:
    async with table_of() as (app, pilot):
        table = app.table
        await press(pilot, "down", *["shift+down"] * 3)
        assert list(table.marked) == ["1", "2", "3", "4"]
        await press(pilot, "shift+up")
        assert list(table.marked) == ["1", "2", "3"]
        assert app.told[-1] == ("marked", 3)
        await press(pilot, "end")
        await until(pilot, lambda: table.current == "199")
        await press(pilot, "home")
        await until(pilot, lambda: table.current == "0")
        table.toggle_mark()
        assert set(table.marked) == {"0", "1", "2", "3"} and table.current == "1"
        assert app.line(1)[1] == "●"
        await click(pilot, VirtualTable, offset=(20, 8), control=True)
        await click(pilot, VirtualTable, offset=(20, 10), shift=True)
        assert set(table.marked) == {"0", "1", "2", "3", "7", "8", "9"}
        table.set_source(app.forest.tree())
        assert len(table.marked) == 7
        table.clear_marks()
        await until(pilot, lambda: app.line(1)[1:2] == " ")


def test_no_action_has_a_key_of_the_table() -> None:
    keys = {key for binding in VirtualTable.BINDINGS for key in str(getattr(binding, "key", "")).split(",")}
    for screen, actions in ALL.items():
        # Charts are in tabs of their own, where no table has the keys.
        shared = keys & {key for action in actions if action not in CHART for key in action.key.split(",")}
        assert not shared, f"{screen}: {shared} would move the cursor"


async def test_wheel_and_clicks() -> None:
    async with table_of() as (app, pilot):
        table = app.table
        await click(pilot, VirtualTable, offset=(20, 6))
        assert table.current == "5"
        table.scroll_down(animate=False)
        table.scroll_down(animate=False)
        await click(pilot, VirtualTable, offset=(20, 6))
        assert table.current == "7"
