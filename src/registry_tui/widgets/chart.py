"""A line chart in braille: overlay with a legend, log scale, smoothing, zoom, and a cursor that reads values."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from registry_tui.widgets.awaited import LOADING, Awaiting
from registry_tui.widgets.axes import Axis, x_labels, x_text
from registry_tui.widgets.plotting import (
    MAX_SMOOTHING,
    Canvas,
    Series,
    Window,
    cut,
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
from registry_tui.wording.text import shortened

#: Columns for the numbers of the y axis, and rows for the x axis and the legend's least.
_GUTTER = 10
_AXIS_ROWS = 2
#: Theme variables that lines take their colours from, cyclically.
_COLOURS = ("primary", "warning", "success", "accent", "error", "secondary")
_SMOOTHINGS = (0.0, 0.6, 0.9, MAX_SMOOTHING)
#: More than any terminal's dots across, so that an overview loses nothing visible.
_OVERVIEW_BUCKETS = 2048


class LineChart(Awaiting, Widget, can_focus=True):
    """Draws series over one x axis. `show` replaces the series; zoom and cursor stay."""

    DEFAULT_CSS = "LineChart { width: 1fr; height: 1fr; min-height: 6; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Cursor left", show=False),
        Binding("right", "move(1)", "Cursor right", show=False),
        Binding("plus", "zoom(0.5)", "Zoom in", show=False),
        Binding("minus", "zoom(2.0)", "Zoom out", show=False),
        Binding("shift+left", "pan(-0.5)", "Pan left", show=False),
        Binding("shift+right", "pan(0.5)", "Pan right", show=False),
        Binding("0", "reset", "Whole chart", show=False),
        Binding("asterisk", "log", "Log scale", show=False),
        Binding("z", "smooth", "Smoothing", show=False),
    ]

    class Zoomed(Message):
        """Another part of x is shown: finer points of it can be given to `show_detail`."""

        def __init__(self, low: float, high: float) -> None:
            super().__init__()
            self.low, self.high = low, high

    log_y = reactive(False)
    smoothing = reactive(0.0)
    cursor: reactive[float | None] = reactive(None)

    def __init__(self, *, axis: Axis = "number", id: str | None = None) -> None:
        super().__init__(id=id)
        self.axis: Axis = axis
        #: The name of x in the legend, where it is not obvious.
        self.x_name = ""
        self._series: tuple[Series, ...] = ()
        self._smoothed: tuple[Series, ...] = ()
        #: The drawn points of each series while the whole of x is shown: enough for any width.
        self._overview: tuple[Series, ...] = ()
        self._zoom: tuple[float, float] | None = None
        #: Finer points of a part of x, and that part.
        self._detail: tuple[float, float, tuple[Series, ...]] | None = None
        self._strips: list[Strip] | None = None
        #: Shown until the first series, or an empty response, has arrived; then None.
        self._waiting: str | None = LOADING
        #: The lines as dots, the window they show, and the visible part of the series, until one of them changes.
        self._canvas: Canvas | None = None
        self._view: tuple[Window | None, tuple[Series, ...]] | None = None

    @property
    def waits(self) -> bool:
        return self._waiting == LOADING

    def wait(self, words: str) -> None:
        if self._waiting is not None and words != self._waiting:
            self._waiting, self._strips = words, None
            self.refresh()

    def show(self, series: Sequence[Series], *, axis: Axis | None = None, x_name: str | None = None) -> None:
        """Draws these series, each in order of x, in place of the earlier ones; posts the visible part again.

        Finer points of that part stay until `show_detail` replaces them.
        """
        if axis is not None and axis != self.axis:
            self.axis = axis
            self.show_all()
        if x_name is not None:
            self.x_name = x_name
        self._waiting = None
        if len(series) != len(self._series):
            self._detail = None
        self._series = tuple(series)
        self._prepare()
        self._tell_zoom()

    def show_detail(self, low: float, high: float, series: Sequence[Series]) -> None:
        """Finer points of the same series from `low` to `high`, drawn while the visible part is within these bounds."""
        self._detail = (low, high, tuple(series))
        self._redraw()

    def show_all(self) -> None:
        """Resets zoom and cursor: the next curve is another one."""
        self._zoom, self._detail = None, None
        self.cursor = None
        self._redraw()

    def _tell_zoom(self) -> None:
        if self._zoom is not None:
            self.post_message(self.Zoomed(*self._zoom))

    # -- key actions ---------------------------------------------------------------------------

    def action_log(self) -> None:
        """Log scale on and off."""
        self.log_y = not self.log_y

    def action_smooth(self) -> None:
        """The next smoothing."""
        following = [weight for weight in _SMOOTHINGS if weight > self.smoothing]
        self.smoothing = following[0] if following else 0.0

    def action_reset(self) -> None:
        """Shows the whole range again."""
        self._zoom, self.cursor = None, None
        self._redraw()

    def action_move(self, by: int) -> None:
        """Moves the cursor by columns."""
        window = self._window()
        if window is None:
            return
        if self.cursor is None:
            self.cursor = self._point_at(window.x_low if by > 0 else window.x_high, by)
        else:
            step = (window.x_high - window.x_low) / max(1, self._plot_columns() - 1)
            at = min(window.x_high, max(window.x_low, self.cursor + by * step))
            self.cursor = self._point_at(at, by)

    def _point_at(self, x: float, direction: int) -> float:
        """The x of the next visible point from there, so that the cursor stands on a logged point."""
        xs = [line.xs for line in self._visible() if len(line.xs)]
        if direction > 0:
            found = [line[place] for line in xs if (place := bisect_left(line, x)) < len(line)]
            return min(found, default=max((line[-1] for line in xs), default=x))
        found = [line[place - 1] for line in xs if (place := bisect_right(line, x))]
        return max(found, default=min((line[0] for line in xs), default=x))

    def on_click(self, event: Click) -> None:
        """The cursor where the mouse points."""
        window, column = self._window(), event.x - _GUTTER
        if window is not None and 0 <= column < self._plot_columns():
            share = column / max(1, self._plot_columns() - 1)
            self.cursor = self._point_at(window.x_low + share * (window.x_high - window.x_low), 1)

    def action_zoom(self, factor: float) -> None:
        """Makes the shown part of x smaller or larger, around the cursor."""
        whole, window = extent(self._overview, log_y=self.log_y), self._window()
        if whole is None or window is None:
            return
        whole = padded(whole, log_y=self.log_y)
        centre = self.cursor if self.cursor is not None else (window.x_low + window.x_high) / 2
        width = (window.x_high - window.x_low) * factor
        if width >= whole.x_high - whole.x_low:
            self._zoom = None
        else:
            low = min(max(whole.x_low, centre - width / 2), whole.x_high - width)
            self._zoom = (low, low + width)
        self._redraw()
        self._tell_zoom()

    def action_pan(self, by: float) -> None:
        """Shows the neighbouring part of x; `by` is a share of the visible width."""
        whole = extent(self._overview, log_y=self.log_y)
        if whole is None or self._zoom is None:
            return
        whole = padded(whole, log_y=self.log_y)
        low, high = self._zoom
        width = high - low
        low = min(max(whole.x_low, low + by * width), whole.x_high - width)
        self._zoom = (low, low + width)
        self._redraw()
        self._tell_zoom()

    # -- drawing --------------------------------------------------------------------------------

    def watch_log_y(self) -> None:
        self._redraw()

    def watch_cursor(self) -> None:
        self._strips = None  # the lines stay unchanged
        self.refresh()

    def watch_smoothing(self) -> None:
        self._prepare()

    def on_resize(self) -> None:
        self._redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips = None

    def _prepare(self) -> None:
        self._smoothed = tuple(self._smooth(line) for line in self._series)
        self._overview = tuple(reduced(line, _OVERVIEW_BUCKETS) for line in self._smoothed)
        self._redraw()

    def _smooth(self, line: Series) -> Series:
        if not self.smoothing:
            return line
        return replace(line, ys=smooth(line.ys, self.smoothing))

    def _redraw(self) -> None:
        self._strips, self._canvas, self._view = None, None, None
        self.refresh()

    def _plot_columns(self) -> int:
        return max(4, self.size.width - _GUTTER)

    def _visible(self) -> tuple[Series, ...]:
        return self._in_view()[1]

    def _window(self) -> Window | None:
        return self._in_view()[0]

    def _in_view(self) -> tuple[Window | None, tuple[Series, ...]]:
        """The part of the plane that the chart shows, None without points, and the points to draw."""
        if self._view is None:
            visible = self._points()
            whole = extent(self._overview, log_y=self.log_y)
            if whole is not None and self._zoom is not None:
                part = extent(visible, log_y=self.log_y) or whole
                whole = Window(*self._zoom, part.y_low, part.y_high)
            self._view = None if whole is None else padded(whole, log_y=self.log_y), visible
        return self._view

    def _points(self) -> tuple[Series, ...]:
        """All points of the part that is zoomed into, when they are there and not too many, else the overview's."""
        if self._zoom is None:
            return self._overview
        low, high = self._zoom
        if self._detail is not None and self._detail[0] <= low and high <= self._detail[1]:
            return tuple(cut(self._smooth(line), low, high) for line in self._detail[2])
        parts = tuple(cut(line, low, high) for line in self._smoothed)
        if sum(len(part.xs) for part in parts) > 4 * _OVERVIEW_BUCKETS:
            return tuple(cut(line, low, high) for line in self._overview)
        return parts

    def render_line(self, y: int) -> Strip:
        if self._strips is None:
            self._strips = self._draw_strips()
        base = self.rich_style
        if y >= len(self._strips):
            return Strip.blank(self.size.width, base)
        return self._strips[y].adjust_cell_length(self.size.width, base).apply_style(base)

    def _draw_strips(self) -> list[Strip]:
        window = self._window()
        if window is None:
            undrawable = sum(line.not_finite for line in self._series)
            hidden = sum(not_positive(line) for line in self._series) if self.log_y else 0
            if hidden:
                text = f"  No value is above 0: L shows {hidden} without the log scale"
                return [Strip([Segment(text, Style(dim=True))])]
            reason = self._waiting or "No values yet"
            if undrawable:
                reason = f"No finite values ({undrawable} NaN or infinite)"
            return [Strip([Segment(f"  {reason}", Style(dim=True))])]
        legend = self._legend()
        rows = max(2, self.size.height - _AXIS_ROWS - len(legend))
        columns = self._plot_columns()
        canvas = self._drawn(window, columns, rows)
        labels = self._y_labels(window, rows)
        cursor = None
        if self.cursor is not None and window.x_low <= self.cursor <= window.x_high:
            share = (self.cursor - window.x_low) / (window.x_high - window.x_low)
            cursor = round(share * (columns - 1))
        colours = [self._colour(number) for number in range(len(self._series))]
        strips = [self._plot_row(canvas, row, labels.get(row, ""), cursor, colours) for row in range(rows)]
        dim = Style(dim=True)
        strips.append(Strip([Segment(" " * (_GUTTER - 1) + "└" + "─" * columns, dim)]))
        labels_of_x = x_labels(window.x_low, window.x_high, columns, self.axis)
        strips.append(Strip([Segment(" " * _GUTTER + labels_of_x, dim)]))
        return strips + legend

    def _drawn(self, window: Window, columns: int, rows: int) -> Canvas:
        """The lines; those of the last time if only the cursor moved."""
        if self._canvas is None or (self._canvas.columns, self._canvas.rows) != (columns, rows):
            self._canvas = draw(self._visible(), window, columns, rows, log_y=self.log_y)
        return self._canvas

    def _plot_row(self, canvas: Canvas, row: int, label: str, cursor: int | None, colours: Sequence[Style]) -> Strip:
        dim, owners, text = Style(dim=True), canvas.owner[row], canvas.row_text(row)
        segments = [Segment(f"{label:>{_GUTTER - 2}} {'┤' if label else '│'}", dim)]
        start = 0
        for owner, cells in groupby(owners):
            end = start + sum(1 for _ in cells)
            style = colours[owner] if owner >= 0 else Style()
            if cursor is None or not start <= cursor < end:
                segments.append(Segment(text[start:end], style))
            else:
                at = text[cursor]
                shown = Segment("┊", dim) if at == " " else Segment(at, style + Style(reverse=True))
                segments += [Segment(text[start:cursor], style), shown, Segment(text[cursor + 1 : end], style)]
            start = end
        return Strip([segment for segment in segments if segment.text])

    def _colour(self, number: int) -> Style:
        colours = self.app.theme_variables
        return Style.parse(colours[_COLOURS[number % len(_COLOURS)]].split(" ")[0])

    def _y_labels(self, window: Window, rows: int) -> dict[int, str]:
        def axis(value: float) -> float:
            return math.log10(value) if self.log_y else value

        low, high = axis(window.y_low), axis(window.y_high)
        labels: dict[int, str] = {}
        for value in ticks(window.y_low, window.y_high, max(1, rows // 3), log=self.log_y):
            if self.log_y and value <= 0:
                continue
            row = rows - 1 - round((axis(value) - low) / (high - low) * (rows - 1))
            labels.setdefault(row, short_number(value))
        # Where two round values do not fit, the ends give the scale.
        return labels if len(labels) > 1 else {0: short_number(window.y_high), rows - 1: short_number(window.y_low)}

    def _x_text(self, value: float) -> str:
        window = self._window()
        return x_text(value, self.axis, math.inf if window is None else window.x_high - window.x_low)

    def _legend(self) -> list[Strip]:
        """Each line's mark, name and value at the cursor (else its last one), in at most three rows."""
        entries = []
        visible = self._visible()
        for number, line in enumerate(self._smoothed):
            value = None
            if self.cursor is not None:
                finer = visible[number] if number < len(visible) and len(visible[number].xs) else line
                value = value_at(finer, self.cursor)
            elif len(line.ys):
                value = line.ys[-1]
            notes = "" if value is None else f" {short_number(value)}"
            if line.not_finite:
                notes += f" ({line.not_finite} NaN or infinite)"
            if self.log_y and (hidden := not_positive(line)):
                notes += f" ({hidden} ≤ 0 {'before smoothing' if self.smoothing else 'not shown'})"
            text = f"{mark(number)} {shortened(line.name, self.size.width - len(notes) - 4)}{notes}"
            entries.append((text, self._colour(number)))
        modes = [
            *([f"x: {self.x_name}"] if self.x_name else []),
            *(["log"] if self.log_y else []),
            *([f"smoothing {self.smoothing:g}"] if self.smoothing else []),
            *([f"at {self._x_text(self.cursor)}"] if self.cursor is not None else []),
        ]
        if modes:
            entries.append((" · ".join(modes), Style(dim=True)))
        return _flow(entries, self.size.width, rows=3)


def _flow(entries: Sequence[tuple[str, Style]], width: int, rows: int) -> list[Strip]:
    """Lays entries out from left to right over at most `rows` rows, with the number of those that did not fit."""
    lines: list[list[Segment]] = [[]]
    used = 0
    for number, (text, style) in enumerate(entries):
        if used and used + cell_len(text) + 3 > width:
            if len(lines) == rows:
                lines[-1].append(Segment(f"   +{len(entries) - number} more", Style(dim=True)))
                break
            lines.append([])
            used = 0
        lines[-1].append(Segment(("   " if used else " ") + text, style))
        used += cell_len(text) + 3
    return [Strip(line) for line in lines if line]
