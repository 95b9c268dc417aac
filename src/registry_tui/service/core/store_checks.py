"""The results of the last check of each environment's own store; kept until the service ends."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from registry_tui.schemas.stores import EnvironmentStore, StoreProblem
from registry_tui.service.core import own_stores
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EnvironmentStoreRow


@dataclass(frozen=True)
class Check:
    """The result of one check, and the generation of the store's settings that it used."""

    generation: int
    problems: tuple[StoreProblem, ...]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class _Checks:
    """The last check of each environment's store."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.known: dict[str, Check] = {}


def note(service: Service, environment_id: str, generation: int, problems: Sequence[StoreProblem]) -> None:
    """Keeps the result of a check, unless a later change of the store was checked, or the environment is gone."""
    checks = service.kept.of(_Checks)
    with checks.guard:
        known = checks.known.get(environment_id)
        if known is None or known.generation <= generation:
            checks.known[environment_id] = Check(generation, tuple(problems))
    with service.database.reading() as session:
        there = session.get(EnvironmentStoreRow, environment_id) is not None
    # The environment may have been deleted during the check: look afterwards, so that one of the two forgets it.
    if not there:
        forget(service, environment_id)


def forget(service: Service, environment_id: str) -> None:
    """Forgets the last check of the store of a deleted environment."""
    checks = service.kept.of(_Checks)
    with checks.guard:
        checks.known.pop(environment_id, None)


def shown(service: Service, row: EnvironmentStoreRow | None) -> EnvironmentStore | None:
    """A store as people see it, with the problems found by the last check."""
    found = own_stores.shown(row)
    if row is None or found is None:
        return None
    checks = service.kept.of(_Checks)
    with checks.guard:
        known = checks.known.get(row.environment_id)
    if known is None or known.generation != row.generation:
        return found
    return found.model_copy(update={"notes": list(known.problems), "checked_at": known.at})
