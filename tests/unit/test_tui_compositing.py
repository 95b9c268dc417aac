"""Drawing only the visible parts shows the same as drawing everything, wherever something changes."""

from __future__ import annotations

import copy

from rich.segment import Segment
from textual._compositor import Compositor
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Label, OptionList, Static

from registry_tui.widgets.compositing import SeenCompositor

WIDTH, HEIGHT = 40, 14


class Places(Screen[None]):
    """Widgets next to, in and over each other, some of them clipped by their containers."""

    CSS = """
    #side { width: 9; padding: 1; background: blue 30%; }
    #wide { width: 60; height: 30; background: red 20%; }
    #over { layer: above; offset: 12 4; width: 15; height: 5; border: round green; background: black; }
    #hidden { visibility: hidden; height: 2; }
    Places { layers: below above; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._compositor = SeenCompositor()

    def compose(self) -> ComposeResult:
        yield Label("head", id="head")
        with Horizontal():
            yield Static("side\nlines", id="side")
            with Vertical():
                yield Static("hidden", id="hidden")
                with VerticalScroll():
                    yield Static("\n".join(f"{line} " + "wide " * 12 for line in range(30)), id="wide")
                yield OptionList("one", "two")
        yield Static("over", id="over")


def drawn(compositor: Compositor, crop: Region) -> list[list[Segment]]:
    """The content of each line of the crop within it."""
    chops = compositor._render_chops(crop, lambda y: True)
    lines = []
    for y in crop.line_range:
        line: list[Segment] = []
        for (x, strip), end in zip(chops[y].items(), compositor.cuts[y][1:], strict=True):
            first, last = max(x, crop.x), min(end, crop.right)
            if first < last:
                assert strip is not None, f"nothing is drawn at {x}, {y}"
                line += strip.crop(first - x, last - x)
        lines.append(list(Segment.simplify(line)))
    return lines


async def test_wherever_something_changes() -> None:
    app: App[None] = App()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        screen = Places()
        await app.push_screen(screen)
        screen.query_one(VerticalScroll).scroll_to(y=7, animate=False)
        await pilot.pause()
        seen = screen._compositor
        everything = copy.copy(seen)
        everything.__class__ = Compositor
        crops = [
            Region(x, y, width, height)
            for x in (0, 5, 9, 12, 30, 39)
            for y in (0, 1, 5, 9, 13)
            for width in (1, 8, 40)
            for height in (1, 4, 14)
        ]
        whole = Region(0, 0, WIDTH, HEIGHT)
        for crop in (whole, *(each.intersection(whole) for each in crops), *(place.region for place in screen.query())):
            visible = crop.intersection(whole)
            if visible:
                assert drawn(seen, visible) == drawn(everything, visible), visible
        renders = len(list(seen._get_renders(Region(13, 5, 3, 2))))
        assert renders < len(list(everything._get_renders(Region(13, 5, 3, 2)))) and renders == 1
