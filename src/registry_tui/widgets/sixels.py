"""Images as sixels, which foot, WezTerm, Konsole, iTerm2 and others draw (DEC's VT330/VT340 manual, chapter 14).

Sixels are drawn over the cells, independent of scrolling and of overlapping widgets. So the cells hold the same
placeholders as for kitty: wherever some are to be written, blanks are written, and the image's part over them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.segment import Segment

from registry_tui.widgets.terminal_images import TerminalImage, placeholders

if TYPE_CHECKING:
    from PIL.Image import Image

#: Maximum colours of an image: terminals have 256 registers, some of which are their own colours.
_COLOURS = 240
#: Rows of pixels in a band: a character is six pixels above each other, the highest bit is the lowest.
_BAND = 6
_RUN = re.compile(r"(.)\1{3,}")
#: Pixels of a VT340's cell, across and down: for a terminal that does not report its own.
_CELL = (10, 20)


@dataclass(frozen=True)
class Part:
    """A rectangle of an image's cells, and where it begins on the screen; all from 0."""

    number: int
    row: int
    column: int
    width: int
    x: int
    y: int
    height: int = 1


class Sixels:
    """The images in view, and their parts that must be drawn."""

    def __init__(self) -> None:
        self._images: dict[int, TerminalImage] = {}
        self._scaled: dict[int, tuple[tuple[int, int], Image]] = {}
        self._parts: list[Part] = []

    def add(self, image: TerminalImage) -> None:
        """Draws this image from now on wherever its placeholders are written."""
        self._images[image.number] = image

    def forget(self, number: int) -> None:
        """Stops drawing it; the text that replaces it on the screen overwrites its pixels."""
        self._images.pop(number, None)
        self._scaled.pop(number, None)

    def blanked(self, segments: Iterable[Segment], x: int, y: int) -> list[Segment]:
        """The same line from cell `x`, with blanks for placeholders; the image's part there is drawn next."""
        written = []
        for segment in segments:
            cells = placeholders(segment.text)
            if cells:
                self._note(segment, cells, x, y)
                segment = Segment(" " * len(cells), segment.style)
            written.append(segment)
            x += segment.cell_length
        return written

    def _note(self, segment: Segment, cells: list[tuple[int, int]], x: int, y: int) -> None:
        color = None if segment.style is None else segment.style.color
        if color is None or color.triplet is None:
            return
        red, green, blue = color.triplet
        (row, column), number = cells[0], red << 16 | green << 8 | blue
        part = Part(number, row, column, len(cells), x, y)
        for at, above in enumerate(self._parts):
            if part == replace(above, row=above.row + above.height, y=above.y + above.height, height=1):
                self._parts[at] = replace(above, height=above.height + 1)
                return
        self._parts.append(part)

    def drawn(self) -> str:
        """The sequences that draw the parts noted since the last time."""
        if not self._parts:
            return ""
        parts, self._parts = self._parts, []
        size = cell_size() or _CELL
        return "".join(
            f"\x1b[{part.y + 1};{part.x + 1}H{self._sixels(image, part, size)}"
            for part in parts
            if (image := self._images.get(part.number)) is not None
        )

    def _sixels(self, image: TerminalImage, part: Part, size: tuple[int, int]) -> str:
        across, down = size
        kept = self._scaled.get(image.number)
        if kept is None or kept[0] != size:
            kept = self._scaled[image.number] = (size, _scaled(image, size))
        left, top = part.column * across, part.row * down
        return sixels(kept[1].crop((left, top, left + part.width * across, top + part.height * down)))


def _scaled(image: TerminalImage, size: tuple[int, int]) -> Image:
    """The image as large as its cells, on white as paper is, in few colours."""
    from PIL import Image

    pixels = image.picture.resize((image.columns * size[0], image.rows * size[1]), Image.Resampling.LANCZOS)
    paper = Image.new("RGBA", pixels.size, "white")
    return Image.alpha_composite(paper, pixels).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)


def sixels(image: Image) -> str:
    """An image with a palette as one sequence; colours are in hundredths."""
    width, height = image.size
    pixels, palette = image.tobytes(), image.getpalette() or []
    found = [f'\x1bP0;1q"1;1;{width};{height}']
    bits: dict[int, list[bytes]] = {}
    for colour in sorted(set(pixels)):
        red, green, blue = (round(part * 100 / 255) for part in palette[3 * colour : 3 * colour + 3])
        found.append(f"#{colour};2;{red};{green};{blue}")
        bits[colour] = [bytes(1 << row if each == colour else 0 for each in range(256)) for row in range(_BAND)]
    # A character is 63 plus its bits. Whole rows are added up as one number, which is many times faster than by pixel.
    blank = int.from_bytes(b"?" * width, "big")
    for top in range(0, height, _BAND):
        rows = [pixels[row * width : (row + 1) * width] for row in range(top, min(top + _BAND, height))]
        layers = []
        for colour in sorted(set(b"".join(rows))):
            total = blank
            for row, table in zip(rows, bits[colour], strict=False):
                total += int.from_bytes(row.translate(table), "big")
            characters = total.to_bytes(width, "big").decode("ascii").rstrip("?")
            layers.append(f"#{colour}{_RUN.sub(lambda run: f'!{len(run[0])}{run[1]}', characters)}")
        found.append("$".join(layers))
        found.append("-" if top + _BAND < height else "\x1b\\")
    return "".join(found)


def cell_size() -> tuple[int, int] | None:
    """Pixels of a cell, across and down, as the terminal reports them to the system (also over SSH); None when it does
    not."""
    import fcntl
    import struct
    import termios

    for file in (0, 1, 2):
        try:
            rows, columns, across, down = struct.unpack("4H", fcntl.ioctl(file, termios.TIOCGWINSZ, b"\0" * 8))
        except OSError:
            continue
        if rows and columns and across >= columns and down >= rows:
            return across // columns, down // rows
    return None
