"""Checks of the text values in a request's body, at every address that changes something."""

from __future__ import annotations

import json
from typing import Any

from registry_tui.service.errors import InvalidInput

#: NUL as written in JSON: the byte itself is not valid JSON.
_WRITTEN = b"\\u0000"


def require_storable(body: bytes) -> None:
    """Raises InvalidInput for a text with the character NUL, which PostgreSQL keeps in none."""
    if _WRITTEN not in body:
        return
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return  # the route reports the error
    if _holds_nul(found):
        raise InvalidInput("A text holds the character NUL", action="Take it out: texts cannot be kept with it")


def _holds_nul(value: Any) -> bool:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str):
            if "\0" in found:
                return True
        elif isinstance(found, dict):
            waiting += [*found.keys(), *found.values()]
        elif isinstance(found, list):
            waiting += found
    return False
