"""Filters of every line before it is written: plain characters, and no colours where none are wanted."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from registry_tui.terminal.links import addresses

#: Brightness (0 to 1) from which a background stands out on a black one.
STANDS_OUT = 0.12

_WORDS_OF_ONE_CHARACTER = {
    "●": "*",
    "○": "o",
    "◐": "~",
    "◌": "o",
    "✓": "+",
    "✗": "x",
    "↵": "=",
    "▎": ">",
    "▌": ">",
    "›": ">",
    "‹": "<",
    "▾": "-",
    "▸": "+",
    "▼": "v",
    "▲": "^",
    "▶": ">",
    "◀": "<",
    "·": "-",
    "…": "~",
    "–": "-",
    "—": "-",
    "×": "x",
    "↑": "^",
    "↓": "v",
    "→": ">",
    "←": "<",
    "⚠": "!",
    "“": '"',
    "”": '"',
    "■": "*",
    "◆": "M",
    "◇": "o",
}


@lru_cache(8192)
def plain_text(text: str) -> str:
    """The text with every drawing character replaced by one that a screen reader reads or skips; the same width."""
    return "".join(character if character.isascii() else _plain(character) for character in text)


def _plain(character: str) -> str:
    if character in _WORDS_OF_ONE_CHARACTER:
        return _WORDS_OF_ONE_CHARACTER[character]
    code = ord(character)
    if 0x2500 <= code <= 0x257F:  # box drawing: a frame is skipped
        return " "
    if 0x2580 <= code <= 0x259F:  # block elements: bars and images
        return " " if character == "░" else "#"
    if 0x2800 <= code <= 0x28FF:  # braille patterns: charts
        return " " if code == 0x2800 else "."
    if 0x1FB00 <= code <= 0x1FBFF:  # symbols for legacy computing
        return "#"
    return character


def filtered(line: Strip, filters: Sequence[LineFilter], background: Color) -> Strip:
    """A line after all filters; each line caches its result."""
    for each in filters:
        line = line.apply_filter(each, background)
    return line


class OnlyVisible(LineFilter):
    """Removes invisible control characters: input fields show their text as drawn by Textual.

    A line stays as wide as it was laid out: without its joiners, an emoji's parts stand next to each other.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [Segment(_as_wide(visible(text), text), style, control) for text, style, control in segments]


def _as_wide(text: str, before: str) -> str:
    """A text derived from another, padded or cut to the width of that."""
    return text if text is before else set_cell_size(text, cell_len(before))


def visible(text: str) -> str:
    """The text without control, format and line-ending characters (categories Cc, Cf, Zl, Zp), all of zero width."""
    if text.isprintable():
        return text
    return "".join(each for each in text if unicodedata.category(each) not in ("Cc", "Cf", "Zl", "Zp"))


class PlainCharacters(LineFilter):
    """No box drawing and no glyphs; letters of every script stay."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(plain_text(segment.text), segment.style, segment.control)
            for segment in segments
        ]


class Links(LineFilter):
    """Whole addresses as links, wherever they are drawn. One that reaches the line's end may continue in the next
    line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if not any("://" in segment.text for segment in segments):
            return segments
        found: list[Segment] = []
        for index, segment in enumerate(segments):
            more = any(each.text for each in segments[index + 1 :])
            found += _with_links(segment, more) if "://" in segment.text else [segment]
        return found


def _with_links(segment: Segment, more: bool) -> list[Segment]:
    """A segment split at its addresses; `more` is whether text follows it in the line."""
    text, style, control = segment
    parts, at = [], 0
    for start, end in addresses(text):
        if end < len(text) or more:
            parts.append(Segment(text[at:start], style, control))
            parts.append(Segment(text[start:end], _link(style or Style.null(), text[start:end]), control))
            at = end
    return [each for each in (*parts, Segment(text[at:], style, control)) if each.text]


@lru_cache(512)
def _link(style: Style, address: str) -> Style:
    # Cached: each new style with a link has another ID, and the line would be sent to the terminal again.
    return style + Style(link=address)


class WithoutColors(LineFilter):
    """Only the terminal's own two colours: text with a distinct background is reversed."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, None if style is None else _without(style), control) for text, style, control in segments]


@lru_cache(2048)
def _without(style: Style) -> Style:
    behind = style.bgcolor
    reverse = style.reverse
    if behind is not None and behind.triplet is not None and Color.from_rich_color(behind).brightness > STANDS_OUT:
        reverse = not reverse
    return Style(bold=style.bold, underline=style.underline, italic=style.italic, strike=style.strike, reverse=reverse)
