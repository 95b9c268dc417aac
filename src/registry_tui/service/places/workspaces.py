"""Workspaces: places where teams work, each in one environment."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.places import Workspace, WorkspaceCreate
from registry_tui.service.core import events, idempotency, identity, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import attached_to, resolve_environment, resolve_workspace
from registry_tui.service.database.tables import ProjectRow, WorkspaceRow, new_id
from registry_tui.service.errors import AlreadyThere, InUse


def create_workspace(service: Service, principal: Principal, request: WorkspaceCreate) -> Workspace:
    """Makes a workspace; it knows the environment's Model Registry once that is synchronized.

    Raises NotPermitted, Missing for the environment, AlreadyThere.
    """
    id_ = new_id()
    with events.recording(service, principal, "workspace.create", Resource("workspace", id_, request.name)):
        with service.database.reading() as session:
            seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
            environment = resolve_environment(session, request.environment, seen)
            permissions.require_in(session, principal, Action.WORKSPACE_CREATE, environment)
        try:
            with service.database.session() as session:
                resolve_environment(session, environment.id)  # it may have been deleted meanwhile
                session.add(
                    WorkspaceRow(
                        id=id_,
                        name=request.name,
                        crn=identity.crn(session, "workspace", id_),
                        environment_id=environment.id,
                        creator=principal.name,
                    )
                )
        except IntegrityError as error:
            raise AlreadyThere(
                f"Environment {environment.name} has a workspace {request.name!r} already",
                action="Choose another name",
            ) from error
    return get_workspace(service, principal, id_)


def get_workspace(service: Service, principal: Principal, workspace: str) -> Workspace:
    """One workspace. Raises Missing, InvalidInput for an ambiguous name."""
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        row = resolve_workspace(session, workspace, seen)
        return _schema(row, _project_counts(session, [row.id]))


def list_workspaces(
    service: Service,
    principal: Principal,
    *,
    environment: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[Workspace]:
    """Workspaces by name, of one environment or all. Raises Missing, InvalidInput for a wrong token."""
    query = select(WorkspaceRow).options(selectinload(WorkspaceRow.environment), selectinload(WorkspaceRow.sync))
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        if seen is not None:
            query = query.where(WorkspaceRow.environment_id.in_(seen))
        if environment is not None:
            query = query.where(WorkspaceRow.environment_id == resolve_environment(session, environment, seen).id)
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(WorkspaceRow.name), paging.Key(WorkspaceRow.id)],
            scope=f"workspaces:{environment}",
            page_size=page_size,
            page_token=page_token,
        )
        counts = _project_counts(session, [row.id for row in found.rows])
        return found.to_page(lambda row: _schema(row, counts))


def delete_workspace(service: Service, principal: Principal, workspace: str) -> None:
    """Deletes an empty workspace. Raises Missing, NotPermitted, InUse."""
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        row = resolve_workspace(session, workspace, seen)
        _ = row.environment
    with (
        events.recording(service, principal, "workspace.delete", Resource("workspace", row.id, row.name)),
        service.database.session() as session,
    ):
        permissions.require_in(session, principal, Action.WORKSPACE_DELETE, row.environment)
        row = resolve_workspace(session, row.id)
        idempotency.takes(session, row.id)
        if attached_to(session, row.id) is not None:
            raise InUse(
                f"Workspace {row.name} shows an MLflow server elsewhere",
                action=f"Detach it: `registry-tui detach {row.name}`",
            )
        if row.projects:
            names = ", ".join(sorted(project.name for project in row.projects))
            raise InUse(f"Workspace {row.name} still has projects: {names}", action="Delete these first")
        session.delete(row)


def _project_counts(session: Session, ids: list[str]) -> Mapping[str, int]:
    query = (
        select(ProjectRow.workspace_id, func.count())
        .where(ProjectRow.workspace_id.in_(ids), ProjectRow.state == "ready")
        .group_by(ProjectRow.workspace_id)
    )
    return dict(session.execute(query).all())


def _schema(row: WorkspaceRow, projects: Mapping[str, int]) -> Workspace:
    return Workspace(
        id=row.id,
        name=row.name,
        crn=row.crn,
        environment_id=row.environment_id,
        environment_name=row.environment.name,
        creator=row.creator,
        created_at=row.created_at,
        project_count=projects.get(row.id, 0),
        synchronized=row.sync is not None and row.sync.synchronized_at is not None,
        synchronized_at=None if row.sync is None else row.sync.synchronized_at,
    )
