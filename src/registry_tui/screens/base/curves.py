"""Metrics' curves next to their names: the common part of the pages of one run and of compared runs.

Each curve is requested for the visible part of x, reduced to the chart's resolution.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.widgets import OptionList, TabbedContent
from textual.widgets.option_list import Option

from registry_tui.screens.base.frame import FrameScreen
from registry_tui.terminal.actions.tracking import CHART
from registry_tui.terminal.commands import Place
from registry_tui.widgets.axes import Axis
from registry_tui.widgets.chart import LineChart
from registry_tui.widgets.plotting import Series
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.client.client import RegistryClient
    from registry_tui.schemas.tracking import MetricCurve
    from registry_tui.terminal.action import Action

#: Buckets of x that are requested: more than a wide terminal has dots.
BUCKETS = 1000
#: Keys with a curve that are listed.
MAX_LISTED = 2000
#: Minimum seconds between checks of an active run; and how many times the duration of reading the curves.
WHILE_RUNNING, REST = 3.0, 5.0

X = Literal["step", "relative", "wall"]
#: The x axes in the order of their key, with how the chart writes them and their words.
AXES: dict[X, tuple[Axis, str]] = {
    "step": ("number", "step"),
    "relative": ("duration", "time since the first point"),
    "wall": ("time", "wall time"),
}

_CHART_ACTIONS = frozenset(action.id for action in CHART)


@dataclass(frozen=True)
class Curve:
    """A drawn line: its run, when its first point was logged (seconds since 1970), how many points it has."""

    run: str
    name: str
    began: float
    count: int


async def read_curve(
    client: RegistryClient,
    project: str,
    run: str,
    metric: str,
    *,
    name: str,
    x: X = "step",
    began: float | None = None,
    window: tuple[float, float] | None = None,
) -> tuple[Series, MetricCurve]:
    """The series over steps, seconds since `began` (its own first point's time when None), or since 1970."""
    low, high = window if window is not None else (None, None)
    zero = 0.0 if x == "wall" else began
    if x != "step" and low is not None and high is not None:
        low, high = (low + (zero or 0.0)) * 1000, (high + (zero or 0.0)) * 1000
    curve = await client.metric_curve(
        project, run, metric, points=BUCKETS, x="step" if x == "step" else "time", low=low, high=high
    )
    if zero is None:
        zero = 0.0 if curve.began_at is None else curve.began_at.timestamp()
    at = [float(point.step) if x == "step" else point.timestamp.timestamp() - zero for point in curve.points]
    values = array("d", [point.value for point in curve.points])
    return Series(safe(name, 60), array("d", at), values, curve.not_finite, curve.not_positive), curve


class CurveScreen(FrameScreen):
    """A screen with the metrics' names (`#metric-names`) next to a chart of the highlighted one (`#chart`).

    Subclasses provide `curves_of`, and the tab that shows the chart; they call `show_names` with the metrics they read.
    """

    CHART_TAB: ClassVar[str]

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.x: X = place.state.get("x", "step")
        #: The metric that is drawn over which x, and its lines.
        self._drawn: tuple[str, X] | None = None
        self._curves: list[Curve] = []
        self._following = False
        self._took = 0.0

    def curves_of(self, metric: str) -> Iterable[tuple[str, str]]:
        """The run of each of the metric's lines, and the line's name."""
        raise NotImplementedError

    @property
    def tabs(self) -> TabbedContent:
        return self.query_one("#tabs", TabbedContent)

    @property
    def chart(self) -> LineChart:
        return self.query_one("#chart", LineChart)

    @property
    def chosen(self) -> str | None:
        """The metric that is highlighted."""
        option = self.query_one("#metric-names", OptionList).highlighted_option
        return None if option is None else option.id or None

    def leave(self) -> None:
        self.place.state.update(tab=self.tabs.active, x=self.x)

    # -- names ----------------------------------------------------------------------------------------

    def show_names(self, options: Sequence[Option]) -> None:
        """Lists the metrics, keeping the cursor on its name; draws its curve again."""
        names, at = self.query_one("#metric-names", OptionList), self.chosen
        before = names.options
        if [option.id for option in before] == [option.id for option in options]:
            for old, new in zip(before, options, strict=True):
                if new.id and old.prompt != new.prompt:
                    names.replace_option_prompt(new.id, new.prompt)
            self._draw_chosen()
            return
        names.clear_options()
        names.add_options(options)
        if not options:
            self.chart.show(())
        else:
            names.highlighted = next((place for place, option in enumerate(options) if option.id == at), 0)

    def follow(self, statuses: Iterable[str]) -> None:
        """Reloads after a while if one of the runs still logs."""
        if not self._following and {"RUNNING", "SCHEDULED"} & set(statuses):
            self._following = True
            self.set_timer(max(WHILE_RUNNING, REST * self._took), self._look_again, name="look-again")

    def _look_again(self) -> None:
        self._following = False
        if self.is_current and self.program.answering and not self.asks("start"):
            self.refresh_data()
        else:
            self.follow(("RUNNING",))

    # -- curves ---------------------------------------------------------------------------------------

    @on(OptionList.OptionHighlighted, "#metric-names")
    def _metric_chosen(self) -> None:
        self._draw_chosen()

    def _draw_chosen(self) -> None:
        if (metric := self.chosen) is not None:
            self.ask_chosen(lambda: self._draw(metric), "curve", (metric, self.x))

    async def _draw(self, metric: str) -> None:
        began_reading = time.monotonic()
        lines, x = list(self.curves_of(metric)), self.x
        read = await asyncio.gather(*(self._read(run, name, metric, x) for run, name in lines))
        counts = [curve.count for _, curve in read]
        if x == "step" and max(counts, default=0) > 1 and all(curve.one_step for _, curve in read if curve.count):
            x = "relative"  # all at one step: only the time distinguishes the points
            read = await asyncio.gather(*(self._read(run, name, metric, x) for run, name in lines))
        self._took = time.monotonic() - began_reading
        if (metric, x) != self._drawn:
            self.chart.show_all()
        self._drawn = (metric, x)
        began = [0.0 if curve.began_at is None else curve.began_at.timestamp() for _, curve in read]
        self._curves = [Curve(*line, at, count) for line, at, count in zip(lines, began, counts, strict=True)]
        axis, words = AXES[x]
        self.chart.show([_seen(line, len(read)) for line, _ in read], axis=axis, x_name=words)
        self.show_actions()

    @on(LineChart.Zoomed)
    def _zoomed(self, event: LineChart.Zoomed) -> None:
        if self._drawn is not None:
            self.work_on(self._draw_detail(self._curves, *self._drawn, event.low, event.high), "detail")

    async def _draw_detail(self, curves: list[Curve], metric: str, x: X, low: float, high: float) -> None:
        """The visible part of each curve, with all its points when they are few enough."""
        window = (low, high)
        read = await asyncio.gather(
            *(self._read(each.run, each.name, metric, x, each.began, window) for each in curves)
        )
        if curves is self._curves:
            lines = [
                _seen(line, len(curves)) if each.count == 1 else line
                for each, (line, _) in zip(curves, read, strict=True)
            ]
            self.chart.show_detail(low, high, lines)

    async def _read(
        self,
        run: str,
        name: str,
        metric: str,
        x: X,
        began: float | None = None,
        window: tuple[float, float] | None = None,
    ) -> tuple[Series, MetricCurve]:
        project = self.place.args["project"]
        return await read_curve(self.client, project, run, metric, name=name, x=x, began=began, window=window)

    # -- actions --------------------------------------------------------------------------------------

    def all_actions(self) -> list[Action]:
        """Actions on the chart are always in the help, but in the status line only while the chart is visible."""
        hidden = self.is_mounted and self.tabs.active != self.CHART_TAB
        return [
            replace(each, footer=each.footer and not (hidden and each.id in _CHART_ACTIONS))
            for each in super().all_actions()
        ]

    def why_not(self, action: str) -> str | None:
        if action in _CHART_ACTIONS:
            if self.tabs.active != self.CHART_TAB:
                return f"it is for the curves, under {self.CHART_TAB.title()}"
            return None if self._drawn is not None else "no curve is drawn yet"
        return None

    def do_time(self) -> None:
        """Switches the curves between step, time since each one's first point, and wall time."""
        order = list(AXES)
        self.x = order[(order.index(self.x) + 1) % len(order)]
        self._draw_chosen()
        self.flash(f"x: {AXES[self.x][1]}")

    def do_chart_left(self) -> None:
        self.chart.action_move(-1)

    def do_chart_right(self) -> None:
        self.chart.action_move(1)

    def do_zoom_in(self) -> None:
        self.chart.action_zoom(0.5)

    def do_zoom_out(self) -> None:
        self.chart.action_zoom(2.0)

    def do_pan_left(self) -> None:
        self.chart.action_pan(-0.5)

    def do_pan_right(self) -> None:
        self.chart.action_pan(0.5)

    def do_whole(self) -> None:
        self.chart.action_reset()

    def do_log(self) -> None:
        self.chart.action_log()

    def do_smooth(self) -> None:
        self.chart.action_smooth()


def _seen(line: Series, beside: int) -> Series:
    """One value has no curve: a short level line shows it among others."""
    if len(line.xs) != 1 or beside < 2:
        return line
    at = line.xs[0]
    return replace(line, xs=array("d", [at - 0.5, at + 0.5]), ys=array("d", [line.ys[0]] * 2))
