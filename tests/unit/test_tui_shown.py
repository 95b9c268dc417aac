"""Sending only changes leaves the terminal with the same content as sending everything."""

from __future__ import annotations

from io import StringIO

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from registry_tui.widgets.shown import Shown

WIDTH, HEIGHT = 12, 2
CONSOLE = Console(file=StringIO(), force_terminal=True, color_system="truecolor", width=WIDTH, height=HEIGHT)
STYLES = [None, Style.parse("red")]
#: Positions at which a line is cut into the parts of different widgets.
CUTS = (0, 4, 8, WIDTH)

pieces = st.builds(
    lambda text, style: Segment(text, style),
    st.sampled_from(["abcd", "日本", "x日 "]),
    st.sampled_from(STYLES),
)
chops = st.builds(lambda *each: [Strip([piece], 4) for piece in each], pieces, pieces, pieces)


@st.composite
def updates(draw: st.DrawFn) -> CompositorUpdate | None:
    """A whole screen, a part of it as widgets make it, or (None) a change of the terminal's size."""
    kind = draw(st.sampled_from(["whole", "part", "part", "size"]))
    if kind == "size":
        return None
    if kind == "whole":
        return LayoutUpdate([draw(chops) for _ in range(HEIGHT)], Region(0, 0, WIDTH, HEIGHT))
    rows = draw(st.sets(st.integers(0, HEIGHT - 1), min_size=1))
    first, last = sorted(draw(st.sets(st.integers(0, 3), min_size=2, max_size=2)))
    new = draw(chops)
    # Textual draws only widgets that overlap with the part; next to them is nothing, or the background.
    beside = Strip([Segment("    ")], 4) if draw(st.booleans()) else None
    drawn = {x: strip if first <= at < last else beside for at, (x, strip) in enumerate(zip(CUTS, new, strict=False))}
    nothing: dict[int, Strip | None] = {}
    return ChopsUpdate(
        [drawn if y in rows else nothing for y in range(HEIGHT)],
        [(y, CUTS[first], CUTS[last]) for y in sorted(rows)],
        [list(CUTS[1:]) for _ in range(HEIGHT)],
    )


def terminal() -> tuple[pyte.Screen, pyte.Stream]:
    screen = pyte.Screen(WIDTH, HEIGHT)
    return screen, pyte.Stream(screen)


@settings(max_examples=300, deadline=None)
@given(st.lists(updates(), min_size=2, max_size=12))
def test_the_terminal_shows_the_same(changes: list[CompositorUpdate | None]) -> None:
    shown = Shown()
    (mine, mine_stream), (whole, whole_stream) = terminal(), terminal()
    for change in changes:
        if change is None:
            shown.forget()
            for screen in (mine, whole):
                screen.erase_in_display(2)
            continue
        mine_stream.feed(shown.only_changes(change).render_segments(CONSOLE))
        whole_stream.feed(change.render_segments(CONSOLE))
        assert mine.display == whole.display
        assert mine.buffer == whole.buffer


def part(first: int, last: int, texts: str, rows: tuple[int, ...]) -> ChopsUpdate:
    """An update of some cuts of some lines, four times a letter in each."""
    drawn = {x: Strip([Segment(texts[at] * 4)], 4) if first <= at < last else None for at, x in enumerate(CUTS[:3])}
    return ChopsUpdate(
        [drawn if y in rows else {} for y in range(HEIGHT)],
        [(y, CUTS[first], CUTS[last]) for y in rows],
        [list(CUTS[1:]) for _ in range(HEIGHT)],
    )


def test_a_line_that_was_written_beside_an_unknown_one_is_not_taken_for_what_it_was() -> None:
    shown = Shown()
    screen, stream = terminal()
    for update in (part(0, 3, "abc", (0,)), part(1, 2, "axc", (0, 1)), part(1, 2, "abc", (0,))):
        stream.feed(shown.only_changes(update).render_segments(CONSOLE))
    assert screen.display == ["aaaabbbbcccc", "    xxxx    "]


def test_what_is_there_is_not_sent_again() -> None:
    shown = Shown()
    line = [Strip([Segment("left "), Segment("middle ", STYLES[1]), Segment("right")])]
    update = LayoutUpdate([line], Region(0, 0, 17, 1))
    assert "middle" in shown.only_changes(update).render_segments(CONSOLE)
    assert shown.only_changes(update).render_segments(CONSOLE) == ""
    other = [Strip([Segment("left "), Segment("MIDDLE ", STYLES[1]), Segment("right")])]
    sent = shown.only_changes(LayoutUpdate([other], Region(0, 0, 17, 1))).render_segments(CONSOLE)
    assert sent.startswith("\x1b[1;6H") and "MIDDLE" in sent and "left" not in sent and "right" not in sent
    shown.forget()
    assert "left" in shown.only_changes(update).render_segments(CONSOLE)
