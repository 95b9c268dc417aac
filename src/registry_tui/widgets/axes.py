"""A chart's x axis: round values of numbers, durations and times, and their labels; plain functions, no terminal."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Literal

from registry_tui.widgets.plotting import short_number, ticks

#: The unit of x: a number (a step), elapsed seconds, or seconds since 1970, shown in local time.
Axis = Literal["number", "duration", "time"]

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
#: Distances between two ticks that clocks and calendars have, in seconds.
_CLOCK = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
#: Minimum columns from one label to the next.
_LABEL_COLUMNS = 14


def x_ticks(low: float, high: float, count: int, axis: Axis = "number") -> list[float]:
    """About `count` round values from low to high; of times, those that a clock shows."""
    step = (high - low) / max(count, 1)
    if axis == "number" or step <= _CLOCK[0]:
        return ticks(low, high, count)
    moved = _offset(low) if axis == "time" else 0.0
    low, high = low + moved, high + moved
    if step > _DAY:
        return [days * _DAY - moved for days in ticks(low / _DAY, high / _DAY, count)]
    step = next(each for each in _CLOCK if each >= step)
    return [number * step - moved for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _offset(seconds: float) -> float:
    """How far local time is ahead of UTC, in seconds."""
    offset = None if (moment := _local(seconds)) is None else moment.utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


def _local(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return None


def x_text(value: float, axis: Axis = "number", span: float = math.inf) -> str:
    """A value on the axis as text, as exact as a chart that shows `span` of x needs."""
    if axis == "number":
        return str(round(value)) if value == round(value) and abs(value) < 1e9 else short_number(value)
    if axis == "duration":
        return _duration(value, span)
    if (moment := _local(value)) is None:
        return short_number(value)
    if span < 10 and moment.microsecond >= 1000:
        return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
    if span < _DAY:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%m-%d %H:%M" if span < 300 * _DAY else "%Y-%m-%d")


def _duration(value: float, span: float) -> str:
    if span < 2 * _MINUTE and abs(value) < _HOUR:
        return f"{short_number(value)}s"
    sign, seconds = ("-" if round(value) < 0 else ""), abs(round(value))
    days, rest = divmod(seconds, int(_DAY))
    clock = f"{rest // 3600}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    if not days:
        return f"{sign}{clock}"
    return f"{sign}{days}d" if not rest else f"{sign}{days}d {clock}"


def x_labels(low: float, high: float, columns: int, axis: Axis = "number") -> str:
    """The line of labels below a plot of so many columns: round values, but at least first, middle and last."""
    span = high - low
    places = x_ticks(low, high, max(1, columns // _LABEL_COLUMNS), axis)
    labels = _lay_out([(place, x_text(place, axis, span)) for place in places], low, high, columns)
    if len(labels) < 3:
        middle = (low + high) / 2
        if axis == "number" and span >= 10:
            middle = float(round(middle))
        # The ends first: where three do not fit, the middle one is left out.
        labels = _lay_out([(place, x_text(place, axis, span)) for place in (low, high, middle)], low, high, columns)
    line = [" "] * columns
    for start, text in labels:
        line[start : start + len(text)] = text
    return "".join(line)


def _lay_out(places: list[tuple[float, str]], low: float, high: float, columns: int) -> list[tuple[int, str]]:
    """The labels that fit next to those before them, with their first columns."""
    laid: list[tuple[int, str]] = []
    for place, text in places:
        at = round((place - low) / (high - low) * (columns - 1))
        start = min(max(0, at - len(text) // 2), columns - len(text))
        if start >= 0 and all(start > other + len(its) or start + len(text) < other for other, its in laid):
            laid.append((start, text))
    return laid
