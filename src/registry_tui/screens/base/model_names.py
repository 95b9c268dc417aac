"""Registered models by the name that is being typed: which there are, and completion of the rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from textual.suggester import Suggester

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.models import RegisteredModel

#: Names that are offered while typing, and seconds without a key before the service is asked for them.
MAX_NAMES, PAUSE = 6, 0.2
#: Letters of a name that are asked for.
MAX_LENGTH = 250


class KnownModels:
    """What the service said of the names that were typed."""

    def __init__(self) -> None:
        #: The model of a name, or None where there is none.
        self.found: dict[str, RegisteredModel | None] = {}
        #: Names that begin like the last one that was asked for.
        self.similar: list[str] = []

    async def ask(self, client: RegistryClient, registry: str, name: str) -> None:
        """Asks for a model of this name, and for names that begin so. Raises RegistryError."""
        from registry_tui.client import NotFound

        if name and len(name) <= MAX_LENGTH:
            try:
                model = await client.model(registry, name)
                self.found[name] = model if model.name == name else None  # it may be another's ID
            except NotFound:
                self.found[name] = None
        page = await client.models(registry, name=name[:MAX_LENGTH] or None, page_size=MAX_NAMES)
        self.similar = [model.name for model in page.items]

    def completion(self, typed: str) -> str | None:
        """The first name that begins like this, in any case, and goes on."""
        begin = (name for name in self.similar if name.casefold().startswith(typed.casefold()))
        return next((name for name in begin if name != typed), None)


class AsksForModels(Protocol):
    """A form with a field for a model's name."""

    names: KnownModels

    @property
    def typed_name(self) -> str:
        """What stands in the field now."""
        ...

    async def learn(self, name: str) -> None:
        """Asks for a name, and shows what is known then; tells in the form when that fails."""
        ...


class KnownNames(Suggester):
    """Completes the names of registered models, as the service finds them."""

    def __init__(self, form: AsksForModels) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._form = form

    async def get_suggestion(self, value: str) -> str | None:
        await asyncio.sleep(PAUSE)
        if self._form.typed_name != value:
            return None
        await self._form.learn(value)
        return self._form.names.completion(value)
