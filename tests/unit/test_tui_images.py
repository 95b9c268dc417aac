"""Images in the terminal's own protocol: the output, the cells' content, and when they are not used at all."""

from __future__ import annotations

import base64
import re
import unicodedata
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.cells import cell_len

from registry_tui.widgets.sixels import sixels
from registry_tui.widgets.terminal_images import (
    PLACEHOLDER,
    kitty_forgotten,
    kitty_sent,
    placeholders,
    terminal_image,
    way_here,
)
from support.sixel import pixels


def png(width: int, height: int) -> bytes:
    data = BytesIO()
    Image.effect_noise((width, height), 90).save(data, "PNG")
    return data.getvalue()


def test_an_image_is_sent_in_pieces_and_its_cells_name_row_and_column() -> None:
    image = terminal_image(png(640, 480), 60)
    pieces = re.findall("\x1b_G([^;]*);([^\x1b]*)\x1b\\\\", kitty_sent(image))
    first, *others = (dict(each.split("=") for each in keys.split(",")) for keys, _ in pieces)
    assert {key: first[key] for key in "aUfq"} == {"a": "T", "U": "1", "f": "100", "q": "2"}
    assert [each["m"] for each in (first, *others)] == ["1"] * len(others) + ["0"] and others
    assert all(len(text) <= 4096 for _, text in pieces)
    with Image.open(BytesIO(base64.b64decode("".join(text for _, text in pieces)))) as sent:
        assert sent.size == (640, 480)
    lines = image.text.split("\n")
    assert (int(first["c"]), int(first["r"])) == (60, 22) == (cell_len(lines[0]), len(lines))
    assert {cell_len(line) for line in lines} == {60}
    assert lines[0][:6] == f"{PLACEHOLDER}\u0305\u0305{PLACEHOLDER}\u0305\u030d"
    assert lines[1].startswith(f"{PLACEHOLDER}\u030d\u0305")
    marks = {character for character in image.text if character not in (PLACEHOLDER, "\n")}
    assert {unicodedata.combining(mark) for mark in marks} == {230}
    assert terminal_image(png(9, 18), 60).number != image.number, "cells of another image are painted again"
    assert image.colour == f"#{int(first['i']):06x}" and int(first["i"]) == image.number
    assert f"i={image.number}\x1b" in kitty_forgotten(image.number)
    assert placeholders(lines[3][3 * 7 : 3 * 9]) == [(3, 7), (3, 8)] and placeholders("plain") == []


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000), (2400, 2400)])
def test_every_shape_fits(size: tuple[int, int]) -> None:
    lines = terminal_image(png(*size), 300).text.split("\n")
    assert 1 <= cell_len(lines[0]) <= 127 and 1 <= len(lines) <= 127


def test_what_is_no_image_is_refused() -> None:
    for data in (b"", b"\x89PNG", png(10, 10)[:60]):
        with pytest.raises((OSError, ValueError)):
            terminal_image(data, 80)


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "foot-extra"}, "sixel"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "sixel"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "sixel"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "230800"}, "sixel"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "211201"}, None),
        ({"TERM": "xterm-256color"}, None),
        ({}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, None),
        ({"TERM": "screen-256color", "STY": "1", "TERM_PROGRAM": "ghostty"}, None),
    ],
)
def test_only_terminals_that_say_so_and_nothing_between(environment: dict[str, str], way: str | None) -> None:
    assert way_here("auto", environment) == way
    assert way_here("blocks", environment) is None
    assert way_here("sixel", environment) == "sixel" and way_here("kitty", environment) == "kitty"


@given(st.data(), st.integers(1, 24), st.integers(1, 20))
def test_sixels_are_the_image_to_the_pixel(data: st.DataObject, width: int, height: int) -> None:
    image = Image.new("P", (width, height))
    # Colours that hundredths represent exactly.
    palette = [(0, 0, 0), (255, 255, 255), (255, 0, 51), (102, 204, 0)]
    image.putpalette([part for colour in palette for part in colour])
    drawn = data.draw(st.lists(st.integers(0, 3), min_size=width * height, max_size=width * height))
    image.putdata(drawn)
    across, down, found = pixels(sixels(image))
    assert (across, down) == (width, height)
    wanted = {
        (at % width, at // width): tuple(round(part * 100 / 255) for part in palette[c]) for at, c in enumerate(drawn)
    }
    assert found == wanted
