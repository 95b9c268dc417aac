"""The people of a project and their roles; mirrored to MLflow, whose clients act as these people."""

from __future__ import annotations

from contextlib import suppress

from registry_tui.contracts.mlflow_routes import project_path
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import Page
from registry_tui.schemas.places import Collaborator, CollaboratorChange, ProjectCredentials, Role
from registry_tui.service.core import events, idempotency, identity, permissions, reached
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import CollaboratorRow, UserRow
from registry_tui.service.errors import Missing, NotPermitted, PartUnavailable, WrongState
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.publishing import mlflow as routing


def list_collaborators(service: Service, principal: Principal, project: str) -> Page[Collaborator]:
    """The collaborators of a project, by name. Raises Missing, NotPermitted."""
    with service.database.reading() as session:
        row = permissions.find_project(session, principal, project)
        permissions.check_project(session, principal, row, Action.PROJECT_READ)
        items = [Collaborator(user=each.user, role=Role(each.role)) for each in row.collaborators]
    return Page(items=items, total=len(items))


def set_collaborator(
    service: Service, principal: Principal, project: str, user: str, change: CollaboratorChange
) -> Collaborator:
    """Gives a person a role in a project; the administrator makes the user known by it when that is new.

    Raises Missing, NotPermitted, InvalidInput. Raises PartUnavailable when MLflow does not respond; the roles are then
    unchanged.
    """
    resource = _resource(service, principal, project)
    with events.recording(service, principal, "project.set-collaborator", resource) as event:
        event.detail = f"{user} is {change.role.value}"
        permissions.require_project(service, principal, resource.id, Action.COLLABORATORS_CHANGE)
        _make_known(service, principal, user)
        _change(service, resource.id, user, change.role)
    return Collaborator(user=user, role=change.role)


def remove_collaborator(service: Service, principal: Principal, project: str, user: str) -> None:
    """Removes a person from a project. Raises Missing, NotPermitted, PartUnavailable."""
    resource = _resource(service, principal, project)
    with events.recording(service, principal, "project.remove-collaborator", resource) as event:
        event.detail = f"{user} has left"
        permissions.require_project(service, principal, resource.id, Action.COLLABORATORS_CHANGE)
        if _change(service, resource.id, user, None) is None:
            raise Missing(f"{user} is not a collaborator of project {resource.name}")


def get_credentials(service: Service, principal: Principal, project: str) -> ProjectCredentials:
    """Settings for stock MLflow code in a project, for the principal.

    Raises Missing, NotPermitted, WrongState for a project that shows a server elsewhere, PartUnavailable.
    """
    row = permissions.require_project(service, principal, project, Action.PROJECT_READ)
    if (server := row.workspace.attached_server) is not None:
        raise WrongState(
            f"Project {row.name} shows MLflow at {server.url}, which knows nobody from here",
            action=f"Set MLFLOW_TRACKING_URI={server.url} and your own credentials there",
        )
    password = service.access.usable_password(principal.name)
    routing.mirror_access(service, row.id)
    return ProjectCredentials(
        tracking_uri=f"{reached.mlflow_url(service)}{project_path(row.mlflow_workspace)}",
        mlflow_workspace=row.mlflow_workspace,
        username=principal.name,
        # Over the network the token is the password.
        password="" if reached.address.get() else password,
    )


def _make_known(service: Service, principal: Principal, user: str) -> None:
    """Makes a new user, if the principal may. Raises Missing, InvalidInput."""
    identity.check_user_name(service, user)
    with service.database.reading() as session:
        if session.get(UserRow, user) is not None:
            return
    try:
        permissions.require(principal, Action.USERS_CHANGE)
    except NotPermitted as error:
        raise Missing(
            f"There is no user {user!r}", action=f"The administrator adds users: `registry-tui users create {user}`"
        ) from error
    with events.recording(service, principal, "user.create", Resource("user", user, user)):
        identity.ensure_user(service, user)


def _resource(service: Service, principal: Principal, project: str) -> Resource:
    with service.database.reading() as session:
        row = permissions.find_project(session, principal, project)
    return Resource("project", row.id, row.name)


def _change(service: Service, project_id: str, user: str, role: Role | None) -> Role | None:
    """Sets a role (None removes it) here and in MLflow, or in neither; returns the previous one."""
    before = _write(service, project_id, user, role)
    try:
        routing.publish(service)
        routing.mirror_access(service, project_id)
    except BaseException:
        _write(service, project_id, user, before, undone=True)
        with suppress(PartUnavailable):  # the first error is the one to report
            routing.publish(service)
        raise
    gateway_link.publish(service)
    return before


def _write(service: Service, project_id: str, user: str, role: Role | None, *, undone: bool = False) -> Role | None:
    with service.database.session() as session:
        row = session.get(CollaboratorRow, (project_id, user))
        before = None if row is None else Role(row.role)
        if role is None:
            if row is not None:
                session.delete(row)
                if not undone:
                    idempotency.takes(session)
        elif row is None:
            session.add(CollaboratorRow(project_id=project_id, user=user, role=role.value))
            if undone:
                idempotency.gives_back(session)
        else:
            row.role = role.value
    return before
