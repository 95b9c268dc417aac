"""The list of an experiment's runs, as the modules that group it, follow it and keep its views use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from textual.app import App

from registry_tui.screens.base.every import Asker
from registry_tui.terminal.commands import Place
from registry_tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    # Pydantic and httpx take longer to import than the first paint does.
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.tracking import Experiment, Run


@dataclass(frozen=True)
class RunView:
    """The display of a list of runs. `columns`: None for those that most runs have."""

    filter: str = ""
    sort: tuple[tuple[str, bool], ...] = ()
    columns: list[str] | None = None
    nested: bool = False


class RunList(Asker, Protocol):
    """Provided by `ExperimentScreen`."""

    place: Place
    experiment: Experiment | None
    filter_text: str
    #: Keys seen in loaded runs, with how many have them.
    seen_params: Counter[str]
    seen_metrics: Counter[str]

    @property
    def app(self) -> App[object]: ...

    @property
    def client(self) -> RegistryClient: ...

    @property
    def table(self) -> VirtualTable[Any]: ...

    def flash(self, text: str, style: str = "$accent") -> None:
        """Shows a short message in the status line."""

    def work_on(self, work: Coroutine[Any, Any, None], group: str, *, exclusive: bool = True) -> None:
        """Runs it in a group."""

    async def newest_run(self) -> Run | None:
        """The most recently started run that matches the filter."""

    def narrow(self, filter_: str) -> None:
        """Adds a condition to the filter."""

    def view_now(self) -> RunView:
        """The current view, to keep under a name."""

    def show_view(self, view: RunView) -> None:
        """Shows a saved view."""
