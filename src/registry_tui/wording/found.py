"""Words for search results."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_tui.schemas.search import Found


def place_of(found: Found) -> str:
    """The location of an object: its parents, from the top; empty for an object without any."""
    parts: tuple[str | None, ...]
    if found.kind == "run":
        parts = (found.project_name, found.experiment_name)
    elif found.kind in ("experiment", "deployment"):
        parts = (found.project_name,)
    elif found.kind == "model":
        parts = (found.registry_name,)
    else:
        parts = (None if found.kind == "environment" else found.environment_name,)
    return " › ".join(part for part in parts if part)
