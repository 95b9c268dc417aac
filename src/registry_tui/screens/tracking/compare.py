"""Marked runs side by side: params, metrics, tags, and the curves of a metric in one chart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import TabbedContent, TabPane
from textual.widgets.option_list import Option

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.curves import MAX_LISTED, CurveScreen
from registry_tui.screens.tracking.run_columns import took
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.tracking import COMPARE
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import AwaitedList
from registry_tui.widgets.chart import LineChart
from registry_tui.widgets.page_cache import PageCache
from registry_tui.widgets.pages import Pages
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording.differences import Line, numbers_line, texts_line
from registry_tui.wording.text import safe, shortened
from registry_tui.wording.words import Cell, absolute

if TYPE_CHECKING:
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import Experiment, RunDetails

#: Maximum cells of a key's column; on narrow terminals, where two runs must fit.
_OF_KEY = {"-wide": 34, "-narrow": 18}
#: Cells of a run's column: at least, before another run is dropped, and at most.
_OF_RUN = (16, 26)


def compared(runs: Sequence[RunDetails], *, to_first: bool = False) -> list[Line]:
    """Every attribute, param, metric and tag of the runs; in each kind the differences first.

    `to_first` shows metrics as their difference to the first run.
    """
    lines = [
        texts_line("run", "status", [run.status.lower() for run in runs]),
        texts_line("run", "started", [absolute(run.started_at) for run in runs]),
        texts_line("run", "took", [took(run) for run in runs]),
        texts_line("run", "user", [run.user for run in runs]),
    ]
    lines += _sorted(texts_line("param", key, [run.params.get(key) for run in runs]) for key in _keys(runs, "params"))
    lines += _sorted(
        numbers_line(key, [run.metrics.get(key) for run in runs], to_first=to_first) for key in _keys(runs, "metrics")
    )
    own = [key for key in _keys(runs, "tags") if not key.startswith("mlflow.")]
    lines += _sorted(texts_line("tag", key, [run.tags.get(key) for run in runs]) for key in own)
    return lines


def _keys(runs: Sequence[RunDetails], kind: str) -> list[str]:
    return sorted({key for run in runs for key in getattr(run, kind)})


def _sorted(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (line.same, line.key))


class CompareScreen(CurveScreen):
    """A column for each run."""

    SECTION = "projects"
    ACTIONS = COMPARE
    BINDINGS = bindings(COMPARE)
    CSS_PATH = "../../styles/tracking/compare.tcss"
    CHART_TAB = "curves"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.project: Project | None = None
        self.experiment: Experiment | None = None
        self.runs: list[RunDetails] = []
        self.all_lines: bool = place.state.get("all", True)
        self.to_first: bool = place.state.get("to_first", False)

    def compose_content(self) -> Iterable[Widget]:
        with Pages(id="tabs", initial=self.place.state.get("tab", "values")):
            with TabPane("Values", id="values"):
                yield VirtualTable((), id="table", empty=Empty("Nothing differs", ("x shows equal values, too.",)))
            with TabPane("Curves", id="curves"), Horizontal():
                yield AwaitedList(id="metric-names")
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
            (f"compare {counted(len(self.place.args['runs'].split(',')), 'run')}", None),
        )

    def on_mount(self) -> None:
        self.query_one("#table").focus()

    def focus_content(self) -> None:
        self.query_one("#table" if self.tabs.active == "values" else "#metric-names").focus()

    @on(TabbedContent.TabActivated, "#tabs")
    def _tab(self, event: TabbedContent.TabActivated) -> None:
        if event.pane.id == self.tabs.active:  # else another was chosen meanwhile
            self.focus_content()
            self.show_actions()

    def leave(self) -> None:
        super().leave()
        self.place.state.update(all=self.all_lines, to_first=self.to_first)

    async def start(self) -> None:
        project = self.place.args["project"]
        wanted = self.place.args["runs"].split(",")
        if self.project is None:
            self.project = await self.client.project(project)
            self.experiment = await self.client.experiment(project, self.place.args["experiment"])
        self.runs = list(await asyncio.gather(*(self.client.run(project, run) for run in wanted)))
        self.show_crumbs()
        self._show()
        keys = _keys(self.runs, "metrics")[:MAX_LISTED]
        self.show_names([Option(Content(safe(key, 40)), id=key) for key in keys])
        self.follow(run.status for run in self.runs)

    def on_resize(self) -> None:
        if self.runs:
            self._show()

    # -- values ---------------------------------------------------------------------------------------

    def _show(self) -> None:
        from registry_tui.schemas.base import Page

        lines = [line for line in compared(self.runs, to_first=self.to_first) if self.all_lines or not line.same]
        of_key = _OF_KEY["-narrow" if self.has_class("-narrow") else "-wide"]
        least, most = _OF_RUN
        table = self.query_one("#table", VirtualTable)

        def value(place: int) -> Column[Any]:
            run = self.runs[place]
            return Column(
                f"run {place}",
                shortened(safe(run.name or run.id), most - 2),
                lambda line: line.cells[place],
                place + 1,
                right=True,
                max_width=most,
                keeps_end=True,
                floor=least,
            )

        table.set_columns(
            [
                Column("key", "", lambda line: line.key, 0, max_width=of_key, keeps_end=True),
                Column("kind", "", lambda line: Cell(line.kind, "dim"), len(self.runs) + 1),
                *(value(place) for place in range(len(self.runs))),
            ]
        )

        async def fetch(token: str | None, backwards: bool) -> Any:
            return Page.model_construct(items=lines, next_page_token=None, total=len(lines))

        at = table.place
        table.set_source(PageCache(fetch, lambda line: f"{line.kind} {line.key}"), at)

    def do_equal(self) -> None:
        """Shows or hides the lines that are equal in all runs."""
        self.all_lines = not self.all_lines
        self._show()
        self.flash("all lines" if self.all_lines else "only what differs")

    def do_difference(self) -> None:
        """Switches metrics between the difference to the first run and plain values."""
        self.to_first = not self.to_first
        self._show()
        self.flash("metrics: difference to the first run" if self.to_first else "metrics: values")

    def curves_of(self, metric: str) -> list[tuple[str, str]]:
        return [(run.id, run.name or run.id) for run in self.runs if metric in run.metrics]

    # -- actions --------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        return super().why_not(action) if self.runs else "the runs are not known yet"

    def do_tab_next(self) -> None:
        self.tabs.active = "curves" if self.tabs.active == "values" else "values"

    def do_tab_previous(self) -> None:
        self.do_tab_next()

    def do_copy(self) -> None:
        self.program.copy_text(self.place.args["runs"].replace(",", " "))

    def do_export(self) -> None:
        from registry_tui.screens.base.save import ExportRows

        titles = [run.name or run.id for run in self.runs]
        rows = [line.fields(titles) for line in compared(self.runs) if self.all_lines or not line.same]
        self.app.push_screen(ExportRows("comparison", rows), self._exported)

    def _exported(self, path: Path | None) -> None:
        if path is not None:
            self.flash(f"saved in {path}")

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        text = "[\n" + ",\n".join(run.model_dump_json(indent=2) for run in self.runs) + "\n]"
        self.app.push_screen(View(counted(len(self.runs), "run"), text))
