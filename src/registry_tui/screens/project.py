"""One project: its experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import on

from registry_tui.actions import PROJECT, bindings
from registry_tui.commands import Place
from registry_tui.screens.list_screen import ListScreen
from registry_tui.screens.projects import show_credentials
from registry_tui.widgets.filter_bar import Filter
from registry_tui.widgets.frame import Crumb
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.widgets.words import Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import Experiment


class ProjectScreen(ListScreen):
    """The experiments of a project."""

    SECTION = "projects"
    ACTIONS = PROJECT
    BINDINGS = bindings(PROJECT)
    FILTERS = (Filter("name", "name"),)
    SORT = ("updated", True)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Experiment", lambda row: row.name, 0, max_width=60, sort="name"),
        Column("id", "ID", lambda row: Cell(row.id, "dim"), 3, right=True),
        Column("updated", "Last updated", lambda row: Cell(ago(row.updated_at), "dim"), 1, sort="updated_at"),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 2, sort="created_at"),
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.project: Project | None = None

    def crumbs(self) -> tuple[Crumb, ...]:
        name = "…" if self.project is None else self.project.name
        return (("Projects", Place("projects")), (name, None), ("Experiments", None))

    async def prepare(self) -> None:
        self.project = await self.client.project(self.place.args["project"])
        self.table.empty = Empty(
            "No experiment yet",
            (
                "Log one with stock MLflow code:",
                f'  eval "$(registry-tui env --project {self.project.name})"',
                "  python train.py",
                "e shows these lines to copy.",
            ),
        )

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, project = self.client, self.place.args["project"]
        name = filters.get("name") or None

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.experiments(project, name=name, order_by=order, page_token=token)

        return fetch

    def open_row(self, row: Experiment) -> None:
        project = self.place.args["project"]
        self.program.open(Place("experiment", {"project": project, "experiment": row.id}))

    def copied(self, row: Experiment) -> str:
        return row.id

    @on(VirtualTable.Loaded, "#table")
    def _names_known(self) -> None:
        source = self.table.source
        self.program.names["experiment"] = [row.name for row in source.loaded_rows()] if source is not None else []

    def why_not(self, action: str) -> str | None:
        if action == "deployments":
            return None
        if action == "credentials":
            return None if self.project is not None else "the project is not known yet"
        return super().why_not(action)

    def do_credentials(self) -> None:
        assert self.project is not None
        show_credentials(self, self.project)

    def do_deployments(self) -> None:
        self.program.open(Place("deployments", {"project": self.place.args["project"]}))
