"""The list of Model Registries, the program's first page. Imported before the first paint, so it stays light."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.filter_bar import Filter, FilterBar
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.registries import REGISTRIES
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch, PageCache, Rows
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.nfs import status_with_nfs
from registry_tui.wording.words import CLOUDS, Cell, ago, registry_status

if TYPE_CHECKING:
    from registry_tui.schemas.registries import ModelRegistry

STATUSES = (
    ("Available", "Available"),
    ("Provisioning", "Provisioning"),
    ("Installing", "Installing"),
    ("Updating", "Updating"),
    ("Deleting", "Deleting"),
    ("Provisioning failed", "Provisioning failed"),
    ("Installation failed", "Installation failed"),
    ("Update failed", "Update failed"),
    ("Deletion failed", "Deletion failed"),
)


def _status(row: ModelRegistry) -> Cell:
    shown = registry_status(row.status, status_with_nfs(row.status.label, row.nfs))
    return shown if row.nfs is None or row.nfs.mounted or shown.tone != "good" else Cell(shown.text, "warn")


def _early_row(item: dict[str, Any]) -> Any:
    """The fields of a registry for the columns, without pydantic. Raises KeyError or ValueError."""
    from registry_tui.schemas.registry_status import NfsState, RegistryStatus

    names = ("id", "name", "environment_name", "cloud", "owner", "location")
    moments = {name: datetime.fromisoformat(item[name]) for name in ("created_at", "updated_at")}
    nfs = item.get("nfs")
    if nfs is not None:
        state = NfsState(nfs["state"])
        nfs = SimpleNamespace(state=state, mounted=state is NfsState.MOUNTED)
    return SimpleNamespace(
        **{name: str(item[name]) for name in names},
        **moments,
        status=RegistryStatus(item["status"]),
        nfs=nfs,
        workflow_id=item.get("workflow_id"),
    )


class RegistriesScreen(ListScreen):
    """All Model Registries of this installation."""

    SECTION = "registries"
    CSS_PATH = "../../styles/registries/registries.tcss"
    ACTIONS = REGISTRIES
    CONCERNS = frozenset({"registry"})
    BINDINGS = bindings(REGISTRIES)
    SORT = ("name", False)
    FILTERS = (
        Filter("name", "name"),
        Filter("status", "status", STATUSES),
        Filter("environment", "environment", ()),
    )
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, sort="name", keeps_end=True),
        Column("environment", "Environment", lambda row: row.environment_name, 1, sort="environment"),
        Column("cloud", "Cloud", lambda row: CLOUDS.get(row.cloud, row.cloud), 5, sort="cloud"),
        Column("status", "Status", _status, 0, min_width=11, sort="status"),
        Column("owner", "Owner", lambda row: row.owner, 2, sort="owner"),
        Column("location", "Location", lambda row: Cell(row.location, "dim"), 3, sort="location"),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 6, sort="created_at"),
        Column("updated", "Last updated", lambda row: Cell(ago(row.updated_at), "dim"), 2, sort="updated_at"),
    )
    EMPTY = Empty(
        "No Model Registry yet", ("n creates one in an environment; registered models live in it.",), action="create"
    )

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Model Registries", None),)

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        asked = {name: value or None for name, value in filters.items()}

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await self.client.registries(**asked, order_by=order, page_token=token)

        return fetch

    def show_early(self, answer: dict[str, Any]) -> None:
        if self.place.state or self.table.source is not None or answer.get("next_page_token"):
            return
        try:
            rows = [_early_row(item) for item in answer["items"]]
        except (KeyError, TypeError, ValueError):
            # A service of another version: its client reports that.
            return
        source = PageCache(self.fetch_for(self.filters, self.order), self.key_of)
        source.begin(Rows(rows, total=len(rows)))
        self.table.set_source(source)

    async def prepare(self) -> None:
        # In parallel with the list, which does not wait for the choices.
        self.ask(self._offer_environments, "environments")

    async def _offer_environments(self) -> None:
        environments = await self.client.environments(page_size=1000)
        names = tuple((found.name, found.name) for found in environments.items)
        self.query_one(FilterBar).set_choices("environment", names)

    def open_row(self, row: ModelRegistry) -> None:
        self.program.open(Place("registry", {"registry": row.id}))

    def row_why_not(self, action: str, row: ModelRegistry | None) -> str | None:
        if row is None:
            return None
        if action != "open" and not hasattr(row, "crn"):
            return "it is still being read"
        return registry_why_not(action, row)

    def do_create(self) -> None:
        from registry_tui.screens.registries.create_registry import CreateRegistry

        self.app.push_screen(CreateRegistry(), self._created)

    def do_synchronize(self) -> None:
        from registry_tui.screens.registries.registry_actions import confirm_synchronize

        confirm_synchronize(self, self.current)

    def do_delete(self) -> None:
        from registry_tui.screens.registries.registry_actions import confirm_delete

        confirm_delete(self, self.current)

    def do_activity(self) -> None:
        self.program.open(Place("workflow", {"workflow": self.current.workflow_id}))

    def _created(self, name: str | None) -> None:
        if name is not None:
            self.flash(f"{name} is available")
        self._changed()

    def _changed(self) -> None:
        self.refresh_data()
        self.program.look_now()


def registry_why_not(action: str, row: ModelRegistry) -> str | None:
    """Why an action on a registry is not possible now, or None."""
    if action == "synchronize" and not row.status.live:
        return f"it is {row.status.label.lower()}"
    if action == "synchronize" and row.status == "modify:started":
        return "it is being synchronized already"
    if action == "delete" and row.status == "deprovision:started":
        return "it is being deleted already"
    if action in ("grant", "models") and not row.status.live:
        return f"it is {row.status.label.lower()}"
    if action == "activity" and row.workflow_id is None:
        return "nothing is changing it"
    if action == "store_key":
        return _why_no_key(row)
    return None


def _why_no_key(row: ModelRegistry) -> str | None:
    if row.store is None:
        return "its archives lie in the embedded store, where its machine user has a key"
    if row.store.kind == "directory":
        return "a directory has no keys: the service's account reads and writes it"
    return None if row.status.live else f"it is {row.status.label.lower()}"
