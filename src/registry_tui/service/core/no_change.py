"""Changes that change nothing are refused, as the command line refuses them, so that nobody takes them for done."""

from __future__ import annotations

from registry_tui.schemas.base import ChangeSchema
from registry_tui.service.errors import InvalidInput


def require_change(request: ChangeSchema) -> None:
    """Raises InvalidInput for a change that would change nothing."""
    if request.changes_nothing:
        fields = ", ".join(name for name in type(request).model_fields if name not in request.ABOUT_IT)
        raise InvalidInput("Nothing would change", action=f"Give a field to change: {fields}")
