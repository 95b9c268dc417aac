"""The registered models of a Model Registry, in a tab of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.base.list_pane import ListPane
from registry_tui.screens.models.models import ModelsScreen
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Empty

if TYPE_CHECKING:
    from registry_tui.schemas.registries import ModelRegistry


class ModelsPane(ListPane):
    """The registered models of a registry."""

    FILTERS = (Filter("search", "search", placeholder="names, descriptions, owners, tags"),)
    SORT = (("name", False),)
    EMPTY = Empty(
        "No registered model",
        (
            "Register one: 2 Projects, then a run, its Artifacts, a model folder, and R;",
            'or in code: mlflow.sklearn.log_model(…, registered_model_name="MyModel")',
        ),
    )

    def __init__(self) -> None:
        super().__init__()
        self.COLUMNS = ModelsScreen.COLUMNS

    def fetch(self, registry: ModelRegistry) -> Fetch[Any]:
        client, search, order = self.frame.client, self.filters.get("search"), self.order

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.models(registry.id, search=search, order_by=order, page_token=token)

        return fetch

    def open_row(self, row: Any) -> None:
        self.frame.program.open(Place("model", {"registry": row.registry_id, "model": row.name}))

    def copied(self, row: Any) -> str:
        return f"models:/{row.name}/{row.latest_version or 1}"
