"""Registered models of a Model Registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.base.list_screen import ListScreen, turned
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.models import MODELS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.words import NOTHING, Cell, ago, version_status

if TYPE_CHECKING:
    from registry_tui.schemas.models import RegisteredModel
    from registry_tui.schemas.registries import ModelRegistry


def _latest(row: RegisteredModel) -> str | Cell:
    return NOTHING if row.latest_version is None else f"v{row.latest_version}"


def _aliases(row: RegisteredModel) -> str:
    return ", ".join(f"{name} v{version}" for name, version in sorted(row.aliases.items()))


class ModelsScreen(ListScreen):
    """The models of one registry; the first existing one, until another is chosen."""

    SECTION = "models"
    ACTIONS = MODELS
    CONCERNS = frozenset({"alias", "model", "version"})
    BINDINGS = bindings(MODELS)
    FILTERS = (Filter("search", "search", placeholder="names, descriptions, owners, tags"),)
    SORT = ("name", False)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, max_width=44, sort="name", keeps_end=True),
        Column("latest", "Latest", _latest, 0, right=True, sort="latest_version"),
        Column("status", "Status", lambda row: version_status(row.latest_status), 2, min_width=9),
        Column("aliases", "Aliases", _aliases, 4),
        Column("owner", "Owner", lambda row: row.owner, 1, sort="owner"),
        Column("visibility", "Visibility", lambda row: Cell(row.visibility.value, "dim"), 5),
        Column("location", "Location", lambda row: Cell(row.location, "dim"), 3, sort="location"),
        Column("updated", "Last updated", lambda row: Cell(ago(row.updated_at), "dim"), 2, sort="updated_at"),
    )
    EMPTY = Empty(
        "No registered model yet",
        (
            "Register one: 2 Projects, then a run, its Artifacts, a model folder, and R;",
            'or in code: mlflow.sklearn.log_model(…, registered_model_name="MyModel")',
        ),
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.registries: list[ModelRegistry] = []
        self.registry: ModelRegistry | None = None

    def crumbs(self) -> tuple[Crumb, ...]:
        if self.registry is None:
            return (("Registered Models", None),)
        registry = Place("registry", {"registry": self.registry.id})
        return (("Model Registries", Place("registries")), (self.registry.name, registry), ("Registered Models", None))

    async def prepare(self) -> None:
        wanted = self.place.args.get("registry")
        self.registries = [one for one in (await self.client.registries(page_size=1000)).items if one.status.live]
        found = [one for one in self.registries if wanted in (None, one.id, one.name)]
        # The one that users register into comes before those that wait for their first model.
        self.registry = found[0] if found else None
        if self.registry is not None:
            self.place.args["registry"] = self.registry.id

    async def start(self) -> None:
        await self.prepare()
        if self.registry is None:
            self.show_crumbs()
            self.table.say(Empty("No Model Registry is available", ("1 shows them; n creates one there.",)))
            return
        self.table.say(None)
        await super().start()

    @property
    def reversible(self) -> bool:
        return True

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client
        assert self.registry is not None
        registry, search = self.registry.id, filters.get("search") or None

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.models(
                registry, search=search, order_by=turned(order or "name", backwards), page_token=token
            )

        return fetch

    def open_row(self, row: RegisteredModel) -> None:
        self.program.open(Place("model", {"registry": row.registry_id, "model": row.name}))

    def copied(self, row: RegisteredModel) -> str:
        return f"models:/{row.name}/{row.latest_version or 1}"

    def do_registry(self) -> None:
        from registry_tui.screens.base.dialogs import Menu, MenuItem

        items = [MenuItem(one.id, one.name, note=one.environment_name) for one in self.registries]
        now = None if self.registry is None else self.registry.id
        self.app.push_screen(Menu("Model Registry", items, now), self._registry_chosen)

    def _registry_chosen(self, registry: str | None) -> None:
        if registry is not None:
            self.program.jump(Place("models", {"registry": registry}))

    def do_lineage(self) -> None:
        from registry_tui.screens.base.lineage import show_lineage

        row = self.current
        show_lineage(self, row.name, reference("model", row.registry_id, row.name))

    def why_not(self, action: str) -> str | None:
        return None if action == "components" else super().why_not(action)

    def do_components(self) -> None:
        self.program.open(Place("uses"))

    def do_delete(self) -> None:
        from registry_tui.screens.base.delete_model import confirm_delete_model

        confirm_delete_model(self, self.current)
