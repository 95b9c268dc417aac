"""Finding a deployment by name or ID, for people who may see or change it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import DeploymentRow, ProjectRow, WorkspaceRow
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted


def find(session: Session, principal: Principal, name_or_id: str) -> DeploymentRow:
    """A deployment by ID, name, `project/name` or `workspace/project/name`, with its project and revisions.

    Those of projects that the principal may not know of are not found. Raises Missing, NotPermitted, InvalidInput.
    """
    parent, _, name = name_or_id.rpartition("/")
    query = select(DeploymentRow).options(
        selectinload(DeploymentRow.revisions),
        selectinload(DeploymentRow.project).selectinload(ProjectRow.workspace).selectinload(WorkspaceRow.environment),
    )
    if parent:
        project = permissions.find_project(session, principal, parent)
        permissions.check_project(session, principal, project, Action.DEPLOYMENT_READ)
        query = query.where(DeploymentRow.project_id == project.id, DeploymentRow.name == name)
    else:
        query = query.where((DeploymentRow.id == name_or_id) | (DeploymentRow.name == name_or_id))
    found = permissions.known_of(session, principal, [(row, row.project) for row in session.scalars(query)])
    if not found:
        raise Missing(f"There is no deployment {name_or_id!r}", action="See `registry-tui deployments list`")
    if not permissions.is_collaborator(session, principal, found[0].project):
        # The text does not name the project.
        raise NotPermitted(
            f"{principal.name} is not a collaborator of the project of deployment {name_or_id!r}",
            action="Ask its creator for a role in its project",
        )
    if len(found) > 1:
        listed = ", ".join(sorted(f"{row.project.workspace.name}/{row.project.name}/{row.name}" for row in found))
        raise InvalidInput(
            f"Several deployments are named {name_or_id!r}: {listed}", action="Use one of these, or an ID"
        )
    return found[0]


def find_for(service: Service, principal: Principal, name_or_id: str, action: Action) -> DeploymentRow:
    """As `find`, when the principal may do `action` in its project. Raises Missing, InvalidInput, NotPermitted."""
    with service.database.reading() as session:
        row = find(session, principal, name_or_id)
        permissions.check_project(session, principal, row.project, action)
    return row


def resource_of(row: DeploymentRow) -> Resource:
    """A deployment as events and workflows name it."""
    return Resource("deployment", row.id, row.name, row.registry_id)
