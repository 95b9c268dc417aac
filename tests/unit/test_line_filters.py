"""A line that went through a filter is as wide as it was laid out."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from registry_tui.widgets.line_filters import OnlyVisible, PlainCharacters
from registry_tui.wording.text import padded


@pytest.mark.parametrize("text", ["👩‍👩‍👧‍👦 🏳️‍🌈 日本語", "👍🏽 done", "a\u200bb\u2060", "e\u0301", "\x1b[31mred"])
def test_a_part_of_a_line_stays_as_wide_as_it_was_laid_out(text: str) -> None:
    line = [Segment("│"), Segment(text), Segment("│")]
    for each in (OnlyVisible(), PlainCharacters()):
        shown = each.apply(line, Color(0, 0, 0))
        assert [cell_len(segment.text) for segment in shown] == [cell_len(segment.text) for segment in line]
    assert all(segment.text.isprintable() for segment in OnlyVisible().apply(line, Color(0, 0, 0)))


@pytest.mark.parametrize(("text", "expected"), [("ab", "ab  "), ("日本", "日本"), ("日", "日  "), ("longer", "longer")])
def test_a_text_is_padded_by_cells_and_never_cut(text: str, expected: str) -> None:
    assert padded(text, 4) == expected
