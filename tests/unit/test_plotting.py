"""Charts as dots: nothing is lost by downsampling, and nothing undrawable breaks them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tui.widgets.axes import Axis, x_labels, x_text, x_ticks
from registry_tui.widgets.plotting import (
    Series,
    Window,
    cut,
    downsample,
    draw,
    extent,
    mark,
    not_positive,
    padded,
    reduced,
    short_number,
    smooth,
    ticks,
    value_at,
)


def test_a_spike_survives_downsampling() -> None:
    ys = [0.0] * 10_000
    ys[4_321] = 9.0
    line = Series("loss", range(10_000), ys)
    window = extent([line])
    assert window == Window(0, 9_999, 0.0, 9.0)
    points = downsample(line, window, 80)
    assert (4_321, 9.0) in points
    assert len(points) <= 4 * 80


def test_a_straight_line_fills_the_diagonal() -> None:
    line = Series("up", [0, 1], [0.0, 1.0])
    canvas = draw([line], Window(0, 1, 0, 1), 4, 4)
    assert canvas.owner[3][0] == 0 and canvas.owner[0][3] == 0
    assert canvas.row_text(0).strip() and canvas.owner[0][0] == -1


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    line = Series("nan", [0, 1, 2, 3], [math.nan, 1.0, math.inf, 2.0])
    assert line.not_finite == 2
    assert extent([line]) == Window(1, 3, 1.0, 2.0)
    assert extent([Series("none", [0], [math.nan])]) is None


def test_equal_values_have_a_window_with_height() -> None:
    window = padded(Window(3, 3, 5, 5))
    assert window.x_low < 3 < window.x_high and window.y_low < 5 < window.y_high


def test_smoothing_has_no_bias_at_the_start() -> None:
    assert list(smooth([5.0, 5.0, 5.0], 0.9)) == pytest.approx([5.0, 5.0, 5.0])
    assert math.isnan(smooth([1.0, math.nan], 0.5)[1])


def test_cut_and_reduced_keep_extremes() -> None:
    line = Series("x", list(range(100_000)), [math.sin(x / 1000) for x in range(100_000)])
    small = reduced(line, 512)
    assert len(small.xs) <= 4 * 512
    assert max(small.ys) == max(line.ys) and min(small.ys) == min(line.ys)
    assert list(cut(line, 10, 12).xs) == [10, 11, 12]


def test_what_a_log_axis_hides_is_counted_before_reducing() -> None:
    line = Series("x", range(100_000), [float(x % 4) for x in range(100_000)])
    assert not_positive(reduced(line, 100)) == not_positive(cut(reduced(line, 100), 5, 9)) == 25_000


def test_lines_that_meet_are_told_apart_by_their_marks() -> None:
    lines = [Series(name, range(100), [1.0] * 100) for name in "abc"]
    canvas = draw(lines, padded(Window(0, 99, 1, 1)), 60, 5)
    row = next(canvas.row_text(row) for row in range(5) if canvas.row_text(row).strip())
    assert all(mark(number) in row for number in range(3))
    assert all(canvas.owner[row][column] == number for (row, column), number in canvas.marks.items())
    short = draw([lines[0], Series("one", [40], [1.2])], Window(0, 99, 0, 2), 60, 5)
    assert list(short.marks.values()).count(1) == 1
    assert not draw(lines[:1], padded(Window(0, 99, 1, 1)), 60, 5).marks
    assert len({mark(number) for number in range(30)}) == 30


@pytest.mark.parametrize("axis", ["number", "duration", "time"])
@given(
    low=st.floats(-1e10, 1e10),
    span=st.floats(1e-3, 1e11),
    columns=st.integers(30, 300),
)
def test_an_axis_tells_its_ends_or_round_places(axis: Axis, low: float, span: float, columns: int) -> None:
    high = low + span
    if high > low:
        line = x_labels(low, high, columns, axis)
        assert len(line) == columns and line.strip()
        places = x_ticks(low, high, max(1, columns // 14), axis)
        margin = (high - low) * 1e-6 + max(abs(low), abs(high)) * 1e-9
        assert len(places) <= columns // 14 + 2 and all(low - margin <= place <= high + margin for place in places)


def test_ticks_far_from_0_are_few_and_differ() -> None:
    for low in (9e11, 987_654_321_012.3, -1e12):
        for width in (2e-4, 1e-3, 0.017):
            for count in range(1, 21):
                found = ticks(low, low + width, count)
                assert len(set(found)) == len(found) <= count + 2


def test_few_columns_have_first_middle_and_last() -> None:
    assert x_labels(0, 60, 40).split() == ["0", "30", "60"]
    assert x_labels(1, 60, 41).split() == ["1", "30", "60"]
    assert x_labels(0, 90, 40, "duration").split() == ["0s", "45s", "90s"]
    assert x_labels(0, 7200, 60, "duration").split() == ["0:00:00", "0:30:00", "1:00:00", "1:30:00", "2:00:00"]


def test_times_are_as_exact_as_the_chart_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry_tui.widgets.axes._local", lambda seconds: datetime.fromtimestamp(seconds, UTC))
    moment = 1_767_225_605.25
    texts = [x_text(moment, "time", span) for span in (1, 600, 1e6, 1e9)]
    assert texts == ["00:00:05.250", "00:00:05", "01-01 00:00", "2026-01-01"]
    assert x_text(90_061, "duration", 1e6) == "1d 1:01:01"


def test_value_at_takes_the_nearest_point() -> None:
    line = Series("x", [0, 10, 20], [1.0, 2.0, 3.0])
    assert [value_at(line, x) for x in (-5, 4, 6, 99)] == [1.0, 1.0, 2.0, 3.0]
    assert value_at(Series("none", [], []), 1) is None


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_number_is_short(value: float) -> None:
    assert 0 < len(short_number(value)) <= 9


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(1, 20))
def test_ticks_lie_inside(low: float, width: float, count: int) -> None:
    high = low + width
    if high > low:
        found = ticks(low, high, count)
        margin = (high - low) * 1e-6 + abs(low) * 1e-9
        assert all(low - margin <= tick <= high + margin for tick in found)
        assert len(found) <= count + 2
