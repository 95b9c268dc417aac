"""One run: overview, params, metrics with charts, tags, datasets, and artifacts with previews."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import TabbedContent, TabPane
from textual.widgets.option_list import Option

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.curves import MAX_LISTED, CurveScreen
from registry_tui.screens.tracking.run_artifacts import RunArtifacts, download_form
from registry_tui.screens.tracking.run_datasets import datasets_text
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.tracking import RUN
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import AwaitedList
from registry_tui.widgets.chart import LineChart
from registry_tui.widgets.facts import AwaitedFacts, facts
from registry_tui.widgets.pages import Pages
from registry_tui.wording.text import safe
from registry_tui.wording.words import both, duration, number, run_status

if TYPE_CHECKING:
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import Artifact, Experiment, RunDetails

#: The focused widget in each tab.
_MAIN = {
    "overview": "#overview-scroll",
    "metrics": "#metric-names",
    "artifacts": "#tree",
    "params": "#params-scroll",
    "tags": "#tags-scroll",
    "datasets": "#datasets-scroll",
}

#: Tabs whose rows can be exported.
_LISTING = frozenset({"metrics", "params", "tags", "datasets"})


class RunScreen(CurveScreen):
    """Tabs over one run."""

    SECTION = "projects"
    ACTIONS = RUN
    CONCERNS = frozenset({"version"})
    BINDINGS = bindings(RUN)
    CSS_PATH = "../../styles/tracking/run.tcss"
    CHART_TAB = "metrics"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.run: RunDetails | None = None
        self.project: Project | None = None
        self.experiment: Experiment | None = None

    def compose_content(self) -> Iterable[Widget]:
        with Pages(id="tabs", initial=self.place.state.get("tab", "overview")):
            with TabPane("Overview", id="overview"), VerticalScroll(id="overview-scroll"):
                yield AwaitedFacts(id="facts")
            with TabPane("Metrics", id="metrics"), Horizontal():
                yield AwaitedList(id="metric-names")
                yield LineChart(id="chart")
            with TabPane("Artifacts", id="artifacts"):
                yield RunArtifacts(self.place.args["project"], self.place.args["run"])
            with TabPane("Params", id="params"), VerticalScroll(id="params-scroll"):
                yield AwaitedFacts(id="params-text")
            with TabPane("Tags", id="tags"), VerticalScroll(id="tags-scroll"):
                yield AwaitedFacts(id="tags-text")
            with TabPane("Datasets", id="datasets"), VerticalScroll(id="datasets-scroll"):
                yield AwaitedFacts(id="datasets-text")

    def crumbs(self) -> tuple[Crumb, ...]:
        project = self.place.args["project"]
        crumbs: list[Crumb] = [("Projects", Place("projects"))]
        crumbs.append(("…" if self.project is None else self.project.name, Place("project", {"project": project})))
        if self.experiment is not None:
            args = {"project": project, "experiment": self.experiment.id}
            crumbs.append((self.experiment.name, Place("experiment", args)))
        crumbs.append(("…" if self.run is None else self.run.name or self.run.id, None))
        return tuple(crumbs)

    def focus_content(self) -> None:
        """Focuses the main widget of the tab."""
        main = _MAIN.get(self.query_one("#tabs", TabbedContent).active, "#overview-scroll")
        self.query_one(main).focus()

    async def start(self) -> None:
        project = self.place.args["project"]
        self.run = await self.client.run(project, self.place.args["run"])
        if self.project is None:
            self.project = await self.client.project(project)
            self.experiment = await self.client.experiment(project, self.run.experiment_id)
        self.show_crumbs()
        self._show()
        await self.artifacts.read()
        if self.query_one("#tabs", TabbedContent).active == "artifacts":
            self.artifacts.begin()

    def curves_of(self, metric: str) -> list[tuple[str, str]]:
        return [(self.place.args["run"], metric)]

    # -- display ------------------------------------------------------------------------------------

    def _show(self) -> None:
        run = self.run
        assert run is not None
        self.query_one("#facts", AwaitedFacts).show(lambda room: _overview(run, room))
        self.query_one("#params-text", AwaitedFacts).show(
            lambda room: _listing(run.params, "This run has no params", room)
        )
        tags = {key: value for key, value in run.tags.items() if not key.startswith("mlflow.")}
        self.query_one("#tags-text", AwaitedFacts).show(
            lambda room: _listing(tags, "This run has no tags of its own", room)
        )
        self.query_one("#datasets-text", AwaitedFacts).show(lambda room: datasets_text(run.datasets, room))
        options = [
            Option(
                Content.assemble((safe(key, 60), ""), (f"  {number(run.metrics[key])}", "$foreground-muted")), id=key
            )
            for key in sorted(run.metrics)[:MAX_LISTED]
        ]
        if (more := len(run.metrics) - MAX_LISTED) > 0:
            note = Content.assemble((f"and {more} more: y shows all", "$foreground-muted"))
            options.append(Option(note, id="", disabled=True))
        self.show_names(options)
        self.follow([run.status])

    # -- artifacts ----------------------------------------------------------------------------------

    @property
    def artifacts(self) -> RunArtifacts:
        return self.query_one(RunArtifacts)

    @property
    def selected(self) -> Artifact | None:
        """The entry under the tree's cursor, while artifacts are in view."""
        return self.artifacts.selected if self.query_one("#tabs", TabbedContent).active == "artifacts" else None

    @property
    def model_path(self) -> str | None:
        """The selected model folder, or the one that contains the selected entry."""
        return None if self.selected is None else self.artifacts.model_path

    @on(TabbedContent.TabActivated, "#tabs")
    def _tab(self, event: TabbedContent.TabActivated) -> None:
        if event.pane.id != self.query_one("#tabs", TabbedContent).active:
            return  # another tab was chosen meanwhile; focusing this one would go back to it
        if event.pane.id == "artifacts":
            self.artifacts.begin()
        self.focus_content()
        self.show_actions()

    # -- actions ------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        if self.run is None:
            return "the run is not known yet"
        if action == "export":
            tab = self.query_one("#tabs", TabbedContent).active
            if tab not in _LISTING:
                return "it saves the list under Metrics, Params, Tags or Datasets"
            return None if self._rows(tab) else "nothing is listed here"
        deleted = self.run.lifecycle_stage == "deleted"
        if action == "restore":
            return None if deleted else "the run is not deleted"
        if action in ("edit", "delete") and deleted:
            return "the run is deleted; Z restores it"
        if action == "registered" and not self.run.registered_as:
            return "nothing was registered from this run"
        if action in ("preview_down", "preview_up"):
            return None if self.selected is not None else "nothing is selected under Artifacts"
        if action == "register":
            if self.project is not None and self.project.registry_id is None:
                return f"the workspace of {self.project.name} is not synchronized with a Model Registry"
            if self.model_path is None:
                return "select a model folder under Artifacts first"
        return super().why_not(action)

    def do_lineage(self) -> None:
        from registry_tui.screens.base.lineage import show_lineage

        assert self.run is not None
        name = self.run.name or self.run.id
        show_lineage(self, name, reference("run", self.place.args["project"], self.run.id))

    def do_tab_next(self) -> None:
        self._turn(1)

    def do_tab_previous(self) -> None:
        self._turn(-1)

    def _turn(self, by: int) -> None:
        tabs = self.query_one("#tabs", Pages)
        tabs.active = tabs.neighbour(by)

    @property
    def menu_of(self) -> str:
        return "" if self.run is None else self.run.name or self.run.id

    def do_open(self) -> None:
        """Enter acts in the widget that has the focus."""

    def do_preview_down(self) -> None:
        self.artifacts.scroll_preview(1)

    def do_preview_up(self) -> None:
        self.artifacts.scroll_preview(-1)

    def do_preview_right(self) -> None:
        self.artifacts.scroll_preview(across=1)

    def do_preview_left(self) -> None:
        self.artifacts.scroll_preview(across=-1)

    def do_register(self) -> None:
        from registry_tui.screens.models.register_model import RegisterModelForm

        assert self.run is not None and self.project is not None and self.model_path is not None
        self.app.push_screen(RegisterModelForm(self.project, self.run, self.model_path), self._registered)

    def do_edit(self) -> None:
        from registry_tui.screens.tracking.changing_runs import edit_runs

        assert self.run is not None
        edit_runs(self, self.place.args["project"], [self.run], lambda _: self.refresh_data())

    def do_delete(self) -> None:
        from registry_tui.screens.tracking.changing_runs import delete_runs

        assert self.run is not None
        delete_runs(self, self.place.args["project"], [self.run], lambda _: self.refresh_data())

    def do_restore(self) -> None:
        from registry_tui.screens.tracking.changing_runs import restore_runs

        assert self.run is not None
        restore_runs(self, self.place.args["project"], [self.run], lambda _: self.refresh_data())

    def _registered(self, place: Place | None) -> None:
        self.program.look_now()
        if place is not None:
            self.program.open(place)
        else:
            self.refresh_data()

    def do_registered(self) -> None:
        assert self.run is not None
        last = self.run.registered_as[0]
        self.program.open(Place("model", {"registry": last.registry_id, "model": last.model_name}))

    def do_download(self) -> None:
        """Saves the selected file or folder, or everything."""
        assert self.run is not None
        name = self.run.name or self.run.id
        form = download_form(self.client, self.place.args["project"], self.place.args["run"], name, self.selected)
        self.app.push_screen(form, self._downloaded)

    def _downloaded(self, folder: str | None) -> None:
        if folder is not None:
            self.flash(f"saved to {folder}")

    def do_copy(self) -> None:
        entry = self.selected
        self.program.copy_text(self.place.args["run"] if entry is None else entry.path)

    def do_export(self) -> None:
        """Saves all rows of the tab."""
        from registry_tui.screens.base.save import ExportRows, file_name

        assert self.run is not None
        tab = self.query_one("#tabs", TabbedContent).active
        name = file_name(f"{tab}-of-{self.run.name or self.run.id}")
        self.app.push_screen(ExportRows(name, self._rows(tab)), self._exported)

    def _rows(self, tab: str) -> list[dict[str, object]]:
        """Every row of a tab with a list."""
        run = self.run
        if run is None or tab not in _LISTING:
            return []
        if tab == "datasets":
            return [data.model_dump(mode="json") for data in run.datasets]
        values: Mapping[str, object] = getattr(run, tab)
        return [{tab[:-1]: key, "value": values[key]} for key in sorted(values)]

    def _exported(self, path: Path | None) -> None:
        if path is not None:
            self.flash(f"saved in {path}")

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        assert self.run is not None
        self.app.push_screen(View(f"run {self.run.id}", self.run.model_dump_json(indent=2)))


def _overview(run: RunDetails, room: int) -> Content:
    status = run_status(run.status)
    took = None
    if run.started_at is not None and run.ended_at is not None:
        took = (run.ended_at - run.started_at).total_seconds()
    known: list[tuple[str, str]] = [
        ("Name", run.name),
        ("ID", run.id),
        ("Status", f"{status.text} (deleted)" if run.lifecycle_stage == "deleted" else status.text),
        ("User", run.user),
        ("Started", both(run.started_at)),
        ("Took", duration(took)),
        ("Source", run.tags.get("mlflow.source.name", "–")),
    ]
    known += [("Registered as", f"{one.model_name} v{one.version} ({one.status})") for one in run.registered_as]
    parts = facts(known, 16, room)
    if note := run.tags.get("mlflow.note.content"):
        parts += [("\n", ""), (safe(note, 4000), ""), ("\n", "")]
    for title, values in (
        ("Metrics", {key: number(value) for key, value in run.metrics.items()}),
        ("Params", run.params),
    ):
        if values:
            parts.append((f"\n{title}\n", "bold $accent"))
            parts += facts(((f"  {key}", values[key] or " ") for key in sorted(values)[:12]), 30, room)
            if len(values) > 12:
                parts.append((f"  and {len(values) - 12} more\n", "$foreground-muted"))
    return Content.assemble(*parts)


def _listing(values: Mapping[str, str], nothing: str, room: int) -> Content:
    if not values:
        return Content.assemble((nothing, "$foreground-muted"))
    width = min(40, max(len(key) for key in values) + 2)
    parts = facts(((key, values[key] or " ") for key in sorted(values)[:MAX_LISTED]), width, room)
    if len(values) > MAX_LISTED:
        parts.append((f"and {len(values) - MAX_LISTED} more; y shows all\n", "$foreground-muted"))
    return Content.assemble(*parts)
