"""Changes to models that this service has seen."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable

from registry_tui.service.core.context import Service


class ModelChanges:
    """Counts the changes to the models of each registry."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, registry_id: str) -> None:
        """Counts one more change."""
        with self._guard:
            self._counts[registry_id] += 1

    def count(self, registry_id: str) -> int:
        """The changes so far."""
        with self._guard:
            return self._counts[registry_id]


def changed(service: Service, registry_id: str) -> None:
    """Notes that a registry's models changed, which invalidates the cached models of searches."""
    service.kept.of(ModelChanges).add(registry_id)


def changes(service: Service, registry_id: str) -> Hashable:
    """A value that differs after each change known to this service, and after each of another process."""
    count = service.kept.of(ModelChanges).count(registry_id)
    return (count, service.database.stamp()) if service.database.shared else count
