"""How a metric differs from the first run's, in words."""

from __future__ import annotations

import math

import pytest

from registry_tui.wording.differences import change, numbers_line


@pytest.mark.parametrize(
    ("value", "first", "text"),
    [
        (0.6, 0.5, "+0.1 (+20.0%)"),
        (0.4, 0.5, "-0.1 (-20.0%)"),
        (-1.0, -2.0, "+1 (+50.0%)"),
        (0.5, 0.5, "±0"),
        (0.0, 0.0, "±0"),
        (3.0, 0.0, "+3"),
        (100.0, 0.001, "+99.999 (+1e+07%)"),
        (math.nan, 0.5, "NaN"),
        (0.5, math.nan, "0.5"),
        (math.inf, 1.0, "∞"),
        (1e308, -1e308, "1e+308"),
        (1.0, 5e-324, "+1"),
    ],
)
def test_a_change_has_a_number_and_a_share_where_the_first_is_not_0(value: float, first: float, text: str) -> None:
    assert change(value, first) == text


def test_a_line_shows_the_others_beside_the_first() -> None:
    line = numbers_line("rmse", [0.5, 0.6, None, 0.4], to_first=True)
    assert [cell.text for cell in line.cells] == ["0.5", "+0.1 (+20.0%) ▲", "–", "-0.1 (-20.0%) ▼"]
    assert line.values == [0.5, 0.6, None, 0.4]
    without = numbers_line("rmse", [None, 0.6, 0.4], to_first=True)
    assert [cell.text for cell in without.cells] == ["–", "0.6 ▲", "0.4 ▼"]
