"""The runs of an experiment: MLflow's filter language, columns to choose, sorted by the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from registry_tui.actions import EXPERIMENT, bindings
from registry_tui.commands import Place
from registry_tui.screens.list_screen import ListScreen
from registry_tui.widgets.frame import Crumb
from registry_tui.widgets.page_cache import Fetch, PageCache
from registry_tui.widgets.text import safe
from registry_tui.widgets.tree_cache import TreeCache
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.widgets.words import NOTHING, Cell, ago, duration, number, run_status

if TYPE_CHECKING:
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import Experiment, Run

#: Params and metrics that have a column at first.
FIRST_PARAMS, FIRST_METRICS = 3, 4

_ATTRIBUTES: tuple[Column[Any], ...] = (
    Column("name", "Run", lambda row: row.name or row.id, 0, max_width=32, sort="attributes.run_name"),
    Column("status", "Status", lambda row: run_status(row.status), 1, min_width=10, sort="attributes.status"),
    Column("started", "Started", lambda row: Cell(ago(row.started_at), "dim"), 1, sort="attributes.start_time"),
)
_LAST: tuple[Column[Any], ...] = (
    Column("took", "Took", lambda row: Cell(_took(row), "dim"), 6, right=True),
    Column("user", "User", lambda row: Cell(row.user, "dim"), 7),
)


def _took(run: Run) -> str:
    if run.started_at is None or run.ended_at is None:
        return "–"
    return duration((run.ended_at - run.started_at).total_seconds())


def _metric(key: str, priority: int) -> Column[Any]:
    def cell(row: Run) -> str | Cell:
        return NOTHING if key not in row.metrics else number(row.metrics[key])

    return Column(f"metric {key}", safe(key, 40), cell, priority, right=True, max_width=16, sort=f"metrics.`{key}`")


def _param(key: str, priority: int) -> Column[Any]:
    def cell(row: Run) -> str | Cell:
        return row.params.get(key, NOTHING)

    return Column(f"param {key}", safe(key, 40), cell, priority, right=True, max_width=20, sort=f"params.`{key}`")


def _tag(key: str) -> Column[Any]:
    def cell(row: Run) -> str | Cell:
        return row.tags.get(key, NOTHING)

    return Column(f"tag {key}", safe(key, 40), cell, 3, max_width=30, sort=f"tags.`{key}`")


class ExperimentScreen(ListScreen):
    """Runs, a page at a time."""

    SECTION = "projects"
    ACTIONS = EXPERIMENT
    BINDINGS = bindings(EXPERIMENT)
    CSS_PATH = "../styles/experiment.tcss"
    SORT = ("started", True)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (*_ATTRIBUTES, *_LAST)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.project: Project | None = None
        self.experiment: Experiment | None = None
        #: Keys seen in loaded runs, with how many have them.
        self.seen_params: Counter[str] = Counter()
        self.seen_metrics: Counter[str] = Counter()
        self.seen_tags: Counter[str] = Counter()
        #: Keys of the columns that a person chose; None: those that most runs have.
        self.chosen: list[str] | None = place.state.get("columns")
        self.filter_text: str = place.state.get("filter", "")

    def compose_content(self) -> Iterable[Widget]:
        with Horizontal(classes="bar"):
            yield Label("filter")
            yield Input(
                self.filter_text,
                placeholder="metrics.rmse < 0.8 and params.alpha = '0.5'",
                compact=True,
                id="filter",
            )
            yield Static("", classes="count", id="count")
        yield Static("", id="wrong", markup=False)
        yield from super().compose_content()

    def on_mount(self) -> None:
        self.query_one("#wrong").display = False

    def crumbs(self) -> tuple[Crumb, ...]:
        project = Place("project", {"project": self.place.args["project"]})
        return (
            ("Projects", Place("projects")),
            ("…" if self.project is None else self.project.name, project),
            ("…" if self.experiment is None else self.experiment.name, None),
        )

    async def prepare(self) -> None:
        if self.experiment is None:
            project, experiment = self.place.args["project"], self.place.args["experiment"]
            self.project = await self.client.project(project)
            self.experiment = await self.client.experiment(project, experiment)
        self.table.empty = Empty("No runs", ("Runs appear here as soon as code logs them.",))

    @property
    def reversible(self) -> bool:
        return True

    @property
    def order(self) -> str | None:
        """An order_by of MLflow's, such as `metrics.`rmse` DESC`."""
        order = super().order
        if order is None:
            return None
        return f"{order.removeprefix('-')} {'DESC' if order.startswith('-') else 'ASC'}"

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        from registry_tui.schemas.tracking import RunSearch

        client, project, filter_ = self.client, self.place.args["project"], self.filter_text
        assert self.experiment is not None
        ids = [self.experiment.id]
        down = order is None or order.endswith(" DESC")
        field = "attributes.start_time" if order is None else order.rsplit(" ", 1)[0]

        async def fetch(token: str | None, backwards: bool) -> Any:
            direction = "DESC" if down != backwards else "ASC"
            search = RunSearch(
                experiment_ids=ids, filter=filter_, order_by=[f"{field} {direction}"], page_token=token, page_size=100
            )
            return await client.search_runs(project, search)

        return fetch

    # -- the filter ---------------------------------------------------------------------------------

    def do_filter(self) -> None:
        self.set_focus(self.query_one("#filter"))

    @property
    def can_filter(self) -> bool:
        return True

    @on(Input.Submitted, "#filter")
    def _filter_given(self, event: Input.Submitted) -> None:
        self.filter_text = event.value.strip()
        self._complain("")
        self.restart()
        self.table.focus()

    def list_failed(self, error: Exception) -> None:
        from registry_tui.client import WrongInput

        if isinstance(error, WrongInput):
            self._complain(error.message)
            self.query_one("#filter").focus()
        else:
            self.failed(error)

    def _complain(self, text: str) -> None:
        line = self.query_one("#wrong", Static)
        line.display = bool(text)
        line.update(safe(text, 600))

    def do_back(self) -> None:
        if self.focused is not None and self.focused.id == "filter":
            self.table.focus()
        else:
            super().do_back()

    # -- columns ------------------------------------------------------------------------------------

    @on(VirtualTable.Loaded, "#table")
    def _runs_loaded(self) -> None:
        source = self.table.source
        if source is None:
            return
        self._learn(source)
        self._show_columns()
        total = source.total
        text = f"{source.seen} runs" if total is None or total == source.seen else f"{source.seen} of {total}"
        if total is None and not source.seeking:
            text = f"more than {source.seen} runs"
        self.query_one("#count", Static).update(text)

    def _learn(self, source: PageCache[Any] | TreeCache[Any]) -> None:
        params: Counter[str] = Counter()
        metrics: Counter[str] = Counter()
        tags: Counter[str] = Counter()
        for run in source.loaded_rows():
            params.update(run.params.keys())
            metrics.update(run.metrics.keys())
            tags.update(key for key in run.tags if not key.startswith("mlflow."))
        self.seen_params, self.seen_metrics, self.seen_tags = params, metrics, tags

    def _show_columns(self) -> None:
        columns = [*_ATTRIBUTES, *self._own_columns(), *_LAST]
        if [column.key for column in columns] != [column.key for column in self.table.columns]:
            self.table.set_columns(columns)

    def _own_columns(self) -> list[Column[Any]]:
        if self.chosen is not None:
            return [_column(key) for key in self.chosen]
        params = _most(self.seen_params, FIRST_PARAMS)
        metrics = _most(self.seen_metrics, FIRST_METRICS)
        return [
            *(_param(key, 4 + place) for place, key in enumerate(params)),
            *(_metric(key, 2 + place) for place, key in enumerate(metrics)),
        ]

    def do_columns(self) -> None:
        from registry_tui.screens.columns import ChooseColumns

        offered = [
            *(f"metric {key}" for key in sorted(self.seen_metrics)),
            *(f"param {key}" for key in sorted(self.seen_params)),
            *(f"tag {key}" for key in sorted(self.seen_tags)),
        ]
        now = [column.key for column in self._own_columns()]
        self.app.push_screen(ChooseColumns(offered, now), self._columns_chosen)

    def _columns_chosen(self, chosen: list[str] | None) -> None:
        if chosen is not None:
            self.chosen = chosen
            self._show_columns()

    def do_sort_started(self) -> None:
        self.sort("started", True)

    # -- rows ---------------------------------------------------------------------------------------

    def open_row(self, row: Run) -> None:
        self.program.open(Place("run", {"project": self.place.args["project"], "run": row.id}))

    def copied(self, row: Run) -> str:
        return row.id

    def leave(self) -> None:
        super().leave()
        self.place.state["columns"], self.place.state["filter"] = self.chosen, self.filter_text


def _most(counts: Counter[str], limit: int) -> list[str]:
    """The keys that most runs have, in the order of their names."""
    return sorted(key for key, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit])


def _column(key: str) -> Column[Any]:
    kind, _, name = key.partition(" ")
    if kind == "metric":
        return _metric(name, 2)
    return _param(name, 2) if kind == "param" else _tag(name)
