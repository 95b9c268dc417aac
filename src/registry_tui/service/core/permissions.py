"""Decides by the table of `contracts/permissions.py`: an administrator may do everything, others by their roles.

Roles are read for each decision, so a change applies from the next one on, also in running work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import PROJECT_ROLES, RULES, Action, Holder
from registry_tui.schemas.places import Role
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import resolve_project
from registry_tui.service.database.tables import (
    CollaboratorRow,
    EnvironmentRoleRow,
    EnvironmentRow,
    GroupMemberRow,
    ProjectRow,
    WorkspaceRow,
)
from registry_tui.service.errors import NotPermitted

Row = TypeVar("Row")

# -- the installation and people ------------------------------------------------------------------------


def require(principal: Principal, action: Action) -> None:
    """Raises NotPermitted unless the principal may do something that concerns the installation."""
    if not principal.administrator and not RULES[action].allows(()):
        raise NotPermitted(
            f"{principal.name} may not {RULES[action].to_do}",
            action="Ask the administrator, who owns this installation",
        )


def require_recorded(
    service: Service, principal: Principal, permission: Action, action: str, resource: Resource
) -> None:
    """As `require`, with an event `action` about a refusal. Call it before anything named is looked up."""
    with events.refusals(service, principal, action, resource):
        require(principal, permission)


def own_only(principal: Principal, action: Action) -> bool:
    """Whether the principal may do something only to their own things."""
    return not (principal.administrator or RULES[action].allows(()))


def may_for(principal: Principal, action: Action, person: str) -> bool:
    """Whether the principal may do something to a person's things.

    `person` is a name for things deleted with the user, a CRN for things kept after that: the name may be given to
    somebody else later.
    """
    held = (Holder.ONESELF,) if person in (principal.name, principal.crn) else ()
    return principal.administrator or RULES[action].allows(held)


# -- environments ---------------------------------------------------------------------------------------


def permitted_environments(session: Session, principal: Principal, action: Action) -> frozenset[str] | None:
    """The IDs of the environments in which the principal may do something; None means all."""
    if principal.administrator:
        return None
    rule = RULES[action]
    return frozenset(id_ for id_, held in _held_in_environments(session, principal.name).items() if rule.allows(held))


def may_in(session: Session, principal: Principal, action: Action, environment_id: str) -> bool:
    """Whether the principal may do something in an environment."""
    permitted = permitted_environments(session, principal, action)
    return permitted is None or environment_id in permitted


def require_in(session: Session, principal: Principal, action: Action, environment: EnvironmentRow) -> None:
    """Raises NotPermitted unless the principal may do something in an environment."""
    if not may_in(session, principal, action, environment.id):
        rule = RULES[action]
        raise NotPermitted(
            f"{principal.name} may not {rule.to_do} in environment {environment.name}: that needs {rule.who}",
            action=f"Ask an EnvironmentAdmin of {environment.name}, or the administrator, for the role",
        )


def _held_in_environments(session: Session, name: str) -> dict[str, set[Holder]]:
    """The roles of a person in each environment, by the environment's ID."""
    groups = select(GroupMemberRow.group).where(GroupMemberRow.user == name)
    roles = select(EnvironmentRoleRow.environment_id, EnvironmentRoleRow.role).where(
        or_(EnvironmentRoleRow.user == name, EnvironmentRoleRow.group.in_(groups))
    )
    found: dict[str, set[Holder]] = {}
    for environment_id, role in session.execute(roles):
        found.setdefault(environment_id, set()).add(Holder(role))
    works_in = (
        select(WorkspaceRow.environment_id)
        .join(ProjectRow, ProjectRow.workspace_id == WorkspaceRow.id)
        .join(CollaboratorRow, CollaboratorRow.project_id == ProjectRow.id)
        .where(CollaboratorRow.user == name, ProjectRow.state == "ready")
        .distinct()
    )
    for environment_id in session.scalars(works_in):
        found.setdefault(environment_id, set()).add(Holder.COLLABORATOR)
    return found


# -- projects -------------------------------------------------------------------------------------------


def find_project(session: Session, principal: Principal, name_or_id: str) -> ProjectRow:
    """A project by ID or name, of those that the principal may know of.

    These are the projects that they work in; if none of them has the name, all in the environments that they may see.
    Raises Missing, InvalidInput when several have the name.
    """

    def known(found: Sequence[ProjectRow]) -> Sequence[ProjectRow]:
        return known_of(session, principal, [(row, row) for row in found])

    return resolve_project(session, name_or_id, None if principal.administrator else known)


def known_of(session: Session, principal: Principal, found: Sequence[tuple[Row, ProjectRow]]) -> list[Row]:
    """Of rows with their projects, those that the principal may know of, by the rules of `find_project`."""
    own = [row for row, project in found if is_collaborator(session, principal, project)]
    if own or not found:
        return own
    seen = permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
    return [row for row, project in found if seen is None or project.workspace.environment_id in seen]


def require_project(service: Service, principal: Principal, project: str, action: Action) -> ProjectRow:
    """The project (its workspace and environment loaded), when the principal may do something in it.

    Raises Missing, InvalidInput for an ambiguous name, NotPermitted.
    """
    with service.database.reading() as session:
        row = find_project(session, principal, project)
        check_project(session, principal, row, action)
        _ = row.workspace.environment.model_registry
        _ = row.workspace.sync
        _ = row.workspace.attached_server
    return row


def own_projects(principal: Principal) -> Select[str]:
    """The IDs of the projects that a person collaborates in, for a query; an administrator may enter all others too."""
    return select(CollaboratorRow.project_id).where(CollaboratorRow.user == principal.name)


def is_collaborator(session: Session, principal: Principal, row: ProjectRow) -> bool:
    """Whether the principal has any role in the project."""
    return principal.administrator or session.get(CollaboratorRow, (row.id, principal.name)) is not None


def check_project(session: Session, principal: Principal, row: ProjectRow, action: Action) -> None:
    """Raises NotPermitted unless the principal may do something in the project."""
    if principal.administrator:
        return
    collaborator = session.get(CollaboratorRow, (row.id, principal.name))
    held = () if collaborator is None else (PROJECT_ROLES[collaborator.role],)
    if RULES[action].allows(held):
        return
    needed = next(role for role in Role if RULES[action].allows((PROJECT_ROLES[role.value],)))
    ask = f"Ask one of its administrators for the role {needed.value}"
    if collaborator is None:
        raise NotPermitted(f"{principal.name} is not a collaborator of project {row.name}", action=ask)
    raise NotPermitted(
        f"{principal.name} is {collaborator.role} of project {row.name}; this needs {needed.value}", action=ask
    )
