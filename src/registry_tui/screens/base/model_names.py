"""Registered models by the typed name: which exist, and which have similar names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.contracts.matching import best
from registry_tui.screens.base.name_field import Choice

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.models import RegisteredModel

#: Names in a hint, names that are requested first, and names that are requested for the typed text where there are
#: more.
MAX_NAMES, FIRST, MORE = 6, 500, 20
#: Letters of a name that are sent.
MAX_LENGTH = 250


class KnownModels:
    """The service's responses about the typed names."""

    def __init__(self) -> None:
        #: The model of a name, or None where none exists.
        self.found: dict[str, RegisteredModel | None] = {}
        #: Whether the first names were requested, and whether these are all.
        self._listed = self._complete = False
        #: Whether the last request failed.
        self.failed = False

    @property
    def waits(self) -> bool:
        """Whether the first names are still to come."""
        return not (self._listed or self.failed)

    async def ask(self, client: RegistryClient, registry: str, name: str) -> None:
        """Requests the model with this name, and models with similar names. Raises RegistryError."""
        self.failed = False
        try:
            await self._ask(client, registry, name)
        except Exception:
            self.failed = True
            raise

    async def _ask(self, client: RegistryClient, registry: str, name: str) -> None:
        from registry_tui.client import NotFound

        if not self._listed:
            first = await client.models(registry, page_size=FIRST)
            self._listed, self._complete = True, first.next_page_token is None
            self.found.update((model.name, model) for model in first.items)
        if not name or len(name) > MAX_LENGTH:
            return
        try:
            model = await client.model(registry, name)
            self.found[name] = model if model.name == name else None  # it may be another's ID
        except NotFound:
            self.found[name] = None
        if not self._complete:
            page = await client.models(registry, name=name, page_size=MORE)
            self.found.update((model.name, model) for model in page.items)

    @property
    def choices(self) -> list[Choice]:
        """The models that exist, each with its newest version."""
        return [
            Choice(name, "without a version" if model.latest_version is None else f"version {model.latest_version}")
            for name, model in self.found.items()
            if model is not None
        ]

    def similar_to(self, typed: str) -> list[str]:
        """A few names similar to the typed text, the best first."""
        names = [name for name, model in self.found.items() if model is not None and name != typed]
        return best(typed, names, str, MAX_NAMES)
