"""Environments with their Model Registry, and below them the workspaces of the selected one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.widget import Widget
from textual.widgets import Static

from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.screens.registries.manage_access import manage_access
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.places import ENVIRONMENTS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch, PageCache
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording.backends import backend_said
from registry_tui.wording.stores import checked_said
from registry_tui.wording.text import safe
from registry_tui.wording.words import NOTHING, Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.places import Environment, Workspace
    from registry_tui.schemas.stores import EnvironmentStore

#: Actions that need an environment with a Model Registry.
_OF_REGISTRY = ("open", "synchronize")
#: Actions that need an environment with its own store.
_OF_STORE = ("change_store", "try_store")


def _synchronized(row: Workspace) -> Cell:
    if not row.synchronized:
        return Cell("○ not synchronized", "warn")
    return Cell(f"✓ synchronized, {ago(row.synchronized_at)}", "good")


class EnvironmentsScreen(ListScreen):
    """All environments of this installation; tab goes between the two tables."""

    SECTION = "environments"
    ACTIONS = ENVIRONMENTS
    CONCERNS = frozenset({"environment", "workspace"})
    BINDINGS = bindings(ENVIRONMENTS)
    CSS_PATH = "../../styles/places/environments.tcss"
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
    WORKSPACES: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Workspace", lambda row: row.name, 0),
        Column("projects", "Projects", lambda row: f"{row.project_count:,}", 1, right=True),
        Column("synchronized", "Model Registry", _synchronized, 0, min_width=18),
        Column("creator", "Creator", lambda row: row.creator, 2),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 3),
    )
    EMPTY = Empty(
        "No environment yet", ("n creates one: a cloud account's corner with a bucket of its own.",), action="create"
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        #: The environment whose workspaces are listed.
        self.shown: str | None = None

    def compose_content(self) -> Iterable[Widget]:
        yield from super().compose_content()
        yield Static("", id="own-store", markup=False)
        yield Static("", id="runs", markup=False)
        yield Static("", id="of", classes="heading", markup=False)
        yield VirtualTable(self.WORKSPACES, id="workspaces")

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Environments", None),)

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.environments(page_token=token)

        return fetch

    # -- the workspaces of the selected environment ---------------------------------------------------

    @property
    def workspaces(self) -> VirtualTable[Workspace]:
        return self.query_one("#workspaces", VirtualTable)

    @property
    def workspace(self) -> Workspace | None:
        """The selected workspace, while its table has the focus."""
        return self.workspaces.current if self.workspaces.has_focus else None

    @property
    def exported(self) -> VirtualTable[Any]:
        return self.workspaces if self.workspaces.has_focus else self.table

    def row_changed(self, row: Environment | None) -> None:
        heading = self.query_one("#of", Static)
        self._show_store(None if row is None else row.store)
        self._show_backend(row)
        if row is None:
            heading.update("")
            return
        heading.update(f"Workspaces of {safe(row.name)}")
        if self.shown == row.id:
            self.workspaces.reload()
            return
        self.shown = row.id
        client, environment = self.client, row.id
        self.workspaces.empty = Empty(f"{row.name} has no workspace yet", ("N creates one: projects live in it.",))

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.workspaces(environment, page_token=token)

        seen: dict[str, PageCache[Workspace]] = self.place.state.setdefault("workspaces", {})
        self.workspaces.set_source(seen.setdefault(row.id, PageCache(fetch, lambda each: str(each.id))))
        self.workspaces.reload()

    def _show_store(self, store: EnvironmentStore | None) -> None:
        """The selected environment's own store, above its workspaces."""
        line = self.query_one("#own-store", Static)
        line.display = store is not None
        if store is not None:
            where = f" at {safe(store.endpoint, 100)}" if store.endpoint else ""
            text = f"Store {safe(store.uri, 200)}{where}, with {safe(store.credentials, 100)}"
            line.update(f"{text}\n{checked_said(store)}")
            line.set_class(not store.usable, "-bad")

    def _show_backend(self, row: Environment | None) -> None:
        """Where the selected environment's deployments run, when that is elsewhere."""
        line = self.query_one("#runs", Static)
        line.display = row is not None and bool(row.backend.address)
        if row is not None and line.display:
            line.update(f"Deployments run {safe(backend_said(row.backend), 200)}")

    @on(VirtualTable.Highlighted, "#workspaces")
    def _workspace_chosen(self) -> None:
        self.show_actions()

    @on(VirtualTable.Opened, "#workspaces")
    def _workspace_opened(self) -> None:
        self.do_open()

    @on(VirtualTable.Failed, "#workspaces")
    def _workspaces_failed(self, event: VirtualTable.Failed) -> None:
        self.failed(event.error)

    # -- actions --------------------------------------------------------------------------------------

    def concerned(self, action: str) -> object | None:
        return (self.workspace if action == "delete" else None) or super().concerned(action)

    def why_not(self, action: str) -> str | None:
        if action in ("open", "copy", "view") and self.workspace is not None:
            return None
        return super().why_not(action)

    def row_why_not(self, action: str, row: Environment | None) -> str | None:
        if action in _OF_REGISTRY and row is not None and row.registry_id is None:
            return "the environment has no Model Registry yet: 1, then n creates one"
        if action in _OF_STORE and row is not None and row.store is None:
            return "the environment has no store of its own: its archives lie in the embedded one"
        return None

    @property
    def menu_of(self) -> str:
        return self.workspace.name if self.workspace is not None else super().menu_of

    def do_tab_previous(self) -> None:
        self.do_tab_next()

    def do_tab_next(self) -> None:
        (self.table if self.workspaces.has_focus else self.workspaces).focus()
        self.show_actions()

    def do_open(self) -> None:
        if self.workspace is not None:
            place = Place("projects")
            place.state["filters"] = {"workspace": self.workspace.id}
            self.program.open(place)
        else:
            super().do_open()

    def open_row(self, row: Environment) -> None:
        if row.registry_id is not None:
            self.program.open(Place("registry", {"registry": row.registry_id}))

    def do_copy(self) -> None:
        self.program.copy_text(self.workspace.crn if self.workspace is not None else self.current.crn)

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        shown = self.workspace or self.current
        self.app.push_screen(View(shown.name, shown.model_dump_json(indent=2)))

    def do_attached(self) -> None:
        self.program.open(Place("attached"))

    def do_create(self) -> None:
        from registry_tui.screens.places.create_place import CreateEnvironment

        self.app.push_screen(CreateEnvironment(), self._environment_made)

    def _environment_made(self, environment: Any) -> None:
        if environment is not None:
            from registry_tui.screens.places.store_forms import made_said

            self._made(environment.name)
            if environment.store is not None and environment.store.notes:
                self.app.notify(made_said(environment), markup=False)

    def do_change_store(self) -> None:
        from registry_tui.screens.places.store_forms import ChangeStore

        self.app.push_screen(ChangeStore(self.current), self._store_changed)

    def _store_changed(self, environment: Any) -> None:
        if environment is not None:
            self.flash(f"the store of {environment.name} is reached in another way")
            self.refresh_data()

    def do_change_backend(self) -> None:
        from registry_tui.screens.places.backend_form import ChangeBackend

        self.app.push_screen(ChangeBackend(self.current), self._backend_changed)

    def _backend_changed(self, environment: Environment | None) -> None:
        if environment is not None:
            self.flash(f"deployments of {environment.name} run {backend_said(environment.backend)}")
            self.refresh_data()

    def do_try_store(self) -> None:
        environment = self.current
        self.change(
            f"{environment.name}: try the store",
            lambda: self.client.check_environment_store(environment.id),
            self._store_tried,
        )

    def _store_tried(self, environment: Environment) -> None:
        from registry_tui.screens.base.viewer import View
        from registry_tui.wording.stores import store_lines

        self.refresh_data()
        assert environment.store is not None
        self.app.push_screen(View(f"Store of {environment.name}", "\n".join(store_lines(environment.store))))

    def do_webhooks(self) -> None:
        self.program.open(Place("webhooks", {"environment": self.current.name}))

    def do_signing_keys(self) -> None:
        self.program.open(Place("signing_keys", {"environment": self.current.name}))

    def do_rules(self) -> None:
        self.program.open(Place("rules", {"environment": self.current.name}))

    def do_create_workspace(self) -> None:
        from registry_tui.screens.places.create_place import CreateWorkspace

        self.app.push_screen(CreateWorkspace(self.current.name), self._made)

    def _made(self, name: str | None) -> None:
        if name is not None:
            self.flash(f"{name} is there")
            self.refresh_data()

    def do_synchronize(self) -> None:
        self.opening(self._synchronize(self.current.registry_id), "synchronize")

    async def _synchronize(self, registry: str) -> None:
        from registry_tui.screens.registries.registry_actions import confirm_synchronize

        confirm_synchronize(self, await self.client.registry(registry))

    def do_manage_access(self) -> None:
        manage_access(self, self.current.name, self.current.registry_id, raz_enabled=self.current.raz_enabled)

    def do_roles(self) -> None:
        self.program.open(Place("roles", {"environment": self.current.name}))

    def do_delete(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        client, workspace, environment = self.client, self.workspace, self.current
        if workspace is not None:
            name = workspace.name
            lines: tuple[str, ...] = (
                f"Workspace {name} goes. It has to be empty; it holds {counted(workspace.project_count, 'project')}.",
                f"Environment {environment.name} and its Model Registry stay.",
            )
        else:
            name = environment.name
            lines = (
                f"Environment {name} goes, with its bucket {environment.bucket}.",
                "It has to be empty: no workspace, no Model Registry, no stored archive.",
            )

        async def delete() -> None:
            if workspace is not None:
                await client.delete_workspace(workspace.id)
            else:
                await client.delete_environment(environment.id)

        def deleted(_: None) -> None:
            self.flash(f"{name} is deleted")
            self.refresh_data()

        def answered(ok: bool | None) -> None:
            if ok:
                self.change(f"{name}: delete", delete, deleted)

        kind = "environment" if workspace is None else "workspace"
        about = reference(kind, environment.id if workspace is None else workspace.id)
        question = Confirm(f"Delete {kind}", lines, "Delete", name, danger=True, about=about)
        self.app.push_screen(question, answered)
