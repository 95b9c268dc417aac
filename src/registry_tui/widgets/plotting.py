"""Line charts as braille dots: plain functions, no terminal.

A braille cell holds 2 by 4 dots (Unicode block U+2800); dot bits as in the Unicode standard, chapter 21.1.
"""

from __future__ import annotations

import math
import string
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

#: Bit of each dot of a cell, by row (0 to 3) and column (0 to 1).
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK = 0x2800
CELL_WIDTH, CELL_HEIGHT = 2, 4

_MARKS = "●■▲◆▼★○□△◇▽☆" + string.ascii_uppercase
#: Columns from one mark on a line to its next.
_MARK_COLUMNS = 16

#: Smallest and largest smoothing weight that can be chosen.
MAX_SMOOTHING = 0.99


def mark(number: int) -> str:
    """The sign that distinguishes a line without colours, in the legend and on the line."""
    return _MARKS[number % len(_MARKS)]


@dataclass(frozen=True)
class Series:
    """One line: points in order of x. Points whose x or y is not finite are counted, not drawn."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    #: Points that are not finite and were left out before.
    left_out: int = 0
    #: Values that are not above 0, of all points that these were reduced from; None counts those that are here.
    below: int | None = None

    @property
    def not_finite(self) -> int:
        """How many points cannot be drawn."""
        isfinite = math.isfinite
        return self.left_out + sum(
            1 for x, y in zip(self.xs, self.ys, strict=True) if not (isfinite(x) and isfinite(y))
        )


@dataclass(frozen=True)
class Window:
    """The part of the plane that a chart shows, in the axes' units."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float


@dataclass
class Canvas:
    """Braille cells: `bits` the dots of each cell, `owner` the series that drew there last (-1 none).

    `marks` are the cells (row, column) that show a series' mark in place of dots.
    """

    columns: int
    rows: int
    bits: list[bytearray] = field(init=False)
    owner: list[list[int]] = field(init=False)
    marks: dict[tuple[int, int], int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.bits = [bytearray(self.columns) for _ in range(self.rows)]
        self.owner = [[-1] * self.columns for _ in range(self.rows)]

    def dot(self, x: int, y: int, series: int) -> None:
        """Sets one dot; (0, 0) is the upper left one. Dots outside are left out."""
        column, row = x // CELL_WIDTH, y // CELL_HEIGHT
        if 0 <= column < self.columns and 0 <= row < self.rows:
            self.bits[row][column] |= _DOTS[y % CELL_HEIGHT][x % CELL_WIDTH]
            self.owner[row][column] = series

    def line(self, x0: int, y0: int, x1: int, y1: int, series: int) -> None:
        """Draws a line of dots (Bresenham, IBM Systems Journal 4(1), 1965)."""
        step_x, step_y = (1 if x1 > x0 else -1), (1 if y1 > y0 else -1)
        distance_x, distance_y = abs(x1 - x0), -abs(y1 - y0)
        error = distance_x + distance_y
        while True:
            self.dot(x0, y0, series)
            if x0 == x1 and y0 == y1:
                return
            doubled = 2 * error
            if doubled >= distance_y:
                error += distance_y
                x0 += step_x
            if doubled <= distance_x:
                error += distance_x
                y0 += step_y

    def row_text(self, row: int) -> str:
        """The characters of one row of cells, blank cells as spaces."""
        return "".join(
            mark(self.marks[row, column]) if (row, column) in self.marks else chr(_BLANK + bits) if bits else " "
            for column, bits in enumerate(self.bits[row])
        )


def smooth(ys: Iterable[float], weight: float) -> array[float]:
    """Exponential moving average with the start's bias removed (Adam, arXiv:1412.6980, section 3).

    `weight` from 0 (as it is) to `MAX_SMOOTHING`. Values that are not finite pass through and do not count.
    """
    smoothed = array("d")
    last, decay = 0.0, 1.0
    for value in ys:
        if not math.isfinite(value):
            smoothed.append(value)
            continue
        last = last * weight + (1.0 - weight) * value
        decay *= weight
        smoothed.append(last / (1.0 - decay))
    return smoothed


def extent(series: Sequence[Series], *, log_y: bool = False) -> Window | None:
    """The smallest window that shows all points, or None when there is nothing to draw."""
    x_low = y_low = math.inf
    x_high = y_high = -math.inf
    isfinite = math.isfinite
    for line in series:
        for x, y in zip(line.xs, line.ys, strict=True):
            if isfinite(x) and isfinite(y) and (y > 0 or not log_y):
                x_low, x_high = min(x_low, x), max(x_high, x)
                y_low, y_high = min(y_low, y), max(y_high, y)
    if x_low > x_high:
        return None
    return Window(x_low, x_high, y_low, y_high)


def padded(window: Window, *, log_y: bool = False) -> Window:
    """A window with height even when all values are equal."""
    x_low, x_high, y_low, y_high = window.x_low, window.x_high, window.y_low, window.y_high
    if x_low == x_high:
        x_low, x_high = x_low - 0.5, x_high + 0.5
    if y_low == y_high:
        if log_y:
            y_low, y_high = y_low / 2, y_high * 2
        else:
            margin = abs(y_low) * 0.05 or 0.5
            y_low, y_high = y_low - margin, y_high + margin
    return Window(x_low, x_high, y_low, y_high)


def cut(line: Series, low: float, high: float) -> Series:
    """The points with x from low to high, of a series in order of x."""
    first, last = bisect_left(line.xs, low), bisect_right(line.xs, high)
    return replace(line, xs=line.xs[first:last], ys=line.ys[first:last])


def not_positive(line: Series) -> int:
    """How many points a log axis cannot show, of all that the line was reduced from."""
    return sum(1 for y in line.ys if y <= 0) if line.below is None else line.below


def reduced(line: Series, buckets: int) -> Series:
    """A series of at most four points a bucket that draws the same at that width; small ones as they are."""
    if len(line.xs) <= 4 * buckets:
        return line
    whole = extent([line])
    if whole is None or whole.x_low == whole.x_high:
        return replace(line, xs=line.xs[:1], ys=line.ys[:1], below=not_positive(line))
    points = downsample(line, whole, buckets)
    xs, ys = array("d", (x for x, _ in points)), array("d", (y for _, y in points))
    return replace(line, xs=xs, ys=ys, below=not_positive(line))


def downsample(line: Series, window: Window, buckets: int, *, log_y: bool = False) -> list[tuple[float, float]]:
    """At most four points a bucket of x: first, smallest, largest, last, so that no spike is lost."""
    width = (window.x_high - window.x_low) / buckets
    isfinite = math.isfinite
    points: list[tuple[float, float]] = []
    current = -1
    first = last = low = high = (0.0, 0.0)

    def close() -> None:
        for point in sorted({first, low, high, last}):
            points.append(point)

    for x, y in zip(line.xs, line.ys, strict=True):
        if not (window.x_low <= x <= window.x_high) or not isfinite(y) or (log_y and y <= 0):
            continue
        bucket = min(buckets - 1, int((x - window.x_low) / width))
        point = (x, y)
        if bucket != current:
            if current >= 0:
                close()
            current = bucket
            first = last = low = high = point
            continue
        last = point
        if y < low[1]:
            low = point
        if y > high[1]:
            high = point
    if current >= 0:
        close()
    return points


def draw(series: Sequence[Series], window: Window, columns: int, rows: int, *, log_y: bool = False) -> Canvas:
    """All series on one canvas; where they meet, a later one's colour covers an earlier one's."""
    canvas = Canvas(columns, rows)
    dots_x, dots_y = columns * CELL_WIDTH - 1, rows * CELL_HEIGHT - 1
    y_low, y_high = _axis(window.y_low, log_y), _axis(window.y_high, log_y)
    paths: list[list[tuple[int, int]]] = []
    for number, line in enumerate(series):
        dots = [
            (
                round((x - window.x_low) / (window.x_high - window.x_low) * dots_x),
                dots_y - round((_axis(y, log_y) - y_low) / (y_high - y_low) * dots_y),
            )
            for x, y in downsample(line, window, columns, log_y=log_y)
        ]
        for start, end in zip(dots[:1] + dots, dots, strict=False):
            canvas.line(*_clamp(start, dots_y), *_clamp(end, dots_y), number)
        paths.append(dots)
    for number, dots in enumerate(paths):
        # A line of one point is a dot that is hardly visible.
        if len(dots) == 1 or (dots and len(series) > 1):
            _mark(canvas, dots, number, len(series))
    return canvas


def _mark(canvas: Canvas, dots: Sequence[tuple[int, int]], number: int, count: int) -> None:
    """Marks a line at intervals, each of `count` lines in other columns, so that meeting lines stay distinct."""
    distance = max(_MARK_COLUMNS, 2 * count)
    first, last = dots[0][0] // CELL_WIDTH, dots[-1][0] // CELL_WIDTH
    offset = distance // 2 // count + number * distance // count
    columns = [column for column in range(offset, canvas.columns, distance) if first <= column <= last]
    xs = [x for x, _ in dots]
    for column in columns or [(first + last) // 2]:
        x = column * CELL_WIDTH
        after = min(bisect_left(xs, x), len(dots) - 1)
        (x0, y0), (x1, y1) = dots[max(0, after - 1)], dots[after]
        y = y1 if x1 == x0 else y0 + round((y1 - y0) * (x - x0) / (x1 - x0))
        row = y // CELL_HEIGHT
        if 0 <= row < canvas.rows:
            canvas.marks[row, column] = number
            canvas.owner[row][column] = number


def _clamp(dot: tuple[int, int], dots_y: int) -> tuple[int, int]:
    """Shortens lines that leave a zoomed window."""
    return dot[0], max(-1, min(dots_y + 1, dot[1]))


def _axis(value: float, log: bool) -> float:
    return math.log10(value) if log else value


def ticks(low: float, high: float, count: int, *, log: bool = False) -> list[float]:
    """About `count` round values from low to high (Heckbert, Graphics Gems, 1990); powers of ten on a log axis."""
    if log:
        first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        powers = [10.0**power for power in range(first, last + 1)]
        if len(powers) >= 2:
            return powers[:: max(1, math.ceil(len(powers) / max(count, 1)))]
    if not high > low or count < 1:
        return [low]
    step = _nice((high - low) / max(count, 1))
    start = math.ceil(low / step - 1e-9)
    end = math.floor(high / step + 1e-9)
    # Far from 0 a double cannot represent such small steps: some would coincide, or be outside.
    margin = (high - low) * 1e-9
    places = dict.fromkeys(number * step for number in range(start, end + 1))
    return [place for place in places if low - margin <= place <= high + margin]


def _nice(step: float) -> float:
    """The nearest of 1, 2, 5 times a power of ten that is not smaller."""
    power = 10.0 ** math.floor(math.log10(step))
    for factor in (1, 2, 5):
        if step <= factor * power * (1 + 1e-9):
            return factor * power
    return 10 * power


def short_number(value: float) -> str:
    """A number in at most nine characters: 0.0123, 12.5, 1.2e+09, NaN, ∞."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    magnitude = abs(value)
    if 1e-3 <= magnitude < 1e6:
        text = f"{value:.4g}" if magnitude < 10_000 else f"{value:.0f}"
        return text if "e" not in text else f"{value:.0f}"
    return f"{value:.1e}"


def value_at(line: Series, x: float) -> float | None:
    """The y of the point with the nearest x, or None for an empty line. Takes xs in order."""
    if not len(line.xs):
        return None
    low, high = 0, len(line.xs) - 1
    while low < high:
        middle = (low + high) // 2
        if line.xs[middle] < x:
            low = middle + 1
        else:
            high = middle
    if low > 0 and abs(line.xs[low - 1] - x) <= abs(line.xs[low] - x):
        low -= 1
    return line.ys[low]
