"""Deletes a user: shared things go to a successor, personal ones end."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from registry_tui.contracts.permissions import Action
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.people import UserChange, UserState
from registry_tui.schemas.places import Role
from registry_tui.service.access import people
from registry_tui.service.adapters.mlflow_words import quoted
from registry_tui.service.core import events, idempotency, identity, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import (
    ApiKeyRow,
    AttachedServerRow,
    CollaboratorRow,
    DeploymentRow,
    EnvironmentRow,
    GroupRow,
    IdempotencyRow,
    ProjectRow,
    RegistryRow,
    RevisionRow,
    UserRow,
    WorkspaceRow,
)
from registry_tui.service.errors import InUse, InvalidInput, Missing
from registry_tui.service.models import registered as models
from registry_tui.service.models.changes import changed
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.publishing import mlflow as routing
from registry_tui.service.ranger import forgetting
from registry_tui.service.registries.place import RegistryPlace, enter_registry, while_live

#: Tables whose creator has permissions or duties.
_CREATED = (
    EnvironmentRow,
    WorkspaceRow,
    AttachedServerRow,
    ProjectRow,
    RegistryRow,
    DeploymentRow,
    RevisionRow,
    GroupRow,
)


def delete_user(service: Service, principal: Principal, name: str, to: str) -> None:
    """Deletes a user. Models, registries, places and deployments go to `to`, who also administers their projects.

    Tokens, API keys, roles and the MLflow account end. The user is suspended first, so that a call that was cut off can
    be repeated. Raises NotPermitted, Missing, InvalidInput for `to`, InUse for the administrator, PartUnavailable.
    """
    with events.recording(service, principal, "user.delete", Resource("user", name, name)) as event:
        event.detail = f"everything goes to {to}"
        permissions.require(principal, Action.USERS_CHANGE)
        idempotency.takes_elsewhere(service, _require_successor(service, name, to))
        people.change_user(service, principal, name, UserChange(state=UserState.SUSPENDED))
        _hand_over_models(service, name, to)
        projects = _hand_over_rows(service, name, to)
        gateway_link.publish(service)
        routing.publish(service)
        for project_id in projects:
            routing.mirror_access(service, project_id)
        if named := forgetting.forget(service, "users", name, principal.name):
            event.detail += f"; taken out of Ranger's {', '.join(named)}"
        service.access.remove_user(name)
        with service.database.session() as session:
            identity.forget_user(session, name)


def _require_successor(service: Service, name: str, to: str) -> str:
    """Returns the ID of the leaving user. Raises as `delete_user`."""
    with service.database.reading() as session:
        successor, leaving = session.get(UserRow, to), session.get(UserRow, name)
    problem = ""
    if successor is None:
        problem = "must be a user of this installation"
    elif successor.name == name:
        problem = "must be somebody else"
    elif successor.state == UserState.SUSPENDED.value:
        problem = "must not be suspended"
    if problem:
        raise InvalidInput(
            f"{to!r} cannot get the possessions of {name}", errors=[FieldProblem(field="to", message=problem)]
        )
    if leaving is None:
        raise Missing(f"There is no user {name!r}", action="See `registry-tui users list`")
    if name == identity.owner_name(service):
        raise InUse(
            f"{name} is the administrator of this installation and cannot be deleted", action="Delete somebody else"
        )
    return leaving.id


def _hand_over_models(service: Service, name: str, to: str) -> None:
    """Of every registry, also of those being made or deleted: that may be cancelled, or fail."""
    with service.database.reading() as session:
        rows = session.scalars(select(RegistryRow)).all()
    for row in rows:
        # A registry that is unavailable, or deleted meanwhile, has models only while its MLflow workspace exists.
        with while_live(service, row.id):
            _hand_over_models_of(service, enter_registry(service, row.id, any_status=True), name, to)


def _hand_over_models_of(service: Service, place: RegistryPlace, name: str, to: str) -> None:
    """Changes owners and creators in MLflow's tags: a later user of the same name must not own any of it."""
    made = f"tags.`{mlflow_tags.CREATOR}` = {quoted(name)}"
    for version in list(service.mlflow.search_versions(place.workspace, filter=made)):
        service.mlflow.set_version_tags(place.workspace, version["name"], version["version"], {mlflow_tags.CREATOR: to})
    theirs = [model for _, model in models.scan(service, place) if name in (model.owner, *model.contributors)]
    for model in theirs:
        tags = {mlflow_tags.OWNER: to} if model.owner == name else {}
        if name in model.contributors:
            tags[f"{mlflow_tags.CONTRIBUTOR}{to}"] = "true"
        for key, value in tags.items():
            body = {"name": model.name, "key": key, "value": value}
            service.mlflow.call("POST", "registered-models/set-tag", workspace=place.workspace, json=body)
        if name in model.contributors:
            body = {"name": model.name, "key": f"{mlflow_tags.CONTRIBUTOR}{name}"}
            service.mlflow.call("DELETE", "registered-models/delete-tag", workspace=place.workspace, json=body)
    if theirs:
        changed(service, place.id)


def _hand_over_rows(service: Service, name: str, to: str) -> list[str]:
    """Hands over the database's rows; returns the projects that either of them works or worked in."""
    with service.database.session() as session:
        works_in = session.scalars(select(CollaboratorRow).where(CollaboratorRow.user == name)).all()
        projects = [row.project_id for row in works_in]
        for row in works_in:
            other = session.get(CollaboratorRow, (row.project_id, to))
            if row.role == Role.ADMIN.value:
                if other is None:
                    session.add(CollaboratorRow(project_id=row.project_id, user=to, role=row.role))
                else:
                    other.role = row.role
            session.delete(row)
        for table in _CREATED:
            session.execute(update(table).where(table.creator == name).values(creator=to))
        session.execute(update(RegistryRow).where(RegistryRow.owner == name).values(owner=to))
        session.execute(delete(ApiKeyRow).where(ApiKeyRow.user == name))
        session.execute(delete(IdempotencyRow).where(IdempotencyRow.person == name))
        # A call that was interrupted after this finds nothing to hand over when it is repeated.
        theirs = session.scalars(select(CollaboratorRow.project_id).where(CollaboratorRow.user == to)).all()
    return [*dict.fromkeys([*projects, *theirs])]
