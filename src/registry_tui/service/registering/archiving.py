"""Beginning to store the archives of versions."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from sqlalchemy import select

from registry_tui.contracts import promoted_sources
from registry_tui.schemas.models import ModelVersion, VersionStatus
from registry_tui.schemas.operations import Workflow, WorkflowKind
from registry_tui.schemas.registries import RegistryStatus
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import RegistryRow, UserRow, WorkflowRow
from registry_tui.service.engine.rows import ACTIVE, to_schema
from registry_tui.service.errors import Missing, WrongState
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.registries.place import RegistryPlace, enter_registry


class _Registering:
    """Names that requests are registering versions under just now, with how many requests do.

    The requests start the workflows of these versions themselves.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()

    def __contains__(self, key: tuple[str, str]) -> bool:
        with self._guard:
            return key in self._requests

    @contextmanager
    def counted(self, key: tuple[str, str]) -> Iterator[None]:
        """Counts one more request while the block runs."""
        with self._guard:
            self._requests[key] += 1
        try:
            yield
        finally:
            with self._guard:
                self._requests[key] -= 1
                if not self._requests[key]:
                    del self._requests[key]


#: Kinds of workflows that store a version's archive.
STORING = (WorkflowKind.ARCHIVE, WorkflowKind.PROMOTE)


def start(
    service: Service, principal: Principal, registry: RegistryPlace, version: ModelVersion, *, again: bool = False
) -> Workflow:
    """Begins to store a version's archive; returns the workflow, also an earlier one.

    `again`: also when the last one failed.
    """
    failed = version.status is VersionStatus.FAILED_REGISTRATION
    waits = version.status is VersionStatus.PENDING_REGISTRATION or (again and failed)
    if not waits and (before := newest_of(service, version)):
        return before
    try:
        return service.workflows.start(
            principal,
            WorkflowKind.PROMOTE if promoted_sources.is_promoted(version.origin.source) else WorkflowKind.ARCHIVE,
            resource=versions.resource_of(registry, version),
            arguments={
                "registry_id": registry.id,
                "model": version.model_name,
                "model_id": version.model_id,
                "version": version.version,
                "version_id": version.id,
                "source": version.origin.source,
            },
        )
    except WrongState:
        found = newest_of(service, version)
        if found is None:
            raise
        return found


def newest_of(service: Service, version: ModelVersion) -> Workflow | None:
    """The newest workflow that stored or stores a version's archive."""
    query = select(WorkflowRow).where(
        WorkflowRow.resource_type == "version",
        WorkflowRow.resource_id == version.id,
        WorkflowRow.kind.in_([kind.value for kind in STORING]),
    )
    with service.database.reading() as session:
        found = session.scalars(query.order_by(WorkflowRow.created_at.desc()).limit(1)).first()
    return None if found is None else to_schema(found)


def start_pending(service: Service) -> int:
    """Starts a workflow for every version that waits for its archive and has none; returns how many."""
    started = 0
    with service.database.reading() as session:
        live = [row.id for row in session.scalars(select(RegistryRow)) if RegistryStatus(row.status).live]
    for registry_id in live:
        with suppress(Missing, WrongState):  # a registry that went away meanwhile
            started += _start_pending_of(service, enter_registry(service, registry_id))
    return started


def _start_pending_of(service: Service, registry: RegistryPlace) -> int:
    pending = service.mlflow.search_pending_versions(registry.workspace)
    if not pending:
        return 0
    model_changes.changed(service, registry.id)
    query = select(WorkflowRow.resource_id).where(
        WorkflowRow.status.in_(ACTIVE), WorkflowRow.resource_type == "version", WorkflowRow.registry_id == registry.id
    )
    with service.database.reading() as session:
        active = set(session.scalars(query))
    started = 0
    for found in pending:
        if (registry.id, found["name"]) in service.kept.of(_Registering):
            continue
        model = models.fetch_model(service, registry, found["name"])
        if model is None:
            continue
        version = versions.to_version(model, found)
        if version.id not in active:
            start(service, _creator(service, version), registry, version)
            started += 1
    return started


def being_registered(service: Service, registry_id: str, name: str) -> AbstractContextManager[None]:
    """While a request registers under a name, `start_pending` leaves the versions of that name to it."""
    return service.kept.of(_Registering).counted((registry_id, name))


def _creator(service: Service, version: ModelVersion) -> Principal:
    """The person who registered a version, as principal with a new request ID; the owner if that person is gone."""
    with service.database.reading() as session:
        row = session.get(UserRow, version.creator)
    if row is None:
        return identity.owner_principal(service)
    return Principal(row.name, row.crn, str(uuid.uuid4()))
