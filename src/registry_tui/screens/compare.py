"""Marked runs side by side: params, metrics, tags, and the curves of a metric in one chart."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, TabbedContent, TabPane
from textual.widgets.option_list import Option

from registry_tui.actions import COMPARE, bindings
from registry_tui.commands import Place
from registry_tui.screens.curves import read_curve
from registry_tui.screens.frame import FrameScreen
from registry_tui.screens.run_columns import took
from registry_tui.widgets.chart import LineChart
from registry_tui.widgets.differences import Line, numbers_line, texts_line
from registry_tui.widgets.frame import Crumb
from registry_tui.widgets.page_cache import PageCache
from registry_tui.widgets.pages import Pages
from registry_tui.widgets.plotting import Series
from registry_tui.widgets.text import safe
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.widgets.words import Cell, absolute

if TYPE_CHECKING:
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import Experiment, MetricCurve, RunDetails

#: Keys with a curve that are offered.
MAX_LISTED = 2000


def compared(runs: Sequence[RunDetails]) -> list[Line]:
    """Every attribute, param, metric and tag of the runs; what differs first in each kind."""
    lines = [
        texts_line("run", "status", [run.status.lower() for run in runs]),
        texts_line("run", "started", [absolute(run.started_at) for run in runs]),
        texts_line("run", "took", [took(run) for run in runs]),
        texts_line("run", "user", [run.user for run in runs]),
    ]
    lines += _sorted(texts_line("param", key, [run.params.get(key) for run in runs]) for key in _keys(runs, "params"))
    lines += _sorted(numbers_line(key, [run.metrics.get(key) for run in runs]) for key in _keys(runs, "metrics"))
    own = [key for key in _keys(runs, "tags") if not key.startswith("mlflow.")]
    lines += _sorted(texts_line("tag", key, [run.tags.get(key) for run in runs]) for key in own)
    return lines


def _keys(runs: Sequence[RunDetails], kind: str) -> list[str]:
    return sorted({key for run in runs for key in getattr(run, kind)})


def _sorted(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (line.same, line.key))


class CompareScreen(FrameScreen):
    """A column a run."""

    SECTION = "projects"
    ACTIONS = COMPARE
    BINDINGS = bindings(COMPARE)
    CSS_PATH = "../styles/compare.tcss"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.project: Project | None = None
        self.experiment: Experiment | None = None
        self.runs: list[RunDetails] = []
        self.all_lines: bool = place.state.get("all", True)
        self.by_time = False
        #: The metric that is drawn and whether over seconds; when each curve's first point was logged.
        self._drawn: tuple[str, bool] | None = None
        self._began: list[float | None] = []

    def compose_content(self) -> Iterable[Widget]:
        with Pages(id="tabs", initial=self.place.state.get("tab", "values")):
            with TabPane("Values", id="values"):
                yield VirtualTable((), id="table", empty=Empty("Nothing differs", ("x shows what is equal, too.",)))
            with TabPane("Curves", id="curves"), Horizontal():
                yield OptionList(id="metric-names", compact=True)
                yield LineChart(id="chart")

    def crumbs(self) -> tuple[Crumb, ...]:
        project, experiment = self.place.args["project"], self.place.args["experiment"]
        return (
            ("Projects", Place("projects")),
            ("…" if self.project is None else self.project.name, Place("project", {"project": project})),
            (
                "…" if self.experiment is None else self.experiment.name,
                Place("experiment", {"project": project, "experiment": experiment}),
            ),
            (f"compare {len(self.place.args['runs'].split(','))} runs", None),
        )

    def on_mount(self) -> None:
        self.query_one("#table").focus()

    def focus_content(self) -> None:
        self.query_one("#table" if self._tabs.active == "values" else "#metric-names").focus()

    @property
    def _tabs(self) -> TabbedContent:
        return self.query_one("#tabs", TabbedContent)

    def leave(self) -> None:
        self.place.state.update(tab=self._tabs.active, all=self.all_lines)

    async def start(self) -> None:
        project = self.place.args["project"]
        wanted = self.place.args["runs"].split(",")
        if self.project is None:
            self.project = await self.client.project(project)
            self.experiment = await self.client.experiment(project, self.place.args["experiment"])
        self.runs = list(await asyncio.gather(*(self.client.run(project, run) for run in wanted)))
        self.show_crumbs()
        self._show()

    # -- values ---------------------------------------------------------------------------------------

    def _show(self) -> None:
        from registry_tui.schemas.base import Page

        lines = [line for line in compared(self.runs) if self.all_lines or not line.same]
        table = self.query_one("#table", VirtualTable)

        def value(place: int) -> Column[Any]:
            run = self.runs[place]
            title = safe(run.name or run.id, 24)
            return Column(f"run {place}", title, lambda line: line.cells[place], place + 1, right=True, max_width=26)

        table.set_columns(
            [
                Column("key", "", lambda line: line.key, 0, max_width=34),
                Column("kind", "", lambda line: Cell(line.kind, "dim"), 0),
                *(value(place) for place in range(len(self.runs))),
            ]
        )

        async def fetch(token: str | None, backwards: bool) -> Any:
            return Page.model_construct(items=lines, next_page_token=None, total=len(lines))

        at = table.place
        table.set_source(PageCache(fetch, lambda line: f"{line.kind} {line.key}"), at)
        names = self.query_one("#metric-names", OptionList)
        if not names.option_count:
            keys = [line.key for line in compared(self.runs) if line.kind == "metric"]
            names.add_options([Option(Content(safe(key, 40)), id=key) for key in keys[:MAX_LISTED]])
            if keys:
                names.highlighted = 0

    def do_equal(self) -> None:
        """Shows or hides what is the same in all runs."""
        self.all_lines = not self.all_lines
        self._show()
        self.flash("all lines" if self.all_lines else "only what differs")

    # -- curves ---------------------------------------------------------------------------------------

    @on(OptionList.OptionHighlighted, "#metric-names")
    def _metric_chosen(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id is not None:
            self.work_on(self._draw(event.option.id), "curve")

    async def _draw(self, metric: str) -> None:
        chart = self.query_one("#chart", LineChart)
        read = await asyncio.gather(*(self._curve(run, metric) for run in self.runs if metric in run.metrics))
        if (metric, self.by_time) != self._drawn:
            chart.show_all()
        self._drawn = (metric, self.by_time)
        self._began = [None if curve.began_at is None else curve.began_at.timestamp() for _, curve in read]
        series = []
        for line, _ in read:
            if len(line.xs) == 1 and len(read) > 1:
                # One value has no curve: a short level line shows it among the others.
                middle = line.xs[0]
                line = Series(
                    line.name, array("d", [middle - 0.5, middle + 0.5]), array("d", [line.ys[0]] * 2), line.left_out
                )
            series.append(line)
        chart.show(series, x_is_time=False)

    @on(LineChart.Zoomed)
    def _zoomed(self, event: LineChart.Zoomed) -> None:
        if self._drawn is not None:
            self.work_on(self._draw_detail(self._drawn, event.low, event.high), "detail")

    async def _draw_detail(self, drawn: tuple[str, bool], low: float, high: float) -> None:
        """The part of each curve that is shown, with all its points when they are few enough."""
        runs = [run for run in self.runs if drawn[0] in run.metrics]
        read = await asyncio.gather(
            *(self._curve(run, drawn[0], (low, high), at) for run, at in zip(runs, self._began, strict=True))
        )
        if drawn == self._drawn:
            self.query_one("#chart", LineChart).show_detail(low, high, [line for line, _ in read])

    async def _curve(
        self, run: RunDetails, metric: str, window: tuple[float, float] | None = None, began: float | None = None
    ) -> tuple[Series, MetricCurve]:
        return await read_curve(
            self.client,
            self.place.args["project"],
            run.id,
            metric,
            name=run.name or run.id,
            by_time=self.by_time,
            began=began,
            window=window,
        )

    def do_time(self) -> None:
        """The curves by step, or by seconds since each run's first point."""
        self.by_time = not self.by_time
        names = self.query_one("#metric-names", OptionList)
        if names.highlighted is not None:
            key = names.get_option_at_index(names.highlighted).id
            if key is not None:
                self.work_on(self._draw(key), "curve")
        self.flash("x: seconds since each run's first point" if self.by_time else "x: step")

    # -- actions --------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        return None if self.runs else "the runs are not known yet"

    def do_tab_next(self) -> None:
        self._tabs.active = "curves" if self._tabs.active == "values" else "values"
        self.focus_content()

    def do_copy(self) -> None:
        self.program.copy_text(self.place.args["runs"].replace(",", " "))

    def do_export(self) -> None:
        from registry_tui.screens.save import ExportRows

        titles = [run.name or run.id for run in self.runs]
        rows = [line.fields(titles) for line in compared(self.runs) if self.all_lines or not line.same]
        self.app.push_screen(ExportRows("comparison", rows), self._exported)

    def _exported(self, path: Path | None) -> None:
        if path is not None:
            self.flash(f"saved in {path}")

    def do_view(self) -> None:
        from registry_tui.screens.dialogs import View

        text = "[\n" + ",\n".join(run.model_dump_json(indent=2) for run in self.runs) + "\n]"
        self.app.push_screen(View(f"{len(self.runs)} runs", text))
