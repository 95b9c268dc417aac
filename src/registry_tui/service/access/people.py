"""The people of this installation, as they and its administrator see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.people import EnvironmentRole, ProjectHeld, RolesHeld, User, UserChange, UserState
from registry_tui.schemas.places import Role
from registry_tui.service.core import events, identity, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.no_change import require_change
from registry_tui.service.database.tables import (
    CollaboratorRow,
    EnvironmentRoleRow,
    EnvironmentRow,
    GroupMemberRow,
    ProjectRow,
    UserRow,
    UserSubjectRow,
    UserTokenRow,
    WorkspaceRow,
)
from registry_tui.service.errors import InUse, Missing, PartUnavailable
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.publishing import mlflow as routing

_ACTIONS: Mapping[UserState, str] = {UserState.SUSPENDED: "user.suspend", UserState.ACTIVE: "user.resume"}


def put_user(service: Service, principal: Principal, name: str, change: UserChange) -> User:
    """Makes a user known, or changes one. Raises NotPermitted, InvalidInput, InUse, PartUnavailable."""
    with events.recording(service, principal, "user.create", Resource("user", name, name)):
        permissions.require(principal, Action.USERS_CHANGE)
        identity.ensure_user(service, name)
    if change.changes_nothing:
        return get_user(service, principal, name)
    return change_user(service, principal, name, change)


def change_user(service: Service, principal: Principal, name: str, change: UserChange) -> User:
    """Changes a user's name, e-mail, state or sign-in: suspended users are refused everywhere from the next request on.

    When MLflow does not respond, a suspension already applies everywhere else, and a user to be reinstated stays
    suspended: PartUnavailable, try again. Raises Missing, NotPermitted, InUse.
    """
    action = "user.change" if change.state is None else _ACTIONS[change.state]
    with events.recording(service, principal, action, Resource("user", name, name)) as event:
        permissions.require(principal, Action.USERS_CHANGE)
        require_change(change)
        if change.forget_sign_in:
            event.detail = "the next person who signs in with the name at the issuer is the user"
        if change.state is UserState.SUSPENDED and name == identity.owner_name(service):
            raise InUse(
                f"{name} is the administrator of this installation and cannot be suspended",
                action="Suspend somebody else",
            )
        before = _write(service, name, change)
        if change.state is not None:
            try:
                _tell_doors(service, name, change.state)
            except PartUnavailable:
                if change.state is UserState.ACTIVE:
                    _write(service, name, UserChange(state=UserState(before)))
                raise
    return get_user(service, principal, name)


def whoami(service: Service, principal: Principal) -> User:
    """The acting user."""
    return get_user(service, principal, principal.name)


def get_user(service: Service, principal: Principal, name: str) -> User:
    """One user, visible to administrators, themselves and people who share a project with them. Raises Missing."""
    permissions.require(principal, Action.USERS_SEE)
    with service.database.reading() as session:
        row = session.scalars(_seen(principal).where(UserRow.name == name)).first()
        if row is None:
            raise _missing(name)
        return _Schemas(service, session, principal, [name]).of(row)


def list_users(
    service: Service, principal: Principal, *, page_size: int = DEFAULT_PAGE_SIZE, page_token: str | None = None
) -> Page[User]:
    """People by name: an administrator sees everybody, others see themselves and people who share a project with them.

    Raises InvalidInput for a wrong token.
    """
    permissions.require(principal, Action.USERS_SEE)
    with service.database.reading() as session:
        found = paging.keyset_page(
            session,
            _seen(principal),
            [paging.Key(UserRow.name)],
            scope=f"users:{principal.name}",
            page_size=page_size,
            page_token=page_token,
        )
        return found.to_page(_Schemas(service, session, principal, [row.name for row in found.rows]).of)


def _seen(principal: Principal) -> Select[UserRow]:
    query = select(UserRow)
    if not permissions.own_only(principal, Action.USERS_CHANGE):
        return query
    shared = CollaboratorRow.project_id.in_(permissions.own_projects(principal))
    team = select(CollaboratorRow.user).where(shared)
    return query.where(or_(UserRow.name == principal.name, UserRow.name.in_(team)))


def _missing(name: str) -> Missing:
    return Missing(f"There is no user {name!r}", action="See `registry-tui users list`")


def _write(service: Service, name: str, change: UserChange) -> str:
    """Writes the change; returns the state before. Raises Missing."""
    with service.database.session() as session:
        row = session.get(UserRow, name)
        if row is None:
            raise _missing(name)
        before = row.state
        if change.full_name is not None:
            row.full_name = change.full_name
        if change.email is not None:
            row.email = change.email
        if change.state is not None:
            row.state = change.state.value
        if change.forget_sign_in:
            session.execute(delete(UserSubjectRow).where(UserSubjectRow.user == name))
    return before


def _tell_doors(service: Service, name: str, state: UserState) -> None:
    """Has MLflow and the gateway refuse a person, or let them in again. Raises PartUnavailable."""
    gateway_link.publish(service)
    routing.publish(service)
    if state is UserState.SUSPENDED:
        service.access.lock_out(name)
    else:
        service.access.let_in(name)
    with service.database.reading() as session:
        projects = list(session.scalars(select(CollaboratorRow.project_id).where(CollaboratorRow.user == name)))
    for project_id in projects:
        routing.mirror_access(service, project_id)


class _Schemas:
    """Users as the API shows them, with the groups and roles of all of them read at once.

    Roles are shown in the environments that the principal may see.
    """

    def __init__(self, service: Service, session: Session, principal: Principal, names: Sequence[str]) -> None:
        self._service = service
        self._owner = identity.owner_name(service)
        self._groups: dict[str, list[str]] = {}
        query = select(GroupMemberRow).where(GroupMemberRow.user.in_(names)).order_by(GroupMemberRow.group)
        for member in session.scalars(query):
            self._groups.setdefault(member.user, []).append(member.group)
        self._roles: dict[str, dict[str, set[str]]] = {}
        environments = select(EnvironmentRow.id, EnvironmentRow.name).order_by(EnvironmentRow.name)
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        if seen is not None:
            environments = environments.where(EnvironmentRow.id.in_(seen))
        self._environments: Mapping[str, str] = dict(session.execute(environments).all())
        in_groups = {group for groups in self._groups.values() for group in groups}
        held = select(EnvironmentRoleRow).where(
            or_(EnvironmentRoleRow.user.in_(names), EnvironmentRoleRow.group.in_(in_groups))
        )
        by_group: dict[str, list[EnvironmentRoleRow]] = {}
        for row in session.scalars(held):
            if row.user is not None:
                self._roles.setdefault(row.user, {}).setdefault(row.environment_id, set()).add(row.role)
            elif row.group is not None:
                by_group.setdefault(row.group, []).append(row)
        for user, groups in self._groups.items():
            for group in groups:
                for row in by_group.get(group, ()):
                    self._roles.setdefault(user, {}).setdefault(row.environment_id, set()).add(row.role)
        used = select(UserTokenRow.user, func.max(UserTokenRow.last_used_at)).where(UserTokenRow.user.in_(names))
        self._used: Mapping[str, datetime | None] = dict(session.execute(used.group_by(UserTokenRow.user)).all())
        shown = names if principal.administrator else [principal.name]
        self._projects = _projects_of(session, [name for name in shown if name in names])

    def of(self, row: UserRow) -> User:
        held = self._roles.get(row.name, {})
        return User(
            name=row.name,
            crn=row.crn,
            created_at=row.created_at,
            entitlements=list(self._service.settings.entitlements),
            full_name=row.full_name,
            email=row.email,
            state=UserState(row.state),
            administrator=row.name == self._owner,
            groups=self._groups.get(row.name, []),
            roles=[
                RolesHeld(
                    environment_id=id_,
                    environment_name=name,
                    roles=[role for role in EnvironmentRole if role.value in held[id_]],
                )
                for id_, name in self._environments.items()
                if id_ in held
            ],
            last_used_at=self._used.get(row.name),
            projects=self._projects.get(row.name, []),
        )


def _projects_of(session: Session, names: Sequence[str]) -> dict[str, list[ProjectHeld]]:
    """The projects that each person works in, by name."""
    query = (
        select(CollaboratorRow.user, CollaboratorRow.role, ProjectRow.id, ProjectRow.name, WorkspaceRow.environment_id)
        .join(ProjectRow, CollaboratorRow.project_id == ProjectRow.id)
        .join(WorkspaceRow, ProjectRow.workspace_id == WorkspaceRow.id)
        .where(CollaboratorRow.user.in_(names), ProjectRow.state == "ready")
        .order_by(ProjectRow.name)
    )
    found: dict[str, list[ProjectHeld]] = {}
    for user, role, id_, name, environment_id in session.execute(query):
        held = ProjectHeld(project_id=id_, project_name=name, environment_id=environment_id, role=Role(role))
        found.setdefault(user, []).append(held)
    return found
