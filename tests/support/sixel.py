"""Reads sixels back into pixels, as a terminal would (DEC's VT330/VT340 manual, chapter 14)."""

from __future__ import annotations

import re

#: Colours in hundredths of red, green and blue.
Colour = tuple[int, int, int]
_TOKEN = re.compile(r'"(\d+);(\d+);(\d+);(\d+)|#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|(\$)|(-)')


def pixels(sequence: str) -> tuple[int, int, dict[tuple[int, int], Colour]]:
    """Width, height, and the colour of each pixel drawn, by x and y.

    AssertionError for anything but a sixel sequence.
    """
    whole = re.fullmatch(r"\x1bP[\d;]*q(.*)\x1b\\", sequence, re.DOTALL)
    assert whole is not None, f"no sixels: {sequence[:80]!r}"
    body, at = whole[1], 0
    width = height = x = top = colour = 0
    palette: dict[int, Colour] = {}
    found: dict[tuple[int, int], Colour] = {}
    while at < len(body):
        token = _TOKEN.match(body, at)
        assert token is not None, f"not understood at {at}: {body[at : at + 40]!r}"
        at = token.end()
        if token[1]:
            width, height = int(token[3]), int(token[4])
        elif token[5]:
            palette[int(token[5])] = (int(token[6]), int(token[7]), int(token[8]))
        elif token[9]:
            colour = int(token[9])
        elif token[13]:
            x = 0
        elif token[14]:
            x, top = 0, top + 6
        else:
            times, bits = int(token[10] or 1), ord(token[11] or token[12]) - 63
            lit = [top + row for row in range(6) if bits >> row & 1]
            found |= {(x + step, y): palette[colour] for step in range(times) for y in lit}
            x += times
    return width, height, found
