"""Model Registries as people see them."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry_tui.schemas.places import Cloud
from registry_tui.schemas.registries import (
    ModelRegistry,
    RegistryStatus,
    StorageAccess,
    StoreKey,
    StoreKeyWay,
    SynchronizeState,
    WorkspaceSync,
)
from registry_tui.schemas.store_access import registry_access
from registry_tui.service.core import nfs, store_checks, store_keys
from registry_tui.service.core.context import Service
from registry_tui.service.core.own_stores import EMBEDDED_FOLDER
from registry_tui.service.core.probing import Tries
from registry_tui.service.database.tables import ProjectRow, RegistryRow, WorkspaceRow
from registry_tui.service.errors import ServiceError


def count_models(service: Service, mlflow_workspace: str) -> int | None:
    """How many models a registry holds; None while MLflow does not respond."""
    count, token = 0, None
    with suppress(ServiceError):
        while True:
            page = service.mlflow.call(
                "GET",
                "registered-models/search",
                workspace=mlflow_workspace,
                params={"max_results": 1000, "page_token": token},
            )
            count += len(page.get("registered_models", []))
            token = page.get("next_page_token")
            if not token:
                return count
    return None


def to_schema(service: Service, session: Session, row: RegistryRow) -> ModelRegistry:
    """A registry as people see it, without the number of its models."""
    environment = row.environment
    tried = service.kept.of(Tries).last(environment.id)
    own = None if row.prefix == EMBEDDED_FOLDER else store_checks.shown(service, environment.store)
    key = None if own is None else store_keys.shown(row) or StoreKey()
    return ModelRegistry(
        id=row.id,
        name=row.name,
        crn=row.crn,
        status=RegistryStatus(row.status),
        environment_id=environment.id,
        environment_name=environment.name,
        environment_crn=environment.crn,
        cloud=Cloud(environment.cloud),
        raz_enabled=environment.raz_enabled,
        location=row.location,
        owner=row.owner,
        creator=row.creator,
        created_at=row.created_at,
        updated_at=row.updated_at,
        machine_user_crn=row.machine_user_crn,
        machine_user_workload_name=row.machine_user_workload_name,
        storage_access=_access(row, key),
        storage_access_tried_at=None if tried is None else tried.at,
        storage_access_problem=None if tried is None else tried.problem,
        bucket=environment.bucket,
        endpoint=service.ports.s3_endpoint,
        prefix=row.prefix,
        archives_uri="" if own is None else f"{own.uri}{row.prefix}/",
        archives_endpoint="" if own is None else own.endpoint,
        archives_access="" if own is None or key is None else registry_access(own, key),
        store=own,
        store_key=key,
        mlflow_workspace=row.mlflow_workspace,
        existing_nfs=row.existing_nfs,
        nfs_protocol_version=row.nfs_protocol_version,
        nfs=nfs.look(service, row),
        version=row.version,
        workflow_id=row.workflow_id,
        workspaces=_syncs(session, row),
    )


def _access(row: RegistryRow, key: StoreKey | None) -> StorageAccess:
    """The access of the machine user by policies and mappings, where that applies to its archives."""
    found = StorageAccess(row.storage_access)
    counts = key is None or key.way is not StoreKeyWay.ENVIRONMENT
    return found if counts or found is StorageAccess.GRANTED else StorageAccess.NOT_NEEDED


def _syncs(session: Session, row: RegistryRow) -> list[WorkspaceSync]:
    known = {sync.workspace_id: sync for sync in row.workspace_syncs}
    counting = (
        select(ProjectRow.workspace_id, func.count())
        .join(WorkspaceRow)
        .where(WorkspaceRow.environment_id == row.environment_id, ProjectRow.state == "ready")
        .group_by(ProjectRow.workspace_id)
    )
    counts = {pair[0]: pair[1] for pair in session.execute(counting)}
    query = select(WorkspaceRow).where(WorkspaceRow.environment_id == row.environment_id).order_by(WorkspaceRow.name)
    found = []
    for workspace in session.scalars(query):
        sync = known.get(workspace.id)
        found.append(
            WorkspaceSync(
                workspace_id=workspace.id,
                workspace_name=workspace.name,
                state=SynchronizeState.NEVER_RUN if sync is None else SynchronizeState(sync.state),
                project_count=counts.get(workspace.id, 0),
                started_at=None if sync is None else sync.started_at,
                finished_at=None if sync is None else sync.finished_at,
                error=None if sync is None else sync.error,
            )
        )
    return found
