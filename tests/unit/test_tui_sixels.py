"""Sixels lie where their placeholders are: after scrolling, behind covering widgets, and not after they are gone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import BytesIO, StringIO

import pytest
from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from registry_tui.widgets import sixels
from registry_tui.widgets.shown import Shown
from registry_tui.widgets.terminal_images import PLACEHOLDER, TerminalImage, terminal_image
from support.sixel import pixels

WIDTH, HEIGHT, ACROSS, DOWN = 12, 6, 4, 9
CONSOLE = Console(file=StringIO(), force_terminal=True, color_system="truecolor", width=WIDTH, height=HEIGHT)
_PARTS = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[[\d;]*m|(\x1bP.*?\x1b\\)|([^\x1b]+)", re.DOTALL)
Drawn = dict[tuple[int, int], tuple[int, int, int]]


class Canvas:
    """A terminal that draws sixels: text takes away the pixels of the cells it is written to."""

    def __init__(self) -> None:
        self.drawn: Drawn = {}

    def feed(self, written: str) -> None:
        x = y = 0
        for part in _PARTS.finditer(written):
            if part[1]:
                y, x = int(part[1]) - 1, int(part[2]) - 1
            elif part[3]:
                _, _, found = pixels(part[3])
                self.drawn |= {(x * ACROSS + dx, y * DOWN + dy): colour for (dx, dy), colour in found.items()}
            elif part[4]:
                assert PLACEHOLDER not in part[4], "no terminal is sent a placeholder"
                for cell in range(x, x + len(part[4])):
                    for dx in range(ACROSS):
                        for dy in range(DOWN):
                            self.drawn.pop((cell * ACROSS + dx, y * DOWN + dy), None)
                x += len(part[4])


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> TerminalImage:
    """8 by 4 cells; each pixel's colour encodes its place."""
    monkeypatch.setattr(sixels, "cell_size", lambda: (ACROSS, DOWN))
    picture = Image.new("RGB", (72, 72))
    picture.putdata([(255 * (x // 9) // 8, 0, 255 * (y // 18) // 4) for y in range(72) for x in range(72)])
    data = BytesIO()
    picture.save(data, "PNG")
    found = terminal_image(data.getvalue(), 8)
    assert (found.columns, found.rows) == (8, 4)
    return found


def page(image: TerminalImage, top: int, box: tuple[int, int] | None = None) -> LayoutUpdate:
    """The image with its first row at line `top` and a column beside it; perhaps a box over columns of each line."""
    style, rows = Style(color=Color.parse(image.colour)), image.text.split("\n")
    strips: list[Iterable[Strip]] = []
    for y in range(HEIGHT):
        row = rows[y - top] if 0 <= y - top < len(rows) else None
        if row is None:
            line = [Segment(" " * WIDTH)]
        elif box is None:
            line = [Segment(" "), Segment(row, style), Segment(" " * 3)]
        else:
            first, last = box
            line = [Segment(" "), Segment(row[: 3 * first], style), Segment("#" * (last - first))]
            line += [Segment(row[3 * last :], style), Segment(" " * 3)]
        strips.append([Strip(line)])
    return LayoutUpdate(strips, Region(0, 0, WIDTH, HEIGHT))


def expected(top: int, box: tuple[int, int] | None = None) -> set[tuple[int, int]]:
    """Where pixels are."""
    columns = [column for column in range(8) if box is None or not box[0] <= column < box[1]]
    rows = [row for row in range(4) if 0 <= row + top < HEIGHT]
    return {
        ((column + 1) * ACROSS + dx, (row + top) * DOWN + dy)
        for column in columns
        for row in rows
        for dx in range(ACROSS)
        for dy in range(DOWN)
    }


def test_it_scrolls_is_covered_and_goes(image: TerminalImage) -> None:
    shown, canvas = Shown(), Canvas()
    shown.sixels.add(image)
    whole: Drawn = {}
    for top, box in ((1, None), (0, None), (-2, None), (3, None), (1, None), (1, (2, 5)), (1, None), (1, (0, 8))):
        canvas.feed(shown.only_changes(page(image, top, box)).render_segments(CONSOLE))
        assert set(canvas.drawn) == expected(top, box), (top, box)
        at_home = {(x, y - top * DOWN): colour for (x, y), colour in canvas.drawn.items()}
        whole = whole or at_home
        assert at_home.items() <= whole.items(), "each part of the image is where it belongs"
    assert len(set(whole.values())) >= 16
    canvas.feed(shown.only_changes(page(image, 1)).render_segments(CONSOLE))
    canvas.feed(shown.only_changes(page(image, 99)).render_segments(CONSOLE))
    assert not canvas.drawn


def test_what_stays_is_not_drawn_again_and_what_is_forgotten_not_at_all(image: TerminalImage) -> None:
    shown = Shown()
    shown.sixels.add(image)
    written = shown.only_changes(page(image, 1)).render_segments(CONSOLE)
    assert written.count("\x1bP") == 1, "lines under each other are one drawing"
    assert shown.only_changes(page(image, 1)).render_segments(CONSOLE) == ""
    shown.forget()
    assert shown.only_changes(page(image, 1)).render_segments(CONSOLE) == written
    shown.sixels.forget(image.number)
    written = shown.only_changes(page(image, 2)).render_segments(CONSOLE)
    assert "\x1bP" not in written and PLACEHOLDER not in written


def test_a_changed_size_of_cells_draws_it_as_large_as_its_cells(
    image: TerminalImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Shown()
    shown.sixels.add(image)
    for size in ((4, 9), (8, 18)):
        monkeypatch.setattr(sixels, "cell_size", lambda size=size: size)
        shown.forget()
        sequence = re.search("\x1bP.*?\x1b\\\\", shown.only_changes(page(image, 1)).render_segments(CONSOLE), re.DOTALL)
        assert sequence is not None
        assert pixels(sequence[0])[:2] == (8 * size[0], 4 * size[1])
