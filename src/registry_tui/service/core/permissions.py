"""Permissions: administrators may do everything, collaborators as their role in the project allows."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from registry_tui.schemas.places import Role
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import resolve_project
from registry_tui.service.database.tables import CollaboratorRow, ProjectRow
from registry_tui.service.errors import NotPermitted

_RANK = {Role.VIEWER: 1, Role.CONTRIBUTOR: 2, Role.ADMIN: 3}


def require_administrator(principal: Principal, to_do: str) -> None:
    """Raises NotPermitted unless the principal is the installation's administrator; `to_do` completes "may …"."""
    if not principal.administrator:
        raise NotPermitted(
            f"{principal.name} may not {to_do}", action="Ask the administrator, who owns this installation"
        )


def require_project(service: Service, principal: Principal, project: str, role: Role) -> ProjectRow:
    """The project (its workspace and environment loaded), when the principal has `role` or more in it.

    Raises Missing, InvalidInput for an ambiguous name, NotPermitted.
    """
    with service.database.reading() as session:
        row = resolve_project(session, project)
        check_project(session, principal, row, role)
        _ = row.workspace.environment.model_registry
        _ = row.workspace.sync
    return row


def own_projects(principal: Principal) -> Select[str]:
    """The IDs of the projects that a person collaborates in, for a query; an administrator may enter all others too."""
    return select(CollaboratorRow.project_id).where(CollaboratorRow.user == principal.name)


def is_collaborator(session: Session, principal: Principal, row: ProjectRow) -> bool:
    """Whether the principal has any role in the project."""
    return principal.administrator or session.get(CollaboratorRow, (row.id, principal.name)) is not None


def check_project(session: Session, principal: Principal, row: ProjectRow, role: Role) -> None:
    """Raises NotPermitted unless the principal has `role` or more in the project."""
    if principal.administrator:
        return
    collaborator = session.get(CollaboratorRow, (row.id, principal.name))
    if collaborator is None:
        raise NotPermitted(
            f"{principal.name} is not a collaborator of project {row.name}",
            action=f"Ask one of its administrators for the role {role.value}",
        )
    if _RANK[Role(collaborator.role)] < _RANK[role]:
        raise NotPermitted(
            f"{principal.name} is {collaborator.role} of project {row.name}; this needs {role.value}",
            action=f"Ask one of its administrators for the role {role.value}",
        )
