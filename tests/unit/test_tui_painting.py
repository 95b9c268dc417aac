"""How often, and which parts of, the first page is drawn."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Static

from registry_tui.terminal.textual_private import CompositorUpdate, LowestScreen, PaintingApp
from registry_tui.widgets.compositing import SeenCompositor


class _Counting(SeenCompositor):
    """Counts its drawings."""

    def __init__(self) -> None:
        super().__init__()
        self.page: _Page | None = None
        self.regions: list[list[Region]] = []
        self.never_sent = 0

    def drawn(self, crop: Region | None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        assert self.page is not None
        self.never_sent += bool(self.page.app._batch_count)
        found = list(super().drawn(crop))
        self.regions.append([region for region, *_ in found])
        return found


class _Page(LowestScreen):
    """A page whose widgets cover their containers completely."""

    DEFAULT_CSS = "_Page #side { width: 9; height: 100%; } _Page #text { width: 1fr; height: 100%; }"

    def __init__(self) -> None:
        super().__init__()
        self.counted = _Counting()
        self.counted.page = self
        self.compose_with(self.counted)

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("side", id="side")
            yield Static("one", id="text")


class _Program(PaintingApp):
    DEFAULT_MODE = "places"

    def __init__(self) -> None:
        super().__init__()
        self.add_mode("places", _Page)

    def painted(self, update: CompositorUpdate) -> CompositorUpdate:
        return update


async def drawn_page(app: _Program, pilot: Pilot[None]) -> _Page:
    """The first page, once it was drawn."""
    page = app.screen
    assert isinstance(page, _Page)
    for _ in range(3000):
        if page.counted.regions:
            return page
        await pilot.pause(0.01)
    raise AssertionError("nothing was drawn")


async def test_the_first_page_is_not_drawn_before_it_can_be_sent() -> None:
    app = _Program()
    async with app.run_test() as pilot:
        assert (await drawn_page(app, pilot)).counted.never_sent == 0


async def test_widgets_of_which_nothing_is_seen_are_not_drawn() -> None:
    app = _Program()
    async with app.run_test() as pilot:
        page = await drawn_page(app, pilot)
        side, text = page.query_one("#side"), page.query_one("#text")
        assert page.counted.regions[0] in ([side.region, text.region], [text.region, side.region])
