"""Environments with their workspaces' number and Model Registry; making both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.actions import ENVIRONMENTS, bindings
from registry_tui.commands import Place
from registry_tui.screens.list_screen import ListScreen
from registry_tui.widgets.frame import Crumb
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.widgets.words import NOTHING, Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.places import Environment


class EnvironmentsScreen(ListScreen):
    """All environments of this installation."""

    SECTION = "environments"
    ACTIONS = ENVIRONMENTS
    BINDINGS = bindings(ENVIRONMENTS)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0),
        Column("cloud", "Cloud", lambda row: {"aws": "AWS", "azure": "Azure"}.get(row.cloud, row.cloud), 1),
        Column("raz", "RAZ", lambda row: "yes" if row.raz_enabled else "no", 3),
        Column("workspaces", "Workspaces", lambda row: str(row.workspace_count), 1, right=True),
        Column("registry", "Model Registry", lambda row: row.registry_name or NOTHING, 0),
        Column("creator", "Creator", lambda row: row.creator, 4),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 2),
        Column("bucket", "Bucket", lambda row: Cell(row.bucket, "dim"), 5),
    )
    EMPTY = Empty("No environment yet", ("n creates one: a cloud account's corner with a bucket of its own.",))

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Environments", None),)

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.environments(page_token=token)

        return fetch

    def open_row(self, row: Environment) -> None:
        if row.registry_id is not None:
            self.program.open(Place("registry", {"registry": row.registry_id}))
        else:
            self.flash(f"{row.name} has no Model Registry; 1, then n creates one", "$warning")

    def row_why_not(self, action: str, row: Environment | None) -> str | None:
        if action == "open" and row is not None and row.registry_id is None:
            return "the environment has no Model Registry yet"
        return None

    def do_create(self) -> None:
        from registry_tui.screens.create_place import CreateEnvironment

        self.app.push_screen(CreateEnvironment(), self._made)

    def do_create_workspace(self) -> None:
        from registry_tui.screens.create_place import CreateWorkspace

        self.app.push_screen(CreateWorkspace(self.current.name), self._made)

    def _made(self, name: str | None) -> None:
        if name is not None:
            self.flash(f"{name} is there")
            self.refresh_data()
