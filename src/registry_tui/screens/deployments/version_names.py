"""Versions and aliases of a model, to choose which one is deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.screens.base.name_field import Choice
from registry_tui.wording.words import ago

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient

#: The newest versions are offered; any other can be typed.
NEWEST = 100


async def version_choices(client: RegistryClient, registry: str, model: str) -> list[Choice]:
    """Aliases with the version that each names, then versions, newest first. Raises RegistryError."""
    known = await client.model(registry, model)
    versions = (await client.versions(registry, model, page_size=NEWEST)).items
    aliases = [Choice(alias, f"now version {number}") for alias, number in sorted(known.aliases.items())]
    return aliases + [Choice(str(each.version), f"registered {ago(each.created_at)}") for each in versions]
