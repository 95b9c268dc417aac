"""Attached MLflow servers: attach, change how one is reached, try, import from, detach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.widget import Widget
from textual.widgets import Static

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.places import ATTACHED
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.attached import facts, signed_in
from registry_tui.wording.words import NOTHING, Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.attached import AttachedServer


class AttachedScreen(ListScreen):
    """The attached servers of the environments that the person may see, the oldest first."""

    SECTION = "environments"
    ACTIONS = ATTACHED
    CONCERNS = frozenset({"workspace", "environment"})
    BINDINGS = bindings(ATTACHED)
    CSS_PATH = "../../styles/places/attached.tcss"
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, max_width=40),
        Column("url", "Address", lambda row: row.url, 0, max_width=60),
        Column("version", "MLflow", lambda row: row.version or "unknown", 1),
        Column("user", "Reads as", lambda row: signed_in(row) or NOTHING, 2, max_width=40),
        Column("environment", "Environment", lambda row: row.environment_name, 1, max_width=30),
        Column("creator", "Attached by", lambda row: row.creator, 4),
        Column("created", "Attached", lambda row: Cell(ago(row.created_at), "dim"), 3),
    )
    EMPTY = Empty(
        "No MLflow server is attached",
        (
            "n attaches one: its experiments, runs and models appear as a project here.",
            "In a script: registry-tui attach NAME URL",
        ),
        action="create",
    )

    def compose_content(self) -> Iterable[Widget]:
        yield from super().compose_content()
        yield Static("", id="server", markup=False)

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Environments", Place("environments")), ("Attached MLflow servers", None))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.attached_servers(page_token=token)

        return fetch

    def key_of(self, row: AttachedServer) -> str:
        return row.id

    def copied(self, row: AttachedServer) -> str:
        return row.url

    def open_row(self, row: AttachedServer) -> None:
        self.program.open(Place("project", {"project": row.project_id}))

    def row_changed(self, row: AttachedServer | None) -> None:
        line = self.query_one("#server", Static)
        line.display = row is not None
        if row is not None:
            line.update("\n".join(facts(row)))

    # -- actions ------------------------------------------------------------------------------------

    def do_create(self) -> None:
        self.opening(self._create(), "form")

    async def _create(self) -> None:
        from registry_tui.screens.places.attach_forms import AttachServer

        names = [each.name for each in (await self.client.environments(page_size=1000)).items]
        if not names:
            self.flash("attach: not now, there is no environment", "$warning")
            return
        self.app.push_screen(AttachServer(names), self._attached)

    def _attached(self, server: AttachedServer | None) -> None:
        if server is not None:
            self.flash(f"{server.name} is attached; enter opens it")
            self.refresh_data()

    def do_edit(self) -> None:
        from registry_tui.screens.places.attach_forms import ChangeServer

        self.app.push_screen(ChangeServer(self.current), self._changed)

    def _changed(self, server: AttachedServer | None) -> None:
        if server is not None:
            self.flash(f"{server.name} is read at {server.url}")
            self.refresh_data()

    def do_try_server(self) -> None:
        client, row = self.client, self.current
        self.change(f"{row.name}: try", lambda: client.attached_server(row.workspace_id), self._tried)

    def _tried(self, server: AttachedServer) -> None:
        if server.problem is None:
            self.flash(f"{server.name} can be read")
        else:
            self.flash(f"{server.name}: {server.problem}", "$warning")

    def do_import_models(self) -> None:
        self.opening(self._import(self.current.project_id), "import")

    async def _import(self, project: str) -> None:
        """A workspace that registers nowhere yet is synchronized first: a new one is not."""
        from registry_tui.screens.places.import_models import open_form
        from registry_tui.screens.registries.registry_actions import confirm_synchronize

        found = await self.client.project(project)
        if found.registry_name is not None:
            open_form(self, found)
            return
        environment = await self.client.environment(found.environment_id)
        if environment.registry_id is None:
            self.flash(f"import: {environment.name} has no Model Registry yet: 1, then n creates one", "$warning")
            return
        self.flash(f"{found.name} registers nowhere yet: synchronize it first, then import")
        confirm_synchronize(self, await self.client.registry(environment.registry_id))

    def do_delete(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        client, row = self.client, self.current
        lines = (
            f"Goes: the workspace and project {row.name}, which show {row.url}.",
            "Nothing changes on that server. What was registered or imported from there stays.",
        )

        def detached(_: None) -> None:
            self.flash(f"{row.name} is detached")
            self.refresh_data()

        def answered(ok: bool | None) -> None:
            if ok:
                self.change(f"{row.name}: detach", lambda: client.detach_server(row.workspace_id), detached)

        about = reference("server", row.workspace_id)
        self.app.push_screen(Confirm(f"Detach {row.name}", lines, "Detach", danger=True, about=about), answered)
