"""Text from outside, made safe to show: control characters have no effect, and everything is visible.

Unicode facts: general categories from `unicodedata`; bidirectional controls and zero-width characters are category Cf
(UAX 9, UAX 44).
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len, set_cell_size

#: Longest text that a cell or a label processes; the rest is only in the full view.
CELL_LIMIT = 2_000
#: Combining marks kept on one character; more would overlap the neighbouring lines.
MAX_MARKS = 2
#: Joiner and variation selectors: dropped, because terminals disagree about the width of the result.
_DROPPED = frozenset("\u200d\ufe0e\ufe0f")
_REPLACEMENT = "\ufffd"


def safe(value: str, limit: int = CELL_LIMIT) -> str:
    """One line of text: control characters as pictures (␛), invisible ones by number (⟨202E⟩), at most `limit` long."""
    if len(value) > limit:
        value = value[: limit - 1] + "…"
    if value.isascii() and value.isprintable():
        return value
    return _shown(value, keep="")


def safe_lines(value: str, limit: int = 200_000) -> str:
    """The same for text of several lines: line feeds stay, tabs become spaces."""
    cut = value[:limit].replace("\r\n", "\n").expandtabs(4)
    return _shown(cut, keep="\n")


def _shown(value: str, keep: str) -> str:
    shown: list[str] = []
    marks = 0
    for character in value:
        category = unicodedata.category(character)
        if category in ("Mn", "Me", "Mc"):
            marks += 1
            if marks <= MAX_MARKS and character not in _DROPPED:
                shown.append(character)
            continue
        marks = 0
        if character in keep:
            shown.append(character)
        elif category == "Cc":
            shown.append(_control_picture(ord(character)))
        elif character in _DROPPED:
            continue
        elif category in ("Cf", "Zl", "Zp"):
            shown.append(f"⟨{ord(character):04X}⟩")
        elif category in ("Cs", "Co", "Cn"):
            shown.append(_REPLACEMENT)
        elif category == "Zs":
            shown.append(" ")
        else:
            shown.append(character)
    return "".join(shown)


def _control_picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨{code:02X}⟩"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells of already safe text: padded, or cut with an ellipsis; wide characters count as two."""
    if width <= 0:
        return ""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - length)
    return padding + text if right else text + padding


def padded(text: str, width: int) -> str:
    """Already safe text in at least `width` cells; a longer one stays whole."""
    return text + " " * (width - cell_len(text))


def shortened(text: str, width: int) -> str:
    """Already safe text in at most `width` cells, cut in the middle: names often differ only at their ends."""
    if cell_len(text) <= width:
        return text
    if width < 5:
        return fit(text, width)
    head = (width - 1) // 2
    tail = text[-1]
    for character in reversed(text[:-1]):
        if cell_len(character + tail) > width - 1 - head:
            break
        tail = character + tail
    return set_cell_size(text, head).rstrip() + "…" + tail
