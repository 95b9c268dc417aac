"""Versions of all Model Registries by their components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.schemas.boms import MAX_QUESTIONS
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.known import USES
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch, Rows
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.bom_differences import use_text
from registry_tui.wording.words import Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.boms import VersionUse

_ASK = Empty(
    "Type a component, and enter",
    (
        "numpy<2 finds those whose requirement allows such a numpy,",
        "python<3.12, dataset:NAME and base-model:NAME those that were made with it.",
        "Several, with ; between, all have to fit.",
    ),
)


class UsesScreen(ListScreen):
    """The versions that use all the given components, newest first."""

    SECTION = "models"
    ACTIONS = USES
    CONCERNS = frozenset({"version"})
    BINDINGS = bindings(USES)
    FILTERS = (Filter("uses", "uses", placeholder="numpy<2; dataset:NAME; base-model:NAME; python<3.12", live=False),)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("model", "Model", lambda row: row.model_name, 0, max_width=44, keeps_end=True),
        Column("version", "Version", lambda row: str(row.version), 0, right=True),
        Column("uses", "Uses", lambda row: "; ".join(map(use_text, row.components)), 0, max_width=60),
        Column("registry", "Registry", lambda row: row.registry_name, 1, max_width=30),
        Column("registered", "Registered", lambda row: Cell(ago(row.registered_at), "dim"), 2),
    )
    EMPTY = _ASK

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.place.state.setdefault("filters", {"uses": place.args.get("uses", "")})

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Registered Models", Place("models")), ("Versions that use something", None))

    def on_mount(self) -> None:
        if not self.filters["uses"]:
            self.do_filter()

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client
        uses = [each.strip() for each in filters["uses"].split(";") if each.strip()]

        async def fetch(token: str | None, backwards: bool) -> Any:
            if not uses:
                return Rows[Any]([], total=0)
            return await client.versions_using(uses[: MAX_QUESTIONS + 1], page_token=token)

        return fetch

    def restart(self) -> None:
        self.table.say(None)
        self.place.args["uses"] = self.filters["uses"]
        super().restart()

    def list_failed(self, error: Exception) -> None:
        from registry_tui.client import ServiceProblem

        if isinstance(error, ServiceProblem) and error.problem.status == 422:
            self.table.say(Empty(error.message, (error.action,) if error.action else ()))
        else:
            super().list_failed(error)

    def key_of(self, row: VersionUse) -> str:
        return row.version_id

    def named(self, row: VersionUse) -> str:
        return f"{row.model_name} v{row.version}"

    def copied(self, row: VersionUse) -> str:
        return f"models:/{row.model_name}/{row.version}"

    def open_row(self, row: VersionUse) -> None:
        self.program.open(Place("bom", {**_names(row), "version": str(row.version)}))

    def do_model(self) -> None:
        self.program.open(Place("model", _names(self.current)))


def _names(row: VersionUse) -> dict[str, str]:
    return {"registry": row.registry_name, "model": row.model_name}
