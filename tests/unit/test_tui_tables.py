"""The page cache, the rows that the table draws from it, and text from outside."""

from __future__ import annotations

import asyncio
import unicodedata
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.widget import Widget

from registry_tui.widgets.page_cache import PageCache, Rows
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording.text import fit, safe, safe_lines
from registry_tui.wording.words import size
from support.pilots import press

PAGE = 100


@dataclass
class Source:
    """Rows that are numbers, in pages by token; counts its requests."""

    rows: list[int]
    tells_total: bool = False
    asked: list[tuple[str | None, bool]] = field(default_factory=list)

    async def fetch(self, token: str | None, backwards: bool) -> Rows[int]:
        self.asked.append((token, backwards))
        rows = self.rows[::-1] if backwards else self.rows
        start = int(token or 0)
        following = start + PAGE
        return Rows(
            rows[start:following],
            str(following) if following < len(rows) else None,
            len(rows) if self.tells_total else None,
        )


def settle(cache: PageCache[int]) -> None:
    """Fetches until nothing is wanted."""

    async def pump() -> None:
        while (step := cache.next_step()) is not None:
            cache.accept(step, await step.fetch())

    asyncio.run(pump())


def cache_of(source: Source, *, reversible: bool = True, max_pages: int = 8) -> PageCache[int]:
    return PageCache(source.fetch, str, reversible=reversible, max_pages=max_pages)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 1500),
    places=st.lists(st.integers(0, 1600), max_size=8),
    tells_total=st.booleans(),
    reversible=st.booleans(),
)
def test_whatever_is_looked_at_is_the_right_row(
    count: int, places: list[int], tells_total: bool, reversible: bool
) -> None:
    cache = cache_of(Source(list(range(count)), tells_total), reversible=reversible)
    settle(cache)
    for place in places:
        place = min(place, max(0, cache.height - 1))
        cache.demand(place, place + 20)
        settle(cache)
        for index in range(place, min(place + 20, cache.height, count)):
            assert cache.row(index) == index
        assert len(cache.loaded_rows()) <= 2 * 8 * PAGE + 2 * PAGE
    if tells_total:
        assert cache.total == count


def test_the_end_of_a_long_list_takes_a_page_or_two() -> None:
    for tells_total in (True, False):
        source = Source(list(range(100_000)), tells_total)
        cache = cache_of(source)
        settle(cache)
        assert cache.go_to_end()
        cache.demand(cache.height - 30, cache.height - 1)
        settle(cache)
        assert cache.row(cache.height - 1) == 99_999
        assert cache.from_end is not tells_total
        assert len(source.asked) <= 4
        cache.go_to_start()
        cache.demand(0, 30)
        settle(cache)
        assert cache.row(0) == 0


def test_rows_that_are_put_before_move_the_display() -> None:
    cache = cache_of(Source(list(range(1000))))
    cache.go_to_end()
    settle(cache)
    height = cache.height
    cache.demand(0, 5)
    step = cache.next_step()
    assert step is not None
    moved = cache.accept(step, asyncio.run(step.fetch()))
    assert moved == cache.height - height == PAGE


def test_a_list_that_cannot_be_reversed_is_walked_until_stopped() -> None:
    cache = cache_of(Source(list(range(5000))), reversible=False)
    settle(cache)
    assert not cache.go_to_end()
    seeking = cache.seeking
    cache.stop_seeking()
    assert (seeking, cache.seeking) == (True, False)
    cache.go_to_end()
    settle(cache)
    assert cache.total == 5000


def test_a_refresh_finds_rows_again_and_shows_old_ones_until_then() -> None:
    source = Source(list(range(500)))
    cache = cache_of(source)
    cache.demand(0, 150)
    settle(cache)
    source.rows[:0] = [-3, -2, -1]
    cache.refresh()
    assert cache.row(10) == 10
    settle(cache)
    assert cache.row(10) == 7
    assert cache.find("10", 10) == 13
    source.rows[50:] = []
    cache.refresh()
    settle(cache)
    assert cache.total == 50


@pytest.mark.parametrize("reversible", [True, False])
def test_rows_that_come_into_an_empty_list_are_seen_at_its_refresh(reversible: bool) -> None:
    source = Source([])
    cache = cache_of(source, reversible=reversible)
    cache.demand(0, 20)
    settle(cache)
    assert cache.started and cache.height == 0
    source.rows = [1, 2, 3]
    cache.refresh()
    settle(cache)
    assert cache.loaded_rows() == [1, 2, 3] and cache.total == 3


def test_trimmed_pages_come_back_by_their_tokens() -> None:
    source = Source(list(range(2000)))
    cache = cache_of(source)
    for place in range(0, 1500, 50):
        cache.demand(place, place + 30)
        settle(cache)
    cache.trim()
    assert len(cache.loaded_rows()) <= 3 * PAGE
    source.asked.clear()
    cache.demand(200, 230)
    settle(cache)
    assert cache.row(215) == 215
    assert len(source.asked) <= 2


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=60), st.integers(1, 30))
def test_text_from_outside_is_shown_and_never_obeyed(text: str, width: int) -> None:
    shown = safe(text)
    for character in shown:
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"), repr(character)
    assert cell_len(fit(shown, width)) == width
    assert "\x1b" not in safe_lines(text)
    assert safe_lines("a\nb") == "a\nb"
    shown.encode()


def test_a_megabyte_is_cut_and_marks_do_not_climb() -> None:
    assert len(safe("x" * 1_000_000)) == 2000
    assert safe("a" + "\u0301" * 50) == "a\u0301\u0301"
    assert safe("\u202egnp.exe\x1b]0;x\x07") == "⟨202E⟩gnp.exe␛]0;x␇"
    assert [size(count) for count in (0, 999, 1000, 12_400_000)] == ["0 B", "999 B", "1.00 kB", "12.4 MB"]


class TableApp(App[None]):
    """A table of hostile texts."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self.texts = texts

    def compose(self) -> ComposeResult:
        yield VirtualTable([Column("a", "A", lambda row: row, 0), Column("b", "B", lambda row: row, 1, right=True)])

    async def on_mount(self) -> None:
        async def fetch(token: str | None, backwards: bool) -> Rows[str]:
            return Rows(self.texts)

        self.query_one(VirtualTable).set_source(PageCache(fetch, repr))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(st.characters(), max_size=80), min_size=1, max_size=20))
def test_every_line_of_the_table_is_as_wide_as_the_table(texts: list[str]) -> None:
    async def draw() -> None:
        app = TableApp([*texts, "[/bold]", "\x1b[2J", "e\u0301" * 40, "👩‍👩‍👧", "表" * 50])
        async with app.run_test(size=(60, 20)) as pilot:
            table = app.query_one(VirtualTable)
            while table.source is None or not table.source.started:
                await pilot.pause(0.01)
            for y in range(table.size.height):
                strip = table.render_line(y)
                assert sum(cell_len(segment.text) for segment in strip) == table.size.width
                assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in strip.text)

    asyncio.run(draw())


def seen(cell: Segment) -> tuple[object, ...]:
    """The visible properties of a cell: its character and colours, and the effect of the mouse there."""
    style = cell.style
    assert style is not None
    front, behind = (style.bgcolor, style.color) if style.reverse else (style.color, style.bgcolor)
    return cell.text, None if cell.text == " " else front, behind, str(style.meta)


async def test_lines_are_drawn_as_textual_would_draw_them() -> None:
    app = TableApp([f"row {number}" for number in range(300)])
    async with app.run_test(size=(60, 20)) as pilot:
        table = app.query_one(VirtualTable)
        while table.source is None or not table.source.started or not table.vertical_scrollbar.display:
            await pilot.pause(0.01)
        table.focus()
        await press(pilot, "pagedown", "down")
        await pilot.pause()

        def lines(widget: Widget, crop: Region, *, ours: bool) -> list[list[Segment]]:
            """The visible content: texts, and the colours in front and behind."""
            strips = widget.render_lines(crop) if ours else Widget.render_lines(widget, crop)
            return [list(Segment.simplify(strip)) for strip in strips]

        width, height = table.size
        for crop in (Region(0, 0, width, height), Region(7, 3, 20, 5), Region(0, height - 1, width, 1)):
            assert lines(table, crop, ours=True) == lines(table, crop, ours=False)
        line = table.render_line(3)
        for each in table.get_line_filters():
            line = line.apply_filter(each, table.background_colors[1])
        assert table.render_lines(Region(0, 3, width, 1))[0] is line, "nothing is copied"
        bar = table.vertical_scrollbar
        mine, textual = ([seen(line[0]) for line in lines(bar, bar.size.region, ours=ours)] for ours in (True, False))
        assert mine == textual and len(set(mine)) >= 3
        table.styles.padding = 1
        await pilot.pause()
        assert len(table.render_lines(Region(0, 0, *table.outer_size))) == table.outer_size.height


async def test_what_an_empty_table_says_is_wrapped_and_not_cut() -> None:
    words = "Whatever takes long is shown here: creating registries, storing archives, moving a thousand things."
    app = TableApp([])
    async with app.run_test(size=(40, 20)) as pilot:
        table = app.query_one(VirtualTable)
        table.empty = Empty("Nothing has been done yet", (words, "In a script: registry-tui list"))
        while not table.source or not table.source.started:
            await pilot.pause(0.01)
        lines = [table.render_line(y).text for y in range(table.size.height)]
    assert all(cell_len(line) == 40 for line in lines)
    said = " ".join(" ".join(lines).split())
    assert f"Nothing has been done yet {words} In a script: registry-tui list" in said
