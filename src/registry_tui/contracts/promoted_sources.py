"""Sources of promoted versions, which are copies of others: the service makes them, the plugin takes them from it.

`registry-tui-version:/REGISTRY/MODEL/VERSION` names the archive by the IDs of registry, model and version.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEME = "registry-tui-version"


@dataclass(frozen=True)
class PromotedSource:
    """A version of a registry, by IDs."""

    registry_id: str
    model_id: str
    version_id: str

    @property
    def uri(self) -> str:
        """The source as text."""
        return f"{SCHEME}:/{self.registry_id}/{self.model_id}/{self.version_id}"


def is_promoted(source: str) -> bool:
    """Whether a source is a version of a registry."""
    return source.startswith(f"{SCHEME}:/")


def parse(source: str) -> PromotedSource | None:
    """The source that a text names; None for every other text."""
    if not is_promoted(source):
        return None
    parts = source.removeprefix(f"{SCHEME}:/").split("/")
    return PromotedSource(*parts) if len(parts) == 3 and all(parts) else None
