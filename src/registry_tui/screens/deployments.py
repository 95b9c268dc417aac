"""Deployments: what this version of the program can say of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from registry_tui.actions import DEPLOYMENTS, bindings
from registry_tui.screens.frame import FrameScreen
from registry_tui.widgets.frame import Crumb


class DeploymentsScreen(FrameScreen):
    """Says what there is not, and what to do meanwhile."""

    SECTION = "deployments"
    ACTIONS = DEPLOYMENTS
    BINDINGS = bindings(DEPLOYMENTS)

    def compose_content(self) -> Iterable[Widget]:
        yield Vertical(
            Static("No deployments", classes="heading"),
            Static(
                "This version registers models; it does not serve them yet.\n\n"
                "A registered version can be served by stock MLflow, with the exports of a project:\n\n"
                '  eval "$(registry-tui env --project PROJECT)"\n'
                '  mlflow models serve -m "models:/MODEL/1" --env-manager local',
                markup=False,
            ),
        )

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Deployments", None),)

    async def start(self) -> None:
        """There is nothing to ask for."""

    def why_not(self, action: str) -> str | None:
        return None

    def do_copy(self) -> Any:
        """Nothing is selected here."""
