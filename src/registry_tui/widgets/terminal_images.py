"""Images in the terminal's own way, by placeholders in the cells where they are shown.

A placeholder's colour is the image's number; its combining marks are row and column, as in kitty's graphics protocol
(https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders). They are text like any other: they scroll,
are covered, and disappear. kitty and Ghostty receive the image once and replace the placeholders themselves; for
terminals that draw sixels `sixels.py` does it. The terminal is never queried: its replies would arrive between the
keys.
"""

from __future__ import annotations

import base64
import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

#: How a terminal shows images.
Way = Literal["kitty", "sixel"]

PLACEHOLDER = "\U0010eeee"
#: The characters that number rows and columns, in kitty's order (its rowcolumn-diacritics.txt): the first of them.
_MARKS = (
    "305 30D-30E 310 312 33D-33F 346 34A-34C 350-352 357 35B 363-36F 483-487 592-595 597-599 59C-5A1 5A8-5A9 5AB-5AC "
    "5AF 5C4 610-617 657-65B 65D-65E 6D6-6DC 6DF-6E2 6E4 6E7-6E8 6EB-6EC 730 732-733 735-736 73A 73D 73F-741 743 745 "
    "747 749-74A 7EB-7F1 7F3 816-819 81B-823 825-827 829-82B"
)
#: Base64 characters in one piece of the protocol.
_PIECE = 4096
#: Maximum pixels to send, across and down: as a large terminal shows, and a slow connection can take.
_MAX_PIXELS = (1200, 900)
#: Pixels of a cell, about: an image is not enlarged.
_CELL_WIDTH, _CELL_HEIGHT = 9, 18

#: A number each, of 24 bits: cells whose number stays the same are not repainted for another image. Programs that share
#: a terminal start at different ones.
_NUMBERS = itertools.count(0x520000 | os.getpid() << 4 & 0xFFFF)


@dataclass(frozen=True)
class TerminalImage:
    """An image (RGBA) of so many cells, and the text and colour that show it."""

    picture: Image
    columns: int
    rows: int
    text: str
    colour: str
    number: int


def _marks() -> list[str]:
    found = []
    for part in _MARKS.split():
        first, _, last = part.partition("-")
        found += [chr(code) for code in range(int(first, 16), int(last or first, 16) + 1)]
    return found


_MARK_NUMBERS = {mark: number for number, mark in enumerate(_marks())}


def way_here(wanted: str, environment: Mapping[str, str] = os.environ) -> Way | None:
    """How images are shown, by `wanted` (`preferences.IMAGES`) or the terminal's name; None for half blocks.

    The variables preserved over SSH are `TERM` and `LC_TERMINAL`.
    """
    if wanted in ("kitty", "sixel"):
        return "kitty" if wanted == "kitty" else "sixel"
    between = any(environment.get(name) for name in ("TMUX", "STY", "ZELLIJ"))
    if wanted != "auto" or between:
        return None
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    if (
        term.split("-")[0] in ("foot", "mlterm", "contour", "yaft")
        or program in ("WezTerm", "iTerm.app", "mintty", "contour")
        or environment.get("LC_TERMINAL") == "iTerm2"
        or environment.get("KONSOLE_VERSION", "") >= "2204"
    ):
        return "sixel"
    return None


def terminal_image(data: bytes, columns: int) -> TerminalImage:
    """An image file, at most `columns` cells wide, in its own proportions.

    Raises ImportError without Pillow; OSError or ValueError for an image that cannot be shown.
    """
    from PIL import Image

    try:
        with Image.open(BytesIO(data)) as opened:
            picture = opened.convert("RGBA")
    except (Image.DecompressionBombError, SyntaxError) as error:
        raise ValueError(str(error)) from error
    marks = list(_MARK_NUMBERS)
    wide = max(1, min(columns, len(marks), math.ceil(picture.width / _CELL_WIDTH)))
    high = max(1, round(picture.height * wide * _CELL_WIDTH / picture.width / _CELL_HEIGHT))
    if high > len(marks):
        wide, high = max(1, wide * len(marks) // high), len(marks)
    picture.thumbnail(_MAX_PIXELS)
    number = next(_NUMBERS)
    rows = ("".join(f"{PLACEHOLDER}{marks[row]}{marks[column]}" for column in range(wide)) for row in range(high))
    return TerminalImage(picture, wide, high, "\n".join(rows), f"#{number:06x}", number)


def placeholders(text: str) -> list[tuple[int, int]]:
    """Row and column, from 0, of each placeholder in a text that consists of placeholders; empty for any other text."""
    if not text.startswith(PLACEHOLDER):
        return []
    return [(_MARK_NUMBERS[text[at + 1]], _MARK_NUMBERS[text[at + 2]]) for at in range(0, len(text) - 2, 3)]


def kitty_sent(image: TerminalImage) -> str:
    """The sequence that stores the image in kitty under its number; kitty then shows it where placeholders are."""
    png = BytesIO()
    image.picture.save(png, "PNG")
    text = base64.standard_b64encode(png.getvalue()).decode()
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    first = f"a=T,q=2,U=1,f=100,i={image.number},c={image.columns},r={image.rows}"
    sequences = []
    for place, piece in enumerate(pieces):
        more = int(place + 1 < len(pieces))
        sequences.append(f"\x1b_G{f'{first},' if place == 0 else 'q=2,'}m={more};{piece}\x1b\\")
    return "".join(sequences)


def kitty_forgotten(number: int) -> str:
    """The sequence that deletes an image in kitty."""
    return f"\x1b_Ga=d,d=I,q=2,i={number}\x1b\\"
