"""Synchronization of IDBroker mappings: from then on the object store enforces them.

Each run is recorded with its start, end and error. An interrupted one is run again when the service starts.
"""

from __future__ import annotations

import logging

from sqlalchemy import select

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.idbroker import IdBrokerMappings, IdBrokerSync, IdBrokerSyncStatus, SyncStatus
from registry_tui.schemas.places import Cloud
from registry_tui.schemas.registries import StorageAccess
from registry_tui.service.core import events, permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.probing import note_access
from registry_tui.service.database.tables import EnvironmentRow, IdBrokerRow, RegistryRow, now
from registry_tui.service.errors import ServiceError
from registry_tui.service.idbroker import mappings, rules
from registry_tui.service.stores.seaweedfs import machine_policy

logger = logging.getLogger(__name__)

_UNFINISHED = (SyncStatus.REQUESTED.value, SyncStatus.RUNNING.value)


class _Noted(ServiceError):
    """A synchronization failed; its status has the reason."""


def synchronize(service: Service, principal: Principal, environment: str) -> None:
    """Makes the object store enforce an environment's mappings; `status` shows the outcome.

    Raises Missing, NotPermitted, WrongState with RAZ.
    """
    mappings.require_change(service, principal, "idbroker.synchronize", environment)
    place = mappings.find(service, environment)
    try:
        with events.recording(service, principal, "idbroker.synchronize", place.resource):
            mappings.require_idbroker(place)
            try:
                run(service, place.environment_id)
            except ServiceError as error:
                raise _Noted(error.detail, action=error.action) from error
    except _Noted as error:
        logger.warning("synchronizing the mappings of environment %s: %s", place.name, error.detail)


def status(service: Service, principal: Principal, environment: str) -> IdBrokerSyncStatus:
    """How the last synchronization went, and whether one is needed. Raises Missing, NotPermitted, WrongState."""
    permissions.require(principal, Action.POLICIES_SEE)
    place = mappings.find(service, environment)
    mappings.require_idbroker(place)
    with service.database.reading() as session:
        row = session.get(IdBrokerRow, place.environment_id)
    if row is None:
        found, needed = IdBrokerSync(status=SyncStatus.NEVER_RUN), False
    else:
        found, needed = _recorded(row), row.version != row.synced_version
    return IdBrokerSyncStatus(sync_needed=needed, global_status=found.status, statuses={place.data_lake_crn: found})


def run(service: Service, environment_id: str) -> None:
    """Synchronizes an environment, one run at a time, and records the run.

    Raises the object store's errors, PartUnavailable while it does not respond; call it again to retry.
    """
    _request(service, environment_id)
    with service.locks.of(f"idbroker:{environment_id}"):
        version, wanted = _begin(service, environment_id)
        try:
            _enforce(service, environment_id, wanted)
        except ServiceError as error:
            _end(service, environment_id, SyncStatus.FAILED, ". ".join(filter(None, (error.detail, error.action))))
            raise
        except Exception as error:
            _end(service, environment_id, SyncStatus.FAILED, f"An error of the service itself ({type(error).__name__})")
            raise
        _end(service, environment_id, SyncStatus.COMPLETED, "", version, wanted)
        note_access(service, environment_id)


def enforce_again(service: Service, environment_id: str) -> None:
    """Makes the object store enforce the mappings synchronized last, with the machine user's current groups.

    Raises PartUnavailable.
    """
    with service.locks.of(f"idbroker:{environment_id}"):
        with service.database.reading() as session:
            row = session.get(IdBrokerRow, environment_id)
        if row is not None and row.synced_document is not None:
            _enforce(service, environment_id, IdBrokerMappings.model_validate(row.synced_document))
            note_access(service, environment_id)


def adopt(service: Service) -> None:
    """Repeats interrupted synchronizations, and gives mappings to environments that are older than mappings.

    Raises PartUnavailable.
    """
    query = (
        select(EnvironmentRow.id)
        .outerjoin(IdBrokerRow)
        .outerjoin(RegistryRow)
        .where(
            EnvironmentRow.state == "ready",
            EnvironmentRow.raz_enabled.is_(False),
            IdBrokerRow.sync_status.in_(_UNFINISHED)
            | (IdBrokerRow.environment_id.is_(None) & (RegistryRow.storage_access == StorageAccess.GRANTED.value)),
        )
    )
    with service.database.reading() as session:
        found = list(session.scalars(query))
    for environment_id in found:
        run(service, environment_id)


# -- underneath ------------------------------------------------------------------------------------------


def _recorded(row: IdBrokerRow) -> IdBrokerSync:
    return IdBrokerSync(
        status=SyncStatus(row.sync_status),
        start_date=row.sync_started_at,
        end_date=row.sync_ended_at,
        error_detail=row.sync_error or None,
    )


def _request(service: Service, environment_id: str) -> None:
    """Records that a run was requested, also when another one is under way and the service ends meanwhile."""
    with service.database.session() as session:
        row = mappings.kept_row(session, session.get_one(EnvironmentRow, environment_id))
        if row.sync_status != SyncStatus.RUNNING.value:
            row.sync_status = SyncStatus.REQUESTED.value
            row.sync_started_at = row.sync_ended_at = None
            row.sync_error = ""


def _begin(service: Service, environment_id: str) -> tuple[int, IdBrokerMappings]:
    with service.database.session() as session:
        row = session.get_one(IdBrokerRow, environment_id)
        row.sync_status, row.sync_started_at, row.sync_ended_at = SyncStatus.RUNNING.value, now(), None
        row.sync_error = ""
        return row.version, mappings.kept(session, session.get_one(EnvironmentRow, environment_id))


def _end(
    service: Service,
    environment_id: str,
    status: SyncStatus,
    error: str,
    version: int | None = None,
    enforced: IdBrokerMappings | None = None,
) -> None:
    with service.database.session() as session:
        row = session.get(IdBrokerRow, environment_id)
        if row is None:  # its environment was deleted meanwhile
            return
        row.sync_status, row.sync_ended_at, row.sync_error = status.value, now(), error
        if version is not None:
            row.synced_version = version
            row.synced_document = None if enforced is None else mappings.document_of(enforced)


def _enforce(service: Service, environment_id: str, wanted: IdBrokerMappings) -> None:
    """Gives the environment's machine user the rights of its mapping, from the next request on."""
    with service.database.reading() as session:
        environment = session.get_one(EnvironmentRow, environment_id)
        registry = environment.model_registry
        groups = {} if registry is None else {group.name: group.id for group in registry.groups}
    if registry is None or registry.machine_user_crn is None or registry.machine_user_workload_name is None:
        return
    user = registry.machine_user_workload_name
    if rules.has_data_access(Cloud(environment.cloud), wanted, registry.machine_user_crn, groups):
        service.stores.users.put_policy(user, machine_policy(environment.bucket, registry.prefix))
    else:
        service.stores.users.delete_policy(user)
