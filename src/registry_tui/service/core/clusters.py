"""The clusters that environments' deployments run in."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.schemas.places import BackendKind, EnvironmentBackend
from registry_tui.service.backends.base import Cluster
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import DeploymentRow, EnvironmentBackendRow, ProjectRow, WorkspaceRow


def cluster_of(database: Database, environment: str) -> Cluster | None:
    """The cluster of an environment, by its ID; None for this machine."""
    with database.reading() as session:
        return cluster(session.get(EnvironmentBackendRow, environment))


def cluster_for(session: Session, deployment: DeploymentRow) -> Cluster | None:
    """The cluster that a deployment runs in; None for this machine."""
    query = (
        select(EnvironmentBackendRow)
        .join(WorkspaceRow, WorkspaceRow.environment_id == EnvironmentBackendRow.environment_id)
        .join(ProjectRow, ProjectRow.workspace_id == WorkspaceRow.id)
        .where(ProjectRow.id == deployment.project_id)
    )
    return cluster(session.scalars(query).first())


def cluster(row: EnvironmentBackendRow | None) -> Cluster | None:
    """A row's cluster."""
    return None if row is None else Cluster(row.environment_id, row.address, row.token, row.http_port)


def shown(row: EnvironmentBackendRow | None) -> EnvironmentBackend:
    """A backend as people see it, without its token."""
    if row is None:
        return EnvironmentBackend()
    return EnvironmentBackend(
        kind=BackendKind(row.kind), address=row.address, http_port=row.http_port, version=row.version
    )
