"""Deployments: of all projects, of one, or of one model version; with the current state of their replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.every import Every
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.screens.deployments.deployment_actions import DeploymentActions
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.deployments import DEPLOYMENTS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.backends import runs
from registry_tui.wording.words import NOTHING, Cell, ago, deployment_state, memory, milliseconds, percent

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment
    from registry_tui.schemas.places import Project

#: Seconds between looks while the list is in view: rates and states change by themselves.
EVERY = 2.0


def _replicas(row: Deployment) -> Cell:
    return Cell(
        f"{row.replicas_ready}/{row.replicas_wanted}", "" if row.replicas_ready == row.replicas_wanted else "warn"
    )


def _errors(row: Deployment) -> Cell:
    if not row.traffic.per_second:
        return NOTHING
    return Cell(percent(row.traffic.error_rate), "bad" if row.traffic.error_rate > 0 else "")


class DeploymentsScreen(DeploymentActions, ListScreen):
    """A row a deployment."""

    SECTION = "deployments"
    ACTIONS = DEPLOYMENTS
    CONCERNS = frozenset({"deployment"})
    BINDINGS = bindings(DEPLOYMENTS)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, max_width=30, keeps_end=True),
        Column("state", "Status", lambda row: deployment_state(row.state), 0, min_width=11),
        Column("source", "Source", lambda row: f"{row.model_name} v{row.version}", 1, max_width=34, keeps_end=True),
        Column("alias", "Follows", lambda row: Cell(row.alias if row.follow_alias else "", "accent"), 5),
        Column("runs", "Runs", lambda row: Cell(runs(row.backend), "dim"), 5),
        Column("project", "Project", lambda row: Cell(row.project_name, "dim"), 4, max_width=24, keeps_end=True),
        Column("replicas", "Replicas", _replicas, 1, right=True),
        Column("memory", "Memory", lambda row: memory(row.memory_used_bytes), 2, right=True),
        Column("rate", "Req/s", lambda row: f"{row.traffic.per_second:.1f}", 2, right=True),
        Column("errors", "Errors", _errors, 2, right=True),
        Column("p50", "p50", lambda row: milliseconds(row.traffic.p50), 5, right=True),
        Column("p95", "p95", lambda row: milliseconds(row.traffic.p95), 3, right=True),
        Column("updated", "Updated", lambda row: Cell(ago(row.updated_at), "dim"), 6),
    )
    EMPTY = Empty(
        "Nothing is deployed",
        (
            "n deploys a registered model from a project,",
            "or open a model's version (3 Models) and press D.",
            "In a script: registry-tui deployments create NAME --project PROJECT --model MODEL --version 1",
        ),
        action="create",
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.project: Project | None = None

    def crumbs(self) -> tuple[Crumb, ...]:
        if "project" in self.place.args:
            name = "…" if self.project is None else self.project.name
            above = Place("project", {"project": self.place.args["project"]})
            return (("Projects", Place("projects")), (name, above), ("Model Deployments", None))
        return (("Deployments", None),)

    async def prepare(self) -> None:
        if "project" in self.place.args:
            self.project = await self.client.project(self.place.args["project"])

    def on_mount(self) -> None:
        there = lambda: self.table.source is not None  # noqa: E731
        Every(self, EVERY, self.table.reloaded, group="rows", wanted=there).begin()

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, args = self.client, self.place.args
        version = int(args["version"]) if "version" in args else None

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.deployments(
                project=args.get("project"), model=args.get("model"), version=version, page_token=token
            )

        return fetch

    @property
    def deployment(self) -> Deployment | None:
        found: Deployment | None = self.current
        return found

    def open_row(self, row: Deployment) -> None:
        self.program.open(Place("deployment", {"deployment": row.id}))

    def copied(self, row: Deployment) -> str:
        return row.endpoint_url

    def row_why_not(self, action: str, row: Deployment | None) -> str | None:
        return self.deployment_why_not(action, row) if row is not None else None

    def why_not(self, action: str) -> str | None:
        return None if action in ("create", "keys") else super().why_not(action)

    def do_create(self) -> None:
        self.opening(self._create(), "create")

    async def _create(self) -> None:
        """From the destination project: choose it unless this is its list, then the model in the form."""
        from registry_tui.screens.base.dialogs import Menu, MenuItem
        from registry_tui.screens.deployments.deploy import DeployForm, open_form

        if self.project is not None:
            open_form(self, DeployForm(self.project))
            return
        found = {project.id: project async for project in self.client.every(self.client.projects)}
        items = [
            MenuItem(
                project.id,
                project.name,
                None if project.registry_id else "its workspace is not synchronized with a registry",
                f"workspace {project.workspace_name}",
            )
            for project in found.values()
        ]

        def chosen(choice: str | None) -> None:
            if choice is not None:
                open_form(self, DeployForm(found[choice]))

        self.app.push_screen(Menu("Deploy registered model: select project", items), chosen)

    def do_keys(self) -> None:
        self.program.open(Place("keys"))
