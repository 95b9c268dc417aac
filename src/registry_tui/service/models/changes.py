"""What this service knows of changes to models."""

from __future__ import annotations

import threading

_changes: dict[str, int] = {}
_changes_guard = threading.Lock()


def changed(registry_id: str) -> None:
    """Notes that a registry's models changed: what was read of them for searches is not used any more."""
    with _changes_guard:
        _changes[registry_id] = _changes.get(registry_id, 0) + 1


def changes(registry_id: str) -> int:
    """A number that grows with each change that this service knows of."""
    with _changes_guard:
        return _changes.get(registry_id, 0)
